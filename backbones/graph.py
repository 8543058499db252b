"""Feature maps of networks without a feature interface: the last part at each stride is found by a trial run, the network traced up to there."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress

import torch
from torch import Tensor, fx, nn
from torchvision.models.feature_extraction import create_feature_extractor
from torchvision.ops import StochasticDepth

from backbones import catalog
from backbones.body import ProviderBackbone, level_specs
from backbones.errors import UsageError
from backbones.measure import measure_sizes
from backbones.types import ImageStats
from backbones.weights import for_channels, repeat_channels

PROBE = (224, 224)


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


def graph_backbone(
    name: str, network: nn.Module, whole: nn.Module, units: Sequence[str], nodes: Mapping[str, bool], ends: Iterable[str], stats: ImageStats, input_size: tuple[int, int] | None
) -> ProviderBackbone:
    """Make a backbone of a network whose forward pass can be traced.

    Args:
        name: What the user asked for; settings after a question mark are not looked up in the catalog.
        network: The network with its weights.
        whole: The same for three channels on the meta device.
        units: Names of the parts of which stages are made, in the order in which they run.
        nodes: Names of the parts whose outputs are the maps, finest first, and whether these come as [B, H, W, C].
        ends: Names of the parts at which stages end.
        stats: Statistics of the weights for three channels.
        input_size: (height, width) that must fit, if known.

    Returns:
        The backbone.
    """
    channels_last = list(nodes.values())
    body = GraphBody(_trace(network, list(nodes)), channels_last)
    trial = GraphBody(_trace(whole, list(nodes)), channels_last)
    with torch.no_grad():
        maps = trial(torch.zeros(1, 3, *PROBE, device="meta"))
    specs = level_specs([m.shape[1] for m in maps], [_stride(m.shape[-1]) for m in maps])
    entry = catalog.find_entry(name.partition("?")[0])
    multiple, rule = (entry.pad_multiple, entry.size_rule) if entry else measure_sizes(trial, [spec.stride for spec in specs], PROBE)
    if input_size is not None:
        rule.check(input_size, name)
    in_channels = first_convolution(network).in_channels
    return ProviderBackbone(name, body, specs, for_channels(stats, in_channels), rule, _stages(body, units, list(ends)), multiple)


def ends_by_stride(name: str, whole: nn.Module, units: Sequence[str], advice: str) -> dict[str, bool]:
    """The last part at each stride of 2 and more, finest first, and whether its map comes as [B, H, W, C].

    Args:
        name: What the user asked for.
        whole: The network for three channels on the meta device.
        units: Names of its parts; where one gives two maps, the first counts.
        advice: What to take instead of a network without a pyramid.

    Raises:
        UsageError: Fewer than two strides.
    """
    seen: dict[str, torch.Size] = {}

    def note(unit: str, inputs: Sequence[Tensor], output: Tensor | Sequence[Tensor]) -> None:
        if _first(output) is not inputs[0]:  # a part that hands its input on has left no trace
            seen[unit] = _first(output).shape

    handles = [whole.get_submodule(unit).register_forward_hook(lambda _m, inputs, output, unit=unit: note(unit, inputs, output)) for unit in units]
    with torch.no_grad(), suppress(RuntimeError):  # a classifier may take its own size only (PolyNet); the parts before it have been seen
        whole(torch.zeros(1, 3, *PROBE, device="meta"))
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
        raise UsageError(f"{name} gives no pyramid of feature maps; {advice}")
    return dict(last[stride] for stride in sorted(last))


def first_convolution(network: nn.Module) -> nn.Conv2d:
    """The convolution that sees the images."""
    return next(module for module in network.modules() if isinstance(module, nn.Conv2d))


def widen_first_convolution(network: nn.Module, in_channels: int) -> None:
    """Adapt the convolution that sees the images to another number of channels."""
    first = first_convolution(network)
    if first.in_channels != in_channels:
        first.weight = nn.Parameter(repeat_channels(first.weight.data, in_channels))
        first.in_channels = in_channels


def _first(output: Tensor | Sequence[Tensor]) -> Tensor:
    return output if isinstance(output, Tensor) else output[0]


def _trace(network: nn.Module, nodes: Sequence[str]) -> nn.Module:
    """The graph up to the last node; stochastic depth stays a module, so that it follows the mode of its own stage.

    torchvision's module of two graphs is left aside: its copies wake up in training mode, and its training graph drops paths in frozen stages.
    """
    both = create_feature_extractor(network, OrderedDict((node, node) for node in nodes), tracer_kwargs={"leaf_modules": [StochasticDepth]})
    return fx.GraphModule(both, both.eval_graph)


def _stride(cells: int) -> int:
    return 2 ** round(math.log2(PROBE[0] / cells))


def _stages(body: GraphBody, units: Sequence[str], ends: Sequence[str]) -> list[list[str]]:
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
