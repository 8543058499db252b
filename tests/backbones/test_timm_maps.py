"""Maps of timm backbones are those of timm itself; SSD-lite taps are those of the papers; frozen stages build no graph."""

from __future__ import annotations

import pytest
import timm
import torch
from torch import nn

from backbones import UsageError, create_backbone
from backbones.body import ProviderBackbone, level_specs
from backbones.timm_provider import create_timm_backbone


def _seeded(name: str, **settings: object) -> nn.Module:
    torch.manual_seed(7)
    return timm.create_model(name, **settings).eval()


@pytest.mark.parametrize("name", ["mobilenetv3_small_050", "tf_efficientnet_lite0", "resnet18", "densenet121", "dpn48b", "xception41", "hrnet_w18_small", "mambaout_femto", "convnext_atto"])
def test_maps_equal_timms_own(name: str) -> None:
    images = torch.randn(1, 3, 128, 160, generator=torch.Generator().manual_seed(1))
    count = sum(bool(entry["module"]) for entry in timm.create_model(name).feature_info)
    with torch.no_grad():
        theirs = _seeded(name, features_only=True, out_indices=tuple(range(count)))(images)
        backbone = create_timm_backbone(name, weights="none", taps="stage", in_channels=3, input_size=None)
        ours = _copy_parameters(_seeded(name, features_only=True, out_indices=tuple(range(count))), backbone)(images)
    assert len(ours) == len(theirs)
    for mine, reference in zip(ours, theirs, strict=True):
        reference = reference if mine.shape == reference.shape else reference.permute(0, 3, 1, 2)
        assert torch.equal(mine, reference)


def _copy_parameters(source: nn.Module, backbone: ProviderBackbone) -> ProviderBackbone:
    """Values of a timm feature network in the same order; ours has no more and no fewer."""
    values, targets = list(source.state_dict().values()), backbone.state_dict()
    assert [value.shape for value in values] == [value.shape for value in targets.values()]
    backbone.load_state_dict(dict(zip(targets, values, strict=True)))
    return backbone.eval()


# MobileNetV1: Howard 2017, table 1. MobileNetV2: Sandler 2018, table 2. MobileNetV3: Howard 2019, tables 1 and 2. MnasNet-A1: Tan 2019, figure 7.
PAPERS = {
    "mobilenetv1_100": (512, 1024),
    "mobilenetv2_100": (576, 1280),
    "semnasnet_100": (672, 1280),
    "mobilenetv3_large_100": (672, 960),
    "mobilenetv3_small_100": (288, 576),
    "tf_efficientnet_lite0": (672, 1280),
    "torchvision:mobilenet_v2": (576, 1280),
    "torchvision:mobilenet_v3_large": (672, 960),
    "torchvision:mobilenet_v3_large?reduced_tail": (672, 480),
}


@pytest.mark.parametrize("name", PAPERS)
def test_ssd_taps_have_the_channels_and_strides_of_the_papers(name: str) -> None:
    backbone = create_backbone(name, weights="none", taps="ssd")
    assert [(spec.name, spec.channels, spec.stride) for spec in backbone.specs] == [("c4", PAPERS[name][0], 16), ("c5", PAPERS[name][1], 32)]
    maps = backbone(torch.zeros(2, 3, 320, 320))
    assert [tuple(grid.shape[1:]) for grid in maps] == [(PAPERS[name][0], 20, 20), (PAPERS[name][1], 10, 10)]


