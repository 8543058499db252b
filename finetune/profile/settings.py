"""How detectors are measured. No torch here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from finetune.ranges import AT_LEAST_0, AT_LEAST_1, POSITIVE

Part = Literal["latency", "memory", "operators"]
PARTS: tuple[Part, ...] = ("latency", "memory", "operators")


@dataclass(frozen=True)
class ProfileSettings:
    """Conditions of a measurement, the same for all models that take turns.

    Args:
        measure: What is measured beside the counts: any of "latency", "memory" and "operators".
        batch: Images of the larger batch; latency is measured at 1 and at this.
        rounds: Passes of each model at each batch size, at most.
        seconds: Time for each model at each batch size, and for each search of the largest batch; five rounds are made whatever they take.
        threads: Of torch; 0 leaves its own number.
        precision: "32-true", or "bf16-mixed" or "16-mixed" by autocast.
        channels_last: Channels-last memory format.
        device: "auto", "cpu" or "cuda".
    """

    measure: tuple[Part, ...] = PARTS
    batch: Annotated[int, AT_LEAST_1] = 8
    rounds: Annotated[int, AT_LEAST_1] = 30
    seconds: Annotated[float, POSITIVE] = 20.0
    threads: Annotated[int, AT_LEAST_0] = 0
    precision: Literal["32-true", "bf16-mixed", "16-mixed"] = "32-true"
    channels_last: bool = False
    device: str = "auto"
