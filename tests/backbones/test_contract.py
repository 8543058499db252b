"""Every provided backbone meets the contract, and the contract check finds each planted fault."""

from __future__ import annotations

import copy

import pytest
import timm
import torch
from torch import nn

from backbones import FeatureSpec, ImageStats, SizeRule, check_backbone, create_backbone
from backbones.catalog import read_catalog
from backbones.testing import BackboneContractError

REAL = [
    "tf_efficientnet_lite0", "mobilenetv3_small_050", "mobilenetv4_conv_small_035", "resnet10t", "convnext_atto", "regnetx_002", "rexnet_100", "repvgg_a0", "densenet121",
    "dla46_c", "efficientvit_b0", "mobilevit_xxs", "ghostnet_050", "lcnet_035", "tresnet_m", "levit_128s", "pit_ti_224", "coat_tiny", "efficientvim_m1", "legacy_xception",
    "swin_tiny_patch4_window7_224", "vit_tiny_patch16_224",
    "torchvision:mobilenet_v3_small", "torchvision:resnet18", "torchvision:shufflenet_v2_x0_5", "torchvision:regnet_x_400mf", "torchvision:googlenet", "torchvision:swin_t",
]  # fmt: skip


@pytest.mark.parametrize("name", [*timm.list_models("test_*"), *REAL])
def test_provided_backbones_meet_the_contract(name: str) -> None:
    check_backbone(create_backbone(name, weights="none"))


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name, entry in read_catalog().items() if entry.params < 60e6])
def test_every_light_backbone_of_the_catalog_meets_the_contract(name: str) -> None:
    check_backbone(create_backbone(name, weights="none"))


class Good(nn.Module):
    """A backbone as a plug-in author would write it."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 8, 3, 4, 1), nn.BatchNorm2d(8), nn.ReLU())
        self.deep = nn.Sequential(nn.Conv2d(8, 16, 3, 2, 1), nn.BatchNorm2d(16))
        self.specs = (FeatureSpec("c2", 8, 4), FeatureSpec("c3", 16, 8))
        self.image_stats = ImageStats()
        self.size_rule = SizeRule()

    def stages(self) -> list[nn.Module]:
        return [self.stem, self.deep]

    def forward(self, images: torch.Tensor) -> list[torch.Tensor]:
        fine = self.stem(images)
        return [fine, self.deep(fine)]


class SharedStage(Good):
    def stages(self) -> list[nn.Module]:
        return [self.stem, nn.ModuleList([self.stem, self.deep])]


class LooseParameter(Good):
    def stages(self) -> list[nn.Module]:
        return [self.stem]


class DeadLayer(Good):
    def __init__(self) -> None:
        super().__init__()
        self.deep.unused = nn.Conv2d(1, 1, 1)

    def forward(self, images: torch.Tensor) -> list[torch.Tensor]:
        fine = self.stem(images)
        return [fine, self.deep[1](self.deep[0](fine))]


class WrongStride(Good):
    def __init__(self) -> None:
        super().__init__()
        self.specs = (FeatureSpec("c2", 8, 4), FeatureSpec("c4", 16, 16))


class WrongChannels(Good):
    def __init__(self) -> None:
        super().__init__()
        self.specs = (FeatureSpec("c2", 9, 4), FeatureSpec("c3", 16, 8))


class SameNames(Good):
    def __init__(self) -> None:
        super().__init__()
        self.specs = (FeatureSpec("c2", 8, 4), FeatureSpec("c2", 16, 8))


class CoarseFirst(Good):
    def __init__(self) -> None:
        super().__init__()
        self.specs = tuple(reversed(self.specs))

    def forward(self, images: torch.Tensor) -> list[torch.Tensor]:
        return list(reversed(super().forward(images)))


class ChannelsLast(Good):
    def forward(self, images: torch.Tensor) -> list[torch.Tensor]:
        return [grid.permute(0, 2, 3, 1) for grid in super().forward(images)]


class LooksAtTheBatch(Good):
    def forward(self, images: torch.Tensor) -> list[torch.Tensor]:
        return super().forward(images - images.mean(0, keepdim=True))


class NotFinite(Good):
    def forward(self, images: torch.Tensor) -> list[torch.Tensor]:
        return [grid / 0 for grid in super().forward(images)]


class EvenSizesOnly(Good):
    def forward(self, images: torch.Tensor) -> list[torch.Tensor]:
        maps = super().forward(images)
        return maps if images.shape[-1] % 8 == 0 else [grid[..., : grid.shape[-1] // 2] for grid in maps]


class HiddenState(Good):
    def __init__(self) -> None:
        super().__init__()
        self.scale = 1.0 + torch.rand(()).item()

    def __deepcopy__(self, memo: dict[int, object]) -> HiddenState:
        other = HiddenState()
        other.load_state_dict({key: value.clone() for key, value in self.state_dict().items()})
        return other

    def forward(self, images: torch.Tensor) -> list[torch.Tensor]:
        return [grid * self.scale for grid in super().forward(images)]


def test_a_good_backbone_passes_and_is_left_as_it_was() -> None:
    backbone = Good().train()
    backbone.stem.requires_grad_(False)
    before = copy.deepcopy(backbone.state_dict())
    check_backbone(backbone)
    assert all(torch.equal(before[key], value) for key, value in backbone.state_dict().items())
    assert backbone.training
    assert not backbone.stem[0].weight.requires_grad


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        (SharedStage, "share a parameter"), (LooseParameter, "in none: deep.0.weight"), (DeadLayer, "deep.unused.weight"), (WrongStride, "at stride 16"),
        (WrongChannels, "must be \\[B, 9"), (SameNames, "unique"), (CoarseFirst, "finest first"), (ChannelsLast, "NCHW"), (LooksAtTheBatch, "alone"),
        (NotFinite, "not finite"), (EvenSizesOnly, "cells"), (HiddenState, "state dict"),
    ],
)  # fmt: skip
def test_each_fault_is_found(fault: type[nn.Module], message: str) -> None:
    with pytest.raises(BackboneContractError, match=message):
        check_backbone(fault())
