"""The whole detector in its settings: any size, empty targets, batch of one, copies, and that it learns."""

from __future__ import annotations

import copy
import inspect
import pickle
from typing import Any

import pytest
import torch
from torch import nn

from backbones import create_backbone
from backbones.errors import UsageError
from backbones.freeze import FreezePolicy
from detectors import create_detector, list_detectors
from detectors.ssdlite.build import build_ssdlite
from detectors.ssdlite.model import SSDLite
from detectors.types import BoxTarget
from tests.detectors.ssdlite.reference import REFERENCE, random_target

SIZE = (96, 128)
SETTINGS: dict[str, dict[str, Any]] = {
    "default": {},
    "pan": {"pyramid": {"kind": "pan", "levels": (2, 3, 4, 5, 6), "width": 16}, "head_depth": 1},
    "reference": REFERENCE,
    "reference, a3": {**REFERENCE, "anchors": "ssd-a3", "min_negatives": 4, "norm": "default"},
    "focal over atss": {"pyramid": {"kind": "fpn", "width": 16}, "matcher": "atss", "class_loss": "focal", "head_depth": 0},
    "quality focal": {"pyramid": {"kind": "fpn", "width": 16}, "class_loss": "quality-focal", "box_loss": "smooth-l1"},
    "separate, fpn, iou": {"pyramid": {"kind": "fpn", "width": 16}, "shared_head": False, "head_depth": 0, "matcher": "iou", "anchors": "ssd"},
}
EMPTY = random_target(0)


def build(name: str, classes: int = 3, **changes: Any) -> SSDLite:
    torch.manual_seed(0)
    return build_ssdlite(create_backbone("test_efficientnet", weights="none"), num_classes=classes, input_size=SIZE, **{**SETTINGS[name], **changes})


def targets(*counts: int) -> list[BoxTarget]:
    generator = torch.Generator().manual_seed(0)
    return [random_target(count, 3, SIZE, 10.0, generator) for count in counts]


@pytest.fixture(params=list(SETTINGS))
def name(request: pytest.FixtureRequest) -> str:
    return request.param


def test_shapes_and_contract(name: str) -> None:
    detector = build(name).eval()
    outputs = detector(torch.randn(2, 3, *SIZE))
    columns = 4 if detector.has_background else 3
    count = len(outputs.anchors)
    assert outputs.logits.shape == (2, count, columns)
    assert outputs.deltas.shape == (2, count, 4)
    assert outputs.levels.shape == (count,)
    assert detector.scores(outputs.logits).shape == (2, count, 3)
    pretrained = {id(p) for stage in detector.backbone.stages() for p in stage.parameters()}
    new = {id(p) for module in detector.new_modules() for p in module.parameters()}
    assert not pretrained & new
    assert pretrained | new == {id(p) for p in detector.parameters()}


def test_other_sizes_than_the_one_it_was_built_for(name: str) -> None:
    detector = build(name).eval()
    for size in ((97, 131), (64, 64), (160, 96)):
        found = detector.decode(detector(torch.randn(1, 3, *size)), size)
        assert len(found) == 1
        assert bool((found[0].boxes >= 0).all())
        assert bool((found[0].boxes <= torch.tensor([size[1], size[0]] * 2)).all())


def test_every_parameter_learns_and_nothing_is_nan(name: str) -> None:
    detector = build(name).train()
    losses = detector.loss(detector(torch.randn(3, 3, *SIZE)), targets(4, 1, 0))
    assert set(losses) == {"class", "box"}
    torch.stack(list(losses.values())).sum().backward()
    for key, parameter in detector.named_parameters():
        assert parameter.grad is not None, key
        assert bool(parameter.grad.isfinite().all()), key


def test_empty_targets_teach(name: str) -> None:
    detector = build(name).train()
    losses = detector.loss(detector(torch.randn(2, 3, *SIZE)), [EMPTY, EMPTY])
    torch.stack(list(losses.values())).sum().backward()
    taught = sum(float(p.grad.abs().sum()) for p in detector.parameters() if p.grad is not None)
    assert all(bool(value.isfinite()) for value in losses.values())
    assert (taught > 0) == (SETTINGS[name].get("min_negatives") != 0)