@pytest.mark.parametrize(
    ("name", "expansion", "last"),
    [("mobilenetv2_100", "blocks.5.0.bn1", "bn2"), ("mobilenetv3_small_100", "blocks.4.0.bn1", "blocks.5"), ("rexnet_100", "features.11.conv_exp", "features.16")],
)
def test_ssd_maps_are_what_the_whole_network_computes(name: str, expansion: str, last: str) -> None:
    whole = _seeded(name)
    seen: dict[str, torch.Tensor] = {}
    for tap in (expansion, last):
        whole.get_submodule(tap).register_forward_hook(lambda _m, _i, output, tap=tap: seen.__setitem__(tap, output))
    backbone = create_backbone(name, weights="none", taps="ssd")
    values = [value for key, value in whole.state_dict().items() if not key.startswith(("classifier", "head", "conv_head", "norm_head")) or key.startswith(last)]
    if last == "bn2":
        values = [value for key, value in whole.state_dict().items() if not key.startswith("classifier")]
    targets = backbone.state_dict()
    backbone.load_state_dict(dict(zip(targets, values, strict=True)))
    backbone.eval()
    images = torch.randn(1, 3, 97, 160, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        whole(images)
        fine, coarse = backbone(images)
    assert torch.equal(fine, seen[expansion])
    assert torch.equal(coarse, seen[last])


def test_a_family_without_ssd_taps_says_what_to_use() -> None:
    with pytest.raises(UsageError, match=r"resnet18 has no taps of the SSD-lite papers.*use taps stage"):
        create_backbone("resnet18", weights="none", taps="ssd")


def test_reduced_tail_has_the_parameters_of_torchvisions_ssdlite() -> None:
    from torchvision.models.detection import ssdlite320_mobilenet_v3_large

    theirs = ssdlite320_mobilenet_v3_large(weights=None, weights_backbone=None).backbone.features.eval()
    ours = create_backbone("torchvision:mobilenet_v3_large?reduced_tail&bn_eps=0.001&bn_momentum=0.03", weights="none", taps="ssd").eval()
    assert sum(p.numel() for p in ours.parameters()) == sum(p.numel() for p in theirs.parameters())
    assert {(m.eps, m.momentum) for m in ours.modules() if isinstance(m, nn.BatchNorm2d)} == {(0.001, 0.03)}
    ours.load_state_dict(dict(zip(ours.state_dict(), theirs.state_dict().values(), strict=True)))
    images = torch.randn(1, 3, 320, 320, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        fine = theirs[0](images)
        for mine, reference in zip(ours(images), (fine, theirs[1](fine)), strict=True):
            assert torch.allclose(mine, reference, atol=1e-6)


@pytest.mark.parametrize("name", ["resnet18", "mobilenetv3_small_050"])
def test_frozen_stages_build_no_graph(name: str) -> None:
    backbone = create_backbone(name, weights="none")
    assert backbone(torch.randn(2, 3, 64, 64))[0].requires_grad
    backbone.frozen_stages = 3
    maps = backbone(torch.randn(2, 3, 64, 64))
    assert [grid.requires_grad for grid in maps] == [False] * (5 - sum(g.requires_grad for g in maps)) + [True] * sum(g.requires_grad for g in maps)
    assert not maps[0].requires_grad
    assert maps[-1].requires_grad
    sum(grid.mean() for grid in maps if grid.requires_grad).backward()
    for index, stage in enumerate(backbone.stages()):
        assert all((parameter.grad is None) == (index < 3) for parameter in stage.parameters())
    backbone.frozen_stages = len(backbone.stages())
    assert not any(grid.requires_grad for grid in backbone(torch.randn(2, 3, 64, 64)))


def test_levels_are_named_by_stride_and_names_are_unique() -> None:
    specs = level_specs([8, 16, 16, 24], [8, 16, 16, 32])
    assert [spec.name for spec in specs] == ["c3", "c4", "c4b", "c5"]


def test_swin_maps_are_turned() -> None:
    backbone = create_backbone("swin_tiny_patch4_window7_224", weights="none").eval()
    with torch.no_grad():
        shapes = [tuple(grid.shape) for grid in backbone(torch.randn(1, 3, 96, 160))]
    assert shapes == [(1, 96, 24, 40), (1, 192, 12, 20), (1, 384, 6, 10), (1, 768, 3, 5)]


def test_a_network_built_for_one_size_is_built_for_the_size_asked_for() -> None:
    with pytest.raises(UsageError, match="takes only inputs of 160x160, not 100x130"):
        create_backbone("test_maxvit", weights="none")(torch.zeros(1, 3, 100, 130))
    backbone = create_backbone("test_maxvit", weights="none", input_size=(100, 130)).eval()
    assert backbone.size_rule.fixed == (100, 130)
    assert [tuple(grid.shape[2:]) for grid in backbone(torch.zeros(1, 3, 100, 130))] == [(50, 65), (25, 33), (13, 17), (7, 9), (4, 5)]
    with pytest.raises(UsageError, match="takes only inputs of 224x224, not 320x320"):
        create_backbone("efficientformer_l1", weights="none", input_size=(320, 320))
