"""Loss of CRAFT against a loop over images, in the corners, over ranks, and at work: mining keeps a small network from answering "nothing"."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from backbones.errors import UsageError
from detectors.craft.heatmaps import MapTargets, build_targets
from detectors.craft.loss import CraftLoss, hardest
from detectors.types import TextTarget
from tests.detectors.craft.map_reference import mining_loop, some_words

HW = (48, 64)


def words(count: int, seed: int) -> TextTarget:
    if count == 0:
        return TextTarget(torch.zeros(0, 4, 2), torch.zeros(0, dtype=torch.bool))
    characters, owners, quads = some_words(count, 90, seed)
    ignore = torch.arange(count) % 4 == 3
    return TextTarget(torch.from_numpy(quads), ignore, ("",) * count, torch.from_numpy(characters), torch.from_numpy(owners))


def a_batch(seed: int = 0) -> tuple[Tensor, MapTargets]:
    """Maps near the truth, of a crowded image, a plain one, an empty one and one that is all ignored; confidences of 0, 0.5 and 1."""
    targets = build_targets([words(9, seed), words(2, seed + 1), words(0, 0), words(4, seed + 2)], HW)
    confidence = targets.confidence.clone()
    confidence[1, :, :20] = 0.5
    confidence[3] = 0
    generator = torch.Generator().manual_seed(seed)
    maps = targets.maps * 0.6 + 0.3 * torch.rand(targets.maps.shape, generator=generator)
    return maps, replace(targets, confidence=confidence)


@pytest.mark.parametrize("mining", ["image", "batch"])
@pytest.mark.parametrize(("negatives", "least"), [(3.0, 0.01), (1.0, 0.2), (0.3, 0.03), (50.0, 0.01), (0.0, 1.0)])
def test_equal_to_the_published_loss_in_loops(mining: Any, negatives: float, least: float) -> None:
    maps, targets = a_batch()
    loss = CraftLoss(mining, negatives, least)(maps, targets)
    wanted = mining_loop(maps, targets.maps, targets.confidence, negatives, round(least * HW[0] * HW[1]), mining == "batch")
    assert {name: float(value) for name, value in loss.items()} == pytest.approx(wanted, rel=1e-5)
    assert wanted["region"] > 0.01


@pytest.mark.parametrize("fault", [{"negatives": 0.0}, {"least_negatives": 0.02}, {"mining": "batch"}])
def test_the_comparison_sees_other_settings(fault: dict[str, Any]) -> None:
    maps, targets = a_batch()
    wanted = mining_loop(maps, targets.maps, targets.confidence, 3.0, 31)
    loss = CraftLoss(**fault)(maps, targets)
    assert {name: float(value) for name, value in loss.items()} != pytest.approx(wanted, rel=1e-4)


def test_gradients_equal_the_loops_and_go_nowhere_else() -> None:
    maps, targets = a_batch()
    maps.requires_grad_()
    sum(CraftLoss()(maps, targets).values()).backward()  # type: ignore[union-attr]
    gradient = maps.grad
    assert gradient is not None
    error = (maps.detach() - targets.maps) * targets.confidence[:, None]
    positive = (targets.maps >= 0.1) & (targets.confidence > 0)[:, None]
    count = positive.sum((2, 3), keepdim=True)
    torch.testing.assert_close(gradient[positive], (2 * error / (4 * count))[positive])
    assert bool((gradient[3] == 0).all())
    mined = (gradient[0, 0] != 0) & ~positive[0, 0]
    ground = ~positive[0, 0] & (targets.confidence[0] > 0)
    assert int(mined.sum()) == min(int(3 * count[0, 0]), int(ground.sum()))
    assert int(((gradient[2, 0] != 0)).sum()) == round(0.01 * HW[0] * HW[1])  # an image without text teaches its hardest hundredth


def test_equal_cells_share_the_last_places() -> None:
    chosen = hardest(torch.tensor([[0.5, 0.2, 0.2, 0.2, 0.1, -1], [0, 0, 0, 0, -1, -1], [1, 2, 3, -1, -1, -1]]), torch.tensor([[2], [3], [0]]))
    torch.testing.assert_close(chosen, torch.tensor([[1, 1 / 3, 1 / 3, 1 / 3, 0, 0], [0.75, 0.75, 0.75, 0.75, 0, 0], [0, 0, 0, 0, 0, 0]]))


@pytest.mark.parametrize("mining", ["image", "batch"])
def test_finite_for_empty_ignored_and_wild(mining: Any) -> None:
    nothing, ignored = words(0, 0), TextTarget(torch.tensor([[[-9.0, -9], [200, -9], [200, 200], [-9, 200]]]), torch.tensor([True]), ("###",))
    maps = torch.zeros(2, 2, *HW, requires_grad=True)
    loss = CraftLoss(mining)(maps, [nothing, ignored])
    assert [value.item() for value in loss.values()] == [0, 0]
    sum(loss.values()).backward()  # type: ignore[union-attr]
    assert maps.grad is not None
    assert bool(maps.grad.isfinite().all())
    only_ignored = torch.full((1, 2, *HW), 7.0)
    assert [float(value) for value in CraftLoss(mining)(only_ignored, [ignored]).values()] == [0, 0]
    assert float(CraftLoss(mining)(torch.ones(1, 2, *HW), [nothing])["region"]) == pytest.approx(1)  # false text costs, without any positive


def test_half_precision_maps_are_summed_in_float() -> None:
    maps, targets = a_batch()
    loss = CraftLoss()(maps.half(), targets)
    assert loss["region"].dtype == torch.float32
    assert float(loss["region"]) == pytest.approx(float(CraftLoss()(maps, targets)["region"]), rel=1e-3)


def test_an_image_counts_the_same_in_any_company() -> None:
    maps, targets = a_batch()
    alone = [CraftLoss()(maps[i : i + 1], MapTargets(targets.maps[i : i + 1], targets.confidence[i : i + 1])) for i in range(4)]
    together = CraftLoss()(maps, targets)
    assert float(together["affinity"]) == pytest.approx(sum(float(one["affinity"]) for one in alone) / 4, rel=1e-5)


def test_counts_are_those_of_all_ranks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two ranks: the mean of their losses is the loss of the joint batch where each mines the same cells as the joint batch does."""
    maps, targets = a_batch()
    counted: list[Tensor] = []
    monkeypatch.setattr("detectors.craft.loss.reduced_count", lambda count: counted.append(count) or count.clamp(min=1) * 2)
    half = CraftLoss("batch")(maps, targets)
    monkeypatch.undo()
    assert float(half["region"]) == pytest.approx(float(CraftLoss("batch")(maps, targets)["region"]) / 2, rel=1e-5)
    assert counted[0].shape == (2, 2, 1)


