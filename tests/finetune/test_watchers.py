"""What watches over a run: a 0 explains itself, sheets are drawn when they are due and affordable, words without a target are named once."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from detectors.craft.decode import DecodeSettings
from detectors.craft.heatmaps import SkippedQuad, build_targets
from detectors.craft.loss import CraftLoss
from detectors.types import BoxDetections, BoxTarget, ImageMeta, TextDetections, TextTarget
from finetune.callbacks.pictures import ValidationPictures
from finetune.callbacks.skipped import word_name
from finetune.callbacks.trivial import TrivialLoss
from finetune.cli import main
from finetune.evaluation.map_diagnose import diagnose_maps
from finetune.probes import Maps, Probe
from finetune.run_log import RunLog
from finetune.sheets import draw_sheet
from finetune.training import fit
from tests.finetune.test_text_run import text_config, write_bars
from tests.finetune.tiny import tiny_config, write_squares

DEFAULT = DecodeSettings()
HW = (64, 96)


def word(left: float, top: float, width: float = 48, height: float = 16) -> list[list[float]]:
    return [[left, top], [left + width, top], [left + width, top + height], [left, top + height]]


def probe(found: str = "target", quads: list[list[list[float]]] | None = None, ignore: bool = False, times: float = 1.0) -> Probe:
    """A picture with one word of three letters; ``found`` are the maps of the network."""
    quads = [word(20, 20)] if quads is None else quads
    target = TextTarget(torch.tensor(quads).reshape(-1, 4, 2), torch.full((len(quads),), ignore), ("abc",) * len(quads))
    drawn = build_targets([target], (HW[0] // 2, HW[1] // 2))
    wanted = drawn.maps[0].numpy()
    given = {"target": wanted * times, "noise": np.random.default_rng(0).uniform(0, 0.1, wanted.shape), "constant": np.full(wanted.shape, 0.02), "broken": np.full(wanted.shape, np.nan)}[found]
    maps = Maps(wanted, drawn.confidence[0].numpy(), given.astype(np.float32))
    nothing = TextDetections(torch.zeros(0, 4, 2), torch.zeros(0), torch.zeros(0, dtype=torch.int64))
    return Probe(np.full((*HW, 3), 120, np.uint8), target, nothing, ImageMeta("img_1", "img_1.png", HW, HW, (1, 0, 0, 0, 1, 0)), maps)


def test_a_good_answer_needs_no_explanation() -> None:
    assert diagnose_maps([probe()], DEFAULT) == []


@pytest.mark.parametrize(
    ("probes", "used", "words"),
    [
        ([probe("noise")], DEFAULT, "at most, below the text threshold 0.7: no word can be found. It does not follow its target"),
        ([probe("noise")], DEFAULT, "no other thresholds would give a match"),
        ([probe("constant")], DEFAULT, "reaches 0.02 at most"),
        ([probe(times=0.5)], DEFAULT, "It follows its target (correlation 1.00): train longer"),
        ([probe(times=0.5)], DEFAULT, "would have Hmean 1.00, with those of the run (text threshold 0.7, link threshold 0.4, low text 0.4) 0.00"),
        ([probe("broken")], DEFAULT, "not numbers"),
        ([probe(ignore=True)], DEFAULT, "all 1 words of the 1 picture looked at are to be ignored, so their targets are empty"),
        ([probe(quads=[])], DEFAULT, "hold no words"),
        ([probe(quads=[word(20, 20, 12, 4)])], DEFAULT, "1 of the 1 words of the 1 picture looked at are lower than 6 pixels in the input (median 4.0)"),
        ([probe()], DecodeSettings(0.7, 0.4, 0.05), "even perfect maps would give Hmean 0.00 with these thresholds (text threshold 0.7, link threshold 0.4, low text 0.05"),
    ],
)
def test_planted_cause_is_named(probes: list[Probe], used: DecodeSettings, words: str) -> None:
    assert any(words in note for note in diagnose_maps(probes, used)), diagnose_maps(probes, used)


def test_a_sheet_shows_faint_maps_stronger() -> None:
    faint, strong = (np.asarray(draw_sheet([probe(times=times)], ["text"])) for times in (0.1, 1.0))
    assert faint.shape == strong.shape
    right = slice(faint.shape[1] // 2, None)
    assert np.abs(faint[60:, right].astype(int) - strong[60:, right]).max() < 12
    assert faint[:, right].max() > 200


def test_a_sheet_of_boxes_shows_the_best_of_poor_detections() -> None:
    target = BoxTarget(torch.tensor([[10.0, 10, 40, 40]]), torch.tensor([0]), torch.tensor([False]))
    meta = ImageMeta(1, "a.png", HW, HW, (1, 0, 0, 0, 1, 0))
    sheets = []
    for scores in ([], [0.01]):
        found = BoxDetections(torch.tensor([[50.0, 20, 80, 50]])[: len(scores)], torch.tensor(scores), torch.zeros(len(scores), dtype=torch.int64))
        sheets.append(np.asarray(draw_sheet([Probe(np.full((*HW, 3), 120, np.uint8), target, found, meta)], ["red"])))
    assert np.abs(sheets[0].astype(int) - sheets[1]).max() > 50


def test_the_level_of_a_constant_answer_is_that_of_the_best_one() -> None:
    target = probe().target
    loss = CraftLoss()
    level = loss.constant_level([target], (32, 48))  # type: ignore[list-item]
    flat = {value: float(loss(torch.full((1, 2, 32, 48), value), [target])["region"]) for value in (0.0, 0.1, 0.2, 0.3)}  # type: ignore[list-item]
    assert 0 < level <= min(flat.values())
    assert level > 0.7 * min(flat.values())
    good = build_targets([target], (32, 48)).maps  # type: ignore[list-item]
    assert float(loss(good, [target])["region"]) < 0.01 * level  # type: ignore[list-item]


@pytest.mark.parametrize(("share", "warned"), [(1.0, True), (0.95, True), (0.5, False)])
def test_a_region_loss_at_the_trivial_level_is_warned_of_once(share: float, warned: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    watcher = TrivialLoss(text_config(tmp_path, epochs=10, warmup=0.1), RunLog())
    watcher.load_state_dict({"levels": [0.2], "stuck": 0, "said": False})
    for epoch in range(10):
        watcher.on_train_epoch_end(SimpleNamespace(callback_metrics={"train/region": torch.tensor(0.2 * share)}, current_epoch=epoch, max_epochs=10), None)  # type: ignore[arg-type]
    assert " ".join(capsys.readouterr().out.split()).count("nothing is learnt yet") == warned


def test_a_word_is_named_by_its_annotation(tmp_path: Path) -> None:
    from finetune.config import DataConfig
    from finetune.data.splits import load_splits

    root = write_bars(tmp_path / "d", {"train": 2, "val": 1})
    split = load_splits(DataConfig(root=str(root)), wants="text").train
    affine = (2.0, 0.0, -7.0, 0.0, 2.0, 3.0)
    quads = torch.tensor(split.quads[split.rows(1)] * 2 + [-7, 3], dtype=torch.float32)
    target = TextTarget(quads, torch.tensor([False]), ("abc",))
    meta = ImageMeta(split.image_ids[1], "x.png", (96, 128), (96, 96), affine)
    assert word_name(SkippedQuad(0, "word", 0, -1), target, meta, split) == "gt_img_2.txt#1 'abc'"
    assert word_name(SkippedQuad(0, "word", 0, -1), target, meta, None) == "image img_2, word 'abc'"


def test_sheets_come_when_due_and_leave_the_run_as_it_was(tmp_path: Path) -> None:
    root = write_squares(tmp_path / "d", {"train": 8, "valid": 3})
    for name, every in (("with", 2), ("without", 0), ("auto", -1)):
        fit(tiny_config(root, epochs=3, pictures_every=every, ema=0.9), tmp_path / name)
    assert sorted(path.name for path in (tmp_path / "with" / "pictures").glob("*.png") if path.name.startswith("epoch")) == ["epoch_0002.png", "epoch_0003.png"]
    for name in ("without", "auto"):  # a run of a second has no time for pictures
        assert not list((tmp_path / name / "pictures").glob("epoch*.png"))
    with Image.open(tmp_path / "with" / "pictures" / "epoch_0002.png") as picture:
        assert min(picture.size) > 300
    one, two = (load_file(tmp_path / name / "model.safetensors") for name in ("with", "without"))
    assert one.keys() == two.keys()
    assert all(bool((one[key] == two[key]).all()) for key in one)


def test_sheets_left_to_themselves_take_a_share_of_the_time(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, drawn = [0.0], []
    pictures = ValidationPictures(-1, SimpleNamespace(pictures=None))  # type: ignore[arg-type]
    monkeypatch.setattr("finetune.callbacks.pictures.time.perf_counter", lambda: clock[0])

    def draw(_: object, __: object, epoch: int) -> None:
        if pictures._due and pictures._affordable():
            drawn.append(epoch)
            clock[0] += 3
            pictures._due, pictures._cost, pictures._spent = False, 3.0, pictures._spent + 3.0

    monkeypatch.setattr(pictures, "_draw", draw)
    pictures.on_train_start(None, None)  # type: ignore[arg-type]
    for epoch in range(50):
        clock[0] += 20
        pictures.on_train_epoch_end(SimpleNamespace(max_epochs=50, current_epoch=epoch, is_global_zero=True), None)  # type: ignore[arg-type]
    assert 3 <= len(drawn) <= 5
    assert 3 * len(drawn) <= math.ceil(0.02 * clock[0])


def test_a_run_that_finds_nothing_says_why_and_names_words_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = write_bars(tmp_path / "d", {"train": 4, "val": 2})
    first = root / "train_gts" / "gt_img_1.txt"
    x, y = (float(value) for value in first.read_text().split(",")[:2])
    good, bad = [[x, y], [x + 16, y], [x + 16, y + 16], [x, y + 16]], [[x + 16, y], [x + 16, y], [x + 16, y], [x + 16, y]]
    (root / "train_gts" / "chars_img_1.json").write_text(json.dumps({"words": [{"text": "abc", "characters": [good, bad]}]}))
    config = text_config(root, epochs=3, lr=1e-6)
    fit(replace(config, data=replace(config.data, augment="none")), tmp_path / "run")
    log = (tmp_path / "run" / "log.txt").read_text()
    assert log.count("why 0") == 3  # the first, the second and the last
    assert "below the text threshold 0.7" in log
    assert log.count("gt_img_1.txt#1 'abc': its character 1 is not drawn") == 1
    assert len(list((tmp_path / "run" / "pictures").glob("diagnosis_epoch_*.png"))) == 3
    capsys.readouterr()
    assert main(["evaluate", str(tmp_path / "run")]) == 0
    assert "below the text threshold 0.7" in " ".join(capsys.readouterr().out.split())
    assert (tmp_path / "run" / "pictures" / "diagnosis_val.png").is_file()
