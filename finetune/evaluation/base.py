"""The contract of evaluators: reset, process batches of detections, evaluate once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from detectors.types import ImageMeta
    from finetune.evaluation.store import State
    from finetune.evaluation.text_heights import HeightRow


@dataclass(frozen=True)
class EvalResult:
    """The figures of one protocol: fractions in 0..1, unrounded, None where there is nothing to measure.

    ``per_class`` maps a class name to its figures (for example {"AP": 0.5, "AP50": 0.8}).
    ``notes`` are sentences for the reader: why a figure is n/a, what a zero probably means. ``per_image`` maps an image id to its
    figures and counts, where the protocol has such. ``by_height`` is what became of words, by their height. ``conditions`` say what the figures depend on besides data: thresholds of the protocol.
    """

    protocol: str
    primary: str
    values: Mapping[str, float | None]
    per_class: Mapping[str, Mapping[str, float | None]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    per_image: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    conditions: tuple[str, ...] = ()
    by_height: tuple[HeightRow, ...] = ()


class Evaluator(Protocol):
    """Collects detections in original pixels (pixel-edge coordinates) and scores them by one protocol."""

    protocol: str

    def reset(self) -> None:
        """Forget all detections."""
        ...

    def process(self, detections: Sequence[Any], metas: Sequence[ImageMeta]) -> None:
        """Add the detections (BoxDetections, or TextDetections for words) of some images, in original pixels. Images never processed count as empty."""
        ...

    def add(self, rows: Any) -> None:
        """Add detections that were read from a file: Rows (boxes as x, y, width, height), or TextRows."""
        ...

    def state(self) -> State:
        """What was collected, as plain arrays that can be sent to another process."""
        ...

    def merge(self, state: State) -> None:
        """Add what another process collected; images that are already here are left out."""
        ...

    def evaluate(self) -> EvalResult:
        """Score everything processed since the last reset."""
        ...
