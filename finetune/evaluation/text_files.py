"""A method's result files against ground truth, by the rules of the official scripts: from files to a split and to rows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from backbones.errors import DataError
from finetune.data.findings import shorten
from finetune.data.types import TextSplit
from finetune.evaluation.outlines import Outlines
from finetune.evaluation.result_files import TextFile, is_official, key_of, read_result_files, read_truth_files
from finetune.evaluation.result_lines import SCRIPTS, LineFormat, TextLines, read_lines
from finetune.evaluation.text_store import TextRows

IGNORED_TEXTS = ("###",)


@dataclass(frozen=True, eq=False)
class TextTruth:
    """Ground truth to score files with: the split, the shape of its lines ("quad", "ltrb", "polygon"), keys of its pictures, remarks."""

    split: TextSplit
    shape: str
    keys: dict[str, int]
    official: bool
    remarks: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Submission:
    """A method's words: rows, the images that have a file, and remarks."""

    rows: TextRows
    images: np.ndarray[tuple[int], np.dtype[np.int64]]
    remarks: tuple[str, ...] = ()


def is_truth_files(path: Path) -> bool:
    """Whether ``path`` is a zip, or a folder with text files right inside: ground truth of the official scripts, no data set."""
    if path.is_dir():
        return any(child.suffix == ".txt" and key_of(child.name) != child.stem for child in path.iterdir())
    return path.suffix.lower() == ".zip"


def read_truth(path: str | Path, protocol: str) -> TextTruth:
    """Read a zip or folder of ground truth files.

    Args:
        path: Official names (``gt_img_1.txt``) or any text files; quads, or left, top, right, bottom; MLT's script column is found.
        protocol: The text protocol that will score.

    Raises:
        DataError: A file or line cannot be used.
    """
    path = Path(path)
    files, remarks = read_truth_files(path)
    shape, lines = _truth_lines(files, protocol, path)
    texts, scripts = _without_scripts([text for part in lines for text in part.texts])
    remarks += [f"{count} lines of the truth: {kind}; they count all the same" for kind, count in _bent(lines).items()]
    if scripts:
        remarks.append("the truth has MLT's column of scripts; its transcriptions begin after it")
    official = is_official(file.name for file in files)
    ids = tuple(f"img_{file.key}" if official else file.key for file in files)
    split = _split(path.stem, ids, [Path(file.name) for file in files], lines, texts, shape)
    return TextTruth(split, shape, {file.key: i for i, file in enumerate(files)}, official, tuple(remarks))


def truth_of_split(split: TextSplit, protocol: str, values: int = 8) -> TextTruth:
    """A split that a data reader made, as the truth for result files: pictures are found by ``img_N`` or by their name.

    Args:
        split: The words.
        protocol: The text protocol that will score.
        values: How many values a line of the results has: where all words are upright rectangles, both four and eight may be meant.

    Raises:
        DataError: Two pictures would take the same result file.
    """
    keys: dict[str, int] = {}
    for number, image_id in enumerate(split.image_ids):
        key = key_of(f"{image_id}.txt")
        if key in keys:
            raise DataError(f"pictures {split.image_ids[keys[key]]} and {image_id} would take the same result file: score one folder of the data at a time")
        keys[key] = number
    official = all(key_of(f"{image_id}.txt").isdigit() for image_id in split.image_ids)
    upright = bool(len(split.quads)) and bool((split.quads[:, 0, 1] == split.quads[:, 1, 1]).all() and (split.quads[:, 0, 0] == split.quads[:, 3, 0]).all())
    shape = "polygon" if protocol == "polygon-iou" else "ltrb" if protocol == "icdar2013-deteval" or (upright and values < 8) else "quad"
    return TextTruth(split, shape, keys, official)


