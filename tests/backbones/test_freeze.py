"""Frozen means bit-equal, parameters and buffers, whatever calls ``.train()`` and whatever the optimiser carries."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from backbones import create_backbone
from backbones.errors import UsageError
from backbones.freeze import FreezePolicy, count_parameters, is_norm, parameter_groups
from detectors.ssdlite.build import build_ssdlite
from detectors.ssdlite.model import SSDLite, SSDLiteOutputs

SIZE = (64, 64)
# a chain, LayerNorms, one that is no chain, a traced graph
NAMES = ("test_efficientnet", "test_convnext", "test_vit", "torchvision:mobilenet_v3_small")
POLICIES = (
    FreezePolicy("none", 0, "train"),
    FreezePolicy("none", 0, "frozen"),
    FreezePolicy("backbone", 0, "train"),
    FreezePolicy("backbone", 0, "frozen"),
    FreezePolicy("stages", 0, "train"),
    FreezePolicy("stages", 2, "train"),
    FreezePolicy("stages", 2, "frozen"),
    FreezePolicy("norms", 0, "train"),
    FreezePolicy("norms", 0, "frozen"),
)
OPTIMIZERS: dict[str, Callable[[list[dict[str, Any]]], torch.optim.Optimizer]] = {
    "sgd": lambda groups: torch.optim.SGD(groups, momentum=0.9, nesterov=True, lr=0.01),
    "adamw": lambda groups: torch.optim.AdamW(groups, lr=0.01),
}


def build(name: str) -> SSDLite:
    torch.manual_seed(0)
    return build_ssdlite(create_backbone(name, weights="none"), num_classes=2, input_size=SIZE, pyramid={"kind": "fpn", "width": 16}, head_depth=1)


def state_of(detector: nn.Module) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in [*detector.named_parameters(), *detector.named_buffers()]}


def wake_everything(detector: SSDLite) -> None:
    """Every call to ``.train()`` that a trainer or a user might make."""
    detector.train()
    detector.pyramid.train()
    detector.backbone.train()  # type: ignore[attr-defined]
    for stage in detector.backbone.stages():
        stage.train()
    for module in detector.modules():
        module.train()


def train(detector: SSDLite, optimizer: torch.optim.Optimizer, steps: int = 2) -> None:
    generator = torch.Generator().manual_seed(1)
    for _ in range(steps):
        wake_everything(detector)
        outputs = detector(torch.randn(2, 3, *SIZE, generator=generator))
        loss_of(outputs).backward()
        optimizer.step()
        optimizer.zero_grad()


def loss_of(outputs: SSDLiteOutputs) -> Tensor:
    """A loss that reaches every layer of every level, which matched boxes do not."""
    return outputs.logits.square().sum() + (outputs.deltas - 1).square().sum()


def groups_of(detector: SSDLite) -> list[dict[str, Any]]:
    return parameter_groups(detector.backbone, detector.new_modules(), lr=0.003, weight_decay=0.1)


def frozen_names(detector: SSDLite, policy: FreezePolicy) -> set[str]:
    """Names of parameters and buffers that must not move, worked out from the module tree and the words of the policy alone."""
    stages = list(detector.backbone.stages())
    modules: list[nn.Module] = []
    leading = {"backbone": len(stages), "stages": policy.stages}.get(policy.policy, 0)
    for stage in stages[:leading]:
        modules += list(stage.modules())
    for stage in stages[leading:]:
        for module in stage.modules():
            if isinstance(module, nn.BatchNorm2d) and (policy.policy == "norms" or policy.batchnorm == "frozen"):
                modules.append(module)
            if isinstance(module, nn.LayerNorm | nn.GroupNorm) and policy.policy == "norms":
                modules.append(module)
    held = {id(value) for module in modules for value in [*module.parameters(), *module.buffers()]}
    return {name for name, value in [*detector.named_parameters(), *detector.named_buffers()] if id(value) in held}


@pytest.mark.parametrize("optimizer", list(OPTIMIZERS))
@pytest.mark.parametrize("policy", POLICIES, ids=lambda p: f"{p.policy}-{p.stages}-{p.batchnorm}")
@pytest.mark.parametrize("name", NAMES[:1])
def test_frozen_is_bit_equal_and_the_rest_moves(name: str, policy: FreezePolicy, optimizer: str) -> None:
    check_policy(name, policy, optimizer)


@pytest.mark.parametrize("policy", [POLICIES[2], POLICIES[6], POLICIES[8]], ids=lambda p: f"{p.policy}-{p.stages}-{p.batchnorm}")
@pytest.mark.parametrize("name", NAMES[1:])
def test_on_networks_of_other_kinds(name: str, policy: FreezePolicy) -> None:
    check_policy(name, policy, "sgd")


def check_policy(name: str, policy: FreezePolicy, optimizer: str) -> None:
    detector = build(name)
    frozen = frozen_names(detector, policy)
    policy.apply(detector.backbone)
    before = state_of(detector)
    train(detector, OPTIMIZERS[optimizer](groups_of(detector)))
    after = state_of(detector)
    moved = {key for key in before if not torch.equal(before[key], after[key])}
    assert moved & frozen == set()
    learnable = {key for key, _ in detector.named_parameters()}
    still = {key for key in learnable - frozen - moved if before[key].detach().abs().max() > 0}  # a zero bias may meet a zero gradient
    assert still == set()
    trained_norms = [key for key in before if key.endswith("running_mean") and key not in frozen]
    assert all(key in moved for key in trained_norms)
    assert {key for key, p in detector.named_parameters() if not p.requires_grad} == frozen & learnable


def test_the_policies_differ_from_each_other() -> None:
    detector = build(NAMES[0])
    counts = [len(frozen_names(detector, policy)) for policy in POLICIES]
    assert counts[0] == counts[4] == 0
    assert 0 < counts[5] < counts[6] < counts[2]
    assert 0 < counts[1] == counts[7] < counts[2]  # BatchNorm is the only kind of norm there


@pytest.mark.parametrize("optimizer", list(OPTIMIZERS))
def test_freezing_and_thawing_in_the_middle_of_a_training(optimizer: str) -> None:
    """Momentum and old gradients of earlier steps are there: frozen stands still, thawed moves again."""
    detector = build(NAMES[0])
    stepper = OPTIMIZERS[optimizer](groups_of(detector))
    train(detector, stepper)
    loss_of(detector(torch.randn(2, 3, *SIZE))).backward()
    policy = FreezePolicy("backbone")
    policy.apply(detector.backbone)
    frozen = frozen_names(detector, policy)
    before = state_of(detector)
    stepper.step()  # with the gradients from before
    train(detector, stepper)
    assert [key for key in frozen if not torch.equal(before[key], state_of(detector)[key])] == []
    FreezePolicy("stages", 1).apply(detector.backbone)
    still = frozen_names(detector, FreezePolicy("stages", 1))
    before = state_of(detector)
    train(detector, stepper)
    after = state_of(detector)
    assert [key for key in still if not torch.equal(before[key], after[key])] == []
    thawed = [key for key in frozen - still if not key.endswith("num_batches_tracked")]
    assert [key for key in thawed if torch.equal(before[key], after[key])] == []
    FreezePolicy().apply(detector.backbone)
    assert all(p.requires_grad for p in detector.parameters())
    assert all(module.training for module in detector.modules())


@pytest.mark.parametrize("name", NAMES)
def test_leading_frozen_stages_build_no_graph(name: str) -> None:
    detector = build(name)
    FreezePolicy("stages", 2, "frozen").apply(detector.backbone)
    wake_everything(detector)
    stages = list(detector.backbone.stages())
    graph: dict[str, bool] = {}
    handles = [
        module.register_forward_hook(lambda _m, _i, output, key=(number, key): graph.__setitem__(key, output.requires_grad) if isinstance(output, Tensor) else None)
        for number, stage in enumerate(stages)
        for key, module in stage.named_modules()
        if not list(module.children())
    ]
    images = torch.randn(2, 3, *SIZE)
    detector(images)
    for handle in handles:
        handle.remove()
    assert graph
    assert [key for key, built in graph.items() if key[0] < 2 and built] == []
    assert any(built for key, built in graph.items() if key[0] >= 2)
    saved: list[int] = []
    with torch.autograd.graph.saved_tensors_hooks(lambda t: saved.append(t.numel()) or t, lambda t: t):
        detector(images)
        some = sum(saved)
        saved.clear()
        FreezePolicy().apply(detector.backbone)
        detector(images)
    assert some < sum(saved)


@pytest.mark.parametrize("name", ["torchvision:efficientnet_b0", "test_convnext", "test_vit"])
def test_nothing_is_dropped_in_frozen_stages(name: str) -> None:
    """Dropout and stochastic depth rest with their stage: a frozen backbone gives the same maps in every mode and every time."""
    backbone = create_backbone(name, weights="none")
    for module in backbone.modules():  # type: ignore[attr-defined]
        if type(module).__name__ in ("StochasticDepth", "Dropout", "DropPath"):
            module.p = module.drop_prob = 0.5
    randomness = [m for m in backbone.modules() if type(m).__name__ in ("StochasticDepth", "Dropout", "DropPath")]  # type: ignore[attr-defined]
    if name.startswith("torchvision:"):
        assert randomness
    images = torch.randn(2, 3, *SIZE)
    with torch.no_grad():
        want = backbone.eval()(images)  # type: ignore[attr-defined]
        FreezePolicy("backbone").apply(backbone)
        got = backbone.train()(images)  # type: ignore[attr-defined]
    assert not any(module.training for module in randomness)
    assert all(torch.equal(a, b) for a, b in zip(want, got, strict=True))


@pytest.mark.parametrize("name", ["test_efficientnet", "torchvision:mobilenet_v3_small"])
@pytest.mark.parametrize("twin", [copy.deepcopy, lambda d: pickle.loads(pickle.dumps(d))], ids=["deepcopy", "pickle"])
def test_a_copy_of_a_frozen_detector_is_frozen(name: str, twin: Callable[[SSDLite], SSDLite]) -> None:
    detector = build(name)
    policy = FreezePolicy("stages", 2, "frozen")
    policy.apply(detector.backbone)
    other = twin(detector)
    frozen = frozen_names(other, policy)
    before, original = state_of(other), state_of(detector)
    train(other, torch.optim.SGD(groups_of(other), lr=0.1), steps=1)
    assert frozen
    assert [key for key in frozen if not torch.equal(before[key], state_of(other)[key])] == []
    assert all(torch.equal(original[key], value) for key, value in state_of(detector).items())  # nothing is shared
    FreezePolicy().apply(other.backbone)
    before = state_of(other)
    train(other, torch.optim.SGD(groups_of(other), lr=0.1), steps=1)
    assert any(not torch.equal(before[key], state_of(other)[key]) for key in frozen)
    assert any(not p.requires_grad for p in detector.parameters())  # thawing the copy leaves the original


@pytest.mark.parametrize("name", NAMES)
def test_groups_hold_every_parameter_once(name: str) -> None:
    detector = build(name)
    FreezePolicy("stages", 1).apply(detector.backbone)
    groups = parameter_groups(detector.backbone, detector.new_modules(), lr=0.2, backbone_lr_scale=0.5, layer_decay=0.5, weight_decay=0.03)
    listed = [id(p) for group in groups for p in group["params"]]
    assert sorted(listed) == sorted(id(p) for p in detector.parameters())
    count = len(detector.backbone.stages())
    rates = {index: 0.2 * 0.5 * 0.5 ** (count - 1 - index) for index in range(count)}
    owners = {id(p): index for index, stage in enumerate(detector.backbone.stages()) for p in stage.parameters()}
    norms = {id(p) for module in detector.modules() if is_norm(module) for p in module.parameters()}
    biases = {id(p) for key, p in detector.named_parameters() if key.endswith("bias")}
    for group in groups:
        for p in group["params"]:
            assert group["lr"] == pytest.approx(rates[owners[id(p)]] if id(p) in owners else 0.2)
            if id(p) in norms | biases:
                assert group["weight_decay"] == 0
            elif p.ndim > 1:
                assert group["weight_decay"] == 0.03
    assert len({group["name"] for group in groups}) == len(groups)


def test_description_and_counts() -> None:
    detector = build(NAMES[0])
    policy = FreezePolicy("stages", 2, "frozen")
    policy.apply(detector.backbone)
    lines = policy.describe(detector.backbone)
    stages = detector.backbone.stages()
    assert len(lines) == len(stages)
    assert [line.split(": ")[1].split(",")[0] for line in lines] == ["frozen", "frozen", *["training"] * (len(stages) - 2)]
    total, trainable = count_parameters([detector])
    assert total == sum(p.numel() for p in detector.parameters())
    assert trainable == sum(p.numel() for p in detector.parameters() if p.requires_grad) < total
    assert "0 of" in lines[0]


def test_more_stages_than_there_are() -> None:
    backbone = create_backbone(NAMES[0], weights="none")
    count = len(backbone.stages())
    FreezePolicy("stages", count).apply(backbone)
    for wrong in (count + 1, -1):
        with pytest.raises(UsageError, match=f"0 to {count}"):
            FreezePolicy("stages", wrong).apply(backbone)


def test_a_users_own_norm_is_a_norm() -> None:
    class RMSNorm2d(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.scale = nn.Parameter(torch.ones(3))

    assert is_norm(RMSNorm2d())
    assert is_norm(nn.BatchNorm2d(3))
    assert is_norm(nn.LayerNorm(3))
    assert not is_norm(nn.Conv2d(3, 3, 1))
    assert not is_norm(nn.Sequential(nn.BatchNorm2d(3)))


