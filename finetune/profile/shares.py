"""Which part of the time goes to which stage and to which kind of operator."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from backbones.errors import FinetuneError
from finetune.profile.device import GpuClock, ProcessorClock, create_clock, wait_for
from finetune.profile.operators import Operator
from finetune.profile.record import Cost
from finetune.profile.rules import OUTSIDE
from finetune.profile.trace import time_operators
from finetune.profile.turns import measure_in_turns


@dataclass(frozen=True)
class OperatorTimes:
    """Time of one forward pass, taken apart.

    Args:
        operators: Milliseconds of each operator.
        outside: Milliseconds outside operators.
        untouched: Least milliseconds of a pass that nothing looked at, in the same rounds.
        rounds: Passes that were taken apart.
    """

    operators: tuple[float, ...]
    outside: float
    untouched: float
    rounds: int


def measure_operators(networks: Sequence[tuple[Any, Tensor]], rounds: int, seconds: float, device: torch.device) -> list[OperatorTimes]:
    """Take passes apart in turns with untouched ones.

    On a CPU the clock is read around every operator, on a GPU events are; the median over the rounds is taken operator by operator, so
    that an interruption spoils one reading and not the round. What is left of the fastest untouched pass is "outside".

    Args:
        networks: As for ``measure_latency``.
        rounds: At most.
        seconds: Time for each.
        device: Where they compute.
    """
    clock = create_clock(device)
    sides: list[Callable[[], Any]] = []
    for detector, image in networks:
        sides += [_untouched(detector, image, device), _taken_apart(detector, image, clock)]
    found = measure_in_turns(sides, rounds, seconds * len(networks))
    return [_combine(untouched, apart) for untouched, apart in zip(found[::2], found[1::2], strict=True)]


def costs_by(key: str, names: Sequence[str], operators: Sequence[Operator], times: OperatorTimes, parameters: dict[str, int]) -> list[Cost]:
    """One row per stage or kind, and one for the time outside operators; the shares sum to 1.

    Args:
        key: "stage" or "kind".
        names: Rows in order; those without operators and parameters are left out.
        operators: Of one pass.
        times: Of the same.
        parameters: Learnable values by name.
    """
    whole = sum(times.operators) + times.outside
    rows = []
    for name in names:
        chosen = [index for index, operator in enumerate(operators) if getattr(operator, key) == name]
        ms = sum(times.operators[index] for index in chosen) + (times.outside if name == OUTSIDE else 0.0)
        macs, activations = sum(operators[index].macs for index in chosen), sum(operators[index].activations for index in chosen)
        if chosen or parameters.get(name) or name == OUTSIDE:
            rows.append(Cost(name, len(chosen), parameters.get(name, 0), macs, activations, ms, ms / whole))
    return rows


def describe_method(times: OperatorTimes, device: torch.device) -> str:
    """How the times were found, and how they agree with the untouched pass."""
    whole = sum(times.operators)
    how = "events around every operator on a queue that is never empty" if device.type == "cuda" else "the clock read around every operator"
    return f"{how}; medians per operator over {times.rounds} rounds in turns with untouched passes; their sum is {whole:.2f} ms, the fastest untouched pass took {times.untouched:.2f} ms"


def _untouched(detector: Any, image: Tensor, device: torch.device) -> Callable[[], float]:
    def measure() -> float:
        with torch.inference_mode():
            wait_for(device)
            start = time.perf_counter()
            detector(image)
            wait_for(device)
            return 1000 * (time.perf_counter() - start)

    return measure


def _taken_apart(detector: Any, image: Tensor, clock: ProcessorClock | GpuClock) -> Callable[[], list[float]]:
    """Milliseconds of gap, operator, gap, operator, ..., gap."""

    def measure() -> list[float]:
        clock.start()
        return clock.milliseconds(time_operators(detector, image, clock))

    return measure


def _combine(untouched: Sequence[float], apart: Sequence[list[float]]) -> OperatorTimes:
    if len({len(pieces) for pieces in apart}) != 1:
        raise FinetuneError("the network runs other operators from pass to pass, so their times cannot be told apart: leave operators out of --measure")
    typical = [statistics.median(readings) for readings in zip(*apart, strict=True)]
    operators = typical[1::2]
    outside = min(untouched) - sum(operators)
    return OperatorTimes(tuple(operators), max(0.0, outside), min(untouched), len(apart))
