"""Detected words in the official format of ICDAR's submissions, so that any scorer can read them."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from backbones.errors import UsageError
from finetune.evaluation.outlines import Outlines
from finetune.evaluation.result_files import key_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from finetune.evaluation.text_store import TextRows

SHAPES = {"icdar2013-deteval": "ltrb", "icdar2015-iou": "quad", "polygon-iou": "polygon"}


def result_lines(outlines: Outlines, shape: str, scores: NDArray[np.float64] | None = None) -> list[str]:
    """One line per word, coordinates cut to whole pixels as the official CRAFT code does.

    Quads whose corners do not run clockwise after the cut are written in the other direction: official scripts refuse them.

    Args:
        outlines: Words in pixels of the original picture.
        shape: "quad", "ltrb" (left, top, right, bottom of the corners) or "polygon".
        scores: Confidences to write behind the coordinates.
    """
    whole = outlines.truncated()
    if shape == "ltrb":
        rows = [list(map(int, bounds)) for bounds in whole.bounds().tolist()] if len(whole) else []
    else:
        corners = [whole.points[start:end] for start, end in zip(whole.offsets[:-1].tolist(), whole.offsets[1:].tolist(), strict=True)]
        rows = [np.where(np.isfinite(part), part, 0).astype(np.int64).reshape(-1).tolist() for part in (map(_clockwise, corners) if shape == "quad" else corners)]
    ends = [""] * len(rows) if scores is None else [f",{score:.6f}" for score in np.clip(scores, 0, 1).tolist()]
    return [",".join(map(str, row)) + end for row, end in zip(rows, ends, strict=True)]


def _clockwise(corners: NDArray[np.float64]) -> NDArray[np.float64]:
    following = np.roll(corners, -1, axis=0)
    turn = ((following[:, 0] - corners[:, 0]) * (following[:, 1] + corners[:, 1])).sum()
    return np.concatenate([corners[:1], corners[:0:-1]]) if turn > 0 else corners


def write_submission(path: str | Path, image_ids: Sequence[str], rows: TextRows, protocol: str = "icdar2015-iou", confidences: bool = False) -> None:
    """Write a zip with one ``res_img_N.txt`` per picture, pictures without words included.

    Args:
        path: The zip; never overwritten.
        image_ids: Pictures of the split, ``img_N`` for official names; others give ``res_<id>.txt``.
        rows: Detected words in pixels of the original pictures; ``image`` indexes ``image_ids``.
        protocol: Decides what a line holds.
        confidences: Write scores, as MLT asks for.

    Raises:
        UsageError: The file exists, or two pictures would share one result file.
    """
    path = Path(path)
    names = check_submission(path, image_ids)
    lines = np.array(result_lines(rows.outlines, SHAPES[protocol], rows.scores if confidences else None), object)
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for number, name in enumerate(names):
            archive.writestr(name, "".join(f"{line}\r\n" for line in lines[rows.image == number]))


def check_submission(path: str | Path, image_ids: Sequence[str] = ()) -> list[str]:
    """Names of the files of a submission, one per picture; raise UsageError where it cannot be written."""
    if Path(path).suffix.lower() != ".zip":
        raise UsageError(f"--submission {path}: the official format is a zip; give a name that ends with .zip")
    if Path(path).exists():
        raise UsageError(f"--submission {path} exists: files of results are not overwritten; give another name, or remove it")
    names = [f"res_img_{key}.txt" if (key := key_of(f"{image_id}.txt")).isdigit() else f"res_{key}.txt" for image_id in image_ids]
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise UsageError(f"several pictures would be written as {twice}: write a submission of one folder of the data at a time")
    return names
