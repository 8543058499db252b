"""Matchers against torchvision and against slow loops written from the papers."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torchvision.models.detection._utils import SSDMatcher
from torchvision.ops import box_iou

from detectors.boxes import pad_targets
from detectors.ssdlite.anchors import AnchorGenerator
from detectors.ssdlite.matcher import AtssMatcher, IoUMatcher, Matcher, Matches, Predictions, TaskAlignedMatcher
from detectors.types import BoxTarget
from tests.detectors.ssdlite.reference import random_boxes

SIZE = (96, 128)
MAPS = ((12, 16), (6, 8), (3, 4))
CLASSES = 5
MATCHERS = (IoUMatcher(), AtssMatcher(), TaskAlignedMatcher())


def make_predictions(batch: int, kind: str, seed: int) -> Predictions:
    generator = torch.Generator().manual_seed(seed)
    anchors, levels = AnchorGenerator(kind, len(MAPS))(MAPS, SIZE, torch.device("cpu"))  # type: ignore[arg-type]
    noise = torch.randn(batch, len(anchors), 4, generator=generator) * 6
    boxes = anchors + noise
    boxes = torch.cat([torch.minimum(boxes[..., :2], boxes[..., 2:] - 1), boxes[..., 2:]], -1)
    return Predictions(anchors, levels, boxes, torch.rand(batch, len(anchors), CLASSES, generator=generator))


def make_target(count: int, seed: int, ignored: int = 0, smallest: float = 6.0) -> BoxTarget:
    generator = torch.Generator().manual_seed(seed)
    boxes = random_boxes(count, SIZE, smallest, generator)
    return BoxTarget(boxes, torch.randint(0, CLASSES, (count,), generator=generator), torch.arange(count) < ignored)


def run(matcher: Matcher, predictions: Predictions, targets: list[BoxTarget]) -> Matches:
    return matcher(predictions, pad_targets(targets))


# --- fixed IoU


@pytest.mark.parametrize("seed", range(6))
def test_iou_matching_equals_torchvision(seed: int) -> None:
    predictions = make_predictions(3, "ssd", seed)
    targets = [make_target(9, seed), make_target(1, seed + 50), make_target(0, 0)]
    on_anchor = predictions.anchors[[3, 700]].clamp(min=0)  # exact overlaps, one twice: ties, and two boxes that want one anchor
    boxes = torch.cat([targets[0].boxes, on_anchor, on_anchor, targets[0].boxes[:2] + 0.25])
    targets[0] = BoxTarget(boxes, torch.zeros(len(boxes), dtype=torch.int64), torch.zeros(len(boxes), dtype=torch.bool))
    got = run(IoUMatcher(), predictions, targets)
    for index, target in zip(got.index, targets[:2], strict=False):
        assert torch.equal(index, SSDMatcher(0.5)(box_iou(target.boxes, predictions.anchors)))
    assert bool((got.index[2] == -1).all())
    assert torch.equal(got.quality, (got.index >= 0).float())


def test_an_overlap_of_exactly_one_half_matches() -> None:
    anchors = torch.tensor([[0.0, 0.0, 8.0, 8.0], [0.0, 0.0, 8.0, 4.0], [50.0, 50.0, 58.0, 58.0]])
    target = BoxTarget(torch.tensor([[0.0, 0.0, 8.0, 8.0]]), torch.tensor([0]), torch.tensor([False]))
    got = run(IoUMatcher(), Predictions(anchors, torch.zeros(3, dtype=torch.int64), anchors[None], torch.rand(1, 3, 2)), [target])
    assert got.index.tolist() == [[0, 0, -1]]
    assert SSDMatcher(0.5)(box_iou(target.boxes, anchors)).tolist() == [0, 0, -1]


# --- ATSS, algorithm 1 of arXiv:1912.02424, one box at a time


def slow_atss(anchors: Tensor, levels: Tensor, boxes: Tensor, nearest: int = 9) -> list[int]:
    centres = (anchors[:, :2] + anchors[:, 2:]) / 2
    owner, strength = [-1] * len(anchors), [-1.0] * len(anchors)
    for number, box in enumerate(boxes):
        middle = (box[:2] + box[2:]) / 2
        distance = ((centres - middle).double() ** 2).sum(1).sqrt()
        candidates: list[int] = []
        for level in range(int(levels.max()) + 1):
            here = [i for i in range(len(anchors)) if levels[i] == level]
            candidates += sorted(here, key=lambda i: float(distance[i]))[:nearest]
        overlaps = box_iou(box[None], anchors[candidates])[0]
        threshold = overlaps.mean() + overlaps.std()
        for overlap, i in zip(overlaps, candidates, strict=True):
            x, y = centres[i]
            inside = box[0] < x < box[2] and box[1] < y < box[3]
            if overlap >= threshold and inside and overlap > strength[i]:
                owner[i], strength[i] = number, float(overlap)
    return owner


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("kind", ["square", "ssd"])
def test_atss_equals_the_paper(kind: str, seed: int) -> None:
    predictions = make_predictions(2, kind, seed)
    if kind == "ssd":  # the paper has distances without ties: one square anchor a cell
        keep = torch.arange(len(predictions.anchors)) % 6 == 0
        predictions = Predictions(predictions.anchors[keep], predictions.levels[keep], predictions.boxes[:, keep], predictions.scores[:, keep])
    targets = [make_target(6, seed, smallest=12), make_target(2, seed + 9, smallest=12)]
    got = run(AtssMatcher(), predictions, targets)
    matched = 0
    for image, target in enumerate(targets):
        want = slow_atss(predictions.anchors, predictions.levels, target.boxes)
        assert got.index[image].tolist() == want
        overlap = box_iou(predictions.boxes[image], target.boxes)
        for i, row in enumerate(want):
            assert got.quality[image, i].item() == pytest.approx(float(overlap[i, row]) if row >= 0 else 0.0, abs=1e-6)
        matched += sum(row >= 0 for row in want)
    assert matched > 10


def test_a_box_between_the_centres_of_all_anchors_has_the_nearest_one() -> None:
    predictions = make_predictions(1, "square", 0)
    centres = (predictions.anchors[:, :2] + predictions.anchors[:, 2:]) / 2
    middle = centres[40] + torch.tensor([1.0, 1.5])  # strides are 8 and more
    tiny = torch.cat([middle - 0.5, middle + 0.5])
    large = make_target(1, 3, smallest=30)
    target = BoxTarget(torch.cat([tiny[None], large.boxes]), torch.tensor([0, 1]), torch.tensor([False, False]))
    assert (run(AtssMatcher(), predictions, [target]).index[0] == 0).nonzero().flatten().tolist() == [40]
    assert slow_atss(predictions.anchors, predictions.levels, target.boxes).count(0) == 0, "the paper leaves it out"


def test_atss_over_a_single_anchor() -> None:
    anchors = torch.tensor([[0.0, 0.0, 96.0, 96.0]])
    predictions = Predictions(anchors, torch.zeros(1, dtype=torch.int64), anchors[None], torch.rand(1, 1, CLASSES))
    target = BoxTarget(torch.tensor([[10.0, 10.0, 90.0, 90.0]]), torch.tensor([0]), torch.tensor([False]))
    assert run(AtssMatcher(), predictions, [target]).index.tolist() == [[0]]


# --- task-aligned, section 3.2 of arXiv:2108.07755, one box and one anchor at a time


def slow_task_aligned(predictions: Predictions, image: int, target: BoxTarget, top: int = 13) -> tuple[list[int], list[float]]:
    anchors, boxes, scores = predictions.anchors, predictions.boxes[image], predictions.scores[image]
    centres = (anchors[:, :2] + anchors[:, 2:]) / 2
    overlaps = box_iou(target.boxes, boxes)
    claims: dict[int, list[tuple[float, int]]] = {}
    alignments: dict[tuple[int, int], float] = {}
    for number, (box, label) in enumerate(zip(target.boxes, target.labels, strict=True)):
        distance = ((centres - (box[:2] + box[2:]) / 2).double() ** 2).sum(1)
        candidates = [i for i, (x, y) in enumerate(centres) if box[0] < x < box[2] and box[1] < y < box[3]]
        candidates = sorted({*candidates, int(distance.argmin())})
        metric = {i: float(scores[i, label]) ** 0.5 * (float(overlaps[number, i]) + 1e-6) ** 6 for i in candidates}
        for i in sorted(candidates, key=lambda i: -metric[i])[:top]:
            alignments[number, i] = metric[i]
            claims.setdefault(i, []).append((float(overlaps[number, i]), number))
    owner, quality = [-1] * len(anchors), [0.0] * len(anchors)
    for i, asked in claims.items():
        owner[i] = max(asked, key=lambda pair: (pair[0], -pair[1]))[1]
    for number in range(len(target.boxes)):
        mine = [i for i in range(len(anchors)) if owner[i] == number]
        if mine:
            best, reach = max(alignments[number, i] for i in mine), max(float(overlaps[number, i]) for i in mine)
            for i in mine:
                quality[i] = alignments[number, i] / best * reach
    return owner, quality


@pytest.mark.parametrize("seed", range(4))
def test_task_aligned_equals_the_paper(seed: int) -> None:
    predictions = make_predictions(2, "square", seed)
    targets = [make_target(7, seed), make_target(2, seed + 9)]
    got = run(TaskAlignedMatcher(), predictions, targets)
    for image, target in enumerate(targets):
        owner, quality = slow_task_aligned(predictions, image, target)
        clear = torch.tensor([q == 0 or q > 1e-9 for q in quality])  # overlaps of nothing order by rounding alone
        assert torch.equal(got.index[image][clear], torch.tensor(owner)[clear])
        torch.testing.assert_close(got.quality[image], torch.tensor(quality), atol=1e-5, rtol=1e-4)
        assert sum(row >= 0 for row in owner) > 10


@pytest.mark.parametrize("place", [(3.1, 3.2), (8.0, 8.0), (47.9, 63.9), (95.0, 127.0), (0.0, 0.0)], ids=str)
def test_a_box_smaller_than_a_cell_gets_an_anchor(place: tuple[float, float]) -> None:
    predictions = make_predictions(1, "square", 0)
    y, x = place
    tiny = torch.tensor([[x, y, x + 0.9, y + 0.9]])
    target = BoxTarget(tiny, torch.tensor([2]), torch.tensor([False]))
    for overlapping in (True, False):  # also while no prediction touches it
        boxes = predictions.boxes if overlapping else torch.tensor([200.0, 200.0, 210.0, 210.0]).expand_as(predictions.boxes)
        got = run(TaskAlignedMatcher(), Predictions(predictions.anchors, predictions.levels, boxes, predictions.scores), [target])
        assert int((got.index[0] == 0).sum()) >= 1


# --- what holds for all of them


@pytest.mark.parametrize("matcher", MATCHERS, ids=lambda m: type(m).__name__)
def test_nothing_to_find(matcher: Matcher) -> None:
    got = run(matcher, make_predictions(2, "square", 1), [make_target(0, 0), make_target(0, 0)])
    assert bool((got.index == -1).all())
    assert float(got.quality.abs().max()) == 0


@pytest.mark.parametrize("matcher", MATCHERS, ids=lambda m: type(m).__name__)
def test_every_box_is_found_and_quality_is_a_share(matcher: Matcher) -> None:
    predictions = make_predictions(1, "square", 2)
    grid = torch.tensor([[x, y, x + 20.0, y + 22.0] for x in (4.0, 50.0, 100.0) for y in (5.0, 60.0)])
    got = run(matcher, predictions, [BoxTarget(grid, torch.zeros(6, dtype=torch.int64), torch.zeros(6, dtype=torch.bool))])
    assert set(got.index[0].tolist()) - {-1} == set(range(6))
    assert 0 <= float(got.quality.min()) <= float(got.quality.max()) <= 1 + 1e-6
    assert float(got.quality[got.index < 0].abs().max()) == 0


@pytest.mark.parametrize("matcher", MATCHERS, ids=lambda m: type(m).__name__)
def test_ignore_regions_count_for_neither_side(matcher: Matcher) -> None:
    predictions = make_predictions(1, "square", 3)
    region, other = torch.tensor([[40.0, 30.0, 128.0, 96.0]]), torch.tensor([[4.0, 4.0, 30.0, 28.0]])
    both = BoxTarget(torch.cat([region, other]), torch.tensor([0, 1]), torch.tensor([True, False]))
    alone = BoxTarget(other, torch.tensor([1]), torch.tensor([False]))
    got, without = run(matcher, predictions, [both]), run(matcher, predictions, [alone])
    assert not bool((got.index == 0).any())
    assert torch.equal(got.index == 1, without.index == 0)
    assert torch.equal(got.quality, without.quality)
    anchors = predictions.anchors
    overlap = (torch.minimum(anchors[:, 2:], region[0, 2:]) - torch.maximum(anchors[:, :2], region[0, :2])).clamp(min=0).prod(1)
    inside = overlap / (anchors[:, 2:] - anchors[:, :2]).prod(1) > 0.5
    assert torch.equal(got.index[0] == -2, inside & (got.index[0] != 1))
    assert 10 < int(inside.sum()) < len(anchors)


@pytest.mark.parametrize("matcher", MATCHERS, ids=lambda m: type(m).__name__)
def test_other_images_and_their_padding_change_nothing(matcher: Matcher) -> None:
    predictions = make_predictions(2, "square", 4)
    target = make_target(3, 4, ignored=1, smallest=12)
    together = run(matcher, predictions, [target, make_target(25, 5)])
    alone = run(matcher, Predictions(predictions.anchors, predictions.levels, predictions.boxes[:1], predictions.scores[:1]), [target])
    assert torch.equal(together.index[0], alone.index[0])
    torch.testing.assert_close(together.quality[0], alone.quality[0])
