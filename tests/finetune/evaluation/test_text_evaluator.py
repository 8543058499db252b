"""Evaluators of scene text fed by a network, and the submissions they write: the figures of files and of a run are the same."""

from __future__ import annotations

import zipfile

import numpy as np
import pytest
import torch

from backbones.errors import DataError, UsageError
from detectors.types import ImageMeta, TextDetections
from finetune.evaluation import create_evaluator, text_evaluator
from finetune.evaluation.base import EvalResult
from finetune.evaluation.submission import write_submission
from finetune.evaluation.text_files import read_submission, read_truth
from tests.finetune.evaluation import official_port
from tests.finetune.evaluation.splits import make_split
from tests.finetune.evaluation.test_text_protocols import score
from tests.finetune.evaluation.text_makers import random_quads, random_rectangles


def as_network_output(truth_path, results_path, protocol, random):
    """The words of a submission as a network would give them: with fractions, by descending score."""
    split = read_truth(truth_path, protocol).split
    rows = read_submission(results_path, read_truth(truth_path, protocol)).rows
    detections, metas = [], []
    for number, image_id in enumerate(split.image_ids):
        mine = rows.take(rows.image == number)
        quads = mine.outlines.points.reshape(-1, 4, 2)
        quads = torch.from_numpy(quads + np.sign(quads) * random.uniform(0, 0.9, quads.shape)).float()
        detections.append(TextDetections(quads, torch.linspace(1, 0.1, len(quads)), torch.zeros(len(quads), dtype=torch.int64)))
        metas.append(ImageMeta(image_id, f"{image_id}.jpg", (100, 100), (100, 100), (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)))
    return split, detections, metas


@pytest.mark.parametrize(("protocol", "seed"), [("icdar2015-iou", 0), ("icdar2015-iou", 1), ("icdar2013-deteval", 2), ("icdar2013-deteval", 3)])
def test_a_run_and_its_submission_give_the_official_figures(tmp_path, protocol, seed):
    random = np.random.default_rng(seed)
    truth, results = (random_quads if protocol == "icdar2015-iou" else random_rectangles)(random, tmp_path, size=100)
    split, detections, metas = as_network_output(truth, results, protocol, random)
    evaluator = create_evaluator(protocol, split)
    evaluator.process(detections, metas)
    from_run = evaluator.evaluate()
    assert isinstance(from_run, EvalResult)
    assert from_run.primary == "hmean"
    target = tmp_path / "written.zip"
    write_submission(target, split.image_ids, evaluator.store.rows(), protocol)
    from_file = score(truth, target, protocol)
    assert from_file.values == from_run.values == score(truth, results, protocol).values  # fractions are cut off
    port = official_port.score_iou if protocol == "icdar2015-iou" else official_port.score_deteval
    assert dict(from_run.values) == pytest.approx(port(truth, target)[0])  # which refuses any line that is not clockwise
    assert 0 < from_run.values["hmean"] < 1


def test_submission_files_are_as_the_official_code_writes_them(tmp_path):
    random = np.random.default_rng(0)
    truth, results = random_quads(random, tmp_path, size=100)
    split, detections, metas = as_network_output(truth, results, "icdar2015-iou", random)
    evaluator = create_evaluator("icdar2015-iou", split)
    evaluator.process(detections, metas)
    write_submission(tmp_path / "with scores.zip", split.image_ids, evaluator.store.rows(), confidences=True)
    with zipfile.ZipFile(tmp_path / "with scores.zip") as archive:
        assert archive.namelist() == [f"res_{image_id}.txt" for image_id in split.image_ids]  # pictures without words, too
        lines = archive.read(archive.namelist()[0]).decode().split("\r\n")
    assert lines[-1] == ""
    assert all(len(line.split(",")) == 9 for line in lines[:-1])
    with pytest.raises(UsageError, match="not overwritten"):
        write_submission(tmp_path / "with scores.zip", split.image_ids, evaluator.store.rows())
    with pytest.raises(UsageError, match=r"res_img_1\.txt"):
        write_submission(tmp_path / "twice.zip", ["a/img_1", "b/img_1"], evaluator.store.rows())


def test_parts_of_several_processes_make_one_whole(tmp_path):
    random = np.random.default_rng(5)
    split, detections, metas = as_network_output(*random_quads(random, tmp_path), "icdar2015-iou", random)
    whole, first, second = (create_evaluator("icdar2015-iou", split) for _ in range(3))
    whole.process(detections, metas)
    first.process(detections[::2], metas[::2])
    second.process(detections[1::2], metas[1::2])
    second.process(detections[:1], metas[:1])  # as a padded sampler repeats an image
    first.merge(second.state())
    assert first.evaluate() == whole.evaluate()


def test_words_that_are_not_numbers_are_left_out_and_named(tmp_path):
    random = np.random.default_rng(5)
    split, detections, metas = as_network_output(*random_quads(random, tmp_path), "icdar2015-iou", random)
    evaluator = create_evaluator("icdar2015-iou", split)
    evaluator.process(detections, metas)
    before = evaluator.evaluate()
    broken = TextDetections(torch.full((2, 4, 2), torch.nan), torch.ones(2), torch.zeros(2, dtype=torch.int64))
    both = TextDetections(torch.cat([broken.quads, detections[0].quads]), torch.cat([broken.scores, detections[0].scores]), torch.cat([broken.labels, detections[0].labels]))
    evaluator.reset()
    evaluator.process([both, *detections[1:]], metas)
    after = evaluator.evaluate()
    assert after.values == before.values
    assert "2 detections hold coordinates that are not numbers" in after.notes[0]


def test_polygons_are_scored_where_the_protocol_is_for_them(tmp_path):
    random = np.random.default_rng(5)
    split, detections, metas = as_network_output(*random_quads(random, tmp_path), "icdar2015-iou", random)
    found = [TextDetections(part.quads, part.scores, part.labels, tuple(torch.zeros(5, 2) for _ in part.quads)) for part in detections]
    figures = {}
    for protocol in ("polygon-iou", "icdar2015-iou"):
        evaluator = create_evaluator(protocol, split)
        evaluator.process(found, metas)
        figures[protocol] = evaluator.evaluate().values["hmean"]
    assert figures["polygon-iou"] == 0 < figures["icdar2015-iou"]


def test_boxes_and_words_are_not_mixed_up(tmp_path):
    random = np.random.default_rng(5)
    split, detections, metas = as_network_output(*random_quads(random, tmp_path), "icdar2015-iou", random)
    with pytest.raises(UsageError, match="cannot score boxes"):
        create_evaluator("icdar2015-iou", make_split([[[0, 0, 1, 1]]], [[0]]))
    with pytest.raises(UsageError, match="cannot score words"):
        create_evaluator("coco", split)
    with pytest.raises(DataError, match="not in split"):
        create_evaluator("icdar2015-iou", split).process(detections[:1], [ImageMeta("other", "other.jpg", (1, 1), (1, 1), metas[0].affine)])


@pytest.mark.parametrize("protocol", ["icdar2015-iou", "icdar2013-deteval"])
def test_blocks_of_pairs_change_nothing(tmp_path, monkeypatch, protocol):
    random = np.random.default_rng(7)
    truth, results = (random_quads if protocol == "icdar2015-iou" else random_rectangles)(random, tmp_path)
    whole = score(truth, results, protocol)
    monkeypatch.setattr(text_evaluator, "_BLOCK", 7)
    assert score(truth, results, protocol) == whole
    assert whole.values["hmean"] > 0
