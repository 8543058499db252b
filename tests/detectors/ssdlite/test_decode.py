"""Decoding against a slow loop, class by class and box by box."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor
from torchvision.ops import box_iou

from detectors.ssdlite.decode import DecodeSettings, decode_detections
from tests.detectors.ssdlite.reference import random_boxes

SIZE = (96, 128)
SETTINGS = DecodeSettings(score_threshold=0.3, nms_iou=0.5, candidates_per_class=20, max_detections=25)


def slow_decode(boxes: Tensor, scores: Tensor, settings: DecodeSettings) -> list[tuple[float, int, list[float]]]:
    """Score, label and box of each detection, best first."""
    limit = torch.tensor([SIZE[1], SIZE[0], SIZE[1], SIZE[0]])
    clipped = torch.stack([torch.minimum(box.clamp(min=0), limit) for box in boxes])
    found = []
    for label in range(scores.shape[1]):
        order = [i for i in sorted(range(len(boxes)), key=lambda i: -float(scores[i, label])) if float(scores[i, label]) > settings.score_threshold]
        kept: list[int] = []
        for i in order[: settings.candidates_per_class]:
            if not any(float(box_iou(clipped[i : i + 1], clipped[j : j + 1])) > settings.nms_iou for j in kept):  # an empty box overlaps nothing
                kept.append(i)
        found += [(float(scores[i, label]), label, clipped[i].tolist()) for i in kept]
    return sorted(found, key=lambda entry: -entry[0])[: settings.max_detections]


@pytest.mark.parametrize(
    "settings",
    [
        SETTINGS,
        replace(SETTINGS, candidates_per_class=500, max_detections=500),
        replace(SETTINGS, nms_iou=1.0),
        replace(SETTINGS, score_threshold=0.97),
        replace(SETTINGS, max_detections=3, nms_iou=0.05),
        replace(SETTINGS, max_detections=6, nms_iou=0.02, candidates_per_class=9),
    ],
    ids=str,
)
def test_equals_the_loop(settings: DecodeSettings) -> None:
    generator = torch.Generator().manual_seed(0)
    boxes = torch.stack([random_boxes(70, SIZE, generator=generator) + 20 * torch.randn(70, 1, generator=generator) for _ in range(2)])
    scores = torch.rand(2, 70, 4, generator=generator)
    for image, got in enumerate(decode_detections(boxes, scores, SIZE, settings)):
        want = slow_decode(boxes[image], scores[image], settings)
        assert got.labels.tolist() == [label for _, label, _ in want]
        torch.testing.assert_close(got.scores, torch.tensor([score for score, _, _ in want]))
        torch.testing.assert_close(got.boxes, torch.tensor([box for _, _, box in want]))
        assert len(want) > 0


def test_few_scores_at_a_time_find_what_all_find() -> None:
    """Crowded boxes: of the first that are looked at nearly all are suppressed, so that it takes several looks; each image its own number."""
    generator = torch.Generator().manual_seed(0)
    boxes = torch.stack([random_boxes(400, SIZE, generator=generator), *(torch.tensor([[10.0, 10, 60, 60]]) + torch.rand(400, 4, generator=generator) for _ in range(2))])
    boxes[2, ::40] = random_boxes(10, SIZE, generator=generator)
    scores = torch.rand(3, 400, 3, generator=generator) * torch.linspace(1, 0.3, 400)[:, None]
    settings = DecodeSettings(score_threshold=0.01, nms_iou=0.3, candidates_per_class=350, max_detections=9)
    for image, got in enumerate(decode_detections(boxes, scores, SIZE, settings)):
        want = slow_decode(boxes[image], scores[image], settings)
        assert (got.labels.tolist(), got.scores.tolist()) == ([label for _, label, _ in want], [pytest.approx(score) for score, _, _ in want])


def test_nothing_found_is_normal() -> None:
    boxes, scores = torch.rand(2, 10, 4) * 50, torch.zeros(2, 10, 3)
    for found in decode_detections(boxes, scores, SIZE, SETTINGS):
        assert (tuple(found.boxes.shape), tuple(found.scores.shape), tuple(found.labels.shape)) == ((0, 4), (0,), (0,))
        assert found.labels.dtype == torch.int64


def test_a_score_on_the_threshold_is_no_detection() -> None:
    box = torch.tensor([[[1.0, 1.0, 9.0, 9.0]]])
    on = torch.full((1, 1, 1), 0.25)
    settings = replace(SETTINGS, score_threshold=0.25)
    assert len(decode_detections(box, on, SIZE, settings)[0].boxes) == 0
    assert len(decode_detections(box, torch.nextafter(on, torch.ones(1)), SIZE, settings)[0].boxes) == 1


def test_classes_do_not_suppress_each_other() -> None:
    box = torch.tensor([[[1.0, 1.0, 9.0, 9.0], [1.0, 1.0, 9.0, 9.0]]])
    found = decode_detections(box, torch.tensor([[[0.9, 0.5], [0.8, 0.6]]]), SIZE, SETTINGS)[0]
    assert found.labels.tolist() == [0, 1]
    torch.testing.assert_close(found.scores, torch.tensor([0.9, 0.6]))


def test_order_of_anchors_does_not_matter() -> None:
    generator = torch.Generator().manual_seed(1)
    boxes, scores = random_boxes(80, SIZE, generator=generator)[None], torch.rand(1, 80, 3, generator=generator)
    order = torch.randperm(80, generator=generator)
    first, second = (decode_detections(b, s, SIZE, SETTINGS)[0] for b, s in ((boxes, scores), (boxes[:, order], scores[:, order])))
    assert torch.equal(first.boxes, second.boxes)
    assert torch.equal(first.labels, second.labels)


def test_half_precision_scores_and_boxes() -> None:
    found = decode_detections(torch.tensor([[[1.0, 1.0, 9.0, 9.0]]]).bfloat16(), torch.full((1, 1, 1), 0.9).bfloat16(), SIZE, SETTINGS)[0]
    assert found.boxes.dtype == found.scores.dtype == torch.float32