def read_submission(path: str | Path, truth: TextTruth, confidences: bool = False, strict: bool = True) -> Submission:
    """Read a method's result files.

    Args:
        path: Zip (as the official scripts take it) or folder.
        truth: What it will be scored with.
        confidences: Every line ends with a confidence in 0..1.
        strict: Refuse what the official scripts refuse; otherwise bend lines and names where that is possible.

    Raises:
        DataError: A file or line cannot be used; the message has file, line, what is wrong, and the remedy.
    """
    path = Path(path)
    files, remarks = read_result_files(path, truth.keys, truth.official, strict)
    form = LineFormat(truth.shape, "confidence" if confidences else "", strict)
    lines = [read_lines(f"{path.name}, {shorten(file.name, 80)}", file.content, form) for file in files]
    remarks += [f"{count} lines that the official script would refuse were bent ({kind})" for kind, count in _bent(lines).items()]
    images = np.array([truth.keys[file.key] for file in files], np.int64)
    scores = np.array([value for part in lines for value in part.confidences], np.float64)
    owner = np.repeat(images, [len(part.points) for part in lines])
    rows = TextRows(owner, _outlines([point for part in lines for point in part.points], truth.shape), scores)
    without = len(truth.split) - len(images)
    if without:
        remarks.append(f"{without} of {len(truth.split)} pictures have no result file and count as without detections")
    return Submission(rows, images, tuple(remarks))


def _bent(lines: Sequence[TextLines]) -> Counter[str]:
    return sum((Counter(part.bent) for part in lines), Counter())


def _outlines(points: Sequence[Sequence[float]], shape: str) -> Outlines:
    """Outlines from the coordinates of lines."""
    if shape == "polygon":
        return Outlines.of_list([np.array(point, np.float64).reshape(-1, 2) for point in points])
    values = np.array(points, np.float64)
    return Outlines.of_quads(values.reshape(-1, 4)[:, [0, 1, 2, 1, 2, 3, 0, 3]] if shape == "ltrb" else values)


def _truth_lines(files: Sequence[TextFile], protocol: str, path: Path) -> tuple[str, list[TextLines]]:
    """The shape of the truth's lines, and the lines.

    A line of a quad could be one of a rectangle whose text is numbers, so quads are tried first.
    """

    def read(shape: str) -> list[TextLines]:
        form = LineFormat(shape, "text")
        return [read_lines(f"{path.name}, {shorten(file.name, 80)}", file.content, form) for file in files]

    if protocol == "polygon-iou":
        return "polygon", read("polygon")
    try:
        lines = read("quad")
    except DataError as fault:
        try:
            return "ltrb", read("ltrb")
        except DataError as other:
            raise (other if protocol == "icdar2013-deteval" else fault) from None
    if protocol == "icdar2013-deteval":
        if any(part.points for part in lines):
            raise DataError(f"{path} has quads (x1,y1,...,x4,y4), and icdar2013-deteval scores upright rectangles (left,top,right,bottom): choose --protocol icdar2015-iou")
        return "ltrb", lines
    return "quad", lines


def _without_scripts(texts: list[str]) -> tuple[list[str], bool]:
    """MLT's lines have a script before the transcription: taken off where every line has one."""
    if not texts or not all("," in text and text.split(",", 1)[0].strip() in SCRIPTS for text in texts):
        return texts, False
    return [text.split(",", 1)[1] for text in texts], True


def _split(name: str, ids: tuple[str, ...], paths: Sequence[Path], lines: Sequence[TextLines], texts: Sequence[str], shape: str) -> TextSplit:
    outlines = _outlines([point for part in lines for point in part.points], shape)
    counts = [len(part.points) for part in lines]
    curved = shape == "polygon"
    quads = (outlines.bounds()[:, [0, 1, 2, 1, 2, 3, 0, 3]] if curved else outlines.points).reshape(-1, 4, 2)
    ignored = (*IGNORED_TEXTS, "#") if curved else IGNORED_TEXTS
    return TextSplit(
        name=name,
        image_ids=ids,
        paths=tuple(paths),
        original_hw=np.zeros((len(ids), 2), np.int32),
        offsets=np.concatenate([[0], np.cumsum(counts)]).astype(np.int64),
        quads=quads,
        ignore=np.array([text in ignored for text in texts], np.bool_),
        texts=tuple(texts),
        annotation_ids=tuple(f"{path.name}#{number}" for path, part in zip(paths, lines, strict=True) for number in part.numbers),
        polygon_offsets=outlines.offsets if curved else np.zeros(len(quads) + 1, np.int64),
        polygon_points=outlines.points if curved else np.zeros((0, 2)),
        char_offsets=np.zeros(len(quads) + 1, np.int64),
        char_quads=np.zeros((0, 4, 2)),
    )
