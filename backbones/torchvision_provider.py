"""Backbones from torchvision's classification models, by graph nodes: strides and channels are measured. The one file that imports torchvision."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any
from urllib.parse import parse_qsl

import torch
import torchvision
from torch import Tensor, fx, nn
from torchvision.models.feature_extraction import create_feature_extractor
from torchvision.ops import StochasticDepth

from backbones import catalog
from backbones.body import ProviderBackbone, level_specs
from backbones.errors import UsageError
from backbones.measure import measure_sizes
from backbones.names import nearest
from backbones.ssd_taps import ssd_taps
from backbones.types import ImageStats
from backbones.weight_cache import cached_file
from backbones.weights import choose_weights, download, for_channels, repeat_channels

_PROBE = (224, 224)
PREFIX = "torchvision:"


class GraphBody(nn.Module):
    """A traced network that gives the outputs of named modules; everything after the last of them is gone.

    Autograd builds no graph for leading parts whose parameters require no gradient.
    """

    def __init__(self, graph: nn.Module, channels_last: Sequence[bool]) -> None:
        super().__init__()
        self.graph = graph
        self.channels_last = tuple(channels_last)

    def forward(self, images: Tensor, frozen_stages: int = 0) -> list[Tensor]:
        """Map images [B, C, H, W] to maps, finest first."""
        return [m.permute(0, 3, 1, 2).contiguous() if turn else m for m, turn in zip(self.graph(images).values(), self.channels_last, strict=True)]


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
    ends = _ends_by_stride(plain, whole, units)
    nodes = list(ssd_taps(plain)) if taps == "ssd" else list(ends)
    channels_last = [ends.get(node, False) for node in nodes]
    network, stats = _build(name, short, settings, whole, weights, in_channels)
    graph = _trace(network, nodes)
    trial = GraphBody(_trace(whole, nodes), channels_last)
    with torch.no_grad():
        maps = trial(torch.zeros(1, 3, *_PROBE, device="meta"))
    specs = level_specs([m.shape[1] for m in maps], [_stride(m.shape[-1]) for m in maps])
    entry = catalog.find_entry(plain)
    multiple, rule = (entry.pad_multiple, entry.size_rule) if entry else measure_sizes(trial, [spec.stride for spec in specs], _PROBE)
    if input_size is not None:
        rule.check(input_size, name)
    body = GraphBody(graph, channels_last)
    return ProviderBackbone(name, body, specs, for_channels(stats, in_channels), rule, _stages(body, units, list(ends)), multiple)


def torchvision_names() -> list[str]:
    """Names of all classification models, with the prefix."""
    return [PREFIX + name for name in torchvision.models.list_models(module=torchvision.models)]


def torchvision_record(name: str) -> dict[str, Any]:
    """Licence and address of the default weights. torchvision publishes its weights under its own licence."""
    weights = torchvision.models.get_model_weights(name.removeprefix(PREFIX))
    return {"license": "bsd-3-clause", "url": weights.DEFAULT.url}


def _trace(network: nn.Module, nodes: Sequence[str]) -> nn.Module:
    """The graph up to the last node; stochastic depth stays a module, so that it follows the mode of its own stage.

    torchvision's module of two graphs is left aside: its copies wake up in training mode, and its training graph drops paths in frozen stages.
    """
    both = create_feature_extractor(network, OrderedDict((node, node) for node in nodes), tracer_kwargs={"leaf_modules": [StochasticDepth]})
    return fx.GraphModule(both, both.eval_graph)


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


def _stride(cells: int) -> int:
    return 2 ** round(math.log2(_PROBE[0] / cells))


def _units(network: nn.Module) -> list[str]:
    """Names of the parts of which stages are made: children, those of containers in their place."""
    units: list[str] = []
    for name, child in network.named_children():
        if type(child) in (nn.Sequential, nn.ModuleList):
            units += [f"{name}.{inner}" for inner, _ in child.named_children()]
        else:
            units.append(name)
    return units


def _ends_by_stride(name: str, whole: nn.Module, units: list[str]) -> dict[str, bool]:
    """The last part at each stride of 2 and more, and whether its map comes as [B, H, W, C]."""
    seen: dict[str, torch.Size] = {}
    handles = [whole.get_submodule(unit).register_forward_hook(lambda _m, _i, output, unit=unit: seen.__setitem__(unit, output.shape)) for unit in units]
    with torch.no_grad():
        whole(torch.zeros(1, 3, *_PROBE, device="meta"))
    for handle in handles:
        handle.remove()
    last: dict[int, tuple[str, bool]] = {}
    for unit, shape in seen.items():
        if len(shape) != 4 or (shape[2] != shape[3] and shape[1] != shape[2]) or shape[2] == 1:
            continue
        stride = _stride(shape[2])
        if stride > 1 and stride >= max(last, default=1):
            last[stride] = (unit, shape[2] != shape[3])
    if len(last) < 2:
        raise UsageError(f"{name} gives no pyramid of feature maps; take a network of timm (plain ViTs too), or another one from `finetune list backbones 'torchvision:*'`")
    return dict(last[stride] for stride in sorted(last))


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
    if in_channels != 3:
        _widen_first_convolution(network, in_channels)
    preset = chosen.transforms()
    return network, choice.image_stats or ImageStats(tuple(preset.mean), tuple(preset.std))


def _widen_first_convolution(network: nn.Module, in_channels: int) -> None:
    first = next(module for module in network.modules() if isinstance(module, nn.Conv2d))
    first.weight = nn.Parameter(repeat_channels(first.weight.data, in_channels))
    first.in_channels = in_channels


def _stages(body: GraphBody, units: list[str], ends: list[str]) -> list[list[str]]:
    """Names per stage: parts up to each end of a stride, the stem by itself; a part that a tap cuts belongs to one stage as a whole."""
    left = {name for name, _ in body.graph.named_modules()}
    stages: list[list[str]] = [[]]
    for unit in units:
        part = body.graph.get_submodule(unit) if unit in left else None
        if part is not None and any(True for _ in [*part.parameters(), *part.buffers()]):
            heavy = any(parameter.ndim > 1 for parameter in part.parameters())
            if heavy and len(stages) == 1 and stages[0]:
                stages.append([])
            stages[-1].append(f"graph.{unit}")
        if unit in ends and stages[-1]:
            stages.append([])
    stages[0] += [f"graph.{name}" for name, value in [*body.graph._parameters.items(), *body.graph._buffers.items()] if value is not None]
    return [stage for stage in stages if stage]
