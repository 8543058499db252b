"""BatchNorm shared by processes: an activation inside a norm stays, and so does what is frozen."""

from __future__ import annotations

import pytest
import torch
from timm.layers.norm_act import BatchNormAct2d
from torch import nn

from backbones import create_backbone
from backbones.errors import UsageError
from backbones.freeze import FreezePolicy
from backbones.sync_norms import restore_norms, share_norms

SIZE = (64, 64)


@pytest.mark.parametrize("name", ["test_efficientnet", "test_resnet", "torchvision:mobilenet_v3_small"])
def test_a_network_with_shared_norms_computes_the_same(name: str) -> None:
    """In eval mode, which needs no other process: means, variances, weights and activations are those of before."""
    backbone = create_backbone(name, weights="none").eval()  # type: ignore[attr-defined]
    torch.manual_seed(0)
    for module in backbone.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_()  # type: ignore[union-attr]
            module.running_var.uniform_(0.5, 2)  # type: ignore[union-attr]
    images = torch.randn(2, 3, *SIZE)
    tensors = {name: id(value) for name, value in backbone.state_dict(keep_vars=True).items()}
    layers = dict(backbone.named_modules())
    with torch.no_grad():
        want = backbone(images)
        replaced = share_norms(backbone)
        got = backbone(images)
    count = sum(isinstance(module, nn.BatchNorm2d) for module in layers.values())
    assert sum(isinstance(module, nn.SyncBatchNorm) for module in backbone.modules()) == count > 5
    assert not any(isinstance(module, nn.BatchNorm2d) for module in backbone.modules())
    assert all(torch.equal(a, b) for a, b in zip(want, got, strict=True))
    assert {name: id(value) for name, value in backbone.state_dict(keep_vars=True).items()} == tensors, "the optimiser's parameters are the same ones"
    for module in backbone.modules():
        if isinstance(module, nn.SyncBatchNorm):
            module.running_mean = module.running_mean + 1  # type: ignore[operator]
    restore_norms(replaced)
    assert dict(backbone.named_modules()) == layers
    with torch.no_grad():
        assert not any(torch.equal(a, b) for a, b in zip(want, backbone(images), strict=True)), "what was learnt meanwhile is kept"


def test_the_comparison_sees_the_conversion_of_torch() -> None:
    """Which puts a plain norm in the place of one with an activation."""
    backbone = create_backbone("test_efficientnet", weights="none").eval()  # type: ignore[attr-defined]
    assert any(isinstance(module, BatchNormAct2d) for module in backbone.modules())
    images = torch.randn(2, 3, *SIZE)
    with torch.no_grad():
        want = backbone(images)
        got = nn.SyncBatchNorm.convert_sync_batchnorm(backbone)(images)
    assert not all(torch.equal(a, b) for a, b in zip(want, got, strict=True))


def test_frozen_norms_stay_frozen_and_thaw_again() -> None:
    backbone = create_backbone("test_efficientnet", weights="none")
    policy = FreezePolicy("gradual", 2, "train", (2,))
    policy.apply(backbone)
    replaced = share_norms(backbone)  # type: ignore[arg-type]
    backbone.train()  # type: ignore[attr-defined]
    norms = {path: module for path, module in backbone.named_modules() if isinstance(module, nn.SyncBatchNorm)}  # type: ignore[attr-defined]
    assert not any(module.training for module in norms.values())
    policy.apply(backbone, 1, 2)
    assert {path for path, module in norms.items() if module.training} == {path for path in norms if path.startswith("body.parts.5.")}
    restore_norms(replaced)
    back = {path: module for path, module in backbone.named_modules() if isinstance(module, nn.BatchNorm2d)}  # type: ignore[attr-defined]
    backbone.eval()  # type: ignore[attr-defined]
    backbone.train()  # type: ignore[attr-defined]
    assert {path for path, module in back.items() if module.training} == {path for path in back if path.startswith("body.parts.5.")}


def test_one_layer_in_two_places_stays_one() -> None:
    norm = nn.BatchNorm2d(3)
    module = nn.Sequential(norm, nn.ReLU(), nn.Sequential(norm))
    share_norms(module)
    assert module[0] is module[2][0]
    assert isinstance(module[0], nn.SyncBatchNorm)


def test_a_norm_of_somebodys_own_is_named() -> None:
    class OddNorm(nn.BatchNorm2d):
        pass

    with pytest.raises(UsageError, match=r"cannot share first\.0, a OddNorm"):
        share_norms(nn.ModuleDict({"first": nn.Sequential(OddNorm(1))}))
