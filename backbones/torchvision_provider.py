"""Backbones from torchvision's classification models, by graph nodes: strides and channels are measured."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any
from urllib.parse import parse_qsl

import torch
import torchvision
from torch import nn

from backbones.body import ProviderBackbone
from backbones.errors import UsageError
from backbones.graph import ends_by_stride, graph_backbone, widen_first_convolution
from backbones.names import nearest
from backbones.ssd_taps import ssd_taps
from backbones.types import ImageStats
from backbones.weight_cache import cached_file
from backbones.weights import choose_weights, download

PREFIX = "torchvision:"
_ADVICE = "take a network of timm (plain ViTs too), or another one from `finetune list backbones 'torchvision:*'`"


def create_torchvision_backbone(name: str, *, weights: str, taps: str, in_channels: int, input_size: tuple[int, int] | None) -> ProviderBackbone:
    """Build a torchvision classification model as a backbone; arguments as in ``backbones.create_backbone``.

    The name takes the model's own settings after a question mark: ``torchvision:mobilenet_v3_large?reduced_tail`` is the network
    in torchvision's ssdlite320_mobilenet_v3_large; ``bn_eps`` and ``bn_momentum`` set its norms.
    """
    plain, _, query = name.partition("?")
    short = plain.removeprefix(PREFIX)
    settings = _settings(query)
    whole = _on_meta(short, settings)
    units = _units(whole)
    ends = ends_by_stride(plain, whole, units, _ADVICE)
    nodes = {node: ends.get(node, False) for node in ssd_taps(plain)} if taps == "ssd" else ends
    network, stats = _build(name, short, settings, whole, weights, in_channels)
    return graph_backbone(name, network, whole, units, nodes, ends, stats, input_size)


def torchvision_network_on_meta(name: str) -> nn.Module:
    """The whole network, classifier included, without memory."""
    return _on_meta(name.removeprefix(PREFIX), {})


def torchvision_names() -> list[str]:
    """Names of all classification models, with the prefix."""
    return [PREFIX + name for name in torchvision.models.list_models(module=torchvision.models)]


def torchvision_record(name: str) -> dict[str, Any]:
    """Licence and address of the default weights. torchvision publishes its weights under its own licence."""
    weights = torchvision.models.get_model_weights(name.removeprefix(PREFIX))
    return {"license": "bsd-3-clause", "url": weights.DEFAULT.url}


def _settings(query: str) -> dict[str, Any]:
    settings: dict[str, Any] = {}
    for key, value in parse_qsl(query, keep_blank_values=True):
        settings[key] = True if value in ("", "true", "1") else False if value == "false" else float(value) if key.startswith("bn_") else value
    norm = {key.removeprefix("bn_"): settings.pop(key) for key in ("bn_eps", "bn_momentum") if key in settings}
    if norm:
        settings["norm_layer"] = partial(nn.BatchNorm2d, **norm)
    return settings


def _create(short: str, settings: Mapping[str, Any]) -> nn.Module:
    known = torchvision.models.list_models(module=torchvision.models)
    if short not in known:
        raise UsageError(f"{PREFIX}{short}: torchvision has no such classification model{nearest(short, known, prefix=PREFIX)}")
    # Their pretrained weights expect inputs that the network itself renormalises.
    extra = {"init_weights": False, "aux_logits": False, "transform_input": True} if short in ("googlenet", "inception_v3") else {}
    try:
        return torchvision.models.get_model(short, weights=None, **extra, **settings)
    except (TypeError, ValueError) as error:
        raise UsageError(f"{PREFIX}{short}: does not take {', '.join(settings)} ({error})") from error


def _on_meta(short: str, settings: Mapping[str, Any]) -> nn.Module:
    try:
        with torch.device("meta"):
            return _create(short, settings).eval()
    except NotImplementedError:  # RegNet computes its widths with tensors
        return _create(short, settings).eval().to("meta")


def _units(network: nn.Module) -> list[str]:
    """Names of the parts of which stages are made: children, those of containers in their place."""
    units: list[str] = []
    for name, child in network.named_children():
        if type(child) in (nn.Sequential, nn.ModuleList):
            units += [f"{name}.{inner}" for inner, _ in child.named_children()]
        else:
            units.append(name)
    return units


def _build(name: str, short: str, settings: Mapping[str, Any], whole: nn.Module, weights: str, in_channels: int) -> tuple[nn.Module, ImageStats]:
    known = torchvision.models.get_model_weights(short)
    default = known.DEFAULT
    record = {item.name.lower(): item for item in known}
    choice = choose_weights(weights, name, {key: value.shape for key, value in whole.state_dict().items()})
    if choice.tag is not None and choice.tag.lower() not in record:
        raise UsageError(f"weights {choice.tag!r}: {name} has no such tag (it has: {', '.join(item.name for item in known)}); or give a file, 'imagenet' or 'none'")
    chosen = record[choice.tag.lower()] if choice.tag else default
    if in_channels != 3 and short in ("googlenet", "inception_v3"):
        raise UsageError(f"{name} takes images of 3 channels only; the same network of timm takes {in_channels}")
    network = _create(short, settings)
    entries = choice.entries
    if choice.download:
        if settings.get("reduced_tail"):
            raise UsageError(f"{name}: torchvision has no ImageNet weights with the reduced tail; use weights none or a file")
        entries = download(lambda: dict(chosen.get_state_dict(progress=True, check_hash=True)), name, chosen.url, chosen.url.rpartition("/")[2], cached_file(None, chosen.url) is not None)
    if entries is not None:
        try:
            network.load_state_dict(entries, strict=False)
        except RuntimeError as error:
            raise UsageError(f"weights {weights}: do not fit {name}: {' '.join(str(error).split())[:300]}") from error
    widen_first_convolution(network, in_channels)
    preset = chosen.transforms()
    return network, choice.image_stats or ImageStats(tuple(preset.mean), tuple(preset.std))
