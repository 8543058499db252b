"""What curves say, on curves whose story is known; and the rate of every step."""

from __future__ import annotations

import math
from itertools import pairwise
from pathlib import Path

import pytest
from PIL import Image

from finetune.curves import draw_curves, read_curves, thaws
from finetune.schedule import rate_factor, thaw_factor


def _rows(train: list[float], ap: list[float], val: list[float] | None = None) -> list[dict[str, float | None]]:
    return [{"epoch": i + 1, "train/loss": t, "val/coco/AP": a, "val/loss": val[i] if val else None} for i, (t, a) in enumerate(zip(train, ap, strict=True))]


FALLING = [2.0, 1.5, 1.2, 1.0, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3]


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        (_rows(FALLING, [0.1, 0.3, 0.5, 0.6, 0.62, 0.6, 0.55, 0.5, 0.45, 0.4]), "Overfitting: coco/AP was best after epoch 5"),
        (_rows(FALLING, [0.5] * 10, [2, 1.5, 1.2, 1.1, 1.0, 1.1, 1.2, 1.3, 1.4, 1.5]), "First signs of overfitting"),
        (_rows([2.0, 1.0, 0.9, 2.0, 5.0], [0.1, 0.2, 0.1, 0.0, 0.0]), "Divergence: the training loss rose from 0.900"),
        (_rows(FALLING, [0.05 * i for i in range(1, 11)]), "still rising at the last epoch"),
    ],
)
def test_each_story_is_told(rows: list, says: str) -> None:
    (sentence,) = read_curves(rows, "val/coco/AP")
    assert says in sentence


def test_a_good_run_and_a_short_one_say_nothing() -> None:
    plateau = [0.1, 0.4, 0.6, 0.7, 0.75, 0.77, 0.78, 0.78, 0.78, 0.78]
    assert read_curves(_rows(FALLING, plateau, FALLING), "val/coco/AP") == []
    assert read_curves(_rows(FALLING[:2], [0.5, 0.1]), "val/coco/AP") == []
    assert read_curves([], "val/coco/AP") == []


def test_curves_are_drawn_also_with_gaps_and_infinities(tmp_path: Path) -> None:
    rows = _rows([1.0, math.nan, math.inf], [0.1, 0.2, 0.3])
    rows[1].pop("val/coco/AP")
    draw_curves([{**row, "lr/new": 0.1} for row in rows], tmp_path / "curves.png")
    with Image.open(tmp_path / "curves.png") as picture:
        assert picture.size == (1300, 380)
        assert len(picture.convert("RGB").getcolors(1 << 20)) > 50


def test_rates_at_the_corners() -> None:
    cosine = [rate_factor(step, 100, "cosine", warmup=0.1) for step in range(101)]
    assert cosine[0] == pytest.approx(1 / 11)
    assert cosine[9] == pytest.approx(10 / 11)
    assert cosine[10] == 1.0
    assert cosine[55] == pytest.approx(0.5)
    assert cosine[100] == pytest.approx(0.0, abs=1e-12)
    assert all(a > b for a, b in pairwise(cosine[10:]))
    steps = [rate_factor(step, 100, "step", milestones=(0.7, 0.9)) for step in (0, 69, 70, 89, 90, 99)]
    assert steps == pytest.approx([1, 1, 0.1, 0.1, 0.01, 0.01])
    assert rate_factor(0, 1, "cosine", warmup=0.05) == 1.0


def test_what_thawed_is_read_from_the_rates_said_and_drawn(tmp_path: Path) -> None:
    """A rate that stays zero is no thaw."""
    columns = {"lr/new": [3.0, 3, 2, 1], "lr/backbone.2": [0.0, 0.1, 0.2, 0.1], "lr/backbone.1": [0.0, 0, 0, 0.1], "lr/backbone.0": [0.0] * 4}
    rows = [{"epoch": i + 1, "train/loss": 1.0 - i / 10, **{name: values[i] for name, values in columns.items()}} for i in range(4)]
    assert thaws(rows) == {2: ["backbone.2"], 4: ["backbone.1"]}
    assert read_curves(rows, "val/coco/AP") == ["Gradual unfreezing: backbone.2 from epoch 2; backbone.1 from epoch 4."]
    draw_curves(rows, tmp_path / "thaws.png")
    draw_curves([{**row, "lr/backbone.2": 0.1, "lr/backbone.1": 0.1} for row in rows], tmp_path / "none.png")
    with Image.open(tmp_path / "thaws.png") as with_lines, Image.open(tmp_path / "none.png") as without:
        assert _dark(with_lines, 350) > _dark(without, 350) + 100  # pixels in the picture of the losses, left


def _dark(picture: Image.Image, width: int) -> int:
    return sum(picture.convert("L").crop((0, 40, width, 320)).histogram()[:140])


def test_rates_after_a_thaw() -> None:
    assert [thaw_factor(step, 2, 3) for step in range(7)] == [0, 0, 0.25, 0.5, 0.75, 1, 1]
    assert [thaw_factor(step, 2, 0) for step in range(4)] == [0, 0, 1, 1]
    assert [thaw_factor(step, 0, 3) for step in range(3)] == [1, 1, 1]
    assert [thaw_factor(step, None, 3) for step in range(3)] == [0, 0, 0]
