"""The pyramid over many backbones: maps agree with specs at any size, every parameter learns, old and new parts are kept apart."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from backbones import create_backbone
from backbones.errors import UsageError
from backbones.pyramid import FeaturePyramid, create_pyramid
from backbones.types import Backbone, FeatureSpec, ImageStats, SizeRule

KINDS = ("ssd", "fpn", "pan")
NAMES = ("test_efficientnet", "test_convnext", "test_vit")
SIZES = ((193, 250), (97, 33))
LEVELS = ((3, 4, 5, 6, 7), (2, 3, 4), (1,), (4,), (7,))


class Strided(nn.Module):
    """A backbone with maps at any strides, also twice the same: one convolution block per map, each over the one before."""

    def __init__(self, strides: tuple[int, ...]) -> None:
        super().__init__()
        self.specs = tuple(FeatureSpec(f"c{i}", 8 + i, stride) for i, stride in enumerate(strides))
        self.image_stats = ImageStats()
        self.size_rule = SizeRule()
        steps = [b // a for a, b in zip((1, *strides), strides, strict=False)]
        widths = [3, *(spec.channels for spec in self.specs)]
        self.blocks = nn.ModuleList(
            nn.Sequential(nn.Conv2d(widths[i], widths[i + 1], 3, padding=1), *[nn.MaxPool2d(2, ceil_mode=True) for _ in range(int(math.log2(step)))]) for i, step in enumerate(steps)
        )

    def stages(self) -> list[nn.Module]:
        return list(self.blocks)

    def forward(self, images: Tensor) -> list[Tensor]:
        maps = []
        for block in self.blocks:
            images = block(images)
            maps.append(images)
        return maps


def check_maps(pyramid: FeaturePyramid, height: int, width: int) -> list[Tensor]:
    """Run a pyramid and hold its maps against its specs; one cell of rounding is allowed by the contract."""
    maps = pyramid(torch.randn(2, 3, height, width))
    assert len(maps) == len(pyramid.specs)
    for spec, got in zip(pyramid.specs, maps, strict=True):
        assert got.shape[:2] == (2, spec.channels)
        assert abs(got.shape[2] - math.ceil(height / spec.stride)) <= 1
        assert abs(got.shape[3] - math.ceil(width / spec.stride)) <= 1
    assert len({spec.name for spec in pyramid.specs}) == len(pyramid.specs)
    assert [spec.stride for spec in pyramid.specs] == sorted(spec.stride for spec in pyramid.specs)
    return maps


def check_gradients(module: nn.Module, maps: list[Tensor]) -> None:
    torch.stack([got.square().mean() for got in maps]).sum().backward()
    assert [name for name, parameter in module.named_parameters() if parameter.grad is None] == []


@pytest.fixture(scope="module")
def backbones() -> dict[str, Backbone]:
    return {name: create_backbone(name, weights="none") for name in NAMES}


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", NAMES)
def test_real_backbones(backbones: dict[str, Backbone], name: str, kind: Any, size: tuple[int, int]) -> None:
    pyramid = create_pyramid(backbones[name], kind, width=16, input_size=size)
    pyramid.zero_grad(set_to_none=True)
    check_gradients(pyramid, check_maps(pyramid, *size))


@pytest.mark.parametrize("levels", LEVELS, ids=str)
@pytest.mark.parametrize("kind", ["fpn", "pan"])
@pytest.mark.parametrize("strides", [(2, 4, 8, 16, 32), (4, 8, 16, 32), (8, 32), (16,), (8, 16, 16, 32)], ids=str)
def test_any_levels_over_any_strides(strides: tuple[int, ...], kind: Any, levels: tuple[int, ...]) -> None:
    pyramid = create_pyramid(Strided(strides), kind, levels=levels, width=8)
    assert tuple(spec.stride for spec in pyramid.specs) == tuple(2**n for n in levels)
    assert {spec.channels for spec in pyramid.specs} == {8}
    maps = check_maps(pyramid, 65, 99)
    for spec, got in zip(pyramid.specs, maps, strict=True):  # these backbones round up exactly, so must the pyramid
        assert tuple(got.shape[2:]) == (math.ceil(65 / spec.stride), math.ceil(99 / spec.stride))
    check_gradients(pyramid, maps)


@pytest.mark.parametrize("size", [(320, 320), (97, 250)], ids=str)
@pytest.mark.parametrize("strides", [(8, 16, 32), (16,), (4, 8), (16, 16, 32)], ids=str)
def test_ssd_goes_down_to_one_cell(strides: tuple[int, ...], size: tuple[int, int]) -> None:
    pyramid = create_pyramid(Strided(strides), "ssd", input_size=size)
    maps = check_maps(pyramid, *size)
    assert tuple(maps[-1].shape[2:]) == (1, 1)
    assert max(maps[-2].shape[2:]) > 1
    raw = len([s for s in strides if s >= 16]) or 2
    extra = [spec.channels for spec in pyramid.specs[raw:]]
    assert extra == ([512, 256, 256, 128] + [128] * 8)[: len(extra)]
    check_gradients(pyramid, maps)


@pytest.mark.parametrize("depthwise", [True, False])
@pytest.mark.parametrize("kind", KINDS)
def test_stages_and_new_modules_share_the_parameters_between_them(kind: Any, depthwise: bool) -> None:
    backbone = create_backbone("test_efficientnet", weights="none")
    pyramid = create_pyramid(backbone, kind, width=16, depthwise=depthwise)
    old = [id(p) for stage in pyramid.stages() for p in stage.parameters()]
    new = [id(p) for module in pyramid.new_modules() for p in module.parameters()]
    assert sorted(old) == sorted(id(p) for p in backbone.parameters())
    assert new
    assert sorted(old + new) == sorted(id(p) for p in pyramid.parameters())


def test_a_pyramid_is_a_backbone() -> None:
    pyramid = create_pyramid(Strided((8, 16, 32)), "fpn", width=8)
    assert isinstance(pyramid, Backbone)
    higher = create_pyramid(pyramid, "pan", levels=(3, 4, 5, 6), width=12)
    check_gradients(higher, check_maps(higher, 97, 130))
    assert len(higher.stages()) == 3


def test_top_down_brings_the_coarsest_map_to_the_finest_level() -> None:
    """A level is more than the backbone map of its stride: what only the coarsest map sees must reach it."""
    backbone = Strided((4, 8, 16))
    pyramid = create_pyramid(backbone, "fpn", levels=(2,), width=8).eval()
    images = torch.randn(1, 3, 64, 64)
    before = pyramid(images)[0]
    with torch.no_grad():
        backbone.blocks[2][0].weight.mul_(-3)
    assert (pyramid(images)[0] - before).abs().max() > 1e-4


def test_bottom_up_brings_the_finest_map_to_the_coarsest_level() -> None:
    torch.manual_seed(0)
    backbone = Strided((4, 8, 16))
    fpn, pan = (create_pyramid(backbone, kind, levels=(2, 3, 4), width=8).eval() for kind in ("fpn", "pan"))
    images = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        before = [pyramid(images)[-1] for pyramid in (fpn, pan)]
        for pyramid in (fpn, pan):
            pyramid.neck.lateral["2"][0].weight.add_(1.0)
        change = [(pyramid(images)[-1] - old).abs().max() for pyramid, old in zip((fpn, pan), before, strict=True)]
    assert change[0] == 0
    assert change[1] > 0


def test_plain_convolutions_cost_what_they_should() -> None:
    """Parameters by hand: laterals w*c + 2w, 3x3 plain 9*w*w + 2w, depthwise-separable 9w + 2w + w*w + 2w."""
    w, channels = 16, [8, 9, 10]
    lateral = sum(w * c + 2 * w for c in channels)
    plain = create_pyramid(Strided((8, 16, 32)), "fpn", width=w, depthwise=False)
    light = create_pyramid(Strided((8, 16, 32)), "fpn", width=w)
    assert sum(p.numel() for p in plain.neck.parameters()) == lateral + 3 * (9 * w * w + 2 * w)
    assert sum(p.numel() for p in light.neck.parameters()) == lateral + 3 * (9 * w + 2 * w + w * w + 2 * w)


@pytest.mark.parametrize(("kind", "settings", "said"), [("bifpn", {}, "ssd, fpn and pan"), ("fpn", {"levels": ()}, "levels"), ("pan", {"levels": (0, 1)}, "1 to 9"), ("fpn", {"width": 0}, "positive")])
def test_wrong_settings(kind: Any, settings: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        create_pyramid(Strided((8, 16, 32)), kind, **settings)


def test_size_rule_of_the_backbone_is_held() -> None:
    backbone = Strided((8, 16, 32))
    backbone.size_rule = SizeRule(multiple=32)
    with pytest.raises(UsageError, match="multiples of 32"):
        create_pyramid(backbone, "fpn", input_size=(320, 300))