def test_a_batch_of_one_equals_one_of_a_batch(name: str) -> None:
    detector = build(name, score_threshold=0.0).eval()
    images = torch.randn(3, 3, *SIZE)
    with torch.no_grad():
        together, alone = detector(images), detector(images[1:2])
        torch.testing.assert_close(together.logits[1], alone.logits[0], atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(together.deltas[1], alone.deltas[0], atol=1e-5, rtol=1e-5)
        one = together._replace(logits=together.logits[1:2], deltas=together.deltas[1:2])
        first, second = detector.decode(together, SIZE)[1], detector.decode(one, SIZE)[0]
    assert torch.equal(first.boxes, second.boxes)
    assert len(first.boxes) > 0
    assert bool((first.scores[:-1] >= first.scores[1:]).all())


def test_decode_is_empty_where_nothing_scores(name: str) -> None:
    detector = build(name, score_threshold=0.999999).eval()
    found = detector.decode(detector(torch.randn(2, 3, *SIZE)), SIZE)
    assert [len(f.boxes) for f in found] == [0, 0]


def test_copies_are_equal(name: str) -> None:
    detector = build(name).eval()
    images = torch.randn(1, 3, *SIZE)
    FreezePolicy("stages", 2, "frozen").apply(detector.backbone)
    with torch.no_grad():
        want = detector(images).logits
        for twin in (copy.deepcopy(detector), pickle.loads(pickle.dumps(detector))):
            assert torch.equal(twin(images).logits, want)


@pytest.mark.parametrize("setting", ["default", "reference, a3"])
def test_it_learns_one_picture_by_heart(setting: str) -> None:
    """Two boxes of two classes on one picture, a few steps: both are found where they are, with their classes."""
    detector = build(setting).train()
    for norm in [m for m in detector.modules() if isinstance(m, nn.BatchNorm2d)]:
        norm.momentum = 0.3
    generator = torch.Generator().manual_seed(0)
    images = torch.randn(2, 3, *SIZE, generator=generator) * 0.1
    truth = torch.tensor([[10.0, 12.0, 50.0, 60.0], [70.0, 30.0, 120.0, 90.0]])
    for box, colour in zip(truth.int().tolist(), (1.5, -1.5), strict=True):
        images[0, :, box[1] : box[3], box[0] : box[2]] += colour
    target = [BoxTarget(truth, torch.tensor([2, 0]), torch.tensor([False, False])), EMPTY]
    optimizer = torch.optim.AdamW(detector.parameters(), lr=3e-3)
    for _ in range(60):
        optimizer.zero_grad()
        torch.stack(list(detector.loss(detector(images), target).values())).sum().backward()
        optimizer.step()
    with torch.no_grad():
        found = detector.eval().decode(detector(images), SIZE)
    best = found[0].boxes[:2][found[0].labels[:2].argsort(descending=True)]
    assert sorted(found[0].labels[:2].tolist()) == [0, 2]
    assert float((best - truth).abs().max()) < 8
    assert float(found[0].scores[1]) > 0.4
    assert len(found[1].scores) == 0 or float(found[1].scores[0]) < 0.3


def test_maps_of_several_widths_need_separate_heads() -> None:
    with pytest.raises(UsageError, match="one width"):
        build("default", pyramid={"kind": "ssd"})


@pytest.mark.parametrize(
    ("changes", "said"),
    [({"matcher": "hungarian"}, "iou, atss, tal"), ({"shared_head": False}, "head_depth"), ({"norm": "group"}, "default, reference"), ({"anchors": "round"}, "square")],
)
def test_wrong_settings_say_what_is_allowed(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        build("default", **changes)


def test_registry() -> None:
    assert list_detectors() == ("craft", "craftlite", "craftlite-tiny", "ssdlite")
    assert isinstance(create_detector("ssdlite", create_backbone("test_efficientnet", weights="none"), num_classes=2), SSDLite)
    with pytest.raises(UsageError, match="did you mean 'ssdlite'"):
        create_detector("ssd_lite")


def test_settings_are_those_of_the_config() -> None:
    """The builder and SSDLiteConfig name the same settings with the same defaults."""
    from dataclasses import asdict

    from finetune.config import SSDLiteConfig

    parameters = inspect.signature(build_ssdlite).parameters
    assert {key: parameters[key].default for key in asdict(SSDLiteConfig())} == asdict(SSDLiteConfig())
