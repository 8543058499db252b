"""Losses against torchvision's, against loops, and in the corners: empty images, ignore regions, padding."""

from __future__ import annotations

from typing import Any, get_args

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor
from torchvision.ops import sigmoid_focal_loss as their_focal_loss

from detectors.boxes import pad_targets
from detectors.ssdlite.box_coder import BoxCoder
from detectors.ssdlite.loss import BoxLossKind, ClassLossKind, SSDLiteLoss, quality_focal_loss, sigmoid_focal_loss, softmax_mining_loss
from detectors.ssdlite.matcher import AtssMatcher, IoUMatcher, Matches, Predictions, TaskAlignedMatcher
from detectors.types import BoxTarget
from tests.detectors.ssdlite.test_matcher import CLASSES, make_predictions, make_target

ALL_LOSSES = [(kind, box) for kind in get_args(ClassLossKind) for box in get_args(BoxLossKind)]


def some_matches(batch: int = 2, anchors: int = 60, rows: int = 3, seed: int = 0) -> tuple[Tensor, Matches, Tensor]:
    """Logits, a random assignment (positives, background, neither) with qualities, and labels."""
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(batch, anchors, CLASSES, generator=generator) * 2
    index = torch.randint(-30, rows, (batch, anchors), generator=generator).clamp(min=-3)
    index = torch.where(index == -3, -1, index)
    quality = torch.rand(batch, anchors, generator=generator) * (index >= 0)
    labels = torch.randint(0, CLASSES, (batch, anchors), generator=generator)
    return logits, Matches(index, quality), labels


def test_focal_loss_equals_torchvision() -> None:
    logits, matches, labels = some_matches()
    target = F.one_hot(labels, CLASSES).float() * (matches.index >= 0)[..., None]
    counted = matches.index != -2
    want = their_focal_loss(logits[counted], target[counted], alpha=0.25, gamma=2.0, reduction="sum")
    torch.testing.assert_close(sigmoid_focal_loss(logits, matches, labels), want)
    assert 0 < int((~counted).sum()) < counted.numel()


@pytest.mark.parametrize("beta", [0.0, 2.0])
def test_quality_focal_loss_equals_a_loop(beta: float) -> None:
    """Equation 5 of arXiv:2006.04388: |y - s| ** beta * ((1 - y) log(1 - s) + y log s), one score at a time."""
    logits, matches, labels = some_matches()
    want = 0.0
    for image, anchor, column in torch.cartesian_prod(torch.arange(2), torch.arange(60), torch.arange(CLASSES)).tolist():
        if matches.index[image, anchor] == -2:
            continue
        positive = matches.index[image, anchor] >= 0 and labels[image, anchor] == column
        y = float(matches.quality[image, anchor]) if positive else 0.0
        s = logits[image, anchor, column].double().sigmoid()
        want -= float(abs(y - s) ** beta * ((1 - y) * torch.log(1 - s) + y * torch.log(s)))
    assert float(quality_focal_loss(logits, matches, labels, beta)) == pytest.approx(want, rel=1e-5)


@pytest.mark.parametrize("min_negatives", [0, 1, 4, 25])
def test_mining_equals_a_loop(min_negatives: int) -> None:
    logits, matches, labels = some_matches(batch=3, seed=1)
    index = matches.index.clone()
    index[2] = torch.where(index[2] >= 0, -1, index[2])  # an image without boxes
    matches = Matches(index, matches.quality)
    logits = torch.cat([logits.new_zeros(3, 60, 1), logits], -1)
    log = logits.double().log_softmax(-1)
    loss = [[-float(log[b, a, labels[b, a] + 1 if index[b, a] >= 0 else 0]) for a in range(60)] for b in range(3)]
    chosen = {(b, a) for b in range(3) for a in range(60) if index[b, a] >= 0}
    positives = [sum((b, a) in chosen for a in range(60)) for b in range(3)]
    ranked = [sorted((a for a in range(60) if index[b, a] == -1), key=lambda a: -loss[b][a]) for b in range(3)]
    for b in range(3):
        chosen |= {(b, a) for a in ranked[b][: min_negatives or 3 * positives[b]]}
    if min_negatives:
        over_batch = sorted(((b, a) for b in range(3) for a in ranked[b]), key=lambda pair: -loss[pair[0]][pair[1]])
        chosen |= set(over_batch[: 3 * sum(positives)])
    want = sum(loss[b][a] for b, a in chosen)
    assert float(softmax_mining_loss(logits, matches, labels, min_negatives)) == pytest.approx(want, rel=1e-5)
    assert 3 * max(positives) < min(len(r) for r in ranked)


