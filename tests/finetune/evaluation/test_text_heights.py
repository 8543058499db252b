"""Which words are missed, by height and in which way."""

from __future__ import annotations

import json

import numpy as np
import pytest

from finetune.cli import main
from finetune.evaluation.text_files import read_submission, read_truth
from finetune.evaluation.text_heights import HeightRow
from finetune.evaluation.text_iou import TextIouEvaluator
from tests.finetune.evaluation.text_makers import random_quads, write_zip


def rectangle(left, top, width, height):
    return ",".join(map(str, (left, top, left + width, top, left + width, top + height, left, top + height)))


TRUTH = [
    (10, 10, 60, 10),  # found
    (100, 10, 60, 10),  # one detection for it and the next
    (170, 10, 60, 10),
    (10, 50, 100, 30),  # two detections in it
    (200, 50, 100, 30),  # a detection of a third of it
    (400, 50, 100, 30),  # nothing there
]
FOUND = [(11, 10, 60, 10), (98, 8, 135, 14), (10, 50, 40, 30), (60, 50, 45, 30), (200, 50, 34, 30)]


@pytest.fixture
def zips(tmp_path):
    truth = [f"{rectangle(*box)},word" for box in TRUTH] + [f"{rectangle(600, 10, 90, 90)},###"]
    gt = write_zip(tmp_path / "gt.zip", {"gt_img_1.txt": "\r\n".join(truth)})
    return gt, write_zip(tmp_path / "found.zip", {"res_img_1.txt": "\r\n".join(rectangle(*box) for box in FOUND)})


def test_every_fate(zips):
    truth = read_truth(zips[0], "icdar2015-iou")
    evaluator = TextIouEvaluator(truth.split)
    evaluator.add(read_submission(zips[1], truth).rows)
    assert evaluator.by_height() == (
        HeightRow(0, 12, words=3, found=1, split=0, merged=2, low_iou=0, missed=0),
        HeightRow(20, 32, words=3, found=0, split=1, merged=0, low_iou=1, missed=1),
    )


@pytest.mark.parametrize("seed", range(4))
def test_fates_add_up(tmp_path, seed):
    gt, found = random_quads(np.random.default_rng(seed), tmp_path, size=200)
    truth = read_truth(gt, "icdar2015-iou")
    evaluator = TextIouEvaluator(truth.split)
    evaluator.add(read_submission(found, truth).rows)
    rows, values = evaluator.by_height(), evaluator.evaluate().values
    words = sum(row.words for row in rows)
    assert words == (~truth.split.ignore).sum() > 0
    assert sum(row.found for row in rows) / words == pytest.approx(values["recall"])
    assert all(row.words == row.found + row.split + row.merged + row.low_iou + row.missed for row in rows)


def test_nothing_found_at_all(zips, tmp_path):
    truth = read_truth(zips[0], "icdar2015-iou")
    assert [(row.words, row.missed) for row in TextIouEvaluator(truth.split).by_height()] == [(3, 3), (3, 3)]


def test_the_command_shows_them(zips, tmp_path, capsys):
    assert main(["evaluate", "--data", str(zips[0]), "--predictions", str(zips[1]), "--json", str(tmp_path / "out.json")]) == 0
    said = capsys.readouterr()
    line = next(line for line in (said.out + said.err).splitlines() if line.startswith("under 12 px"))
    assert line.split()[3:] == ["3", "0.333", "0", "2", "0", "0"]
    rows = json.loads((tmp_path / "out.json").read_text())["results"][0]["by_height"]
    assert rows[1] == {"low": 20, "high": 32, "words": 3, "found": 0, "split": 1, "merged": 0, "low_iou": 1, "missed": 1}
