"""A backbone that begins behind its frozen stages gives what it gives for images."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from backbones import create_backbone
from backbones.errors import UsageError
from backbones.freeze import FreezePolicy
from backbones.frozen import can_cut, follow, lead
from backbones.pyramid import create_pyramid
from detectors.craft.trunk import VggTrunk

CHAINS = ["test_efficientnet", "test_resnet", "test_convnext2"]


def _images(size: tuple[int, int] = (67, 96)) -> torch.Tensor:
    return torch.randn(2, 3, *size, generator=torch.Generator().manual_seed(0))


def _check_cut(backbone: Any, stages: int, images: torch.Tensor) -> None:
    FreezePolicy("stages", stages).apply(backbone)
    state = {name: value.clone() for name, value in backbone.state_dict().items()}
    wanted = backbone(images)
    backbone.load_state_dict(state)  # norms of the stages that train have moved
    features = lead(backbone, images, stages)
    assert not any(m.requires_grad for m in features.maps)
    found = follow(backbone, features)
    assert [m.shape for m in found] == [m.shape for m in wanted]
    assert all(torch.equal(mine, theirs) for mine, theirs in zip(found, wanted, strict=True))


@pytest.mark.parametrize("name", CHAINS)
def test_cut_behind_any_stage_it_gives_the_maps_of_the_images_bit_for_bit(name: str) -> None:
    backbone: Any = create_backbone(name, weights="none")
    backbone.train()
    for stages in range(1, len(backbone.stages()) + 1):
        assert can_cut(backbone, stages)
        _check_cut(backbone, stages, _images())


def test_the_trunk_of_craft_is_cut_too() -> None:
    trunk = VggTrunk()
    for stages in (1, 4, 5):
        _check_cut(trunk, stages, _images((32, 48)))


def test_a_network_that_is_no_chain_is_cut_only_behind_its_end() -> None:
    backbone = create_backbone("torchvision:mobilenet_v2", weights="none")
    count = len(backbone.stages())
    assert can_cut(backbone, count)
    assert not can_cut(backbone, count - 1)
    with pytest.raises(UsageError, match=rf"torchvision:mobilenet_v2 cannot be cut behind {count - 1} of its {count} stages"):
        lead(backbone, _images(), count - 1)


@pytest.mark.parametrize("kind", ["ssd", "fpn", "pan"])
@pytest.mark.parametrize("stages", [2, 6])
def test_a_pyramid_keeps_only_maps_that_are_read(kind: Any, stages: int) -> None:
    backbone: Any = create_backbone("test_efficientnet", weights="none")
    stages = min(stages, len(backbone.stages()))
    pyramid = create_pyramid(backbone, kind, levels=(4, 5), width=8, input_size=(64, 64)).eval()
    FreezePolicy("stages", stages).apply(backbone)
    images = _images((64, 64))
    features = pyramid.lead(images, stages)
    if stages == len(backbone.stages()):
        assert [index for index, m in enumerate(features.maps) if m.numel()] == sorted(pyramid.neck.read_maps() or ())
        assert any(m.numel() == 0 for m in features.maps)
    with torch.no_grad():
        assert all(torch.equal(mine, theirs) for mine, theirs in zip(pyramid(features), pyramid(images), strict=True))


def test_gradients_reach_the_stages_that_train_and_no_other() -> None:
    backbone: Any = create_backbone("test_efficientnet", weights="none")
    FreezePolicy("stages", 3).apply(backbone)
    sum(m.mean() for m in follow(backbone, lead(backbone, _images(), 3))).backward()
    reached = [any(p.grad is not None for p in stage.parameters()) for stage in backbone.stages()]
    assert reached == [False] * 3 + [True] * (len(reached) - 3)


def test_a_value_that_is_no_map_is_kept_beside_the_maps() -> None:
    backbone: Any = create_backbone("test_efficientnet", weights="none")
    first = lead(backbone, _images(), 1)  # the stem is no map
    assert first.maps == ()
    assert first.value is not None
    moved = first.to("cpu")
    assert isinstance(moved.value, torch.Tensor)
    assert moved.input_hw == (67, 96)
    assert isinstance(backbone, nn.Module)
