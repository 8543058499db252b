"""The test of the set-up: what it trains on is what it is scored on, it passes where all is well, and says what to look at where not."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from backbones.errors import DataError
from finetune.build import build_datamodule
from finetune.cli import main
from finetune.config import DataConfig, RunConfig
from finetune.data.first_images import spread_images, take_images
from finetune.data.splits import load_splits
from finetune.data.text.dataset import TextDataset
from finetune.data.text.windows import fixed_windows
from finetune.data.text_preprocess import TextPreprocess
from finetune.overfit import FAILED, PASSED, opening_lines, verdict_lines, with_overfit
from finetune.record import load_record
from finetune.training import fit
from tests.finetune.test_text_run import text_config, write_bars
from tests.finetune.tiny import tiny_config, write_squares


@pytest.fixture(scope="module")
def bars(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_bars(tmp_path_factory.mktemp("overfit") / "bars", {"train": 6, "val": 2})


@pytest.fixture(scope="module")
def squares(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_squares(tmp_path_factory.mktemp("overfit") / "squares", {"train": 6, "valid": 2})


def overfit_of(config: RunConfig, images: int) -> RunConfig:
    return with_overfit(replace(config, data=replace(config.data, overfit=images)))


def flat(root: Path) -> RunConfig:
    """Settings with which nothing can be learnt."""
    return overfit_of(text_config(root, lr=1e-9), 2)


@pytest.mark.parametrize("kind", ["bars", "squares"])
def test_training_and_validation_show_the_same_pixels_and_targets(kind: str, request: pytest.FixtureRequest) -> None:
    root = request.getfixturevalue(kind)
    data = build_datamodule(overfit_of(text_config(root) if kind == "bars" else tiny_config(root), 3))
    shown = {sample[2].image_id: sample for sample in data.samples("val", range(3))}
    seen: set[object] = set()
    for batch in data.train_dataloader():
        for image, target, meta in zip(batch.images, batch.targets, batch.metas, strict=True):
            own = shown[meta.image_id]
            assert bool((image == own[0]).all())
            assert bool((target.ignore == own[1].ignore).all())
            assert meta.affine == own[2].affine
            seen.add(meta.image_id)
    assert seen == set(shown) == set(data.splits.val.image_ids)
    assert data.splits.test is None


def test_words_outside_the_crop_do_not_count(bars: Path) -> None:
    train = load_splits(DataConfig(root=str(bars)), wants="text").train
    rule = TextPreprocess(256, 1.0)
    whole, _ = fixed_windows(train, rule, (96, 128))
    assert not whole.ignore.any()
    cut, windows = fixed_windows(train, rule, (32, 40))  # the words are 48 pixels wide
    assert cut.ignore.all()
    assert len(windows) == len(train)
    two = take_images(train, [0, 0, 1])
    two = replace(two, quads=two.quads + np.array([[[0.0, 0]], [[0, 30]], [[0, 0]]]), offsets=np.array([0, 2, 3]), image_ids=("a", "b"), paths=two.paths[:2], original_hw=two.original_hw[:2])
    some, _ = fixed_windows(two, rule, (30, 96))
    assert some.ignore[:2].sum() == 1  # only one of both words of the first picture fits


def test_words_that_do_not_count_are_painted_over(bars: Path) -> None:
    train = load_splits(DataConfig(root=str(bars)), wants="text").train
    shown = []
    for skip in (False, True):
        split = replace(train, ignore=np.full(len(train.ignore), skip))
        shown.append(TextDataset(split, TextPreprocess(256, 1.0), crop_hw=(96, 128), windows=fixed_windows(split, TextPreprocess(256, 1.0), (96, 128))[1])[0][0])
    x, y = train.quads[0].min(0).astype(int)
    assert shown[0][:, y + 8, x + 8].tolist() == [240, 240, 200]
    assert shown[1].max() < 100  # dark noise, nothing of the bright word is left
    assert bool((shown[0] == shown[1])[:, :, : x - 1].all())


def test_images_are_taken_with_all_that_belongs_to_them(bars: Path, squares: Path) -> None:
    words = load_splits(DataConfig(root=str(bars)), wants="text").train
    boxes = load_splits(DataConfig(root=str(squares))).train
    for split in (words, boxes):
        some = take_images(split, [2, 0, 2])
        assert [some.image_ids[i] for i in range(3)] == [split.image_ids[i] for i in (2, 0, 2)]
        for position, old in enumerate((2, 0, 2)):
            new_rows, old_rows = some.rows(position), split.rows(old)
            assert some.annotation_ids[new_rows] == split.annotation_ids[old_rows]
            field = "boxes" if hasattr(split, "boxes") else "quads"
            assert np.array_equal(getattr(some, field)[new_rows], getattr(split, field)[old_rows])


def test_spread_images_prefer_those_that_count(bars: Path) -> None:
    split = load_splits(DataConfig(root=str(bars)), wants="text").train
    ignore = np.ones(6, np.bool_)
    ignore[[1, 4]] = False
    assert spread_images(replace(split, ignore=ignore), 3) == [1, 4]
    assert spread_images(replace(split, ignore=np.ones(6, np.bool_)), 2) == [0, 5]


def test_images_without_anything_to_learn_are_refused(tmp_path: Path) -> None:
    root = write_bars(tmp_path / "d", {"train": 3, "val": 1})
    first = root / "train_gts" / "gt_img_1.txt"
    first.write_text(first.read_text().replace("abc", "###"))
    with pytest.raises(DataError, match=r"first 1 training images hold no word that counts.*--overfit 2"):
        build_datamodule(overfit_of(text_config(root), 1)).setup("fit")


def test_settings_of_the_test_and_nothing_without_it(bars: Path) -> None:
    config = replace(text_config(bars), data=replace(text_config(bars).data, augment="strong", mosaic=0.5))
    assert with_overfit(config) is config
    assert opening_lines(config) == verdict_lines(config, [{"train/loss": 1.0}]) == []
    changed = overfit_of(config, 2)
    assert (changed.data.augment, changed.data.mosaic, changed.data.batch_size, changed.train.evaluate_every) == ("none", 0.0, 2, 1)
    assert with_overfit(changed) == changed
    assert "test of the set-up" in opening_lines(changed)[0]


def test_a_verdict_names_the_loss(bars: Path) -> None:
    config = overfit_of(text_config(bars), 2)
    figure = "val/icdar2015-iou/hmean"
    passed = verdict_lines(config, [{"train/loss": 1.0, figure: 0.0}, {"train/loss": 0.1, figure: 0.96}])
    assert len(passed) == 1
    assert passed[0].startswith(PASSED)
    still = verdict_lines(config, [{"train/loss": 1.0, figure: 0.0}, {"train/loss": 0.99, figure: 0.95}], ["the maps say so"])
    assert still[0].startswith(FAILED)
    assert "did not fall" in still[1]
    assert "the maps say so" in still[2]
    assert "rose again" in verdict_lines(config, [{"train/loss": 1.0}, {"train/loss": 0.1}, {"train/loss": 0.5}])[1]


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["bars", "squares"])
def test_a_sound_set_up_passes(kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    root = request.getfixturevalue(kind)
    record = fit(overfit_of(text_config(root) if kind == "bars" else tiny_config(root), 4), tmp_path / "run")
    assert any(note.startswith(PASSED) for note in record.notes)
    rows = (tmp_path / "run" / "metrics.csv").read_text().splitlines()
    assert len(rows) - 1 == record.epochs <= 24
    assert "passed" in (tmp_path / "run" / "log.txt").read_text()


@pytest.mark.slow
def test_one_that_learns_nothing_says_what_to_look_at_and_exits_with_1(bars: Path, tmp_path: Path) -> None:
    words = [
        "--data", str(bars), "--overfit", "2", "--backbone", "test_efficientnet", "--backbone.weights", "none", "--data.input_size", "96", "96", "--train.lr", "1e-9",
        "--craft.widths", "16", "16", "--craft.canvas", "256", "--train.accelerator", "cpu",
    ]  # fmt: skip
    assert main(["train", "--detector", "craftlite", *words, "--out", str(tmp_path / "run")]) == 1
    log = (tmp_path / "run" / "log.txt").read_text()
    for sentence in ("NOT passed, Hmean 0.000", "1. the loss did not fall", "train.lr 1e-09", "below the text threshold 0.7", "does not follow its target", "the region loss is still", "why 0"):
        assert sentence in log, sentence
    assert any(note.startswith(FAILED) for note in load_record(tmp_path / "run" / "record.json").notes)
    assert list((tmp_path / "run" / "pictures").glob("diagnosis_epoch_*.png"))
