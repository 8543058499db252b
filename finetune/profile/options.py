"""What ``finetune profile`` takes. No torch here."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated

from finetune.config import RunConfig
from finetune.profile.settings import ProfileSettings
from finetune.ranges import AT_LEAST_1, Range


@dataclass(frozen=True)
class ProfileOptions(ProfileSettings):
    """Measure what detectors cost: parameters, multiply-adds, latency, memory, and where the time goes.

    Args:
        run: All settings of a detector that is built for it, with random weights.
        runs: Run folders, .safetensors files, or names of published weights (craft_mlt_25k).
        backbones: Backbones under the detector of the settings, timed in turns.
        input_size: Height and width of the input in pixels; default: those of the run or settings.
        classes: Classes of a detector that is built for it.
        picture: Picture to look at instead of noise; the time of decoding depends on what is found.
        measure: Any of "latency", "memory" and "operators"; default: all. Parameters and MACs are always counted.
        batch: Images of the larger batch; latency is measured at 1 and at this.
        rounds: Passes of each model at each batch size, at most.
        seconds: Time for each model at each batch size, and for each search of the largest batch.
        threads: Of torch; 0 leaves its own number.
        precision: "32-true", or "bf16-mixed" or "16-mixed" by autocast.
        channels_last: Channels-last memory format.
        device: "auto", "cpu" or "cuda".
        json: File for the profiles as JSON; "-" is stdout.
    """

    run: RunConfig = field(default_factory=RunConfig)
    runs: tuple[str, ...] = ()
    backbones: tuple[str, ...] = ()
    input_size: tuple[Annotated[int, Range(low=32)], Annotated[int, Range(low=32)]] | None = None
    classes: Annotated[int, AT_LEAST_1] = 80
    picture: str | None = None
    json: str | None = None
