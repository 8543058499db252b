"""From settings to a finished run folder, and from it back to a detector."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from backbones.errors import FinetuneError, UsageError
from backbones.types import ImageStats
from finetune.build import build_detector
from finetune.commands.train import run as run_train
from finetune.config import EvaluateConfig, RunConfig
from finetune.data import read_image
from finetune.load import load_run
from finetune.options import TrainOptions
from finetune.record import RunRecord, load_record
from finetune.run_folder import RunFolder
from finetune.start_weights import load_start_weights
from finetune.task import DetectionTask
from finetune.training import fit
from finetune.weights_file import load_weights, save_weights
from tests.finetune.tiny import tiny_config, write_squares


@pytest.fixture(scope="module")
def squares(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_squares(tmp_path_factory.mktemp("squares"), {"train": 8, "valid": 4})


@pytest.fixture(scope="module")
def finished(squares: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[RunFolder, RunRecord, RunConfig]:
    config = replace(tiny_config(squares, ema=0.9), evaluate=EvaluateConfig(("coco", "voc2007-11pt")))
    config = replace(config, data=replace(config.data, resize="letterbox"), ssdlite=replace(config.ssdlite, score_threshold=0.0))
    root = tmp_path_factory.mktemp("runs") / "run"
    return RunFolder(root), fit(config, root), config


def test_the_folder_holds_everything(finished: tuple[RunFolder, RunRecord, RunConfig]) -> None:
    folder, record, config = finished
    for path in (folder.config, folder.log, folder.metrics, folder.curves, folder.last, folder.best, folder.weights, folder.record, folder.evaluation("val")):
        assert path.stat().st_size > 100, path
    assert len(list(folder.pictures.iterdir())) == 4
    assert load_record(folder.record) == record
    assert all((folder.root / path).exists() for path in record.files.values())
    assert record.epochs == 2
    assert record.best_epoch in (1, 2)
    assert [result["protocol"] for result in record.results["val"]] == ["coco", "voc2007-11pt"]
    assert json.loads(folder.evaluation("val").read_text())["results"] == record.results["val"]
    assert folder.load_config() == config
    for path in (folder.last, folder.best):
        assert torch.load(path, weights_only=True)["global_step"] in (2, 4)


def test_the_log_tells_the_run_and_the_next_commands(finished: tuple[RunFolder, RunRecord, RunConfig]) -> None:
    folder, record, _ = finished
    text = folder.log.read_text()
    for words in ("train: 8 images", "id 3 -> 0 red", "strides 8, 16, 32", "anchors per image", "pyramid and head: training", "plan: 2 epochs of 8 images = 16 images in 4 steps"):
        assert words in text, words
    assert text.count("\nepoch ") == 2
    assert f"{record.params / 1e6:.2f} M parameters" in text
    assert f"finetune evaluate {folder.root}" in text
    assert f"finetune predict {folder.root} IMAGES" in text


def test_the_table_has_a_row_per_epoch_with_losses_rates_and_figures(finished: tuple[RunFolder, RunRecord, RunConfig]) -> None:
    folder, record, _ = finished
    with folder.metrics.open() as stream:
        rows = list(csv.DictReader(stream))
    assert [row["epoch"] for row in rows] == ["1", "2"]
    for row in rows:
        assert float(row["train/loss"]) == pytest.approx(float(row["train/class"]) + float(row["train/box"]), rel=1e-5)
        assert float(row["val/loss"]) > 0
        assert 0 < float(row["lr/new"]) <= 0.02
        assert float(row["seconds"]) > 0
        assert {"val/coco/AP", "val/coco/AP50", "val/voc2007-11pt/mAP"} <= row.keys()
    best = rows[(record.best_epoch or 1) - 1]
    assert float(best["val/coco/AP"]) == record.results["val"][0]["values"]["AP"], "unrounded, of the epoch that was kept"


def test_the_loaded_run_finds_what_the_trained_network_found(finished: tuple[RunFolder, RunRecord, RunConfig], squares: Path) -> None:
    folder, record, config = finished
    average = torch.load(folder.best, weights_only=True)["callbacks"]["WeightAveraging"]["average"]
    detector = build_detector(config, 2).eval()
    detector.load_state_dict(average)
    loaded = load_run(folder.root)
    assert loaded.record == record
    assert (loaded.class_names, loaded.category_ids) == (("red", "green"), (3, 7))
    image = read_image(next((squares / "valid").glob("*.png")))[:48]  # not square: letterboxed
    tensor, _ = loaded.preprocess.apply(image)
    with torch.no_grad():
        expected = detector.decode(detector(detector.image_stats.normalize(tensor[None])), (64, 64))[0]
    (found,) = loaded.predict([image])
    assert len(found.scores) == len(expected.scores) > 0
    assert torch.equal(found.scores, expected.scores)
    shifted = expected.boxes - torch.tensor([0.0, 8.0, 0.0, 8.0])
    assert torch.allclose(found.boxes, torch.stack([shifted[:, 0].clamp(0, 64), shifted[:, 1].clamp(0, 48), shifted[:, 2].clamp(0, 64), shifted[:, 3].clamp(0, 48)], 1), atol=1e-4)
    from_file = load_run(folder.weights)
    assert from_file.config == config
    assert torch.equal(from_file.predict([image])[0].boxes, found.boxes)
    assert loaded.predict([]) == []
    assert all(tensor.dtype == torch.float32 for tensor in load_file(folder.weights).values() if tensor.is_floating_point())


def test_image_statistics_travel_with_the_weights(finished: tuple[RunFolder, RunRecord, RunConfig], tmp_path: Path) -> None:
    state, info = load_weights(finished[0].root)
    stats = ImageStats((0.1, 0.2, 0.3), (0.4, 0.5, 0.6))
    save_weights(tmp_path / "a.safetensors", state, replace(info, image_stats=stats))
    loaded = load_run(tmp_path / "a.safetensors")
    assert loaded.image_stats == loaded.detector.image_stats == stats


def test_files_that_are_no_runs_are_named(finished: tuple[RunFolder, RunRecord, RunConfig], tmp_path: Path) -> None:
    (tmp_path / "junk.safetensors").write_bytes(b"\x00" * 64)
    save_file({"a": torch.zeros(1)}, tmp_path / "plain.safetensors")
    state, info = load_weights(finished[0].root)
    save_weights(tmp_path / "short.safetensors", {k: v for k, v in state.items() if "head" not in k}, info)
    for path, words in (
        (tmp_path / "none", "no run folder or weights file"),
        (tmp_path, "not a run folder"),
        (tmp_path / "junk.safetensors", "not a readable .safetensors file"),
        (tmp_path / "plain.safetensors", "no description of a detector"),
        (tmp_path / "short.safetensors", "do not fit the network"),
    ):
        with pytest.raises(UsageError, match=words) as caught:
            load_run(path)
        assert "\n" not in str(caught.value)
    with pytest.raises(UsageError, match="cannot be used here"):
        load_run(finished[0].root, "warp")


@pytest.mark.parametrize("class_loss", ["quality-focal", "softmax-mining"])
def test_other_classes_start_the_head_anew_and_keep_rows_on_request(class_loss: str, squares: Path, tmp_path: Path, finished: tuple[RunFolder, RunRecord, RunConfig]) -> None:
    base = finished[2]
    config = replace(base, ssdlite=replace(base.ssdlite, class_loss=class_loss, anchors="ssd"))
    _, info = load_weights(finished[0].root)
    old = build_detector(config, 2)
    save_weights(tmp_path / "w.safetensors", old.state_dict(), replace(info, config=config))
    new = build_detector(config, 3)
    fresh = new.head.class_layer.weight.detach().clone()
    lines = load_start_weights(new, str(tmp_path / "w.safetensors"), ("blue", "green", "red"), keep_classes=True)
    assert "head re-initialised: 2 -> 3 classes, rows of 2 classes with the same name kept: green, red" in lines
    background = class_loss == "softmax-mining"
    columns = 3 + background
    rows, old_rows, fresh_rows = (w.view(-1, n, *w.shape[1:]) for w, n in ((new.head.class_layer.weight, columns), (old.head.class_layer.weight, columns - 1), (fresh, columns)))
    assert torch.equal(rows[:, background + 2], old_rows[:, background + 0])
    assert torch.equal(rows[:, background + 1], old_rows[:, background + 1])
    assert torch.equal(rows[:, background + 0], fresh_rows[:, background + 0])
    assert torch.equal(new.head.box_layer.weight, old.head.box_layer.weight)
    again = build_detector(config, 3)
    untouched = again.head.class_layer.weight.detach().clone()
    assert load_start_weights(again, str(tmp_path / "w.safetensors"), ("blue", "green", "red"), keep_classes=False)[1] == "head re-initialised: 2 -> 3 classes"
    assert torch.equal(again.head.class_layer.weight, untouched)
    same = build_detector(config, 2)
    assert len(load_start_weights(same, str(tmp_path / "w.safetensors"), ("red", "green"), keep_classes=False)) == 1
    assert torch.equal(same.head.class_layer.weight, old.head.class_layer.weight)
    other = build_detector(replace(config, pyramid=replace(config.pyramid, width=24)), 2)
    with pytest.raises(UsageError, match="weights of another network"):
        load_start_weights(other, str(tmp_path / "w.safetensors"), ("red", "green"), keep_classes=False)


def test_a_run_starts_from_another_one(finished: tuple[RunFolder, RunRecord, RunConfig], squares: Path, tmp_path: Path) -> None:
    config = replace(finished[2], detector=replace(finished[2].detector, weights=str(finished[0].root)), train=replace(finished[2].train, epochs=1, lr=1e-9, ema=0.0))
    fit(config, tmp_path / "second")
    text = (tmp_path / "second" / "log.txt").read_text()
    assert "weights: " in text
    first, second = (load_file(root / "model.safetensors")["head.class_layer.weight"] for root in (finished[0].root, tmp_path / "second"))
    assert torch.allclose(first, second, atol=1e-6)


def test_dry_run_shows_shapes_and_writes_nothing(squares: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    assert run_train(TrainOptions(run=tiny_config(squares), dry_run=True, json="dry.json")) == 0
    out = capsys.readouterr().out
    for words in ("pyramid p3: 16 x 8 x 8, stride 8", "pyramid p5: 16 x 2 x 2, stride 32", "output logits: 1 x 84 x 3", "peak memory", "nothing was written", "decoded 4 images"):
        assert words in out, words
    assert [path.name for path in tmp_path.iterdir()] == ["dry.json"]
    assert json.loads((tmp_path / "dry.json").read_text())["params"] > 10_000


def test_early_stop_ends_a_run_that_does_not_improve(squares: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    figures = [0.2, 0.5, 0.4, 0.3, 0.9]
    monkeypatch.setattr("finetune.callbacks.evaluation.Evaluation.figure", property(lambda self: figures[self.epoch]))
    record = fit(tiny_config(squares, epochs=5, early_stop=2), tmp_path / "run")
    assert (record.epochs, record.best_epoch) == (4, 2)
    assert load_weights(tmp_path / "run")[1].epoch == 2


def test_nan_leaves_its_images_in_the_folder(squares: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    original = DetectionTask._losses
    monkeypatch.setattr(DetectionTask, "_losses", lambda self, outputs, batch: {k: v * (float("inf") if self.training else 1.0) for k, v in original(self, outputs, batch).items()})
    with pytest.raises(FinetuneError, match="not finite"):
        fit(tiny_config(squares), tmp_path / "run")
    facts = json.loads((tmp_path / "run" / "non_finite_loss.json").read_text())
    assert len(facts["image_ids"]) == 4
    assert facts["losses"]["box"] == "inf"


@pytest.mark.parametrize(
    ("train", "words"),
    [
        ({"loggers": ("tensorbord",)}, "did you mean 'tensorboard'"),
        ({"precision": "12"}, "the trainer refuses"),
        ({"accelerator": "gpuu"}, "the trainer refuses"),
        ({"strategy": "dpp"}, "the trainer refuses"),
    ],
)
def test_trainer_settings_that_cannot_work_are_one_line(train: dict, words: str, squares: Path, tmp_path: Path) -> None:
    from finetune.build import build_trainer

    with pytest.raises(UsageError, match=words) as caught:
        build_trainer(tiny_config(squares, **train), tmp_path, [])
    assert "\n" not in str(caught.value)


def test_without_validation_images_the_last_weights_are_kept(tmp_path: Path) -> None:
    root = write_squares(tmp_path / "data", {"train": 1})
    record = fit(tiny_config(root), tmp_path / "run")
    assert record.results == {}
    assert load_weights(tmp_path / "run")[1].epoch == 2
    assert "not scored: there is no validation split" in (tmp_path / "run" / "log.txt").read_text()


def test_grey_pictures_and_other_channels(squares: Path, tmp_path: Path) -> None:
    config = tiny_config(squares, epochs=1)
    fit(replace(config, data=replace(config.data, channels=1, input_size=(64, 96))), tmp_path / "run")
    loaded = load_run(tmp_path / "run")
    assert len(loaded.predict([np.zeros((50, 70, 1), np.uint8), np.zeros((9, 200, 1), np.uint8)])) == 2
