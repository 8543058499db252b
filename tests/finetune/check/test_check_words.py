"""Faults planted in scene text, and what ``finetune check`` says of them: kind, file and line."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from finetune.cli import main

WORD = "10,10,90,10,90,40,10,40,"


def write_text_set(root: Path, lines: dict[int, str]) -> Path:
    """Six pictures of noise; picture n has the given lines, else one good word."""
    rng = np.random.default_rng(0)
    for number in range(1, 7):
        (root / "train_images").mkdir(parents=True, exist_ok=True)
        (root / "train_gts").mkdir(exist_ok=True)
        pixels = np.asarray(Image.fromarray(rng.integers(0, 255, (6, 8, 3), dtype=np.uint8)).resize((160, 120)))
        Image.fromarray(pixels).save(root / "train_images" / f"img_{number}.png")
        (root / "train_gts" / f"gt_img_{number}.txt").write_text(lines.get(number, f"{WORD}Häuser, zwei\n100,60,150,60,150,90,100,90,###\n"), encoding="utf-8-sig")
    return root


def check(root: Path, *flags: str) -> tuple[int, dict[str, Any]]:
    report = root.parent / "report.json"
    code = main(["check", str(root), "--json", str(report), *flags])
    return code, json.loads(report.read_text(encoding="utf-8"))


def test_good_words_are_no_error_and_drawn(tmp_path: Path) -> None:
    code, report = check(write_text_set(tmp_path / "set", {}), "--html", str(tmp_path / "page.html"))
    assert code == 0
    assert report["counts"]["error"] == 0
    assert sum(split["boxes"] for split in report["splits"].values()) == 12
    assert sum(split["ignored"] for split in report["splits"].values()) == 6
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert page.count("data:image/jpeg") >= 6
    table = page.split('<table class="splits">')[1].split("</table>")[0]
    rows = [re.findall(r'<td(?: data-label="([^"]+)")?[ >]', row) for row in table.split("<tbody>")[1].split("</tr>")[:-1]]
    columns = re.findall(r"<th[^>]*>([^<]+)", table)
    assert len(rows) == 2
    for labels in rows:  # on a narrow screen the labels stand for the head of the table
        assert [label.removeprefix("letter height, ") for label in labels[1:]] == [column.removeprefix("letter height, ") for column in columns[1:]]


@pytest.mark.parametrize(
    ("line", "kind", "severity"),
    [
        ("10,10,90,10,90,40,10,forty,word", "word-unreadable", "error"),
        ("10,10,10,10,10,10,10,10,word", "word-empty", "error"),
        ("500,500,600,500,600,540,500,540,word", "word-off-picture", "error"),
        ("10,10,90,10,10,40,90,40,word", "word-crossed", "warning"),
        ("10,10,10,40,90,40,90,10,word", "word-anticlockwise", "warning"),
        ("10,10,30,10,30,12,10,12,word", "word-tiny", "warning"),
        (f"{WORD}word\n{WORD}word", "word-twice", "warning"),
        (WORD, "word-without-text", "note"),
    ],
)
def test_planted_faults_are_named(tmp_path: Path, line: str, kind: str, severity: str) -> None:
    code, report = check(write_text_set(tmp_path / "set", {3: f"{WORD}good\n{line}\n"}))
    found = [finding for finding in report["findings"] if finding["kind"] == kind]
    assert found, report["kinds"]
    assert found[0]["severity"] == severity
    assert str(found[0]["annotation"]).startswith("gt_img_3.txt#")
    assert code == (3 if severity == "error" else 0)


def test_pictures_and_files_without_a_partner(tmp_path: Path) -> None:
    root = write_text_set(tmp_path / "set", {})
    (root / "train_gts/gt_img_2.txt").unlink()
    (root / "train_images/img_5.png").unlink()
    code, report = check(root)
    kinds = {finding["kind"]: finding["file"] for finding in report["findings"]}
    assert code == 3
    assert kinds["picture-unannotated"].endswith("img_2.png")
    assert kinds["picture-missing"].endswith("gt_img_5.txt")
