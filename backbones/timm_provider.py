"""Backbones from timm: every model that gives a pyramid, cut after its last tap."""

from __future__ import annotations

from typing import Any

import timm
import torch
from timm.models import FeatureListNet
from torch import nn

from backbones.body import ChainBody, ProviderBackbone, WholeBody, level_specs
from backbones.errors import UsageError
from backbones.types import ImageStats, SizeRule
from backbones.weights import choose_weights, download, for_channels


def create_timm_backbone(name: str, *, weights: str, taps: str, in_channels: int, input_size: tuple[int, int] | None) -> ProviderBackbone:
    """Build a timm model as a backbone; arguments as in ``backbones.create_backbone``."""
    whole = whole_on_meta(name)
    network, stats = build_features(name, whole, weights, in_channels, {})
    info = [entry for entry in network.feature_info.get_dicts() if entry["reduction"] > 1]
    specs = level_specs([entry["num_chs"] for entry in info], [entry["reduction"] for entry in info])
    body, stage_names = cut_into_stages(network)
    return ProviderBackbone(name, body, specs, stats, SizeRule(), stage_names)


def whole_on_meta(name: str) -> nn.Module:
    """The whole network with its classifier, without memory: for names, shapes and settings."""
    with torch.device("meta"):
        return timm.create_model(name)


def build_features(name: str, whole: nn.Module, weights: str, in_channels: int, extra: dict[str, Any]) -> tuple[nn.Module, ImageStats]:
    """Build timm's feature network with its weights, and the image statistics that belong to them."""
    config = whole.pretrained_cfg
    expected = {key: value.shape for key, value in whole.state_dict().items()}
    choice = choose_weights(weights, name, expected)
    levels = tuple(index for index, entry in enumerate(whole.feature_info) if entry["module"])
    settings: dict[str, Any] = {"features_only": True, "out_indices": levels, "in_chans": in_channels, **extra}
    tagged = f"{name}.{choice.tag}" if choice.tag else name
    if choice.entries is not None:
        network = timm.create_model(name, pretrained=True, pretrained_cfg_overlay={"state_dict": choice.entries}, **settings)
    elif choice.download:
        network = download(lambda: timm.create_model(tagged, pretrained=True, **settings), tagged, *weight_address(config), cached=False)
    else:
        network = timm.create_model(name, pretrained=False, **settings)
    stats = choice.image_stats or ImageStats(tuple(config["mean"]), tuple(config["std"]))
    return network, for_channels(stats, in_channels)


def weight_address(config: dict[str, Any]) -> tuple[str, str]:
    """Where timm gets the weights of one of its settings, and the file's name."""
    if config.get("hf_hub_id"):
        file_name = config.get("hf_hub_filename") or "model.safetensors"
        return f"https://huggingface.co/{config['hf_hub_id']}/resolve/main/{file_name}", file_name
    if config.get("url"):
        return config["url"], config["url"].rpartition("/")[2]
    raise UsageError(f"{config.get('architecture')}: timm has no pretrained weights for it; use weights none or a file")


def cut_into_stages(network: nn.Module) -> tuple[nn.Module, list[list[str]]]:
    """Rebuild a feature network as a chain of stages where its layers run one after the other."""
    taps = {entry["module"]: entry["reduction"] > 1 for entry in network.feature_info.get_dicts()}
    layers = _layer_chain(network)
    if layers is None:
        return WholeBody(network, [i for i, entry in enumerate(network.feature_info.get_dicts()) if entry["reduction"] > 1]), [["network"]]
    stages: list[dict[str, nn.Module]] = [{}]
    tapped: list[bool] = []
    for name, layer in layers.items():
        is_first = not tapped
        if name in taps and is_first and _has_weights(layer) and any(_has_weights(part) for part in stages[-1].values()):
            tapped.append(False)
            stages.append({})
        stages[-1][name] = layer
        if name in taps:
            tapped.append(taps[name])
            stages.append({})
    body = ChainBody(stages[:-1], tapped, channels_last=str(getattr(network, "output_fmt", "")).endswith("NHWC"), concatenate=getattr(network, "concat", False))
    return body, body.stage_names()


def _layer_chain(network: nn.Module) -> dict[str, nn.Module] | None:
    """Layers of a feature network in the order in which they run, by their name in the whole network; None where it is no chain."""
    if type(network) is FeatureListNet:
        flattened = {name.replace(".", "_"): name for name in network.feature_info.module_name()}
        return {flattened.get(name, name): layer for name, layer in network.items()}
    if hasattr(network, "conv_stem") and hasattr(network, "blocks") and getattr(network, "feature_hooks", None) is None:
        layers = {name: layer for name, layer in network.named_children() if name != "blocks"}
        return {**layers, **{f"blocks.{name}": layer for name, layer in network.blocks.named_children()}}
    return None


def _has_weights(layer: nn.Module) -> bool:
    """Whether a layer is more than a norm or an activation."""
    return any(parameter.ndim > 1 for parameter in layer.parameters())
