"""CRAFT's trunk and CRAFT-lite: contracts, sizes of the presets, any backbone, freezing, first outputs."""

from __future__ import annotations

import copy
import math
from typing import Any

import pytest
import torch
from torch import nn

from backbones import check_backbone, create_backbone
from backbones.cut import cut_above
from backbones.errors import UsageError
from backbones.freeze import FreezePolicy
from backbones.types import FeatureSpec
from detectors.craft.build import build_craft, build_craftlite
from detectors.craft.lite import SlimMerge
from detectors.craft.trunk import VggTrunk
from detectors.registry import create_detector
from detectors.types import TextTarget
from tests.backbones.test_pyramid import Strided

ZOO = ("test_efficientnet", "test_convnext", "test_vit", "mobilenetv3_small_050", "lcnet_050", "torchvision:mobilenet_v3_small")


def parameters(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


def word() -> TextTarget:
    return TextTarget(torch.tensor([[[10.0, 20], [90, 20], [90, 50], [10, 50]]]), torch.tensor([False]), ("word",))


def test_the_trunk_meets_the_contract() -> None:
    check_backbone(VggTrunk(), sizes=((64, 96), (65, 99)))


def test_maps_of_the_trunk_are_behind_or_before_their_relu_as_published() -> None:
    trunk = VggTrunk().eval()
    for part in trunk.modules():  # norms that pass negative values on
        if isinstance(part, nn.BatchNorm2d):
            nn.init.normal_(part.bias)
    with torch.no_grad():
        maps = trunk(torch.randn(1, 3, 64, 64))
    assert [bool((m < 0).any()) for m in maps] == [False, False, False, True, True]
    assert [m.shape[1:] for m in maps] == [(128, 32, 32), (256, 16, 16), (512, 8, 8), (512, 4, 4), (1024, 4, 4)]


@pytest.mark.parametrize("backbone", ["mobilenetv2_100", "tf_efficientnet_lite0"])
def test_sizes_of_the_presets(backbone: str) -> None:
    tiny = create_detector("craftlite-tiny", create_backbone(backbone, weights="none"))
    assert parameters(tiny) < 1_000_000
    lite = create_detector("craftlite", create_backbone(backbone, weights="none"))
    own = sum(parameters(module) for module in lite.new_modules())
    assert own <= 450_000
    assert parameters(lite) == own + parameters(lite.backbone)
    if backbone == "mobilenetv2_100":
        assert parameters(lite) == 2_212_354
        assert parameters(tiny) == 827_074


@pytest.mark.parametrize("preset", ["craftlite", "craftlite-tiny"])
@pytest.mark.parametrize("name", ZOO)
def test_any_backbone(name: str, preset: str) -> None:
    detector = create_detector(preset, create_backbone(name, weights="none")).train()
    outputs = detector(torch.randn(2, 3, 96, 128))
    assert outputs.maps.shape == (2, 2, 48, 64)
    losses = detector.loss(outputs, [word(), word()])
    sum(losses.values()).backward()
    idle = [name for name, parameter in detector.named_parameters() if parameter.grad is None]
    assert idle == []
    assert len(detector.eval().decode(outputs, (96, 128))) == 2
    known = {id(p) for module in (*detector.new_modules(), *detector.backbone.stages()) for p in module.parameters()}
    assert known == {id(p) for p in detector.parameters()}


@pytest.mark.parametrize("depthwise", [True, False])
@pytest.mark.parametrize("strides", [(2, 4, 8, 16, 32), (4, 8, 16, 32), (8, 32), (16,), (8, 16, 16, 32), (2, 64)], ids=str)
def test_any_strides_and_odd_sizes(strides: tuple[int, ...], depthwise: bool) -> None:
    detector = build_craftlite(Strided(strides), widths=(8, 12, 16), head_width=6, depthwise=depthwise, coarsest_stride=64, extra_levels=1)
    maps = detector(torch.randn(2, 3, 65, 99)).maps
    assert maps.shape == (2, 2, math.ceil(65 / 2), math.ceil(99 / 2))
    maps.square().mean().backward()
    assert all(p.grad is not None for p in detector.parameters())


def test_every_map_of_the_backbone_reaches_the_output() -> None:
    specs = [FeatureSpec(f"c{i}", 4, 2**i) for i in range(1, 6)]
    merge = SlimMerge(specs, (8, 8, 8)).eval()
    maps = [torch.randn(1, 4, 64 // s.stride, 64 // s.stride) for s in specs]
    with torch.no_grad():
        plain = merge(maps, (64, 64))[0]
        for index in range(len(maps)):
            changed = list(maps)
            changed[index] = maps[index] + 1
            assert not torch.allclose(plain, merge(changed, (64, 64))[0])


def test_a_sum_of_1x1_convolutions_is_one_over_both_maps() -> None:
    """The reason why merge blocks add: the same as CRAFT's concatenation, with the coarse part computed before the upsampling."""
    fine, coarse = torch.randn(1, 5, 16, 16), torch.randn(1, 7, 8, 8)
    lateral, lower = nn.Conv2d(5, 6, 1, bias=False), nn.Conv2d(7, 6, 1, bias=False)
    raise_ = nn.Upsample(scale_factor=2, mode="bilinear")
    both = nn.Conv2d(12, 6, 1, bias=False)
    both.weight.data = torch.cat([lateral.weight, lower.weight], 1)
    assert torch.allclose(both(torch.cat([fine, raise_(coarse)], 1)), lateral(fine) + raise_(lower(coarse)), atol=1e-5)


def test_maps_begin_near_zero_and_find_nothing() -> None:
    torch.manual_seed(0)
    detector = create_detector("craftlite", create_backbone("mobilenetv2_100", weights="none")).eval()
    outputs = detector(torch.randn(1, 3, 128, 128))
    assert 0 < outputs.maps.abs().max() < 0.2
    assert len(detector.decode(outputs, (128, 128))[0].quads) == 0


def test_cutting_keeps_the_maps_and_deletes_the_stages_above() -> None:
    whole = create_backbone("mobilenetv2_100", weights="none").eval()
    short = cut_above(whole, 16)
    assert [spec.stride for spec in short.specs] == [2, 4, 8, 16]
    assert len(short.stages()) < len(whole.stages())
    assert parameters(short) < parameters(whole) / 3
    images = torch.randn(1, 3, 65, 98)
    with torch.no_grad():
        assert all(torch.equal(a, b) for a, b in zip(short(images), whole(images), strict=False))
    check_backbone(short)
    assert cut_above(whole, 32) is whole
    with pytest.raises(UsageError, match="no map of stride 1 or less"):
        cut_above(whole, 1)


@pytest.mark.parametrize("policy", ["backbone", "stages", "gradual"])
@pytest.mark.parametrize("name", ["craft", "craftlite-tiny"])
def test_freezing_works_over_both_kinds_of_backbone(name: str, policy: Any) -> None:
    detector = create_detector(name, None if name == "craft" else create_backbone("test_efficientnet", weights="none")).train()
    FreezePolicy(policy, stages=2).apply(detector.backbone, 0, 4)
    frozen = {key: value.clone() for key, value in detector.backbone.stages()[0].state_dict().items()}
    optimizer = torch.optim.SGD(detector.parameters(), lr=0.1, weight_decay=0.1)
    before = copy.deepcopy(detector.head.state_dict())
    outputs = detector(torch.randn(1, 3, 64, 96))
    sum(detector.loss(outputs, [word()]).values()).backward()
    optimizer.step()
    assert all(torch.equal(value, frozen[key]) for key, value in detector.backbone.stages()[0].state_dict().items())
    assert any(not torch.equal(value, before[key]) for key, value in detector.head.state_dict().items())
    trainable = sum(p.requires_grad for p in detector.backbone.parameters())
    assert (trainable == 0) == (policy != "stages")


def test_wrong_settings_are_refused() -> None:
    backbone = Strided((4, 8))
    for build, match in (
        (lambda: build_craft(backbone), "craft has its own trunk"),
        (lambda: build_craftlite(backbone, widths=()), "craftlite.widths"),
        (lambda: build_craftlite(backbone, head_width=0), "craftlite.head_width is 0"),
        (lambda: build_craftlite(backbone, extra_levels=9), "craftlite.extra_levels is 9"),
        (lambda: build_craftlite(backbone, coarsest_stride=2), "no map of stride 2 or less"),
        (lambda: build_craftlite(backbone, low_text=2.0), "craft.low_text is 2.0"),
    ):
        with pytest.raises(UsageError, match=match):
            build()
