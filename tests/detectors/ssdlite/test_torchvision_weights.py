"""torchvision's COCO checkpoint as a starting point: names, statistics, and refusals that say what to set."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
import torch
from torchvision.models.detection import SSDLite320_MobileNet_V3_Large_Weights, ssdlite320_mobilenet_v3_large

from backbones import create_backbone
from backbones.errors import UsageError
from detectors.ssdlite.build import build_ssdlite
from detectors.ssdlite.model import SSDLite
from detectors.ssdlite.torchvision_weights import class_names, load
from finetune.start_weights import load_start_weights
from tests.detectors.ssdlite.reference import BACKBONE, REFERENCE

FILE_NAME = SSDLite320_MobileNet_V3_Large_Weights.COCO_V1.url.rpartition("/")[2]


@pytest.fixture(scope="module")
def state() -> dict[str, torch.Tensor]:
    torch.manual_seed(0)
    return ssdlite320_mobilenet_v3_large(weights=None, weights_backbone=None).state_dict()


@pytest.fixture
def in_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, state: dict[str, torch.Tensor]) -> Path:
    """Torch's cache with a checkpoint in it."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    target = tmp_path / "hub" / "checkpoints" / FILE_NAME
    target.parent.mkdir(parents=True)
    torch.save(state, target)
    return target


def detector(num_classes: int, **changes: object) -> SSDLite:
    return build_ssdlite(create_backbone(BACKBONE, weights="none", taps="ssd"), num_classes=num_classes, **{**REFERENCE, **changes})  # type: ignore[arg-type]


def test_classes_keep_the_gaps_of_coco() -> None:
    names = class_names()
    assert len(names) == 90
    assert names.count("N/A") == 10
    assert (names[0], names[11], names[89]) == ("person", "N/A", "toothbrush")  # COCO ids 1, 12 and 90


def test_every_entry_is_loaded(in_cache: Path, state: dict[str, torch.Tensor]) -> None:
    ours = detector(90)
    entries, names, stats = load(ours)
    ours.load_state_dict(entries)
    assert names == class_names()
    assert (stats.mean, stats.std) == ((0.5,) * 3, (0.5,) * 3)
    digest = [sorted(hashlib.sha256(t.numpy().tobytes()).hexdigest() for t in values) for values in (state.values(), ours.state_dict().values())]
    assert digest[0] == digest[1]


def test_a_file_given_by_path(tmp_path: Path, state: dict[str, torch.Tensor]) -> None:
    path = tmp_path / "mine.pth"
    torch.save(state, path)
    entries, _, _ = load(detector(3), path)
    assert entries["head.classify.0.1.weight"].shape[0] == 6 * 91
    assert "-> 3 classes" in load_start_weights(detector(3), str(path), ("a", "b", "c"), keep_classes=False)[1]


def test_other_classes_start_with_a_new_head(in_cache: Path, state: dict[str, torch.Tensor]) -> None:
    ours = detector(3)
    before = ours.head.classify[0][1].weight.clone()  # type: ignore[index]
    lines = load_start_weights(ours, "torchvision-coco", ("cat", "unicorn", "person"), keep_classes=False)
    assert any(line.startswith("head re-initialised: 9") and "-> 3 classes" in line for line in lines)
    assert torch.equal(ours.head.classify[0][1].weight, before)  # type: ignore[index]
    assert torch.equal(ours.head.regress[0][1].weight, state["head.regression_head.module_list.0.1.weight"])  # type: ignore[index]
    assert ours.image_stats.mean == (0.5, 0.5, 0.5)


def test_rows_of_classes_with_the_same_name_are_kept_on_request(in_cache: Path, state: dict[str, torch.Tensor]) -> None:
    ours = detector(3)
    before = ours.head.classify[1][1].bias.clone().view(6, 4)  # type: ignore[index]
    lines = load_start_weights(ours, "torchvision-coco", ("cat", "unicorn", "person"), keep_classes=True)
    assert any("cat, person" in line for line in lines)
    for part in ("weight", "bias"):
        mine = getattr(ours.head.classify[1][1], part).view(6, 4, -1)  # type: ignore[index]
        theirs = state[f"head.classification_head.module_list.1.1.{part}"].view(6, 91, -1)
        for column, row in ((0, 0), (1, 17), (3, 1)):  # background, cat, person
            assert torch.equal(mine[:, column], theirs[:, row])
    assert torch.equal(ours.head.classify[1][1].bias.view(6, 4)[:, 2], before[:, 2])  # type: ignore[index]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"norm": "default"}, "eps 0.001"),
        ({"box_loss": "giou"}, "smooth-l1"),
        ({"class_loss": "focal"}, "softmax-mining"),
        ({"anchors": "ssd-a3"}, "another network"),
        ({"input_size": (640, 640)}, "another network"),
    ],
)
def test_other_settings_are_refused_with_the_remedy(in_cache: Path, changes: dict[str, object], said: str) -> None:
    with pytest.raises(UsageError, match=said) as caught:
        load(detector(3, **changes))
    assert "reduced_tail" in str(caught.value)


def test_another_backbone_is_refused(in_cache: Path) -> None:
    other = build_ssdlite(create_backbone("torchvision:mobilenet_v3_large?bn_eps=0.001", weights="none", taps="ssd"), num_classes=3, **REFERENCE)
    with pytest.raises(UsageError, match="another network"):
        load(other)


def test_without_file_and_network_the_way_out_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))

    def offline(*_: object, **__: object) -> None:
        raise OSError("no route to host")

    monkeypatch.setattr("torch.hub.load_state_dict_from_url", offline)
    with pytest.raises(UsageError, match="no route to host") as caught:
        load(detector(3))
    assert str(tmp_path / "hub" / "checkpoints" / FILE_NAME) in str(caught.value)
    assert "downloading" in caplog.text


def test_the_shipped_config_takes_them(in_cache: Path) -> None:
    from finetune.build import build_detector
    from finetune.settings_file import read_settings
    from finetune.validate import check_run
    from finetune.verbs import VERBS, build_options

    config = build_options(VERBS["train"], check_run(read_settings("ssdlite_torchvision")[0]).tree).run
    assert config.detector.weights == "torchvision-coco"
    lines = load_start_weights(build_detector(config, 2), config.detector.weights, ("cat", "dog"), config.detector.keep_classes)
    assert "-> 2 classes" in lines[1]
