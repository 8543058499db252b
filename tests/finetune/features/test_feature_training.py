"""Training from cached features is training from pictures: the same order, targets and losses, without opening a picture."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from safetensors.torch import save_file

from backbones.errors import FinetuneError
from finetune.config import FreezeConfig, RunConfig
from finetune.config_file import config_to_dict
from finetune.data.dataset import DetectionDataset, SampleKey
from finetune.data.text.dataset import TextDataset
from finetune.features import use
from finetune.features.layout import FeatureFolder
from finetune.features.use import CannotCacheError
from finetune.features.writer import FeatureWriter
from finetune.run_log import RunLog
from finetune.stopping import InterruptedRunError
from finetune.task import DetectionTask
from finetune.training import Parts, fit, prepare, resume
from finetune.validate import check_config
from tests.finetune.test_text_run import text_config, write_bars
from tests.finetune.tiny import tiny_config, write_squares


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Squares, bars, and weights of a backbone."""
    root = tmp_path_factory.mktemp("place")
    write_squares(root / "squares", {"train": 10, "valid": 4})
    write_bars(root / "bars", {"train": 10, "val": 2})
    torch.manual_seed(3)
    save_file(timm.create_model("test_efficientnet").state_dict(), str(root / "weights.safetensors"))
    return root


def _config(place: Path, detector: str = "ssdlite", policy: str = "backbone", stages: int = 2, **data: Any) -> RunConfig:
    config = tiny_config(place / "squares", epochs=3, evaluate_every=3, pictures_every=0) if detector == "ssdlite" else text_config(place / "bars", epochs=2, evaluate_every=2, pictures_every=0)
    config = replace(config, backbone=replace(config.backbone, weights=str(place / "weights.safetensors")), freeze=FreezeConfig(policy, stages, "train"))  # type: ignore[arg-type]
    return replace(config, data=replace(config.data, **{"views": 2, "feature_cache": "float32", **data}))


def _plain(config: RunConfig) -> RunConfig:
    return replace(config, data=replace(config.data, feature_cache="off", feature_folder=None))


def _losses(folder: Path) -> list[list[float]]:
    """All losses of each epoch."""
    with (folder / "metrics.csv").open() as stream:
        return [[float(value) for name, value in row.items() if name.startswith(("train/", "val/")) and name.count("/") == 1 and value] for row in csv.DictReader(stream)]


def _log(folder: Path) -> str:
    return (folder / "log.txt").read_text()


def _prepared(config: RunConfig) -> Parts:
    return prepare(config, RunLog(quiet=True))


def _cache(parts: Parts, root: Path) -> Any:
    return use.use_features(parts.config, parts.task, parts.data, root, parts.log, torch.device("cpu"))


@pytest.fixture(scope="module")
def plain(place: Path, tmp_path_factory: pytest.TempPathFactory) -> list[list[float]]:
    """Losses of a run on pictures, with a frozen backbone and two views."""
    root = tmp_path_factory.mktemp("plain")
    fit(_plain(_config(place)), root / "run")
    return _losses(root / "run")


CASES = [
    ("ssdlite", "stages", 3, {"augment": "none", "views": 0}),
    ("craftlite", "backbone", 0, {}),
    pytest.param("ssdlite", "gradual", 2, {"workers": 1}, marks=pytest.mark.slow),
    pytest.param("craftlite", "stages", 2, {"views": 3}, marks=pytest.mark.slow),
]


def test_losses_of_a_frozen_backbone_are_those_of_the_uncached_run(plain: list[list[float]], place: Path, tmp_path: Path) -> None:
    fit(_config(place), tmp_path / "cached")
    assert len(plain) == 3
    assert len({row[0] for row in plain}) == 3  # it learns, so that equal means something
    for mine, theirs in zip(_losses(tmp_path / "cached"), plain, strict=True):
        assert mine == pytest.approx(theirs, rel=1e-4)


@pytest.mark.parametrize(("detector", "policy", "stages", "data"), CASES)
def test_losses_are_those_of_the_uncached_run(detector: str, policy: str, stages: int, data: dict[str, Any], place: Path, tmp_path: Path) -> None:
    config = _config(place, detector, policy, stages, **data)
    fit(_plain(config), tmp_path / "plain")
    fit(config, tmp_path / "cached")
    pictures, cached = _losses(tmp_path / "plain"), _losses(tmp_path / "cached")
    assert len(pictures) == len({row[0] for row in pictures})
    for mine, theirs in zip(cached, pictures, strict=True):
        assert mine == pytest.approx(theirs, rel=1e-4)
    assert "runs once over 10 pictures" in _log(tmp_path / "cached")
    assert not (tmp_path / "cached" / "features").exists()