def loss_of(kind: Any, box: Any, logits: Tensor, deltas: Tensor, predictions: Predictions, targets: list[BoxTarget], min_negatives: int = 4) -> dict[str, Tensor]:
    padded = pad_targets(targets)
    matcher = TaskAlignedMatcher() if kind.startswith("quality") else AtssMatcher() if kind == "focal" else IoUMatcher()
    return SSDLiteLoss(kind, box, BoxCoder(), 1.0, min_negatives)(logits, deltas, predictions.anchors, matcher(predictions, padded), padded)


def raw(predictions: Predictions, kind: str, seed: int = 0) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    shape = predictions.boxes.shape[:2]
    columns = CLASSES + (kind == "softmax-mining")
    return torch.randn(*shape, columns, generator=generator).requires_grad_(), (torch.randn(*shape, 4, generator=generator) * 0.3).requires_grad_()


@pytest.mark.parametrize(("kind", "box"), ALL_LOSSES)
def test_images_without_boxes_teach(kind: str, box: str) -> None:
    predictions = make_predictions(2, "square", 0)
    logits, deltas = raw(predictions, kind)
    losses = loss_of(kind, box, logits, deltas, predictions, [make_target(0, 0), make_target(0, 0)])
    assert losses["class"].item() > 0
    assert losses["box"].item() == 0
    torch.stack(list(losses.values())).sum().backward()
    assert logits.grad is not None
    assert all(float(image.abs().sum()) > 0 for image in logits.grad)
    assert bool(logits.grad.isfinite().all())


def test_the_reference_learns_nothing_from_images_without_boxes() -> None:
    predictions = make_predictions(1, "square", 0)
    logits, deltas = raw(predictions, "softmax-mining")
    losses = loss_of("softmax-mining", "smooth-l1", logits, deltas, predictions, [make_target(0, 0)], min_negatives=0)
    assert losses["class"].item() == 0


@pytest.mark.parametrize(("kind", "box"), ALL_LOSSES)
def test_padding_changes_nothing(kind: str, box: str) -> None:
    """A few boxes beside an image with many give the same gradient, up to the shared count of positives."""
    predictions = make_predictions(2, "square", 1)
    gradients = []
    for other in (make_target(2, 7, smallest=15), make_target(30, 8, smallest=15)):
        logits, deltas = raw(predictions, kind)
        losses = loss_of(kind, box, logits, deltas, predictions, [make_target(2, 3, smallest=15), other], min_negatives=0)
        torch.stack(list(losses.values())).sum().backward()
        assert logits.grad is not None
        assert deltas.grad is not None
        gradients.append(torch.cat([logits.grad[0].flatten(), deltas.grad[0].flatten()]))
    assert float(gradients[0].abs().max()) > 0
    ratio = gradients[0].norm() / gradients[1].norm()
    torch.testing.assert_close(gradients[1] * ratio, gradients[0], atol=1e-6, rtol=1e-3)


@pytest.mark.parametrize(("kind", "box"), ALL_LOSSES)
def test_ignored_anchors_get_no_gradient(kind: str, box: str) -> None:
    predictions = make_predictions(1, "square", 2)
    logits, deltas = raw(predictions, kind)
    region = BoxTarget(torch.tensor([[40.0, 30.0, 128.0, 96.0], [4.0, 4.0, 30.0, 28.0]]), torch.tensor([0, 1]), torch.tensor([True, False]))
    torch.stack(list(loss_of(kind, box, logits, deltas, predictions, [region], min_negatives=500).values())).sum().backward()
    matches = (TaskAlignedMatcher() if kind.startswith("quality") else AtssMatcher() if kind == "focal" else IoUMatcher())(predictions, pad_targets([region]))
    assert logits.grad is not None
    touched = logits.grad[0].abs().sum(-1) > 0
    assert not bool((touched & (matches.index[0] == -2)).any())
    assert bool(touched[matches.index[0] == -1].any())
    assert bool(touched[matches.index[0] >= 0].all())


@pytest.mark.parametrize(("kind", "box"), ALL_LOSSES)
def test_doubling_the_batch_changes_nothing(kind: str, box: str) -> None:
    """The count of positives is that of the batch: the same images twice give the same loss."""
    predictions = make_predictions(1, "square", 3)
    logits, deltas = raw(predictions, kind)
    target = make_target(4, 3, smallest=15)
    twice = Predictions(predictions.anchors, predictions.levels, predictions.boxes.repeat(2, 1, 1), predictions.scores.repeat(2, 1, 1))
    one = loss_of(kind, box, logits, deltas, predictions, [target], 0)
    two = loss_of(kind, box, logits.repeat(2, 1, 1), deltas.repeat(2, 1, 1), twice, [target, target], 0)
    for name in one:
        torch.testing.assert_close(one[name], two[name])
        assert one[name].item() > 0
