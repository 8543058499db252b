"""Scene text through the same commands as boxes: train, resume, evaluate, choose thresholds, predict."""

from __future__ import annotations

import json
import shutil
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from backbones.errors import DataError, UsageError
from finetune.cli import main
from finetune.config import BackboneConfig, CraftConfig, DataConfig, DetectorConfig, EvaluateConfig, FreezeConfig, RunConfig, TrainConfig
from finetune.datamodule import DetectionDataModule
from finetune.load import load_run
from finetune.training import fit
from finetune.word_drawing import cut_word
from tests.finetune.tiny import tiny_config, write_squares


def write_bars(root: Path, counts: dict[str, int], seed: int = 0) -> Path:
    """Dark noise with bright bars as words of three letters, ICDAR layout."""
    rng = np.random.default_rng(seed)
    for split, count in counts.items():
        for folder in (f"{split}_images", f"{split}_gts"):
            (root / folder).mkdir(parents=True)
        for n in range(1, count + 1):
            picture = rng.integers(20, 60, (96, 128, 3), dtype=np.uint8)
            x, y = int(rng.integers(4, 60)), int(rng.integers(4, 70))
            for letter in range(3):
                picture[y : y + 16, x + 16 * letter + 2 : x + 16 * letter + 14] = (240, 240, 200)
            Image.fromarray(picture).save(root / f"{split}_images" / f"img_{n}.png")
            (root / f"{split}_gts" / f"gt_img_{n}.txt").write_text(f"{x},{y},{x + 48},{y},{x + 48},{y + 16},{x},{y + 16},abc\n")
    return root


def text_config(root: Path, **train: object) -> RunConfig:
    return RunConfig(
        data=DataConfig(root=str(root), input_size=(96, 96), batch_size=4, workers=0),
        backbone=BackboneConfig("test_efficientnet", weights="none"),
        detector=DetectorConfig("craftlite"),
        craft=CraftConfig(widths=(16, 16, 16), head_width=16, canvas=256, mag_ratio=1.0),
        freeze=FreezeConfig("none", 0, "train"),
        train=replace(TrainConfig(epochs=1, evaluate_every=1, accelerator="cpu", optimizer="adamw", lr=0.005, backbone_lr_scale=1.0), **train),  # type: ignore[arg-type]
        evaluate=EvaluateConfig(("icdar2015-iou", "polygon-iou")),
    )


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_bars(tmp_path_factory.mktemp("bars"), {"train": 16, "val": 4, "test": 4})


