"""The report as files: what it says, what it never says, and what happens where things are missing."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from backbones.errors import DataError, UsageError
from finetune.report import Limits, parse_limits, write_report
from finetune.report.saved import load_found, load_truth
from finetune.report.shown_text import without_paths
from tests.finetune.report.comparison_maker import make_comparison

SECRETS = ("/home/", "somebody", ".cache")


@pytest.fixture(scope="module")
def boxes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = make_comparison(tmp_path_factory.mktemp("report") / "boxes")
    write_report(folder, parse_limits("30ms", "5M"))
    return folder


def test_the_first_line_answers(boxes: Path) -> None:
    page, values = (boxes / "report.html").read_text(encoding="utf-8"), json.loads((boxes / "report.json").read_text(encoding="utf-8"))
    scores = {row["candidate"]: row["AP"] for row in values["candidates"] if row["AP"] is not None}
    best = max(scores, key=lambda name: scores[name])
    assert values["answer"]["best"] == best
    assert f'<p class="first">For best accuracy take {best}: AP {scores[best]:.3f}' in page
    costs = {row["candidate"]: (row["latency_ms"], row["parameters"]) for row in values["candidates"]}
    keep = [name for name in scores if costs[name][0] <= 30 and costs[name][1] <= 5e6]
    assert values["answer"]["limited"] == max(keep, key=lambda name: scores[name])
    assert "Under 30 ms and 5M parameters take" in page
    assert "broken_net: its weights are not here" in page


def test_text_of_data_is_escaped(boxes: Path) -> None:
    page = (boxes / "report.html").read_text(encoding="utf-8")
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert "<script>alert(1)" not in page
    assert "<b>bold</b>" not in page


def test_nothing_of_the_machine_is_told(boxes: Path) -> None:
    for name in ("report.html", "report.json", "report.csv", "report.md"):
        text = (boxes / name).read_text(encoding="utf-8")
        assert not [secret for secret in (*SECRETS, str(boxes)) if secret in text], name
    assert '"root": "cells"' in (boxes / "report.html").read_text(encoding="utf-8").replace("&#34;", '"')


def test_the_page_is_whole_and_small(boxes: Path) -> None:
    page = (boxes / "report.html").read_text(encoding="utf-8")
    assert len(page) < 3_000_000
    assert not re.search(r"""(?:src|href)=["'](?!data:|#)""", page)
    assert page.count("data:image/jpeg") == 6


def test_pictures_are_attributed_and_no_more_than_asked(tmp_path: Path) -> None:
    folder = make_comparison(tmp_path / "c")
    write_report(folder, pictures=2, attribution="Cells & Sons <b>, MIT")
    page = (folder / "report.html").read_text(encoding="utf-8")
    assert page.count("data:image/jpeg") == 2
    assert "Pictures: Cells &amp; Sons &lt;b&gt;, MIT." in page
    assert "Pictures: Cells & Sons <b>, MIT" in (folder / "report.md").read_text(encoding="utf-8")
    assert json.loads((folder / "report.json").read_text(encoding="utf-8"))["data"]["attribution"] == "Cells & Sons <b>, MIT"
    write_report(folder, pictures=0)
    assert "data:image/jpeg" not in (folder / "report.html").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("cannot read /work/data/x.png: gone", "cannot read x.png: gone"),
        ("C:\\Users\\me\\x.pth", "x.pth"),
        ("//server/share/x", "x"),
        ("~/runs/a/b.ckpt", "b.ckpt"),
        ("from http://intern.example:80/a", "from (address)/a"),
        ("runs/a-0/detections.json", "runs/a-0/detections.json"),
        ("25 images/s and 1/2", "25 images/s and 1/2"),
    ],
)
def test_paths_are_cut(text: str, left: str) -> None:
    assert without_paths({"a": [text]}) == {"a": [left]}


def test_words_have_a_report(tmp_path: Path) -> None:
    folder = make_comparison(tmp_path / "words", words=True)
    page = write_report(folder).read_text(encoding="utf-8")
    assert "Words of the truth by what became of them" in page
    assert "hmean by icdar2015-iou" in re.sub("</?b>", "", page)


