"""Input size and thresholds of a text detector, changed for one evaluation or prediction; and the search for good thresholds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from itertools import product
from typing import TYPE_CHECKING, Any

from backbones.errors import UsageError
from finetune.data.text_preprocess import TextPreprocess

if TYPE_CHECKING:
    from detectors.craft.decode import DecodeSettings
    from finetune.load import LoadedRun

_SWEEP = {  # the text threshold costs nothing; every pair of the others is a decoding of all maps
    "text_threshold": (0.2, 0.3, 0.4, 0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85),
    "link_threshold": (0.2, 0.3, 0.4, 0.5),
    "low_text": (0.2, 0.25, 0.3, 0.35, 0.4, 0.45),
}


@dataclass(frozen=True)
class TextChanges:
    """What differs from the settings of the run; None keeps them."""

    canvas: int | None = None
    mag_ratio: float | None = None
    text_threshold: float | None = None
    link_threshold: float | None = None
    low_text: float | None = None

    @classmethod
    def of(cls, options: Any) -> TextChanges:
        """The changes among the options of a command."""
        return cls(**{field.name: getattr(options, field.name) for field in fields(cls)})

    def given(self) -> dict[str, float]:
        """Names and values that are set."""
        return {field.name: value for field in fields(self) if (value := getattr(self, field.name)) is not None}


def apply_changes(loaded: LoadedRun, changes: TextChanges) -> LoadedRun:
    """The run with other input size or thresholds.

    Raises:
        UsageError: It detects no text, or a value is not allowed.
    """
    given = changes.given()
    if not given:
        return loaded
    if not isinstance(loaded.preprocess, TextPreprocess):
        raise UsageError(f"{', '.join(f'--{name}' for name in given)}: only detectors of scene text have these; this run finds {', '.join(loaded.class_names[:3])}")
    size = {name: given.pop(name) for name in ("canvas", "mag_ratio") if name in given}
    loaded.detector.decoding = replace(loaded.detector.decoding, **given)
    return replace(loaded, preprocess=replace(loaded.preprocess, **size))  # type: ignore[arg-type]


def text_conditions(loaded: LoadedRun) -> list[str]:
    """What a figure depends on: the input size and the thresholds."""
    if not isinstance(loaded.preprocess, TextPreprocess):
        return []
    used = loaded.detector.decoding
    return [
        f"canvas {loaded.preprocess.canvas}, mag ratio {loaded.preprocess.mag_ratio:g}",
        f"text threshold {used.text_threshold:g}, link threshold {used.link_threshold:g}, low text {used.low_text:g}",
    ]


def sweep_settings(used: DecodeSettings) -> list[DecodeSettings]:
    """All sets of thresholds that a sweep tries, those of the run first."""
    return [used, *(replace(used, text_threshold=text, link_threshold=link, low_text=low) for text, link, low in product(*_SWEEP.values()))]


def best_of(hmeans: Sequence[float | None], settings: Sequence[DecodeSettings]) -> int:
    """The row with the highest Hmean; of equal ones the first, which is the run's own where it is among them."""
    return max(range(len(settings)), key=lambda row: (hmeans[row] or 0.0, -row))


def flags_of(used: DecodeSettings) -> str:
    """The flags that bring these thresholds back."""
    return " ".join(f"--{name} {getattr(used, name):g}" for name in _SWEEP)


def thresholds_of(used: DecodeSettings) -> Mapping[str, float]:
    """The thresholds by name."""
    return {name: getattr(used, name) for name in _SWEEP}
