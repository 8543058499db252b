"""Gradual unfreezing on one backbone: which stages are frozen in which epoch, and what a wrong timetable is told."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from backbones import create_backbone
from backbones.errors import UsageError
from backbones.freeze import FreezePolicy, count_parameters, stage_parts
from backbones.thaw import even_shares, first_epoch, thaw_faults

SIZE = (64, 64)


@pytest.mark.parametrize(
    ("number", "epochs", "epoch"),
    [(1, 12, 1), (4, 12, 4), (12, 12, 12), (0.25, 12, 4), (0.26, 12, 5), (0.5, 3, 3), (0.7, 10, 8), (0.1, 10, 2), (0.01, 10, 2), (0.5, 1, 2)],
)
def test_a_number_is_an_epoch_of_the_log_or_a_share_of_the_budget(number: float, epochs: int, epoch: int) -> None:
    """Stated in epochs of the log, counted from 1; after a quarter of 12 epochs the fourth begins."""
    assert first_epoch(number, epochs) + 1 == epoch


def test_even_shares_end_with_the_first_half() -> None:
    assert even_shares(1) == (0.5,)
    assert even_shares(4) == pytest.approx((0.125, 0.25, 0.375, 0.5))
    assert thaw_faults(even_shares(9), 2) == []


@pytest.mark.parametrize(
    ("thaw", "epochs", "says"),
    [
        ((0,), 5, "0 is neither a share"),
        ((-1,), 5, "-1 is neither"),
        ((1.5,), 5, "1.5 is neither"),
        ((6,), 5, "6 lies beyond the budget: the run has 5 epochs"),
        ((0.95,), 5, "0.95 lies beyond the budget: none of the 5 epochs starts so late; give at most 0.8"),
        ((0.8, 4), 5, "0.8 before 4 thaws from epoch 5 and then from epoch 4"),
        ((0.5, 0.2), 10, "so the numbers must rise"),
    ],
)
def test_wrong_timetables(thaw: tuple[float, ...], epochs: int, says: str) -> None:
    (fault,) = thaw_faults(thaw, epochs)
    assert says in fault


def test_good_timetables() -> None:
    for thaw, epochs in (((), 1), ((), 2), ((1, 1, 2), 2), ((0.1, 0.1), 3), ((2, 0.5, 0.8), 5), ((0.8,), 5)):
        assert thaw_faults(thaw, epochs) == []


# stages by their modules' names, stem first; the first policy number of each case is never thawed
CASES = {
    "test_efficientnet": ["body.parts.0", "body.parts.1", "body.parts.2", "body.parts.3", "body.parts.4", "body.parts.5"],
    "test_convnext": ["body.parts.0", "body.parts.1", "body.parts.2", "body.parts.3", "body.parts.4"],
    "torchvision:resnet18": ["body.graph.conv1", "body.graph.layer1", "body.graph.layer2", "body.graph.layer3", "body.graph.layer4"],
    "test_vit": ["body.network.model.patch_embed", *(f"body.network.model.blocks.{index}" for index in range(6))],
}


@pytest.mark.parametrize("batchnorm", ["frozen", "train"])
@pytest.mark.parametrize("name", CASES)
def test_stages_thaw_from_the_top_by_name(name: str, batchnorm: str) -> None:
    """Epoch 1: nothing of the backbone; 2: the top stage; 4, after half of 6: the next; the others never."""
    backbone = create_backbone(name, weights="none")
    stages = CASES[name]
    policy = FreezePolicy("gradual", 1, batchnorm, (2, 0.5))  # type: ignore[arg-type]
    batchnorms = {path for path, module in backbone.named_modules() if isinstance(module, nn.BatchNorm2d)}  # type: ignore[attr-defined]
    for epoch, thawed in enumerate(([], stages[-1:], stages[-1:], stages[-2:], stages[-2:], stages[-2:]), 1):
        policy.apply(backbone, epoch - 1, 6)
        backbone.train()  # type: ignore[attr-defined]
        inside = tuple(f"{stage}." for stage in thawed)
        held = tuple(f"{path}." for path in batchnorms) if batchnorm == "frozen" else ()
        for path, parameter in backbone.named_parameters():  # type: ignore[attr-defined]
            wanted = path.startswith(inside) and not path.startswith(held) if inside else False
            if name.startswith("torchvision") and path.startswith("body.graph.bn1"):
                wanted = False  # the norm of the stem
            assert parameter.requires_grad is wanted, (epoch, path)
        for path, module in backbone.named_modules():  # type: ignore[attr-defined]
            if list(module.parameters(recurse=False)) and path != "body.network.model":  # the vit itself holds the position embedding, and drops nothing
                awake = bool(inside) and f"{path}.".startswith(inside) and not (batchnorm == "frozen" and path in batchnorms)
                assert module.training is awake, (epoch, path)
        assert backbone.frozen_stages == len(stages) - len(thawed)  # type: ignore[attr-defined]


def test_the_policy_of_an_epoch_depends_on_no_epoch_before() -> None:
    backbone = create_backbone("test_efficientnet", weights="none")
    policy = FreezePolicy("gradual", 0, "frozen", (2, 3, 4))

    def trained() -> list[bool]:
        return [parameter.requires_grad for parameter in backbone.parameters()]  # type: ignore[attr-defined]

    found = {}
    for epoch in (0, 1, 2, 3):
        policy.apply(backbone, epoch, 5)
        found[epoch] = trained()
    for epoch in (3, 0, 2, 1, 1, 3):
        policy.apply(backbone, epoch, 5)
        assert trained() == found[epoch]
    assert len({tuple(state) for state in found.values()}) == 4


def test_frozen_stages_build_no_graph_until_they_thaw() -> None:
    backbone = create_backbone("test_efficientnet", weights="none")
    policy = FreezePolicy("gradual", 2, "frozen", (2, 3))
    images = torch.randn(1, 3, *SIZE)
    built = []
    for epoch in range(3):
        policy.apply(backbone, epoch, 3)
        built.append([grid.requires_grad for grid in backbone(images)])
    assert built == [[False] * 5, [False] * 4 + [True], [False] * 3 + [True] * 2]


def test_dropped_paths_rest_until_their_stage_thaws() -> None:
    backbone = create_backbone("torchvision:efficientnet_b0", weights="none")
    policy = FreezePolicy("gradual", 1, "frozen", (2,))
    policy.apply(backbone, 0, 2)
    backbone.train()  # type: ignore[attr-defined]
    randomness = [module for module in backbone.modules() if type(module).__name__ in ("StochasticDepth", "Dropout")]  # type: ignore[attr-defined]
    assert randomness
    assert not any(module.training for module in randomness)
    policy.apply(backbone, 1, 2)
    assert 0 < sum(module.training for module in randomness) < len(randomness)


def test_one_stage_is_always_left_to_thaw_and_a_short_run_thaws_what_it_can() -> None:
    backbone = create_backbone("test_efficientnet", weights="none")
    for kept in (5, 6, 9):
        policy = FreezePolicy("gradual", kept)
        policy.check(backbone, 4)
        assert policy.starts(backbone, 4) == [None] * 5 + [2]
    FreezePolicy("gradual", 2).check(backbone, 1)
    assert [FreezePolicy("gradual", 2).frozen_stages(backbone, epoch, epochs) for epoch, epochs in ((0, 1), (0, 2), (1, 2))] == [6, 6, 2]


@pytest.mark.parametrize(
    ("policy", "epochs", "says"),
    [
        (FreezePolicy("gradual", 4, thaw=(2, 3, 4)), 9, "freeze.thaw has 3 numbers, but the backbone has 6 stages, of which freeze.stages keeps 4 frozen: give at most 2"),
        (FreezePolicy("gradual", 0, thaw=(3, 10)), 9, "freeze.policy gradual: 10 lies beyond the budget"),
    ],
)
def test_a_policy_that_does_not_fit(policy: FreezePolicy, epochs: int, says: str) -> None:
    backbone = create_backbone("test_efficientnet", weights="none")
    with pytest.raises(UsageError, match=says) as caught:
        policy.check(backbone, epochs)
    assert "\n" not in str(caught.value)


def test_stages_are_called_as_their_network_calls_them() -> None:
    assert stage_parts(create_backbone("tf_efficientnet_lite0", weights="none"))[-2:] == ["blocks_3, blocks_4", "blocks_5, blocks_6"]
    assert stage_parts(create_backbone("test_vit", weights="none"))[:2] == ["patch_embed", "blocks.0"]
    assert stage_parts(create_backbone("torchvision:mobilenet_v3_small", weights="none"))[-1] == "features.9 to features.12"
    assert stage_parts(create_backbone("resnet18", weights="none"))[0] == "conv1 to act1"


def test_description_of_a_later_epoch() -> None:
    backbone = create_backbone("test_efficientnet", weights="none")
    policy = FreezePolicy("gradual", 2, "frozen", (2,))
    policy.apply(backbone, 1, 3)
    lines = policy.describe(backbone, 1, 3)
    assert lines[0] == "stage 0 (conv_stem, bn1): frozen, 0 of 696 parameters train"
    assert lines[5] == "stage 5 (blocks_4): training, norms frozen, 28,044 of 28,940 parameters train"
    assert count_parameters([backbone])[1] == 28044  # type: ignore[list-item]