def test_one_seed_is_called_too_sure(tmp_path: Path) -> None:
    page = write_report(make_comparison(tmp_path / "one", seeds=(0,), copies=0)).read_text(encoding="utf-8")
    assert "one seed only" in page
    assert "with pictures drawn anew" in page


def test_without_predictions_and_profiles_it_says_so(tmp_path: Path) -> None:
    folder = make_comparison(tmp_path / "bare", seeds=(0,), copies=0)
    record = json.loads((folder / "comparison.json").read_text(encoding="utf-8"))
    record["truth"] = None
    for candidate in record["candidates"]:
        candidate["profile"] = {}
    (folder / "comparison.json").write_text(json.dumps(record), encoding="utf-8")
    page = write_report(folder, Limits(latency_ms=30)).read_text(encoding="utf-8")
    assert "How sure that is cannot be told" in page
    assert "no candidate keeps the limit" in page
    assert "Not measured, so left out" in page
    assert "no candidate has both figures" in page


def test_an_unfinished_comparison_has_a_report(tmp_path: Path) -> None:
    folder = make_comparison(tmp_path / "waiting", seeds=(0,), copies=0)
    record = json.loads((folder / "comparison.json").read_text(encoding="utf-8"))
    for run in record["runs"]:
        run["state"] = "waiting"
    (folder / "comparison.json").write_text(json.dumps(record), encoding="utf-8")
    assert "nothing to recommend" in write_report(folder).read_text(encoding="utf-8")


def test_damaged_detections_are_named_and_the_rest_goes_on(tmp_path: Path) -> None:
    folder = make_comparison(tmp_path / "damaged", seeds=(0,), copies=0)
    file = folder / "runs" / "resnet18-0" / "detections.json"
    values = json.loads(file.read_text(encoding="utf-8"))
    values["image"][0] = 999
    file.write_text(json.dumps(values), encoding="utf-8")
    with pytest.raises(DataError, match="image 999 is beyond the 24"):
        load_found(file, load_truth(folder / "truth.json"))
    page = write_report(folder).read_text(encoding="utf-8")
    assert "resnet18, seed 0: its detections could not be read" in page
    assert "For best accuracy take" in page


def test_a_saved_score_that_does_not_fit_its_detections_is_told(tmp_path: Path) -> None:
    folder = make_comparison(tmp_path / "other", seeds=(0,), copies=0)
    record = json.loads((folder / "comparison.json").read_text(encoding="utf-8"))
    record["runs"][0]["scores"][0]["values"]["AP"] = 0.99
    (folder / "comparison.json").write_text(json.dumps(record), encoding="utf-8")
    assert "counted again from its saved detections" in write_report(folder).read_text(encoding="utf-8")


def test_added_runs_with_settings_of_their_own_are_called_so(tmp_path: Path) -> None:
    folder = make_comparison(tmp_path / "added", seeds=(0,), copies=0)
    record = json.loads((folder / "comparison.json").read_text(encoding="utf-8"))
    record["budget"]["kind"] = "own"
    (folder / "comparison.json").write_text(json.dumps(record), encoding="utf-8")
    page = write_report(folder).read_text(encoding="utf-8")
    assert "the order tells which run is better" in page
    assert "As far as pictures go, that is" in page


def test_no_folder_and_wrong_limits_are_usage_errors(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="not the folder of a comparison"):
        write_report(tmp_path / "nowhere")
    with pytest.raises(UsageError, match="cannot read the comparison"):
        write_report(tmp_path)
    for latency, params in (("fast", None), ("0ms", None), (None, "5G"), (None, "-1")):
        with pytest.raises(UsageError, match="write for example"):
            parse_limits(latency, params)
    assert parse_limits("0.5s", "800k") == Limits(500.0, 800e3)


def test_reports_need_no_torch() -> None:
    code = "import sys, finetune.report.page; sys.exit(any(name in sys.modules for name in ('torch', 'pytorch_lightning', 'timm', 'cv2')))"
    subprocess.run([sys.executable, "-c", code], check=True)
