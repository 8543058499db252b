"""What only a trial run tells: which input sizes a network takes, and in which order its parts run. Meant for networks on the meta device."""

from __future__ import annotations

import contextlib
import io
import math
from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor, nn

from backbones.types import SizeRule

_MULTIPLES = (1, 2, 4, 8, 16, 32, 64, 7, 14, 28, 12, 24, 128, 256)
# Networks without padding (Inception) lose a few border cells; the provider gives them back.
_LOST_CELLS = 4


def measure_sizes(network: Callable[[Tensor], Sequence[Tensor]], strides: Sequence[int], native: tuple[int, int], in_channels: int = 3, device: str = "meta") -> tuple[int, SizeRule]:
    """Find out which input sizes give maps of the right sizes.

    Args:
        network: Maps images [B, C, H, W] to NCHW maps.
        strides: Stride of each map.
        native: (height, width) that it was trained with.
        in_channels: Channels of the images.
        device: Where the network lies.

    Returns:
        The least multiple that inputs must be padded to, and the rule that is left: any size, or one fixed size.
    """

    def fits(height: int, width: int) -> bool:
        try:
            with torch.no_grad(), contextlib.redirect_stderr(io.StringIO()):  # traced networks print before they raise
                maps = network(torch.zeros(1, in_channels, height, width, device=device))
        except Exception:
            return False
        wanted = [(math.ceil(height / stride), math.ceil(width / stride)) for stride in strides]
        return len(maps) == len(wanted) and all(-_LOST_CELLS <= m.shape[-2] - h <= 1 and -_LOST_CELLS <= m.shape[-1] - w <= 1 for m, (h, w) in zip(maps, wanted, strict=True))

    for multiple in _MULTIPLES:
        # Odd multiples, all different: three times the native size would prove nothing.
        first, second, third = (multiple * (2 * round(side / multiple / 2) + 1) for side in (160, 224, 330))
        second = max(second, first + 2 * multiple)
        sizes = [first, second, max(third, second + 2 * multiple)]
        if fits(sizes[0], sizes[1]) and fits(sizes[1], sizes[0]) and fits(sizes[2], sizes[2]):
            return multiple, SizeRule()
    return 1, SizeRule(fixed=native)


def stages_in_order(body: nn.Module, network: nn.Module, prefix: str, images: Tensor, by_stride: bool) -> list[list[str]]:
    """Group the parts of a network that cannot be cut into stages, in the order in which they run.

    Args:
        body: The module that names are relative to.
        network: The part of it that holds the layers.
        prefix: Name of ``network`` in ``body``.
        images: [1, C, H, W] for one trial run.
        by_stride: Parts that follow each other with outputs of the same size are one stage; otherwise each part is one.

    Returns:
        Names per stage, stem first (with parameters that belong to no part); parts whose place a trial run does not show are in the last stage.
    """
    units = dict(_units(network, prefix))
    order: list[str] = []
    cells: dict[str, int] = {}

    def note(name: str, output: object) -> None:
        if name not in order:
            order.append(name)
            cells[name] = _cells(output)

    handles = [unit.register_forward_hook(lambda _m, _i, output, name=name: note(name, output)) for name, unit in units.items()]
    try:
        with torch.no_grad():
            body(images)
    finally:
        for handle in handles:
            handle.remove()
    bare = [f"{prefix}.{name}" for name, value in [*network._parameters.items(), *network._buffers.items()] if value is not None]
    containers = {name.rpartition(".")[0] for name in units} - {prefix}
    for container in sorted(containers):
        owner = body.get_submodule(container)
        bare += [f"{container}.{name}" for name, value in [*owner._parameters.items(), *owner._buffers.items()] if value is not None]
    stages: list[list[str]] = [[*bare]]
    last = None
    for name in (name for name in order if _has_state(units[name])):
        same = len(stages) > 1 and by_stride and cells[name] == last
        if same or stages == [bare]:
            stages[-1].append(name)
        else:
            stages.append([name])
        last = cells[name]
    stages[-1] += [name for name, unit in units.items() if name not in order and _has_state(unit)]
    return _without_sharing(body, [stage for stage in stages if stage])


def _without_sharing(body: nn.Module, stages: list[list[str]]) -> list[list[str]]:
    """Join stages that hold the same parameter, with all between them: a part that runs in two places (CoaT) belongs to one stage."""
    first: dict[int, int] = {}
    joined: list[list[str]] = []
    for names in stages:
        joined.append(list(names))
        values = {id(value) for name in names for value in _values(body, name)}
        start = min((first[value] for value in values if value in first), default=len(joined) - 1)
        joined[start:] = [[name for stage in joined[start:] for name in stage]]
        first = {value: min(index, start) for value, index in first.items()} | {value: min(first.get(value, start), start) for value in values}
    return joined


def _values(body: nn.Module, name: str) -> list[Tensor]:
    owner, _, last = name.rpartition(".")
    value = getattr(body.get_submodule(owner), last)
    return [*value.parameters(), *value.buffers()] if isinstance(value, nn.Module) else [value]


def remove_unused(trial: nn.Module, body: nn.Module, images: Tensor) -> None:
    """Take modules out of both that no map depends on, such as a final norm: their parameters would never get a gradient.

    Args:
        trial: The body on the meta device.
        body: The same body with its weights.
        images: [1, C, H, W] for one trial run.
    """
    with torch.enable_grad():
        torch.stack([m.float().mean() for m in trial(images)]).sum().backward()
    unused = {name for name, parameter in trial.named_parameters() if parameter.grad is None}
    trial.zero_grad()
    whole = {owner for owner in {name.rpartition(".")[0] for name in unused} if owner and all(f"{owner}.{name}" in unused for name, _ in trial.get_submodule(owner).named_parameters())}
    for owner in sorted(whole):
        _replace_if_unused(trial, body, images, owner, nn.Identity())
    for name in sorted(name for name in unused if name.rpartition(".")[0] not in whole):
        _replace_if_unused(trial, body, images, name, None)


def _replace_if_unused(trial: nn.Module, body: nn.Module, images: Tensor, name: str, new: nn.Module | None) -> None:
    """Put ``new`` in the place of a module or parameter of both, if the trial still runs with it."""
    owner, _, last = name.rpartition(".")
    kept = getattr(trial.get_submodule(owner), last)
    setattr(trial.get_submodule(owner), last, new)
    try:
        with torch.no_grad():
            trial(images)
    except Exception:
        setattr(trial.get_submodule(owner), last, kept)
    else:
        setattr(body.get_submodule(owner), last, new)


def _units(network: nn.Module, prefix: str) -> Iterator[tuple[str, nn.Module]]:
    for name, child in network.named_children():
        if isinstance(child, nn.Sequential | nn.ModuleList):
            yield from _units(child, f"{prefix}.{name}") if isinstance(child, nn.ModuleList) else ((f"{prefix}.{name}.{inner}", part) for inner, part in child.named_children())
        else:
            yield f"{prefix}.{name}", child


def _cells(output: object) -> int:
    while isinstance(output, tuple | list) and output:
        output = output[0]
    if not isinstance(output, Tensor):
        return 0
    return output.shape[1] if output.ndim == 3 else (output.shape[-1] * output.shape[-2] if output.ndim == 4 else 0)


def _has_state(module: nn.Module) -> bool:
    return any(True for _ in module.parameters()) or any(True for _ in module.buffers())