@pytest.fixture(scope="module")
def run(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that has learnt to see bars."""
    out = tmp_path_factory.mktemp("runs") / "bars"
    fit(text_config(data, epochs=30, evaluate_every=15), out)
    return out


def test_a_run_learns_and_says_so(run: Path) -> None:
    record = json.loads((run / "record.json").read_text())
    figures = {result["protocol"]: result["values"] for result in record["results"]["val"]}
    assert set(figures) == {"icdar2015-iou", "polygon-iou"}
    assert figures["icdar2015-iou"]["hmean"] > 0.5
    assert record["class_names"] == ["text"]
    assert len(list((run / "pictures").glob("*.jpg"))) == 4
    assert (run / "curves.png").is_file()


def test_evaluate_says_protocol_thresholds_and_input(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["evaluate", str(run), "--split", "test", "--json", str(tmp_path / "e.json"), "--submission", str(tmp_path / "s.zip")]) == 0
    printed = " ".join(capsys.readouterr().out.split())
    for words in ("icdar2015-iou", "canvas 256, mag ratio 1", "text threshold 0.7, link threshold 0.4, low text 0.4"):
        assert words in printed
    values = json.loads((tmp_path / "e.json").read_text())["results"][0]["values"]
    assert zipfile.ZipFile(tmp_path / "s.zip").namelist() == [f"res_img_{n}.txt" for n in range(1, 5)]
    truth = write_bars(tmp_path / "again", {"test": 4}, seed=5)  # other places: the zip scores differently there
    assert truth.is_dir()
    kept = json.loads((run / "evaluation" / "test.json").read_text())
    assert kept["input"]["canvas"] == 256
    assert values["hmean"] > 0.4


def test_a_submission_scores_what_the_run_scored(run: Path, data: Path, tmp_path: Path) -> None:
    assert main(["evaluate", str(run), "--split", "val", "--json", str(tmp_path / "a.json"), "--submission", str(tmp_path / "s.zip")]) == 0
    assert main(["evaluate", "--data", str(data / "val_gts"), "--predictions", str(tmp_path / "s.zip"), "--protocol", "icdar2015-iou", "--json", str(tmp_path / "b.json")]) == 0
    one, two = (json.loads((tmp_path / name).read_text())["results"][0]["values"] for name in ("a.json", "b.json"))
    assert one == two


def test_thresholds_are_chosen_on_a_named_split(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["evaluate", str(run), "--split", "test", "--sweep", "val", "--json", str(tmp_path / "e.json")]) == 0
    printed = " ".join(capsys.readouterr().out.split())
    assert "thresholds chosen on val" in printed
    assert "too good" not in printed
    flags = printed.partition("again with ")[2].split()[:6]
    assert main(["evaluate", str(run), "--split", "test", *flags, "--json", str(tmp_path / "f.json")]) == 0
    one, two = (json.loads((tmp_path / name).read_text())["results"][0]["values"] for name in ("e.json", "f.json"))
    assert one == two
    assert main(["evaluate", str(run), "--split", "val", "--sweep", "val"]) == 0
    assert "too good" in capsys.readouterr().out


def test_thresholds_are_never_chosen_on_test(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["evaluate", str(run), "--sweep", "test"]) == UsageError.exit_code
    assert "never on the split" in capsys.readouterr().err


def test_predict_writes_quads_text_files_and_upright_words(run: Path, data: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert main(["predict", str(run), str(data / "test_images"), "--out", str(out), "--crops", "true"]) == 0
    content = json.loads((out / "predictions.json").read_text())
    assert content["info"]["thresholds"] == {"text_threshold": 0.7, "link_threshold": 0.4, "low_text": 0.4}
    assert len(content["images"]) == 4
    assert content["words"]
    lines = [line for file in sorted((out / "icdar").glob("res_*.txt")) for line in file.read_text().splitlines()]
    assert len(lines) == len(content["words"]) == len(list((out / "crops").glob("*.png")))
    assert all(len(line.split(",")) == 8 for line in lines)
    with Image.open(out / "pictures" / "img_1.jpg") as picture:
        assert picture.size == (128, 96)


def test_a_loaded_run_gives_quads_in_pixels_of_the_picture(run: Path, data: Path) -> None:
    loaded = load_run(run)
    picture = np.array(Image.open(data / "test_images" / "img_1.png"))
    small, large = loaded.predict([picture, np.kron(picture, np.ones((2, 2, 1), np.uint8))])
    assert loaded.finds_words
    assert len(small.quads) >= 1
    assert float(small.quads.max()) <= 140
    assert len(large.quads) == 0 or float(large.quads.max()) > 40


def test_a_rectified_word_is_upright() -> None:
    picture = np.zeros((60, 60, 3), np.uint8)
    picture[10:40, 20:30] = 255  # a word that runs downwards: its top-left corner is at the top right
    word = cut_word(picture, np.array([[30, 10], [30, 40], [20, 40], [20, 10]], np.float32))
    assert word.shape == (10, 30, 3)
    assert word.mean() > 250


def test_boxes_and_words_are_not_mixed_up(run: Path, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    squares = write_squares(tmp_path / "squares", {"train": 4, "valid": 2})
    with pytest.raises(DataError, match="holds boxes of objects, no words"):
        fit(text_config(squares), tmp_path / "no")
    assert main(["evaluate", str(run), "--protocol", "coco"]) == UsageError.exit_code
    assert main(["evaluate", "--detector", "craftlite", "--data", str(data)]) == UsageError.exit_code
    assert "only craft has published weights" in capsys.readouterr().err


def test_a_run_of_boxes_learns_and_is_scored_on_words(data: Path, tmp_path: Path) -> None:
    boxes = replace(tiny_config(data, epochs=1), data=DataConfig(root=str(data), input_size=(64, 64), batch_size=4, workers=0))
    fit(boxes, tmp_path / "run")
    for more in ([], ["--data", str(data)]):
        assert main(["evaluate", str(tmp_path / "run"), "--split", "test", *more, "--json", str(tmp_path / "e.json")]) == 0
        (result,) = json.loads((tmp_path / "e.json").read_text())["results"]
        assert result["protocol"] == "coco"
        assert result["values"]["AP"] is not None
    assert main(["evaluate", str(tmp_path / "run"), "--submission", str(tmp_path / "s.zip")]) == UsageError.exit_code


def test_a_submission_that_cannot_be_written_stops_before_anything_is_computed(run: Path, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    for folder in ("one_test", "two_test"):
        (tmp_path / "d" / folder).mkdir(parents=True)
        shutil.copy(data / "test_images" / "img_1.png", tmp_path / "d" / folder / "img_1.png")
        shutil.copy(data / "test_gts" / "gt_img_1.txt", tmp_path / "d" / folder / "gt_img_1.txt")
    write_bars(tmp_path / "d", {"train": 2})
    monkeypatch.setattr("finetune.load.LoadedRun.look", lambda *_: pytest.fail("the network ran"))
    assert main(["evaluate", str(run), "--data", str(tmp_path / "d"), "--split", "test", "--submission", str(tmp_path / "s.zip")]) == UsageError.exit_code
    assert "several pictures would be written as res_img_1.txt" in " ".join(capsys.readouterr().err.split())


def test_settings_of_text_detectors_come_from_their_own_defaults(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "--detector", "craftlite-tiny", "--print_config"]) == 0
    text = capsys.readouterr().out
    assert "name: craftlite-tiny" in text
    assert "- icdar2015-iou" in text
    assert main(["train", "--print_config"]) == 0
    assert "- coco" in capsys.readouterr().out


def test_a_dry_run_trains_steps_and_writes_nothing(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--backbone", "test_efficientnet", "--backbone.weights", "none", "--data.input_size", "96", "96", "--craft.widths", "16", "16", "--train.epochs", "2", "--train.accelerator", "cpu"]
    assert main(["train", "--detector", "craftlite", "--data", str(data), *words, "--dry-run", "--json", str(tmp_path / "d.json")]) == 0
    printed = capsys.readouterr().out
    assert "maps at stride 2" in printed
    assert "anchors" not in printed
    assert json.loads((tmp_path / "d.json").read_text())["losses"].keys() == {"region", "affinity"}


def test_samples_do_not_depend_on_the_loader(data: Path) -> None:
    from finetune.build import build_datamodule

    one, two = (build_datamodule(replace(text_config(data), data=replace(text_config(data).data, workers=workers))) for workers in (0, 2))
    for first, second in zip(one.train_dataloader(), two.train_dataloader(), strict=True):
        assert bool((first.images == second.images).all())
        assert [len(target.quads) for target in first.targets] == [len(target.quads) for target in second.targets]
    assert isinstance(one, DetectionDataModule)


def test_a_run_teaches_a_smaller_one(run: Path, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    photos = tmp_path / "photos"
    shutil.copytree(data / "train_images", photos)
    (photos / "torn.png").write_bytes((photos / "img_1.png").read_bytes()[:200])
    taught = tmp_path / "taught"
    words = ["distill", str(run), str(photos), "--out", str(taught), "--json", str(tmp_path / "d.json")]
    assert main(words) == DataError.exit_code
    said = capsys.readouterr().out
    assert "16 pictures" in said
    assert "left out: " in said
    assert "torn.png" in said
    summary = json.loads((tmp_path / "d.json").read_text())
    assert summary["words"] > 8
    maps = np.load(taught / "maps" / "img_1.npy")
    assert maps.shape == (2, 48, 64)
    assert maps.dtype == np.float16

    lines = (taught / "pictures.jsonl").read_bytes().splitlines(keepends=True)
    (taught / "pictures.jsonl").write_bytes(b"".join(lines[:5]) + lines[5][:30])  # as kill -9 leaves it
    before = {path.name: path.stat().st_mtime_ns for path in (taught / "maps").iterdir()}
    assert main(words) == DataError.exit_code
    assert (taught / "pictures.jsonl").read_bytes().splitlines(keepends=True)[:6] == lines[:6]
    assert sum(before[path.name] == path.stat().st_mtime_ns for path in (taught / "maps").iterdir()) == 5

    config = text_config(data, epochs=12, evaluate_every=12, lr=0.01)
    fit(replace(config, data=replace(config.data, mix={str(taught): 1.0}, epoch_images=24)), tmp_path / "pupil")
    record = json.loads((tmp_path / "pupil" / "record.json").read_text())
    figures = {result["protocol"]: result["values"] for result in record["results"]["val"]}
    assert figures["icdar2015-iou"]["hmean"] > 0.4  # it has seen no label


def test_only_text_teaches_and_nothing_is_overwritten(run: Path, data: Path, tmp_path: Path) -> None:
    from finetune.distill import distill

    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "notes.txt").write_text("mine")
    with pytest.raises(UsageError, match="is no store of a teacher: it is never overwritten"):
        distill(load_run(run), "bars", [data / "train_images" / "img_1.png"], tmp_path / "own")
    boxes = fit(tiny_config(write_squares(tmp_path / "squares", {"train": 4, "val": 2}), epochs=1), tmp_path / "boxes")
    assert boxes.epochs == 1
    with pytest.raises(UsageError, match="finds boxes: only detectors of scene text can teach"):
        distill(load_run(tmp_path / "boxes"), "boxes", [data / "train_images" / "img_1.png"], tmp_path / "taught")
    assert not (tmp_path / "taught").exists()
