"""Every shipped config is found, right, commented, and builds its detector."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from backbones.errors import UsageError
from finetune.compare.options import CompareOptions
from finetune.settings_file import read_settings
from finetune.shipped import describe_config, find_config, list_configs, read_config
from finetune.validate import check_config, check_run, check_settings
from finetune.verbs import VERBS, build_options

ROOT = Path(__file__).resolve().parents[1]


def test_every_yaml_of_the_checkout_is_shipped() -> None:
    on_disk = {path.relative_to(ROOT / "configs").with_suffix("").as_posix().removeprefix("detection/").removeprefix("text/").removeprefix("compare/") for path in (ROOT / "configs").rglob("*.yaml")}
    assert set(list_configs()) == on_disk
    assert {"ssdlite_bccd", "ssdlite_reference", "smoke/tiny"} <= on_disk


@pytest.mark.parametrize("name", list_configs())
def test_shipped_config_is_right_and_says_what_it_is_for(name: str) -> None:
    tree, sources = read_settings(name)
    own = {"compare": tree.pop("compare")} if "compare" in tree else {}
    assert check_config(tree, sources) == []
    assert check_settings(CompareOptions, own, sources).faults == []
    assert len(describe_config(name)) > 20


@pytest.mark.parametrize("name", list_configs())
def test_shipped_config_builds_and_runs(name: str) -> None:
    """Random weights, the config's own input size, two blank images, three classes: outputs decode, the loss is finite."""
    from detectors.registry import TEXT_DETECTORS
    from detectors.types import BoxTarget, TextTarget
    from finetune.build import build_detector

    config = build_options(VERBS["train"], check_run({key: value for key, value in read_settings(name)[0].items() if key != "compare"}).tree).run
    detector = build_detector(config, 3, weights="none").train()
    height, width = config.data.input_size
    outputs = detector(torch.randn(2, config.data.channels, height, width))
    if config.detector.name in TEXT_DETECTORS:
        quads = torch.tensor([[[8.0, 8.0], [60.0, 8.0], [60.0, 30.0], [8.0, 30.0]]])
        words: list[Any] = [TextTarget(quads, torch.tensor([False]), ("word",)), TextTarget(torch.zeros(0, 4, 2), torch.zeros(0, dtype=torch.bool))]
        check_runs(detector, outputs, words, (height, width))
        return
    target = BoxTarget(torch.tensor([[8.0, 8.0, 60.0, 70.0]]), torch.tensor([1]), torch.tensor([False]))
    empty = BoxTarget(torch.zeros(0, 4), torch.zeros(0, dtype=torch.int64), torch.zeros(0, dtype=torch.bool))
    check_runs(detector, outputs, [target, empty], (height, width))


def check_runs(detector: Any, outputs: Any, targets: list[Any], input_hw: tuple[int, int]) -> None:
    total = torch.stack(list(detector.loss(outputs, targets).values())).sum()
    assert torch.isfinite(total)
    assert total > 0
    assert len(detector.eval().decode(outputs, input_hw)) == 2


@pytest.mark.parametrize("name", ["ssdlite_bccd", "ssdlite_bccd.yaml", "detection/ssdlite_bccd", "configs/detection/ssdlite_bccd.yaml", "smoke/tiny"])
def test_names_people_type(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert find_config(name).read_text(encoding="utf-8").startswith("# ")


def test_a_file_wins_over_a_shipped_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "ssdlite_bccd").write_text("seed: 5\n")
    assert read_settings("ssdlite_bccd")[0] == {"seed": 5}


def test_unknown_names_show_the_nearest() -> None:
    with pytest.raises(UsageError, match=r"did you mean ssdlite_bccd\?"):
        read_config("ssdlite_bcdd")


def test_the_reference_is_the_published_setting() -> None:
    tree, _ = read_settings("ssdlite_reference")
    assert tree["pyramid"] == {"kind": "ssd"}
    assert tree["backbone"]["taps"] == "ssd"
    assert {key: tree["ssdlite"][key] for key in ("anchors", "matcher", "class_loss", "box_loss", "head_depth", "shared_head")} == {
        "anchors": "ssd",
        "matcher": "iou",
        "class_loss": "softmax-mining",
        "box_loss": "smooth-l1",
        "head_depth": 0,
        "shared_head": False,
    }
