"""The formats of scene text, as their files look in the wild."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from backbones.errors import DataError
from finetune.config import DataConfig
from finetune.data.splits import load_splits
from finetune.data.text.boxes import boxes_of_split
from finetune.data.text.kind import data_kind
from finetune.data.text.splits import load_text_annotations, load_text_splits
from finetune.data.types import TextSplit
from tests.finetune.data.makers import write_coco, write_picture
from tests.finetune.data.text_makers import QUAD, write_icdar


def words(root: Path, split: str = "train", **settings: object) -> TextSplit:
    return load_text_splits(DataConfig(root=str(root), **settings)).get(split)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("line", "text", "ignore"),
    [
        (f"{QUAD},street".encode(), "street", False),
        (f"{QUAD},###".encode(), "###", True),
        (f"{QUAD},one, two,three".encode(), "one, two,three", False),
        (f"{QUAD},한글 간판".encode(), "한글 간판", False),
        (b"\xef\xbb\xbf" + f"{QUAD},bom".encode(), "bom", False),
        (f"{QUAD},crlf\r\n\r\n".encode(), "crlf", False),
    ],
)
def test_icdar_2015(tmp_path: Path, line: bytes, text: str, ignore: bool) -> None:
    found = words(write_icdar(tmp_path, "train", {f"img_{number}": line for number in (1, 2, 10)} | {"img_3": f"{QUAD},other".encode()}))
    assert found.image_ids == ("img_1", "img_2", "img_3", "img_10") or set(found.image_ids) < {"img_1", "img_2", "img_3", "img_10"}  # a share is kept for validation
    row = found.offsets[found.image_ids.index("img_1" if "img_1" in found.image_ids else "img_2")]
    assert found.quads[row].tolist() == [[10, 10], [50, 12], [50, 30], [10, 28]]
    assert (found.texts[row], bool(found.ignore[row])) == (text, ignore)


def test_mlt_has_a_language(tmp_path: Path) -> None:
    root = write_icdar(tmp_path, "train", {f"img_{n}": f"{QUAD},Korean,문\n{QUAD},Latin,a,b\n{QUAD},None,###\n".encode() for n in range(1, 6)})
    found = words(root)
    assert found.texts[:3] == ("문", "a,b", "###")
    assert found.ignore[:3].tolist() == [False, False, True]


@pytest.mark.parametrize("line", ['38, 43, 60, 55, "Tiredness"', '38 43 60 55 "Tiredness"'])
def test_icdar_2013_rectangles_with_quotes(tmp_path: Path, line: str) -> None:
    found = words(write_icdar(tmp_path, "train", {f"img_{n}": line.encode() for n in range(1, 6)}))
    assert found.texts[0] == "Tiredness"
    assert found.quads[0].tolist() == [[38, 43], [60, 43], [60, 55], [38, 55]]


def test_several_folders_have_ids_of_their_own(tmp_path: Path) -> None:
    for folder in ("extra_train", "more_train"):
        for n in (1, 2):
            write_picture(tmp_path / folder / f"img_{n}.jpg", 120, 80)
            (tmp_path / folder / f"gt_img_{n}.txt").write_text(f"{QUAD},{folder}")
    write_icdar(tmp_path, "val", {"img_1": f"{QUAD},v".encode()})
    found = words(tmp_path)
    assert set(found.image_ids) == {"extra_train/img_1", "extra_train/img_2", "more_train/img_1", "more_train/img_2"}


def test_a_line_that_is_no_word_is_a_finding_and_an_error_when_scoring(tmp_path: Path) -> None:
    root = write_icdar(tmp_path, "train", {f"img_{n}": f"{QUAD},a\n10,20,nonsense\n".encode() for n in range(1, 6)})
    splits = load_text_splits(DataConfig(root=str(root)))
    assert any("gt_img_1.txt#2" in line or "#2" in line for line in splits.summary)
    assert (splits.get("train").texts[0], len(splits.get("train").quads)) == ("a", 4)
    with pytest.raises(DataError, match=r"gt_img_\d.txt.*#2|#2"):
        load_text_annotations(DataConfig(root=str(root)), "train")


def test_totaltext_text_files_with_broken_lines(tmp_path: Path) -> None:
    content = "x: [[10 40 70\n 70 40 10]], y: [[10 5 10 30 25 30]], ornt: [u'c'], transcriptions: [u'it\\'s']\nx: [[1 20 20 1]], y: [[1 1 9 9]], ornt: [u'#'], transcriptions: [u'#']\n"
    for n in range(1, 6):
        write_picture(tmp_path / "Images/Train" / f"img{n}.jpg", 120, 80)
        (tmp_path / "gt/Train").mkdir(parents=True, exist_ok=True)
        (tmp_path / "gt/Train" / f"poly_gt_img{n}.txt").write_text(content)
    found = words(tmp_path)
    assert found.ignore[:2].tolist() == [False, True]
    assert found.polygon_points[: found.polygon_offsets[1]].tolist() == [[10, 10], [40, 5], [70, 10], [70, 30], [40, 25], [10, 30]]
    assert found.quads[0, :, 0].min() == pytest.approx(10)
    assert found.quads[0, :, 1].max() == pytest.approx(30)


def test_totaltext_matlab_files(tmp_path: Path) -> None:
    from scipy.io import savemat

    row = np.empty((1, 6), object)
    row[0] = ["x:", np.array([[10, 40, 40, 10]]), "y:", np.array([[5, 5, 20, 20]]), "word", "h"]
    for n in range(1, 6):
        write_picture(tmp_path / "train_images" / f"img{n}.jpg", 120, 80)
        (tmp_path / "train_gts").mkdir(exist_ok=True)
        savemat(tmp_path / "train_gts" / f"poly_gt_img{n}.mat", {"polygt": row})
    found = words(tmp_path)
    assert found.texts[0] == "word"
    assert found.quads[0].tolist() == [[10, 5], [40, 5], [40, 20], [10, 20]]


def test_ctw1500_xml_and_text(tmp_path: Path) -> None:
    points = [(10 + 10 * k, 20) for k in range(7)] + [(70 - 10 * k, 40) for k in range(7)]
    flat = ",".join(f"{x},{y}" for x, y in points)
    for split, suffix, content in (
        ("train", "xml", f"<Annotations><image file='1'><box height='20' left='10' top='20' width='60'><label>one two</label><segs>{flat}</segs></box></image></Annotations>"),
        ("test", "txt", f"{flat},####one two\n{flat},####\n{flat},###\n"),
    ):
        for n in range(1001, 1006):
            write_picture(tmp_path / f"{split}_images" / f"{n}.jpg", 120, 80)
            (tmp_path / f"{split}_labels").mkdir(exist_ok=True)
            (tmp_path / f"{split}_labels" / f"{n if split == 'train' else f'000{n}'}.{suffix}").write_text(content)
    splits = load_text_splits(DataConfig(root=str(tmp_path)))
    for split in ("train", "test"):
        found = splits.get(split)
        assert found.texts[0] == "one two"
        assert found.polygon_points[:14].tolist() == [[x, y] for x, y in points]
    assert splits.get("test").ignore[:3].tolist() == [False, False, True]


def test_synthtext_has_characters(tmp_path: Path) -> None:
    from scipy.io import savemat

    quad = np.array([[10, 50, 50, 10], [10, 10, 30, 30]], float)
    chars = np.stack([np.array([[10 + 20 * k, 30 + 20 * k, 30 + 20 * k, 10 + 20 * k], [10, 10, 30, 30]], float) for k in range(2)], axis=2)

    def column(values: list[object]) -> np.ndarray:
        filled = np.empty((1, len(values)), object)
        for place, value in enumerate(values):
            filled[0, place] = value
        return filled

    names = [f"8/pic_{n}.jpg" for n in range(5)]
    for name in names:
        write_picture(tmp_path / name, 120, 80)
    texts = [np.array(["ab"])] * 4 + [np.array(["abc"])]
    savemat(tmp_path / "gt.mat", {"imnames": column(names), "wordBB": column([quad] * 5), "charBB": column([chars] * 5), "txt": column(texts)})
    splits = load_text_splits(DataConfig(root=str(tmp_path)))
    both = [splits.get("train"), splits.get("val")]
    assert sorted(name for split in both for name in split.image_ids) == [f"8/pic_{n}" for n in range(5)]
    assert sum(len(split.char_quads) for split in both) == 8  # one picture's text has another number of letters
    first = both[0] if both[0].char_offsets[1] else both[1]
    assert first.char_quads[:2, 0].tolist() == [[10, 10], [30, 10]]


@pytest.mark.parametrize("content", [b"", b"not matlab", b"MATLAB 5.0 MAT-file" + bytes(200)])
def test_a_broken_matlab_file_is_one_line(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "gt.mat").write_bytes(content)
    with pytest.raises(DataError, match=r"gt\.mat"):
        load_text_splits(DataConfig(root=str(tmp_path)))


def test_kinds_are_told_apart_and_words_are_boxes_for_others(tmp_path: Path) -> None:
    text, boxes = write_icdar(tmp_path / "t", "train", {f"img_{n}": f"{QUAD},a\n{QUAD},###".encode() for n in range(1, 6)}), tmp_path / "b"
    write_coco(boxes / "annotations/instances_train.json", boxes / "train", [f"{n}.jpg" for n in range(5)])
    assert (data_kind(DataConfig(root=str(text))), data_kind(DataConfig(root=str(boxes)))) == ("text", "boxes")
    seen = load_splits(DataConfig(root=str(text)), wants="boxes").get("train")
    assert seen.class_names == ("text",)
    assert seen.boxes[0].tolist() == [10, 10, 50, 30]
    assert seen.ignore[:2].tolist() == [False, True]
    with pytest.raises(DataError, match="holds boxes of objects, no words"):
        load_splits(DataConfig(root=str(boxes)), wants="text")


def test_boxes_outside_the_picture_are_clipped(tmp_path: Path) -> None:
    found = words(write_icdar(tmp_path, "train", {f"img_{n}": b"-5,-5,200,-5,200,90,-5,90,a\n130,10,150,10,150,20,130,20,b" for n in range(1, 6)}))
    assert boxes_of_split(found, clip=True).boxes[0].tolist() == [0, 0, 120, 80]
    assert len(boxes_of_split(found, clip=True).boxes) == len(found)


def test_the_sample_of_icdar_2015(shared_data: Path) -> None:
    splits = load_text_splits(DataConfig(root=str(shared_data / "ic15")))
    assert len(splits.get("test")) == 40
    assert len(splits.get("train")) + len(splits.get("val")) == 110
    assert {"official_train10/img_1", "train_images/img_1"} <= {*splits.get("train").image_ids, *splits.get("val").image_ids}