def test_affinity_weight_and_skipped_quads_are_passed_on() -> None:
    maps, targets = a_batch()
    heard: list[Any] = []
    assert float(CraftLoss(affinity_weight=0.5)(maps, targets)["affinity"]) == pytest.approx(0.5 * float(CraftLoss()(maps, targets)["affinity"]))
    flat = TextTarget(torch.tensor([[[0.0, 0], [9, 0], [9, 0], [0, 0]]]), torch.tensor([False]), ("abc",))
    CraftLoss(on_skipped=heard.extend)(maps[:1], [flat])
    assert [(one.image, one.kind, one.word) for one in heard] == [(0, "word", 0)]


@pytest.mark.parametrize("settings", [{"mining": "batches"}, {"negatives": -1.0}, {"least_negatives": 0.0}, {"least_negatives": 2.0}])
def test_settings_that_mean_nothing(settings: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match="craft"):
        CraftLoss(**settings)


def train_small_network(loss: Any, steps: int = 120) -> tuple[float, float]:
    """Least peak over the characters of held-out pictures of few, small letters, and the greatest answer far from them."""
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(1, 12, 5, 2, 2), nn.ReLU(), nn.Conv2d(12, 12, 5, 1, 2), nn.ReLU(), nn.Conv2d(12, 2, 5, 1, 2))
    optimizer = torch.optim.SGD(network.parameters(), lr=0.02, momentum=0.9)
    for step in range(steps + 1):
        corners = torch.randint(16, 100, (4, 1, 1, 2)).float()
        letters = torch.tensor([[[0.0, 0], [10, 0], [10, 10], [0, 10]]]) + corners.view(4, 1, 1, 2)[:, 0]
        targets = build_targets([TextTarget(quad[None], torch.tensor([False]), ("x",), quad[None], torch.tensor([0])) for quad in letters], (64, 64))
        images = 0.1 * torch.randn(4, 1, 128, 128)
        for image, (x, y) in zip(images, corners.view(4, 2).int().tolist(), strict=True):
            image[0, y : y + 10, x : x + 10] += 1
        maps = network(images)
        if step == steps:
            region, truth = maps[:, 0].detach(), targets.maps[:, 0]
            return float(torch.where(truth > 0.8, region, 0).amax((1, 2)).min()), float(region[truth == 0].max())
        optimizer.zero_grad()
        loss(maps, targets).backward()
        optimizer.step()
    raise AssertionError


def test_mining_finds_what_the_plain_mean_loses() -> None:
    criterion = CraftLoss()
    peak, ground = train_small_network(lambda maps, targets: torch.stack(list(criterion(maps, targets).values())).sum())
    assert peak > 0.7
    assert ground < 0.3
    lost, _ = train_small_network(lambda maps, targets: (maps - targets.maps).square().mean())
    assert lost < 0.5  # an optimiser that scales gradients hides it on so easy a task
