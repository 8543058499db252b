"""An Hmean of 0 names its cause where detections are there and none matches."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from finetune.data.types import TextSplit
from finetune.evaluation.outlines import Outlines
from finetune.evaluation.text_iou import TextIouEvaluator
from finetune.evaluation.text_store import TextRows


def quad(left: float, top: float, width: float, height: float) -> np.ndarray:
    return np.array([[left, top], [left + width, top], [left + width, top + height], [left, top + height]], np.float64)


def make_words(images: int = 3, per_image: int = 3, ignore: bool = False) -> TextSplit:
    """Words of 100 by 20 pixels below one another, at other places in every image."""
    rng = np.random.default_rng(0)
    corners = rng.uniform(20, 300, (images, 2))
    quads = np.concatenate([[quad(x, y + 60 * row, 100, 20) for row in range(per_image)] for x, y in corners])
    total = len(quads)
    none = np.zeros(total + 1, np.int64)
    return TextSplit(
        "val", tuple(map(str, range(images))), tuple(Path(f"{n}.jpg") for n in range(images)), np.tile(np.array([480, 640], np.int32), (images, 1)), np.arange(images + 1) * per_image,
        quads, np.full(total, ignore), ("word",) * total, ("",) * total, none, np.zeros((0, 2)), none, np.zeros((0, 4, 2)),
    )  # fmt: skip


def notes(split: TextSplit, quads: np.ndarray, image: np.ndarray) -> tuple[float | None, str]:
    evaluator = TextIouEvaluator(split)
    evaluator.add(TextRows(image, Outlines.of_quads(quads), np.linspace(0.9, 0.5, len(quads))))
    result = evaluator.evaluate()
    return result.values["hmean"], " ".join(result.notes)


def changed(split: TextSplit, cause: str) -> tuple[np.ndarray, np.ndarray]:
    """Quads and images of detections with a planted fault."""
    image = np.repeat(np.arange(len(split)), np.diff(split.offsets))
    centre = split.quads.mean(1, keepdims=True)
    rays = split.quads - centre
    if cause == "small":
        return centre + rays * np.sqrt(0.45), image
    if cause == "large":
        return centre + rays * np.sqrt(2.3), image
    if cause == "merged":
        low, high = split.quads.reshape(len(split), -1, 2).min(1), split.quads.reshape(len(split), -1, 2).max(1)
        return np.stack([quad(*a, *(b - a)) for a, b in zip(low, high, strict=True)]), np.arange(len(split))
    if cause == "cut":
        pieces = [quad(x + 25 * part, y, 20, 20) for x, y in split.quads[:, 0] for part in range(4)]
        return np.stack(pieces), np.repeat(image, 4)
    return split.quads + np.array([400.0, 0.0]), image


@pytest.mark.parametrize(
    ("cause", "words"),
    [
        ("small", "9 of 9 detections overlap a word by IoU 0.3 to 0.5"),
        ("small", "lower low text gives larger quads"),
        ("large", "higher low text gives smaller quads"),
        ("merged", "3 of 3 detections hold several words each"),
        ("cut", "9 words are cut into several detections each: lower the link threshold"),
        ("away", "shifted by -400, +0 pixels"),
    ],
)
def test_planted_cause_is_named(cause: str, words: str) -> None:
    split = make_words()
    hmean, said = notes(split, *changed(split, cause))
    assert hmean == 0
    assert words in said, said


def test_a_sound_result_has_no_diagnosis() -> None:
    split = make_words()
    assert notes(split, *(split.quads, np.repeat(np.arange(3), 3))) == (1.0, "")
