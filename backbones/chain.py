"""Cutting a network whose layers run one after the other into stages, at the modules whose outputs are tapped."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from torch import nn

from backbones.body import ChainBody
from backbones.errors import UsageError


def expand_chain(network: nn.Module, children: Iterable[str], taps: Iterable[str]) -> dict[str, nn.Module]:
    """Layers of a network by dotted name, in the order in which they run, opened where a tap lies inside.

    Args:
        network: A network that runs the named children one after the other.
        children: Names of its children in order.
        taps: Dotted names of modules whose outputs are wanted.

    Returns:
        Layers up to the last tap.

    Raises:
        UsageError: A tap lies inside a block that is no chain, or does not exist.
    """
    wanted = set(taps)
    layers: dict[str, nn.Module] = {}
    pending = [(name, network.get_submodule(name)) for name in reversed(list(children))]
    while pending and wanted:
        name, layer = pending.pop()
        if any(tap.startswith(name + ".") for tap in wanted):
            if getattr(layer, "has_skip", False) or getattr(layer, "use_shortcut", False):
                raise UsageError(f"tap inside {name}: the block adds its input again, so it cannot be cut there; use taps stage")
            pending += [(f"{name}.{inner}", part) for inner, part in reversed(list(layer.named_children()))]
        else:
            layers[name] = layer
            wanted.discard(name)
    if wanted:
        raise UsageError(f"taps {', '.join(sorted(wanted))}: no such modules in this network; use taps stage")
    return layers


def cut_chain(layers: Mapping[str, nn.Module], boundaries: Mapping[str, bool], *, channels_last: bool = False, concatenate: bool = False) -> ChainBody:
    """Cut layers into stages.

    A stage ends at each boundary. The stem, everything before the first layer with a boundary of its own weights, is a stage by itself.

    Args:
        layers: Layers by name in order.
        boundaries: Names of layers at which a stage ends, and whether their output is a feature map.
        channels_last: Maps come as [B, H, W, C].
        concatenate: Tuple outputs are joined along the channels.

    Returns:
        A body; layers after the last feature map are left out.
    """
    stages: list[dict[str, nn.Module]] = [{}]
    tapped: list[bool] = []
    for name, layer in layers.items():
        if name in boundaries and not tapped and _has_weights(layer) and any(_has_weights(part) for part in stages[-1].values()):
            tapped.append(False)
            stages.append({})
        stages[-1][name] = layer
        if name in boundaries:
            tapped.append(boundaries[name])
            stages.append({})
    used = len(tapped) - tapped[::-1].index(True)
    return ChainBody(stages[:used], tapped[:used], channels_last=channels_last, concatenate=concatenate)


def _has_weights(layer: nn.Module) -> bool:
    """Whether a layer is more than a norm or an activation."""
    return any(parameter.ndim > 1 for parameter in layer.parameters())
