"""Box arithmetic and coding against torchvision's."""

from __future__ import annotations

import math

import torch
from torchvision.models.detection._utils import BoxCoder as TheirCoder
from torchvision.ops import box_area, box_iou, complete_box_iou_loss, generalized_box_iou

from detectors.boxes import area, complete_iou, generalized_iou, intersection, iou, pad_targets
from detectors.ssdlite.box_coder import BoxCoder
from detectors.types import BoxTarget
from tests.detectors.ssdlite.reference import random_boxes

CODERS = (BoxCoder(), BoxCoder((1.0, 1.0, 1.0, 1.0)))


def boxes(count: int, seed: int) -> torch.Tensor:
    return random_boxes(count, smallest=0.5, generator=torch.Generator().manual_seed(seed))


def test_iou_giou_and_area() -> None:
    first, second = boxes(60, 0), boxes(50, 1)
    second[:10] = first[:10]
    torch.testing.assert_close(iou(first[:, None], second[None]), box_iou(first, second))
    torch.testing.assert_close(generalized_iou(first[:, None], second[None]), generalized_box_iou(first, second), atol=1e-6, rtol=1e-5)
    torch.testing.assert_close(area(first), box_area(first))
    assert torch.equal(iou(first[:, None], second[None]), iou(second[:, None], first[None]).T)
    assert float(generalized_box_iou(first, second).min()) < -0.5  # far boxes are among them


def test_empty_and_touching_boxes_give_no_nan() -> None:
    empty = torch.tensor([[5.0, 5.0, 5.0, 5.0], [1.0, 1.0, 1.0, 9.0]])
    other = torch.tensor([[5.0, 5.0, 9.0, 9.0], [0.0, 0.0, 5.0, 5.0]])
    assert iou(empty[:, None], torch.cat([empty, other])[None]).abs().max() == 0
    assert bool(generalized_iou(empty[:, None], torch.cat([empty, other])[None]).isfinite().all())
    assert float(intersection(other[0], other[1])) == 0
    assert float(generalized_iou(other[0], other[1])) < 0


def test_giou_gradient_pulls_far_boxes_together() -> None:
    far = torch.tensor([[0.0, 0.0, 10.0, 10.0]], requires_grad=True)
    (1 - generalized_iou(far, torch.tensor([[50.0, 50.0, 60.0, 60.0]]))).sum().backward()
    assert far.grad is not None
    assert float(far.grad[0, 2]) < 0  # descending moves the right and bottom edges towards the target
    assert float(far.grad[0, 3]) < 0


def test_ciou_and_its_gradient_equal_torchvision() -> None:
    mine, theirs, truth = boxes(80, 6).requires_grad_(), boxes(80, 6).requires_grad_(), boxes(80, 7)
    loss, reference = 1 - complete_iou(mine, truth), complete_box_iou_loss(theirs, truth)
    torch.testing.assert_close(loss, reference, atol=1e-5, rtol=1e-4)
    assert float(loss.detach().max()) > 1.2  # far boxes are among them
    loss.sum().backward()
    reference.sum().backward()
    torch.testing.assert_close(mine.grad, theirs.grad, atol=1e-5, rtol=1e-3)


def test_coding_equals_torchvision() -> None:
    truth, anchors = boxes(200, 2), boxes(200, 3)
    deltas = torch.randn(200, 4, generator=torch.Generator().manual_seed(4)) * 5
    for coder in CODERS:
        theirs = TheirCoder(coder.weights)
        torch.testing.assert_close(coder.encode(truth, anchors), theirs.encode_single(truth, anchors), atol=1e-4, rtol=1e-4)
        torch.testing.assert_close(coder.decode(deltas, anchors), theirs.decode_single(deltas, anchors), atol=1e-3, rtol=1e-5)


def test_round_trip() -> None:
    generator = torch.Generator().manual_seed(5)
    truth, anchors = random_boxes(200, smallest=6.0, generator=generator), random_boxes(200, smallest=6.0, generator=generator)
    for coder in CODERS:
        torch.testing.assert_close(coder.decode(coder.encode(truth, anchors), anchors), truth, atol=1e-3, rtol=0)


def test_growth_is_clamped() -> None:
    anchor = torch.tensor([[10.0, 10.0, 14.0, 18.0]])
    grown = CODERS[0].decode(torch.tensor([[0.0, 0.0, 1e6, 1e6]]), anchor)
    torch.testing.assert_close(grown[:, 2:] - grown[:, :2], torch.tensor([[4.0, 8.0]]) * 1000 / 16)
    just_below = CODERS[0].decode(torch.tensor([[0.0, 0.0, 5 * math.log(60.0), 0.0]]), anchor)
    assert math.isclose(float(just_below[0, 2] - just_below[0, 0]), 240.0, rel_tol=1e-4)


def test_coding_broadcasts_over_a_batch() -> None:
    anchors, deltas = boxes(30, 7), torch.randn(2, 30, 4)
    assert torch.equal(CODERS[0].decode(deltas, anchors)[1], CODERS[0].decode(deltas[1], anchors))


def test_padding_keeps_every_target() -> None:
    first = BoxTarget(boxes(3, 8), torch.tensor([4, 5, 6]), torch.tensor([False, True, False]))
    none = BoxTarget(torch.zeros(0, 4), torch.zeros(0, dtype=torch.int64), torch.zeros(0, dtype=torch.bool))
    padded = pad_targets([first, none])
    assert padded.boxes.shape == (2, 3, 4)
    assert torch.equal(padded.boxes[0], first.boxes)
    assert padded.truth.tolist() == [[True, False, True], [False] * 3]
    assert padded.ignore.tolist() == [[False, True, False], [False] * 3]
    alone = pad_targets([none])
    assert alone.boxes.shape == (1, 1, 4)
    assert not bool(alone.truth.any() | alone.ignore.any())
