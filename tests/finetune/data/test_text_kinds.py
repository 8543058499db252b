"""Words that a detector would see too small, characters at the picture's edge, what is said where nothing is found, and the formats as the docs name them."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from backbones.errors import DataError
from finetune.config import DataConfig
from finetune.data.splits import load_splits
from finetune.data.text.kind import data_kind
from finetune.data.text.layouts import NAMES
from finetune.data.text.splits import load_text_splits
from finetune.data.text_preprocess import TextPreprocess
from tests.finetune.data.makers import write_picture
from tests.finetune.data.text_makers import QUAD, write_icdar, write_synthtext, write_text_files, write_totaltext_mat


def line_of(summary: tuple[str, ...], words: str) -> str | None:
    return next((line for line in summary if words in line), None)


def test_tiny_words_are_measured_at_the_size_that_the_detector_sees(tmp_path: Path) -> None:
    root = write_icdar(tmp_path, "train", {f"img_{n}": f"{QUAD},word\n60,10,110,10,110,16,60,16,small\n".encode() for n in range(1, 6)})
    said = {
        preprocess: line_of(load_splits(DataConfig(root=str(root)), wants="text", preprocess=preprocess).summary, "pixels high at the input size")
        for preprocess in (None, TextPreprocess(canvas=1280, mag_ratio=1.0), TextPreprocess(canvas=96, mag_ratio=1.0))
    }
    usual, as_it_is, smaller = said.values()
    assert usual is None  # 9 pixels at 1.5 times
    assert as_it_is is None  # 6 pixels
    assert smaller is not None
    assert "4.8 at the input size" in smaller


@pytest.mark.parametrize(("left", "outside"), [(-18, False), (40, True)], ids=["cut by the edge", "in the picture"])
def test_characters_beyond_the_edge_of_the_picture_are_no_fault(tmp_path: Path, left: int, outside: bool) -> None:
    """The quad of a word that the edge cuts ends there; a character that lies elsewhere in the picture is a fault."""
    root = write_icdar(tmp_path, "train", {f"img_{n}": f"{max(0, left)},10,{left + 38},10,{left + 38},30,{max(0, left)},30,ab\n".encode() for n in range(1, 6)})
    first = left if left < 0 else left + 50
    chars = [[[x, 10], [x + 17, 10], [x + 17, 30], [x, 30]] for x in (first, left + 19)]
    for n in range(1, 6):
        (root / f"train_gts/chars_img_{n}.json").write_text(json.dumps({"words": [{"text": "ab", "characters": chars}]}))
    said = line_of(load_text_splits(DataConfig(root=str(root))).summary, "outside")
    assert (said is not None) == outside, said


def test_nothing_found_names_the_places_of_words_too(tmp_path: Path) -> None:
    write_picture(tmp_path / "a.png")
    for call in (lambda: data_kind(DataConfig(root=str(tmp_path))), lambda: load_splits(DataConfig(root=str(tmp_path)))):
        with pytest.raises(DataError, match=r"ImageSets/Main.*found a\.png.*gt_NAME\.txt.*<segs>.*gt\.mat"):
            call()
    with pytest.raises(DataError, match=r"^no scene text in .*gt_NAME\.txt.*poly_gt_NAME.*found a\.png") as only_text:
        load_splits(DataConfig(root=str(tmp_path)), wants="text")
    assert "COCO" not in str(only_text.value)
    (tmp_path / "digitStruct.mat").write_bytes(b"x")
    with pytest.raises(DataError, match=r"only SynthText's gt\.mat and TotalText's"):
        data_kind(DataConfig(root=str(tmp_path)))


def table_rows(page: Path, heading: str) -> dict[str, list[str]]:
    """First cell to the others, of the first table below a heading."""
    section = page.read_text(encoding="utf-8").split(f"## {heading}\n", 1)[1]
    lines = [line.strip().strip("|").split("|") for line in re.search(r"(?:^\|.*\n)+", section, re.MULTILINE)[0].splitlines()]  # type: ignore[index]
    return {cells[0].strip(): [cell.strip() for cell in cells[1:]] for cells in lines[2:]}


def text_files(name: str, contents: str) -> Callable[[Path], Path]:
    return lambda root: write_text_files(root, name, contents)


# what stands in the table of docs/data.md -> data that are written so; the second word of each is ignored
FORMS: dict[str, dict[str, Callable[[Path], Path]]] = {
    "ICDAR": {
        "gt_NAME.txt": text_files("gt_{n}.txt", "quads with a script"),
        "NAME.txt": text_files("{n}.txt", "quads"),
        "x1,y1,...,x4,y4,text": text_files("gt_{n}.txt", "quads"),
        'left,top,right,bottom,"text"': text_files("gt_{n}.txt", "rectangles"),
    },
    "TotalText": {"poly_gt_NAME.txt": text_files("poly_gt_{n}.txt", "totaltext"), ".mat": write_totaltext_mat},
    "CTW1500": {".xml": text_files("{n}.xml", "ctw1500 xml"), "<segs>": text_files("gt_{n}.xml", "ctw1500 xml"), ".txt": text_files("{n}.txt", "ctw1500")},
    "SynthText": {"gt.mat": write_synthtext},
}
OTHER_FORMS = {"rectangles with blanks": ("ICDAR", text_files("{n}.txt", "rectangles with blanks")), "offsets": ("CTW1500", text_files("{n}.txt", "ctw1500 offsets"))}
IN_TEXT_MD = {"ICDAR 2013": "ICDAR", "ICDAR 2015, MLT": "ICDAR", "TotalText": "TotalText", "CTW1500": "CTW1500", "SynthText": "SynthText", "drawn words": "ICDAR"}


def test_the_tables_of_text_formats_name_what_is_read(repo_root: Path) -> None:
    rows = table_rows(repo_root / "docs/data.md", "Scene text")
    assert {name: set(re.findall(r"`([^`]+)`", cells[0])) for name, cells in rows.items()} == {name: set(forms) for name, forms in FORMS.items()}
    assert list(rows) == list(NAMES.values())
    shorter = table_rows(repo_root / "docs/text.md", "Data")
    assert set(shorter) == set(IN_TEXT_MD)
    assert {IN_TEXT_MD[name]: cells[1] for name, cells in shorter.items() if cells[1]} == {name: cells[2] for name, cells in rows.items() if cells[2]}, "the marks of ignored words differ"


@pytest.mark.parametrize(
    ("name", "write"),
    [*((name, write) for name, forms in FORMS.items() for write in forms.values()), *OTHER_FORMS.values()],
    ids=[*(f"{name} {form}" for name, forms in FORMS.items() for form in forms), *OTHER_FORMS],
)
def test_what_the_table_of_text_formats_says_is_so(repo_root: Path, tmp_path: Path, name: str, write: Callable[[Path], Path]) -> None:
    _, words, mark = table_rows(repo_root / "docs/data.md", "Scene text")[name]
    splits = load_text_splits(DataConfig(root=str(write(tmp_path / "set"))))
    assert splits.summary[0].startswith(f"data: {name} in ")
    train = splits.get("train")
    assert (len(train) + len(splits.get("val")), train.texts[0]) == (5, "word")
    low, high = train.quads[0].min(0), train.quads[0].max(0)
    assert (*low.tolist(), *high.tolist()) == pytest.approx((10, 20, 70, 40), abs=1e-4)
    assert (train.polygon_offsets[1] > 4) == ("outlines" in words)
    assert (train.char_offsets[1] == 4) == ("characters" in words)
    if mark:
        assert (mark.strip("`"), train.texts[1]) in {("###", "###"), ("#", "#")}
        assert train.ignore[:2].tolist() == [False, True]
    else:
        assert not train.ignore.any()
