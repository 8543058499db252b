"""Every operator of a forward pass, seen below autograd: what it is, where in the network, and how long it took."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from finetune.profile.operators import Operator, describe_operator

Clock = Callable[[], Any]


class _Describe(TorchDispatchMode):
    """Notes what every operator is."""

    def __init__(self, stage: Callable[[], str]) -> None:
        super().__init__()
        self.operators: list[Operator] = []
        self._stage = stage

    def __torch_dispatch__(self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: Any = None) -> Any:
        output = func(*args, **(kwargs or {}))
        self.operators.append(describe_operator(func._schema.name.partition("::")[2], args, output, self._stage()))
        return output


class _Time(TorchDispatchMode):
    """Reads a clock before and after every operator, and does nothing else."""

    def __init__(self, clock: Clock) -> None:
        super().__init__()
        self.marks: list[Any] = []
        self._clock = clock

    def __torch_dispatch__(self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: Any = None) -> Any:
        clock, marks = self._clock, self.marks
        marks.append(clock())
        output = func(*args, **(kwargs or {}))
        marks.append(clock())
        return output


def trace_operators(detector: Any, images: Tensor) -> list[Operator]:
    """The operators of one forward pass in the order in which they run; call it without gradients, in eval mode.

    An operator belongs to the part of the network that was entered last: the sum at the end of a block is that of the block, and what
    joins the maps before the head belongs to the pyramid.

    Args:
        detector: The network.
        images: [B, C, H, W], normalised.
    """
    with _watch_stages(stages_of(detector)) as stage, _Describe(stage) as mode:
        detector(images)
    return mode.operators


def time_operators(detector: Callable[[Tensor], Any], images: Tensor, clock: Clock) -> list[Any]:
    """Readings of a clock at the start, before and after every operator, and at the end of one forward pass.

    Args:
        detector: The network.
        images: As for ``trace_operators``.
        clock: Read 2 * operators + 2 times.
    """
    start = clock()
    with _Time(clock) as mode:
        detector(images)
    return [start, *mode.marks, clock()]


def stages_of(detector: Any) -> dict[str, list[nn.Module]]:
    """The parts of a detector by name, in the order in which they run: the stages of the backbone, stem first, the pyramid, the head."""
    stages = detector.backbone.stages()
    names = ["backbone"] if len(stages) == 1 else ["stem", *(f"stage {index}" for index in range(1, len(stages)))]
    parts = {name: [stage] for name, stage in zip(names, stages, strict=True)}
    return {**parts, "pyramid": list(detector.pyramid.new_modules()), "head": [detector.head]}


@contextlib.contextmanager
def _watch_stages(parts: dict[str, list[nn.Module]]) -> Iterator[Callable[[], str]]:
    """Ask what this gives which part was entered last; a stage may be a view of modules that run one by one, so all of them are watched."""
    current = [next(iter(parts))]

    def enter(name: str) -> Callable[..., None]:
        return lambda *_: current.__setitem__(0, name)

    handles = [inner.register_forward_pre_hook(enter(name)) for name, modules in parts.items() for module in modules for inner in module.modules()]
    try:
        yield lambda: current[0]
    finally:
        for handle in handles:
            handle.remove()
