"""Characters from region maps: what was drawn comes back, the paper's confidence, words beside each other, and the flood against one by a queue."""

from __future__ import annotations

import heapq
from itertools import pairwise

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from detectors.craft import pseudo
from detectors.craft.heatmaps import build_targets
from detectors.craft.pseudo import characters_of, most_characters, split_confidence, split_regions
from detectors.quads import from_square
from detectors.types import TextTarget

HW = (48, 96)
PLACE = np.array([[4, 4, 92, 44]], np.float32)


def rectangles(boxes: list[tuple[float, float, float, float]]) -> torch.Tensor:
    return torch.tensor([[[left, top], [right, top], [right, bottom], [left, bottom]] for left, top, right, bottom in boxes])


def drawn(boxes: list[tuple[float, float, float, float]], height: float = 1.0, map_hw: tuple[int, int] = HW) -> NDArray[np.float32]:
    """The region map [1, h, w] of characters in cells, as it is learned."""
    quads = 2 * rectangles(boxes)
    word = quads.flatten(0, 1)
    (left, top), (right, bottom) = word.amin(0).tolist(), word.amax(0).tolist()
    around = torch.tensor([[[left, top], [right, top], [right, bottom], [left, bottom]]])
    target = TextTarget(around, torch.tensor([False]), ("x" * len(boxes),), quads, torch.zeros(len(boxes), dtype=torch.int64))
    return height * build_targets([target], map_hw).maps[:, 0].numpy()


def shares(boxes: list[tuple[float, float, float, float]], place: NDArray[np.float32] = PLACE) -> NDArray[np.float64]:
    left, top, right, bottom = place[0]
    return (np.array(boxes) - [left, top, left, top]) / [right - left, bottom - top, right - left, bottom - top]


LYING = np.array([False])
WIDE_AND_NARROW = [(4.0, 4.0, 30.0, 44.0), (30.0, 4.0, 38.0, 44.0), (38.0, 12.0, 58.0, 44.0), (60.0, 6.0, 90.0, 42.0)]


@pytest.mark.parametrize("height", [1.0, 0.35])
def test_drawn_characters_come_back(height: float) -> None:
    """Broad, narrow, low, apart: within a cell of where they were drawn, also from a network that draws faintly."""
    split = split_regions(drawn(WIDE_AND_NARROW, height), PLACE, LYING)
    assert split.words.tolist() == [0, 0, 0, 0]
    np.testing.assert_allclose(split.boxes * [88, 40, 88, 40], shares(WIDE_AND_NARROW) * [88, 40, 88, 40], atol=2.0)
    assert np.abs(split.boxes - shares(WIDE_AND_NARROW)).mean() * 88 < 1


def test_a_lower_side_would_be_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pseudo, "_SIDE", 0.1)
    split = split_regions(drawn(WIDE_AND_NARROW), PLACE, LYING)
    assert np.abs(split.boxes - shares(WIDE_AND_NARROW)).mean() * 88 > 1


def test_a_map_without_text_has_no_characters() -> None:
    nothing = split_regions(np.full((1, *HW), 0.15, np.float32), PLACE, LYING)
    assert len(nothing.boxes) == len(nothing.words) == 0
    empty = split_regions(np.zeros((0, 8, 8), np.float32), np.zeros((0, 4), np.float32), np.zeros(0, np.bool_))
    assert empty.boxes.shape == (0, 4)
    found = characters_of(np.zeros((1, *HW), np.float32), PLACE, 2 * rectangles([(4, 4, 92, 44)]), torch.tensor([3]), torch.tensor([False]))
    assert found.found.tolist() == [0]
    assert found.confidence.tolist() == [0]
    assert found.quads.shape == (0, 4, 2)


def test_small_bumps_are_no_characters_and_neighbours_are_left_out() -> None:
    region = drawn([(4.0, 4.0, 44.0, 44.0), (52.0, 4.0, 92.0, 44.0)])
    region[0, 24, [16, 32]] *= 1.08  # bumps on a slope
    beside = np.array([[4, 4, 46, 44]], np.float32)
    split = split_regions(region, beside, LYING)
    np.testing.assert_allclose(split.boxes, shares([(4, 4, 44, 44)], beside), atol=0.05)
    faint = drawn([(4.0, 4.0, 44.0, 44.0)]) + drawn([(52.0, 4.0, 92.0, 44.0)], 0.3)
    assert len(split_regions(faint, PLACE, LYING).boxes) == 1


