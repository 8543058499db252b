"""What ``finetune predict`` writes about words: JSON entries, ICDAR text files, drawn pictures, and the words themselves, upright."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from PIL import Image

from finetune.evaluation.outlines import Outlines
from finetune.evaluation.submission import result_lines
from finetune.read_ahead import ReadImage
from finetune.word_drawing import cut_word, draw_words, outlines_of

if TYPE_CHECKING:
    from detectors.types import TextDetections

_DIGITS = 2


def word_entries(image_id: int, file_name: str, words: TextDetections) -> list[dict[str, Any]]:
    """One entry per word: image, score, quad (x1, y1, ..., y4 in pixels of the picture), and its polygon where it has one."""
    quads = [[round(value, _DIGITS) for value in quad] for quad in words.quads.double().flatten(1).tolist()]
    entries: list[dict[str, Any]] = [
        {"image_id": image_id, "file_name": file_name, "quad": quad, "score": round(score, 6)} for quad, score in zip(quads, words.scores.double().tolist(), strict=True)
    ]
    for entry, polygon in zip(entries, words.polygons, strict=False):
        entry["polygon"] = [round(value, _DIGITS) for value in polygon.double().flatten().tolist()]
    return entries


def write_word_files(image: ReadImage, words: TextDetections, name: str, out: Path, draw: bool, crops: bool) -> None:
    """Write ``icdar/res_NAME.txt``, the drawn picture and, where asked for, each word upright as ``crops/NAME_3.png`` (in the order of the lines).

    Args:
        image: The picture that was read.
        words: In pixels of the picture.
        name: Of the files, without suffix.
        out: Folder of the prediction.
        draw: Draw the picture.
        crops: Cut the words out.
    """
    if image.pixels is None:
        return
    shape = "polygon" if words.polygons else "quad"
    lines = result_lines(Outlines.of_list(outlines_of(words)), shape)
    (out / "icdar" / f"res_{name}.txt").write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    if draw:
        draw_words(image.pixels, words).save(out / "pictures" / f"{name}.jpg", quality=92)
    if crops:
        for number, quad in enumerate(words.quads.numpy(), 1):
            pixels = cut_word(image.pixels, quad)
            Image.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels).save(out / "crops" / f"{name}_{number}.png")
