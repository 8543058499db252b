"""Backbones from timm: every model that gives a pyramid, cut after its last tap. The one file that imports timm."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import timm
import torch
from timm.models import FeatureListNet
from torch import Tensor, nn

from backbones import catalog
from backbones.body import ProviderBackbone, WholeBody, level_specs
from backbones.chain import cut_chain, expand_chain
from backbones.errors import UsageError
from backbones.measure import measure_sizes, remove_unused, stages_in_order
from backbones.ssd_taps import ssd_taps
from backbones.types import FeatureSpec, ImageStats, SizeRule
from backbones.vit_provider import STRIDES, OneGridBody, is_one_grid, spaced_blocks
from backbones.weight_cache import cached_file
from backbones.weights import choose_weights, download, for_channels, read_entries

# its remark on "unexpected keys" is about the classifier that a backbone has no use for; what was loaded is said by ``choose_weights``
logging.getLogger("timm.models._builder").setLevel(logging.ERROR)

# timm's networks carry attributes that nn.Module does not declare.
Network = Any


@dataclass(frozen=True, eq=False)
class _Plan:
    """How timm is asked for one network, and what it will give: decided on the meta device."""

    settings: dict[str, Any]
    specs: tuple[FeatureSpec, ...]
    one_grid: bool
    on_meta: Network
    native: tuple[int, int]
    pad_multiple: int = 1
    pad_to: tuple[int, int] | None = None
    size_rule: SizeRule = field(default_factory=SizeRule)


def create_timm_backbone(name: str, *, weights: str, taps: str, in_channels: int, input_size: tuple[int, int] | None) -> ProviderBackbone:
    """Build a timm model as a backbone; arguments as in ``backbones.create_backbone``."""
    whole = _on_meta(name)
    if taps == "ssd":
        return _create_with_ssd_taps(name, whole, weights, in_channels)
    plan = _plan(name, whole, in_channels, input_size)
    network, stats = _build(name, whole, weights, {"in_chans": in_channels, **plan.settings})
    body, stage_names = _cut(network, plan, in_channels)
    return ProviderBackbone(name, body, plan.specs, for_channels(stats, in_channels), plan.size_rule, stage_names, plan.pad_multiple, plan.pad_to)


def timm_backbone_on_meta(name: str) -> ProviderBackbone:
    """A backbone without memory, its size rule measured where the catalog does not know it: what the catalog describes."""
    whole = timm_network_on_meta(name)
    plan = _plan(name, whole, 3, None)
    body, stage_names = _body(plan.on_meta, one_grid=True) if plan.one_grid else _cut(plan.on_meta, plan, 3)
    stats = ImageStats(tuple(whole.pretrained_cfg["mean"]), tuple(whole.pretrained_cfg["std"]))
    return ProviderBackbone(name, body, plan.specs, stats, plan.size_rule, stage_names or [["network"]], plan.pad_multiple)


def can_resize(name: str, input_size: tuple[int, int]) -> bool:
    """Whether a network that takes one size can be built for another one."""
    try:
        return _plan(name, timm_network_on_meta(name), 3, input_size).size_rule.fixed == input_size
    except UsageError:
        return False


@lru_cache(maxsize=1)
def timm_network_on_meta(name: str) -> Network:
    """The whole network, classifier included, without memory."""
    return _on_meta(name)


def timm_names() -> list[str]:
    """All names that timm knows, without tags."""
    return timm.list_models()


def pretrained_settings(name: str) -> dict[str, Any]:
    """The record that timm has of the default weights of a model: licence, statistics, address."""
    settings = timm.get_pretrained_cfg(name)
    return settings.to_dict() if settings else {}


def _on_meta(name: str, **settings: Any) -> Network:
    """A network without memory: for names, shapes, settings and trial runs."""
    with torch.device("meta"):
        return timm.create_model(name, **settings).eval()


def _plan(name: str, whole: Network, in_channels: int, input_size: tuple[int, int] | None) -> _Plan:
    levels = [index for index, entry in enumerate(getattr(whole, "feature_info", None) or []) if entry["module"]]
    if not levels:
        raise UsageError(f"{name} gives no feature maps; `finetune list backbones` shows those that do")
    one_grid = is_one_grid([whole.feature_info[index]["reduction"] for index in levels])
    if one_grid:
        levels = [levels[index] for index in spaced_blocks(len(levels))] if len(levels) >= len(STRIDES) else levels[-1:]
    native = tuple(whole.pretrained_cfg["input_size"][-2:])
    base = {"features_only": True, "out_indices": tuple(levels)}
    chosen: dict[str, Any] = base
    padded = None
    network = None
    for extra, size in _size_settings(whole, input_size):
        try:
            network = _on_meta(name, in_chans=in_channels, **base, **extra)
            if size is not None:
                _body(network, one_grid)[0](torch.zeros(1, in_channels, *size, device="meta"))
        except (TypeError, AssertionError, ValueError, RuntimeError, KeyError):
            continue
        chosen, padded = {**base, **extra}, size
        break
    if network is None:
        raise UsageError(f"{name} gives no feature maps in this timm {timm.__version__}; `finetune list backbones` shows those that do")
    info = [entry for entry in network.feature_info.get_dicts() if entry["reduction"] > 1]
    widths = [entry["num_chs"] for entry in info]
    specs = level_specs((widths * len(STRIDES))[: len(STRIDES)] if len(widths) == 1 else widths, STRIDES if one_grid else [entry["reduction"] for entry in info])
    if padded is not None and input_size is not None:
        return _Plan(chosen, specs, one_grid, network, padded, pad_to=padded, size_rule=SizeRule(fixed=input_size))
    entry = catalog.find_entry(name)
    if entry is not None:
        multiple, rule = entry.pad_multiple, entry.size_rule
    else:
        body, _ = _body(network, one_grid)
        multiple, rule = measure_sizes(body, [spec.stride for spec in specs], native, in_channels)
    if input_size is not None:
        rule.check(input_size, name)
    return _Plan(chosen, specs, one_grid, network, native, pad_multiple=multiple, size_rule=rule)


def _size_settings(whole: Network, input_size: tuple[int, int] | None) -> Iterator[tuple[dict[str, Any], tuple[int, int] | None]]:
    """The ways that timm itself has to other input sizes, best first, each with the size that inputs are then padded to."""
    if whole.pretrained_cfg.get("fixed_input_size"):
        yield {"dynamic_img_size": True}, None
        yield {"strict_img_size": False}, None
        for multiple in (1, 32, 64, 128) if input_size else ():
            size = tuple(-(-side // multiple) * multiple for side in input_size or ())
            yield {"img_size": size}, (size[0], size[1])
    yield {}, None


def _build(name: str, whole: Network, weights: str, settings: dict[str, Any]) -> tuple[Network, ImageStats]:
    """Build a network with its weights; the image statistics belong to them."""
    config = whole.pretrained_cfg
    choice = choose_weights(weights, name, {key: value.shape for key, value in whole.state_dict().items()})
    if choice.tag is not None:
        known = timm.list_pretrained(f"{name}.*")
        if f"{name}.{choice.tag}" not in known:
            tags = ", ".join(sorted(tag.partition(".")[2] for tag in known)) or "none"
            raise UsageError(f"weights {choice.tag!r}: {name} has no such tag (it has: {tags}); or give a file, 'imagenet' or 'none'")
        config = pretrained_settings(f"{name}.{choice.tag}")
    stats = choice.image_stats or ImageStats(tuple(config["mean"]), tuple(config["std"]))
    # A downloaded file is read directly: the hub's client would ask the network about it, for a minute when there is none.
    cached = cached_file(config.get("hf_hub_id"), config.get("url")) if choice.download and not config.get("custom_load") else None
    entries = read_entries(cached) if cached else choice.entries
    if entries is not None:
        try:
            return timm.create_model(name, pretrained=True, pretrained_cfg_overlay={"state_dict": entries}, **settings), stats
        except RuntimeError as error:
            raise UsageError(f"weights {weights}: do not fit {name}: {' '.join(str(error).split())[:300]}") from error
    if choice.download:
        tagged = f"{name}.{choice.tag}" if choice.tag else name
        return download(lambda: timm.create_model(tagged, pretrained=True, **settings), tagged, *_address(name, config), cached=False), stats
    return timm.create_model(name, pretrained=False, **settings), stats


def _address(name: str, config: dict[str, Any]) -> tuple[str, str]:
    if config.get("hf_hub_id"):
        file_name = config.get("hf_hub_filename") or "model.safetensors"
        return f"https://huggingface.co/{config['hf_hub_id']}/resolve/main/{file_name}", file_name
    if config.get("url"):
        return config["url"], config["url"].rpartition("/")[2]
    raise UsageError(f"{name}: timm has no pretrained weights for it; use weights none or a file")


def _body(network: Network, one_grid: bool) -> tuple[nn.Module, list[list[str]] | None]:
    """Rebuild a feature network as a chain of stages; where it is no chain, keep it whole and return no names of stages."""
    info = network.feature_info.get_dicts()
    if one_grid:
        return OneGridBody(network), None
    layers = _layer_chain(network)
    if layers is None:
        return WholeBody(network, [index for index, entry in enumerate(info) if entry["reduction"] > 1]), None
    nhwc = str(getattr(network, "output_fmt", "")).endswith("NHWC")
    chain = cut_chain(layers, {entry["module"]: entry["reduction"] > 1 for entry in info}, channels_last=nhwc, concatenate=getattr(network, "concat", False))
    return chain, chain.stage_names()


def _cut(network: Network, plan: _Plan, in_channels: int) -> tuple[nn.Module, list[list[str]]]:
    """The body of a network, and the names of its stages; those of a whole body by the order in which its parts run."""
    body, stage_names = _body(network, plan.one_grid)
    if stage_names is not None:
        return body, stage_names
    trial, _ = _body(plan.on_meta, plan.one_grid)
    inner = next((f"network.{name}" for name in ("model", "body") if hasattr(network, name)), "network")
    images = torch.zeros(1, in_channels, *plan.native, device="meta")
    try:
        remove_unused(trial, body, images)
        return body, stages_in_order(trial, trial.get_submodule(inner), inner, images, by_stride=not plan.one_grid)
    except RuntimeError:  # a network that reads tensor values cannot run without memory: one stage, all or nothing
        return body, [["network"]]


def _layer_chain(network: Network) -> dict[str, nn.Module] | None:
    """Layers of a feature network in the order in which they run, by their name in the whole network; None where it is no chain."""
    if type(network) is FeatureListNet:
        flattened = {name.replace(".", "_"): name for name in network.feature_info.module_name()}
        return {flattened.get(name, name): layer for name, layer in network.items()}
    if hasattr(network, "conv_stem") and hasattr(network, "blocks") and getattr(network, "feature_hooks", None) is None:
        layers = {name: layer for name, layer in network.named_children() if name != "blocks"}
        return {**layers, **{f"blocks.{name}": layer for name, layer in network.blocks.named_children()}}
    return None


def _create_with_ssd_taps(name: str, whole: Network, weights: str, in_channels: int) -> ProviderBackbone:
    taps = ssd_taps(name)
    network, stats = _build(name, whole, weights, {"in_chans": in_channels})
    children = [child for child, _ in network.named_children()]
    boundaries = {entry["module"]: False for entry in network.feature_info if entry["module"]} | dict.fromkeys(taps, True)
    body = cut_chain(expand_chain(network, children, taps), boundaries)
    meta = cut_chain(expand_chain(whole, children, taps), boundaries)
    with torch.no_grad():
        maps: list[Tensor] = meta.eval()(torch.zeros(1, 3, 256, 256, device="meta"))
    specs = level_specs([m.shape[1] for m in maps], [256 // m.shape[-1] for m in maps])
    return ProviderBackbone(name, body, specs, for_channels(stats, in_channels), SizeRule(), body.stage_names())