def test_the_comparison_above_sees_features_of_another_picture(plain: list[list[float]], place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = _config(place)
    original = use.FeatureDataset.__getitems__
    monkeypatch.setattr(use.FeatureDataset, "__getitems__", lambda self, keys: replace(original(self, keys), features=original(self, keys[::-1]).features))
    fit(config, tmp_path / "cached")
    cached = _losses(tmp_path / "cached")
    assert cached[-1] != pytest.approx(plain[-1], rel=1e-4)


@pytest.mark.parametrize("detector", ["ssdlite", "craftlite"])
def test_batches_are_those_of_the_pictures_and_no_picture_is_opened(detector: str, place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    parts = _prepared(_config(place, detector))
    data, task = parts.data, parts.task
    wanted = []
    for epoch in range(3):
        data.set_epoch(epoch)
        wanted.append(list(data.train_dataloader()))
    assert _cache(parts, tmp_path) is not None

    def refuse(*_: object) -> None:
        raise AssertionError("a picture was opened")

    monkeypatch.setattr(DetectionDataset, "__getitem__", refuse)
    monkeypatch.setattr(TextDataset, "__getitem__", refuse)
    for kind in ("images", "dataset", "text.dataset"):
        monkeypatch.setattr(f"finetune.data.{kind}.read_image", refuse, raising=False)
    seen = set()
    for epoch, batches in enumerate(wanted):
        data.set_epoch(epoch)
        for batch, mine in zip(batches, data.train_dataloader(), strict=True):
            assert [vars(meta) for meta in mine.metas] == [vars(meta) for meta in batch.metas]
            for target, other in zip(mine.targets, batch.targets, strict=True):
                assert all(torch.equal(value, vars(other)[name]) if isinstance(value, torch.Tensor) else value == vars(other)[name] for name, value in vars(target).items())
            features = task.lead(batch.images, mine.features.stages)
            assert all(torch.allclose(one, two, rtol=1e-4, atol=1e-5) for one, two in zip(mine.features.maps, features.maps, strict=True))
            assert any(m.numel() for m in mine.features.maps)
            seen.add(float(mine.features.maps[-1].sum()))
    assert len(seen) == sum(map(len, wanted))


def test_views_are_fixed_whatever_the_seed_and_the_process_and_differ_from_one_another(place: Path) -> None:
    first, second = (_prepared(replace(_plain(_config(place)), seed=seed)).data for seed in (0, 5))
    one, other = first.training_samples(), second.training_samples()
    assert torch.equal(one[SampleKey(1, 0, 3)][0], other[SampleKey(1, 0, 3)][0])
    assert not torch.equal(one[SampleKey(0, 0, 3)][0], one[SampleKey(1, 0, 3)][0])
    keys = [[key for key in _at(first, epoch)] for epoch in range(3)]
    assert [sorted({(key.epoch, key.rank) for key in epoch}) for epoch in keys] == [[(0, 0)], [(1, 0)], [(0, 0)]]
    assert [key.image for key in keys[0]] != [key.image for key in keys[2]]


def _at(data: Any, epoch: int) -> list[SampleKey]:
    data.set_epoch(epoch)
    return list(data.train_dataloader().sampler)


def test_a_resumed_run_ends_as_the_uninterrupted_one(place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = _config(place)
    fit(config, tmp_path / "whole")
    with monkeypatch.context() as patch:
        original = DetectionTask.on_train_epoch_start

        def stop(self: DetectionTask) -> None:
            if self.current_epoch == 1:
                raise KeyboardInterrupt
            original(self)

        patch.setattr(DetectionTask, "on_train_epoch_start", stop)
        with pytest.raises(InterruptedRunError):
            fit(config, tmp_path / "parts")
    resume(tmp_path / "parts")
    assert "they are there already" in _log(tmp_path / "parts")
    states = [torch.load(tmp_path / name / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"] for name in ("whole", "parts")]
    assert all(torch.equal(value, states[1][name]) for name, value in states[0].items())


def test_an_interrupted_making_goes_on_with_the_run(plain: list[list[float]], place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = _config(place)
    original = FeatureWriter.write
    with monkeypatch.context() as patch:

        def stop(self: FeatureWriter, *batch: Any) -> None:
            if self.rows >= 8:
                raise KeyboardInterrupt
            original(self, *batch)

        patch.setattr(FeatureWriter, "write", stop)
        with pytest.raises(InterruptedRunError, match="start again in the same folder"):
            fit(config, tmp_path / "parts")
    resume(tmp_path / "parts")
    assert "8 of 20 views were made before an interruption" in _log(tmp_path / "parts")
    assert _losses(tmp_path / "parts")[-1] == pytest.approx(plain[-1], rel=1e-4)


def test_other_weights_pictures_views_or_types_make_other_features(place: Path, tmp_path: Path) -> None:
    base = _config(place, feature_folder=str(tmp_path / "kept"))

    def fingerprint(config: RunConfig, change: Any = None) -> str:
        parts = _prepared(config)
        if change is not None:
            change(parts)
        layout = _cache(parts, tmp_path)
        assert FeatureFolder(tmp_path / "kept" / layout.fingerprint).is_complete(layout)
        return str(layout.fingerprint)

    def other_weights(parts: Parts) -> None:
        with torch.no_grad():
            next(iter(parts.detector.backbone.parameters()))[0, 0, 0, 0] += 1e-3

    first = fingerprint(base)
    assert fingerprint(replace(base, seed=4)) == first  # order and new weights differ, views do not
    assert fingerprint(replace(base, train=replace(base.train, lr=0.5))) == first
    others = [
        fingerprint(base, other_weights),
        fingerprint(_config(place, views=3, feature_folder=str(tmp_path / "kept"))),
        fingerprint(_config(place, augment="medium", feature_folder=str(tmp_path / "kept"))),
        fingerprint(_config(place, feature_cache="float16", feature_folder=str(tmp_path / "kept"))),
        fingerprint(_config(place, policy="stages", stages=3, feature_folder=str(tmp_path / "kept"))),
        fingerprint(replace(base, pyramid=replace(base.pyramid, levels=(4, 5)))),
    ]
    assert len({first, *others}) == 7
    picture = next((place / "squares" / "train").glob("*.png"))
    content = picture.read_bytes()
    picture.write_bytes(content)  # a new time of change: it may be another picture
    assert fingerprint(base) not in {first, *others}


def test_half_the_disk_for_losses_that_differ_by_a_thousandth(plain: list[list[float]], place: Path, tmp_path: Path) -> None:
    layouts = {stored: _cache(_prepared(_config(place, feature_cache=stored)), tmp_path) for stored in ("float32", "float16")}
    assert layouts["float16"].size * 2 == layouts["float32"].size
    fit(_config(place, feature_cache="float16"), tmp_path / "half")
    half = _losses(tmp_path / "half")
    assert half[0] == pytest.approx(plain[0], rel=3e-3)
    assert half[0] != plain[0]


REFUSED = [
    ({"views": 0}, {}, "data.augment light makes new views all the time; set data.views"),
    ({"mosaic": 0.5}, {}, "data.mosaic makes new samples of several"),
    ({"overfit": 2}, {}, "data.overfit"),
    ({}, {"policy": "none"}, "no stage of the backbone stays frozen with freeze.policy none"),
    ({}, {"policy": "norms"}, "freeze.policy norms"),
    ({}, {"policy": "stages", "stages": 0}, "freeze.policy stages"),
]


@pytest.mark.parametrize(("data", "freeze", "words"), REFUSED)
def test_settings_that_cannot_be_cached_are_refused_before_anything_is_read(data: dict[str, Any], freeze: dict[str, Any], words: str, place: Path) -> None:
    config = _config(place, **freeze, **data)
    assert any(words in fault for fault in check_config(config_to_dict(config)))


def test_random_weights_are_refused(place: Path) -> None:
    config = _config(place)
    assert check_config(config_to_dict(config)) == []
    faults = check_config(config_to_dict(replace(config, backbone=replace(config.backbone, weights="none"))))
    assert any("the backbone starts from random weights, so nothing is frozen" in fault for fault in faults)


def test_a_policy_that_thaws_everything_is_refused_or_with_auto_said(place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    parts = _prepared(_config(place, policy="gradual", stages=0))
    with pytest.raises(CannotCacheError, match=r"data\.feature_cache float32: no stage of the backbone stays frozen to the end \(freeze\.policy gradual"):
        _cache(parts, tmp_path)
    said: list[str] = []
    monkeypatch.setattr(RunLog, "say", lambda self, *lines: said.extend(lines))
    parts = replace(parts, config=_config(place, policy="gradual", stages=0, feature_cache="auto"))
    assert _cache(parts, tmp_path) is None
    assert said[-1].startswith("features are not cached: no stage of the backbone stays frozen to the end")
    assert type(next(iter(parts.data.train_dataloader()))).__name__ == "Batch"


def test_a_frozen_part_that_rolls_dice_is_refused(place: Path, tmp_path: Path) -> None:
    parts = _prepared(_config(place))
    original = parts.detector.backbone.forward
    parts.detector.backbone.forward = lambda images: [torch.nn.functional.dropout(m, 0.3) for m in original(images)]
    with pytest.raises(CannotCacheError, match="other features for the same picture"):
        _cache(parts, tmp_path)


def test_a_full_disk_is_told_before_anything_is_written(place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = use.shutil.disk_usage(tmp_path)
    monkeypatch.setattr(use.shutil, "disk_usage", lambda path: usage._replace(free=2**20))
    with pytest.raises(CannotCacheError, match=r"the features take \d+ MiB in .*only 1 MiB are free: take data\.feature_cache float16") as caught:
        _cache(_prepared(_config(place)), tmp_path)
    assert isinstance(caught.value, FinetuneError)
    assert not list(tmp_path.rglob("*.part"))
