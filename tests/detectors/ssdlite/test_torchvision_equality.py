"""Our reference setting against torchvision's ssdlite320_mobilenet_v3_large with the same weights, and proof that a fault would be seen."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from detectors.boxes import pad_targets
from detectors.ssdlite.box_coder import BoxCoder
from detectors.ssdlite.matcher import Predictions
from detectors.ssdlite.model import SSDLite, SSDLiteOutputs
from detectors.types import BoxDetections, BoxTarget
from tests.detectors.ssdlite.reference import SIZE, build_ours, build_theirs, random_boxes, random_images, random_target, theirs_losses_of, theirs_raw

CLOSE = 1e-4
CLOSE_PX = 1e-3
CLEAR_SCORE_GAP = 1e-6


@pytest.fixture(scope="module")
def theirs() -> Any:
    return build_theirs()


@pytest.fixture(scope="module")
def images() -> Tensor:
    return random_images(3, seed=1)


@pytest.fixture(scope="module")
def expected(theirs: Any, images: Tensor) -> tuple[Tensor, Tensor, list[Tensor]]:
    with torch.no_grad():
        return theirs_raw(theirs, images)


@pytest.fixture(scope="module")
def built(theirs: Any) -> SSDLite:
    return build_ours(theirs)


@pytest.fixture
def ours(built: SSDLite) -> SSDLite:
    """A copy that a test may spoil."""
    return deepcopy(built)


@pytest.fixture(scope="module")
def targets() -> list[BoxTarget]:
    """Several boxes with two of one label on one spot, one box, none."""
    generator = torch.Generator().manual_seed(2)
    many = random_target(12, generator=generator)
    boxes = torch.cat([many.boxes, many.boxes[:2], many.boxes[:1] + 0.5])
    labels = torch.cat([many.labels, many.labels[:1], many.labels[:2]])
    return [BoxTarget(boxes, labels, torch.zeros(15, dtype=torch.bool)), random_target(1, generator=generator), random_target(0)]


def difference(ours: SSDLite, images: Tensor, expected: tuple[Tensor, Tensor, list[Tensor]]) -> float:
    """Largest difference of logits and deltas."""
    with torch.no_grad():
        outputs = ours(images)
    return max(float((outputs.logits - expected[0]).abs().max()), float((outputs.deltas - expected[1]).abs().max()))


def loss_difference(ours: SSDLite, outputs: SSDLiteOutputs, theirs: Any, expected: tuple[Tensor, Tensor, list[Tensor]], targets: list[BoxTarget]) -> float:
    """Largest difference of the two losses; both are well above zero."""
    wanted = theirs_losses_of(theirs, expected[0], expected[1], expected[2], targets)
    got = ours.loss(outputs, targets)
    pairs = [(got["class"], wanted["classification"]), (got["box"], wanted["bbox_regression"])]
    assert min(want.item() for _, want in pairs) > 0.1
    return max(abs(mine.item() - want.item()) for mine, want in pairs)


def their_detections(theirs: Any, expected: tuple[Tensor, Tensor, list[Tensor]]) -> list[dict[str, Tensor]]:
    outputs = {"cls_logits": expected[0], "bbox_regression": expected[1]}
    return theirs.postprocess_detections(outputs, expected[2], [SIZE] * len(expected[0]))


def detection_fault(mine: BoxDetections, want: dict[str, Tensor]) -> str:
    """What differs between detections, in words, or an empty string; rows whose scores are too near to order are matched by box."""
    if len(mine.boxes) != len(want["boxes"]):
        return f"{len(mine.boxes)} detections, not {len(want['boxes'])}"
    if not bool((mine.scores[:-1] >= mine.scores[1:]).all()):
        return "not in order of score"
    if float((mine.scores - want["scores"]).abs().max()) > CLOSE:
        return "scores differ"
    gaps = want["scores"].diff().abs() > CLEAR_SCORE_GAP
    clear = torch.cat([torch.tensor([True]), gaps]) & torch.cat([gaps, torch.tensor([True])])
    if int(clear.sum()) < 0.9 * len(clear):
        return "too many scores are alike: this proves nothing"
    if not torch.equal(mine.labels[clear] + 1, want["labels"][clear]):
        return "labels differ"
    if float((mine.boxes - want["boxes"])[clear].abs().max()) > CLOSE_PX:
        return "boxes differ"
    return ""


def test_outputs_mean_something(expected: tuple[Tensor, Tensor, list[Tensor]]) -> None:
    for values in expected[:2]:
        assert 0.3 < float(values.std()) < 5
        assert float((values[0] - values[1]).abs().mean()) > 0.1
        assert float((values[1] - values[2]).abs().mean()) > 0.1


def test_anchors_are_exact(ours: SSDLite, images: Tensor, expected: tuple[Tensor, Tensor, list[Tensor]]) -> None:
    outputs = ours(images)
    assert torch.equal(outputs.anchors, expected[2][0])
    assert outputs.levels.bincount().tolist() == [2400, 600, 150, 54, 24, 6]


def test_logits_and_deltas(ours: SSDLite, images: Tensor, expected: tuple[Tensor, Tensor, list[Tensor]]) -> None:
    assert difference(ours, images, expected) < CLOSE


def test_losses(ours: SSDLite, theirs: Any, images: Tensor, expected: tuple[Tensor, Tensor, list[Tensor]], targets: list[BoxTarget]) -> None:
    assert loss_difference(ours, ours(images), theirs, expected, targets) < CLOSE
    for one in range(2):  # alone, as a batch of one
        outputs, single = ours(images[one : one + 1]), (expected[0][one : one + 1], expected[1][one : one + 1], expected[2][:1])
        assert loss_difference(ours, outputs, theirs, single, targets[one : one + 1]) < CLOSE


def test_losses_in_training_mode_and_their_gradients(ours: SSDLite, theirs: Any, images: Tensor, targets: list[BoxTarget]) -> None:
    """Batch statistics instead of running ones; dropout and stochastic depth play no part in this network."""
    try:
        theirs.train()
        saved = {name: value.clone() for name, value in theirs.state_dict().items()}
        theirs.zero_grad(set_to_none=True)
        logits, deltas, anchors = theirs_raw(theirs, images)
        wanted = theirs_losses_of(theirs, logits, deltas, anchors, targets)
        torch.stack(list(wanted.values())).sum().backward()
        gradients = [p.grad for p in theirs.parameters()]
        statistics = [value.clone() for name, value in theirs.state_dict().items() if "running" in name]
    finally:
        theirs.load_state_dict(saved)
        theirs.eval()
    got = ours.train().loss(ours(images), targets)
    torch.stack(list(got.values())).sum().backward()
    assert abs(got["class"].item() - wanted["classification"].item()) < CLOSE
    assert abs(got["box"].item() - wanted["bbox_regression"].item()) < CLOSE
    for mine, want in zip(ours.parameters(), gradients, strict=True):
        assert mine.grad is not None
        assert want is not None
        assert torch.allclose(mine.grad, want, rtol=1e-3, atol=CLOSE)
    for mine, want in zip([value for name, value in ours.state_dict().items() if "running" in name], statistics, strict=True):  # momentum 0.03
        assert torch.allclose(mine, want, rtol=1e-4, atol=1e-5)


def test_losses_where_negatives_run_out(ours: SSDLite, theirs: Any, images: Tensor, expected: tuple[Tensor, Tensor, list[Tensor]]) -> None:
    """More than a quarter of the anchors positive: torchvision then mines positives too, and counts them twice."""
    anchors = expected[2][0]
    boxes = anchors[(anchors[:, 2] > anchors[:, 0] + 4) & (anchors[:, 0] >= 0) & (anchors[:, 1] >= 0)][::3]
    crowded = BoxTarget(boxes, torch.arange(len(boxes)) % 90, torch.zeros(len(boxes), dtype=torch.bool))
    outputs = ours(images)
    padded = [crowded, random_target(2), random_target(0)]
    predictions = Predictions(outputs.anchors, outputs.levels, outputs.anchors[None], ours.scores(outputs.logits))
    assert int((ours.matcher(predictions, pad_targets(padded)).index[0] >= 0).sum()) > len(anchors) / 4
    assert loss_difference(ours, outputs, theirs, expected, padded) < CLOSE


def test_detections(ours: SSDLite, theirs: Any, images: Tensor, expected: tuple[Tensor, Tensor, list[Tensor]]) -> None:
    with torch.no_grad():
        found = ours.decode(ours(images), SIZE)
    wanted = their_detections(theirs, expected)
    assert [detection_fault(mine, want) for mine, want in zip(found, wanted, strict=True)] == ["", "", ""]
    assert all(len(mine.boxes) == 300 for mine in found)


def change_eps(model: SSDLite) -> None:
    for module in model.head.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.eps = 1e-5


def change_backbone_eps(model: SSDLite) -> None:
    for module in model.backbone.modules():  # type: ignore[attr-defined]
        if isinstance(module, nn.BatchNorm2d):
            module.eps = 1e-5


@pytest.mark.parametrize("fault", [change_eps, change_backbone_eps])
def test_a_wrong_eps_is_seen(ours: SSDLite, images: Tensor, expected: tuple[Tensor, Tensor, list[Tensor]], fault: Callable[[SSDLite], None]) -> None:
    fault(ours)
    assert difference(ours, images, expected) > 10 * CLOSE


def test_anchors_one_cell_off_are_seen(ours: SSDLite, theirs: Any, images: Tensor, expected: tuple[Tensor, Tensor, list[Tensor]], targets: list[BoxTarget]) -> None:
    with torch.no_grad():
        outputs = ours(images)
    shifted = outputs._replace(anchors=outputs.anchors.roll(6, 0))  # six shapes a cell
    assert not torch.equal(shifted.anchors, expected[2][0])
    assert loss_difference(ours, shifted, theirs, expected, targets) > 10 * CLOSE
    assert "" not in [detection_fault(mine, want) for mine, want in zip(ours.decode(shifted, SIZE), their_detections(theirs, expected), strict=True)]


def _loss_and_decode_faults() -> dict[str, Callable[[SSDLite, SSDLiteOutputs], SSDLiteOutputs]]:
    def background_last(_: SSDLite, outputs: SSDLiteOutputs) -> SSDLiteOutputs:
        return outputs._replace(logits=outputs.logits.roll(-1, -1))

    def other_coder(model: SSDLite, outputs: SSDLiteOutputs) -> SSDLiteOutputs:
        model.criterion = replace(model.criterion, coder=BoxCoder((10.0, 10.0, 5.0, 4.99)))
        return outputs

    def unordered_shapes(_: SSDLite, outputs: SSDLiteOutputs) -> SSDLiteOutputs:
        order = torch.arange(len(outputs.anchors)).view(-1, 6)[:, [1, 0, 2, 3, 4, 5]].flatten()
        return outputs._replace(anchors=outputs.anchors[order])

    return {"background last": background_last, "box weights": other_coder, "order of shapes": unordered_shapes}


@pytest.mark.parametrize("name", list(_loss_and_decode_faults()))
def test_faults_around_the_network_are_seen(ours: SSDLite, theirs: Any, images: Tensor, expected: tuple[Tensor, Tensor, list[Tensor]], targets: list[BoxTarget], name: str) -> None:
    with torch.no_grad():
        outputs = _loss_and_decode_faults()[name](ours, ours(images))
    assert loss_difference(ours, outputs, theirs, expected, targets) > 10 * CLOSE
    assert "" not in [detection_fault(mine, want) for mine, want in zip(ours.decode(outputs, SIZE), their_detections(theirs, expected), strict=True)]


@pytest.mark.parametrize("fault", [{"min_negatives": 3}, {"box_loss": "giou"}])
def test_another_loss_is_seen(theirs: Any, images: Tensor, expected: tuple[Tensor, Tensor, list[Tensor]], targets: list[BoxTarget], fault: dict[str, Any]) -> None:
    other = build_ours(theirs, **fault)
    assert loss_difference(other, other(images), theirs, expected, targets) > 10 * CLOSE


@pytest.mark.parametrize("fault", [{"nms_iou": 0.6}, {"candidates_per_class": 30}, {"max_detections": 299}])
def test_other_thresholds_are_seen(ours: SSDLite, theirs: Any, images: Tensor, expected: tuple[Tensor, Tensor, list[Tensor]], fault: dict[str, Any]) -> None:
    with torch.no_grad():
        outputs = ours(images)
    ours.decoding = replace(ours.decoding, **fault)
    assert set(detection_fault(mine, want) for mine, want in zip(ours.decode(outputs, SIZE), their_detections(theirs, expected), strict=True)) != {""}


def test_clipping_comes_before_the_suppression(ours: SSDLite, theirs: Any) -> None:
    """Boxes that only overlap enough once clipped, scores that equal the threshold, a size ratio beyond the clamp: few anchors speak, all else is background."""
    with torch.no_grad():
        logits, deltas, anchors = theirs_raw(theirs, random_images(1, seed=3))
        quiet = torch.full_like(logits, -20.0)
        quiet[..., 0] = 20.0
        deltas = torch.zeros_like(deltas)
        corner = [0, 5, 6, 11, 2400, 2405]
        quiet[0, corner, 7] = torch.tensor([21.0, 20.5, 20.2, 20.1, 20.3, 20.4])
        deltas[0, corner, 2:] = torch.tensor([[40.0, 40.0], [30.0, 3.0], [3.0, 30.0], [9.0, 9.0], [25.0, 25.0], [8.0, 8.0]])
        want = their_detections(theirs, (quiet, deltas, anchors))[0]
        levels = torch.zeros(len(anchors[0]), dtype=torch.int64)
        mine = ours.decode(SSDLiteOutputs(quiet, deltas, anchors[0], levels), SIZE)[0]
    assert 1 < len(want["boxes"]) < len(corner)
    assert torch.equal(mine.boxes, want["boxes"])
    assert torch.equal(mine.labels + 1, want["labels"])


def test_a_score_on_the_threshold_is_no_detection(ours: SSDLite, theirs: Any) -> None:
    with torch.no_grad():
        logits, deltas, anchors = theirs_raw(theirs, random_images(1, seed=3))
    score = torch.softmax(logits[0], -1)[:, 1:].max()
    levels = torch.zeros(len(anchors[0]), dtype=torch.int64)
    for threshold, some in ((float(score), False), (float(score) * 0.999, True)):
        theirs.score_thresh = threshold
        try:
            want = their_detections(theirs, (logits, deltas, anchors))[0]
        finally:
            theirs.score_thresh = 0.001
        ours.decoding = replace(ours.decoding, score_threshold=threshold)
        mine = ours.decode(SSDLiteOutputs(logits, deltas, anchors[0], levels), SIZE)[0]
        assert len(mine.boxes) == len(want["boxes"])
        assert (len(mine.boxes) > 0) == some


def test_random_raw_outputs_give_the_same_losses(ours: SSDLite, theirs: Any, expected: tuple[Tensor, Tensor, list[Tensor]]) -> None:
    """Many draws of outputs and targets, the network left out; boxes of every size, on and over one another."""
    anchors = expected[2][0]
    levels = torch.zeros(len(anchors), dtype=torch.int64)
    for seed in range(8):
        generator = torch.Generator().manual_seed(seed)
        logits, deltas = torch.randn(2, len(anchors), 91, generator=generator), torch.randn(2, len(anchors), 4, generator=generator)
        targets = [random_target(int(count), generator=generator) for count in torch.randint(1, 40, (2,), generator=generator)]
        first = torch.cat([targets[0].boxes, random_boxes(3, generator=generator).repeat(2, 1)])
        doubled = BoxTarget(first, torch.arange(len(first)) % 90, torch.zeros(len(first), dtype=torch.bool))
        outputs = SSDLiteOutputs(logits, deltas, anchors, levels)
        assert loss_difference(ours, outputs, theirs, (logits, deltas, [anchors, anchors]), [doubled, targets[1]]) < CLOSE