def test_words_of_a_batch_do_not_touch_each_other() -> None:
    one, two = drawn([(4.0, 0.0, 44.0, 48.0), (50.0, 0.0, 92.0, 48.0)]), drawn(WIDE_AND_NARROW)
    together = split_regions(np.concatenate([one, two, one]), np.repeat(PLACE, 3, axis=0), np.zeros(3, np.bool_))
    assert together.words.tolist() == [0, 0, 1, 1, 1, 1, 2, 2]
    np.testing.assert_array_equal(together.boxes[2:6], split_regions(two, PLACE, LYING).boxes)
    np.testing.assert_array_equal(together.boxes[:2], together.boxes[6:])


def test_characters_below_each_other_are_in_order_from_top_to_bottom() -> None:
    stacked = [(4.0, 4.0, 44.0, 40.0), (6.0, 40.0, 46.0, 76.0), (2.0, 76.0, 42.0, 92.0)]
    place = np.array([[0, 0, 48, 96]], np.float32)
    split = split_regions(drawn(stacked, map_hw=(96, 48)), place, np.array([True]))
    np.testing.assert_allclose(split.boxes, shares(stacked, place), atol=0.05)


def test_the_confidence_is_the_paper_s() -> None:
    """s_conf = (l - min(l, |l - l_c|)) / l: six characters of which four are found are trusted by 4/6, nine by a half, twelve not at all."""
    lengths, found = torch.tensor([6, 6, 6, 6, 6, 1, 1, 1]), torch.tensor([6, 4, 9, 12, 20, 1, 2, 0])
    torch.testing.assert_close(split_confidence(lengths, found), torch.tensor([1, 4 / 6, 0.5, 0, 0, 1, 0, 0]))
    assert most_characters(np.array([1, 2, 5, 6])).tolist() == [1, 3, 7, 9]


def test_characters_lie_in_the_perspective_of_their_words() -> None:
    word = torch.tensor([[[10.0, 20.0], [190.0, 5.0], [210.0, 95.0], [15.0, 70.0]]])
    found = characters_of(np.repeat(drawn(WIDE_AND_NARROW), 2, axis=0), np.repeat(PLACE, 2, axis=0), word.repeat(2, 1, 1), torch.tensor([4, 9]), torch.tensor([False, False]))
    assert found.found.tolist() == [4, 4]
    assert found.words.tolist() == [0, 0, 0, 0]  # four of nine are less than half: they are dropped
    corners = torch.tensor(shares(WIDE_AND_NARROW)).float()[:, [0, 1, 2, 1, 2, 3, 0, 3]].view(-1, 4, 2)
    torch.testing.assert_close(found.quads, from_square(word.repeat(4, 1, 1), corners), atol=8.0, rtol=0)
    assert (found.quads - from_square(word.repeat(4, 1, 1), corners)).abs().mean() < 2


def flooded_by_queue(field: NDArray[np.float32], cores: NDArray[np.int32]) -> NDArray[np.int64]:
    """Meyer's flood: the highest cell beside a label takes it, cell by cell."""
    labels, queue, number = cores.astype(np.int64), [], 0
    height, width = field.shape

    def push(y: int, x: int) -> None:
        nonlocal number
        for row in range(max(0, y - 1), min(height, y + 2)):
            for column in range(max(0, x - 1), min(width, x + 2)):
                if labels[row, column] == 0 and field[row, column] > 0.12:
                    heapq.heappush(queue, (-min(float(field[row, column]), float(field[y, x])), number, row, column, int(labels[y, x])))
                    number += 1

    for y, x in zip(*np.nonzero(cores), strict=True):
        push(int(y), int(x))
    while queue:
        _, _, y, x, label = heapq.heappop(queue)
        if labels[y, x] == 0:
            labels[y, x] = label
            push(y, x)
    return labels


def test_the_flood_by_levels_is_that_by_a_queue_but_for_cells_at_the_borders() -> None:
    rng = np.random.default_rng(0)
    for _ in range(5):
        edges = np.sort(rng.uniform(4, 92, 5)) + np.arange(5)
        field = drawn([(float(a), 6.0, float(b), 40.0) for a, b in pairwise(edges) if b - a > 6])[0]
        cores = pseudo._cores(field)
        assert cores.max() >= 2
        mine, queued = pseudo._flood(field, cores), flooded_by_queue(field, cores)
        body = field > 0.15
        assert (mine[body] != queued[body]).mean() < 0.03
