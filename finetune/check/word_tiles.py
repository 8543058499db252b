"""Small pictures of scene text for the page: quads and outlines as they are written, the worst ones marked, and training crops."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from finetune.check.examine import Examination
from finetune.check.tile import MARK, PALE, Tile, cut_around, shrink
from finetune.check.words import word_preprocess
from finetune.data.findings import Finding
from finetune.data.types import TextSplit
from finetune.drawing import IGNORED
from finetune.word_drawing import TRUTH, draw_outlines

_VARIANTS = 4


def draw_words_of(pixels: NDArray[np.uint8], split: TextSplit, row: int) -> Image.Image:
    """A picture with its words, ignored ones grey."""
    small, scale = shrink(pixels)
    span = split.rows(row)
    return draw_outlines(small, [outline * scale for outline in _outlines(split, span)], [IGNORED if skip else TRUTH for skip in split.ignore[span]], 2)


def mark_word(pixels: NDArray[np.uint8], split: TextSplit, row: int, finding: Finding) -> Image.Image:
    """The surroundings of the word that a finding is about: its corners as written in red, the other words of the picture pale."""
    box = np.array(finding.box, np.float64)
    span = split.rows(row)
    outlines = _outlines(split, span)
    at_fault = [number for number, place in enumerate(split.annotation_ids[span]) if place == finding.annotation]
    marked = [outlines[number] for number in at_fault] or [box[[0, 1, 2, 1, 2, 3, 0, 3]].reshape(4, 2)]
    others = [outline for number, outline in enumerate(outlines) if number not in at_fault]
    small, scale, corner, mark = cut_around(pixels, box)
    height, width = pixels.shape[:2]
    if (np.minimum(box[2:], [width, height]) - np.maximum(box[:2], 0)).min() * scale < 1:  # a word of nothing, or off the picture, becomes a mark that can be seen
        marked.append(mark[[0, 1, 2, 1, 2, 3, 0, 3]].reshape(4, 2))
    return draw_outlines(small, [(outline - corner) * scale for outline in (*others, *marked)], [PALE] * len(others) + [MARK] * len(marked), 2)


def crop_rows(exam: Examination, count: int) -> Iterator[list[Tile]]:
    """For some training pictures: a few of the crops that the network will see, words drawn."""
    split = exam.words.get("train")
    if split is None or not (~split.ignore).any():
        return
    from finetune.data.samplers import SampleKey
    from finetune.data.text.dataset import TextDataset

    data = exam.config.data
    dataset = TextDataset(split, word_preprocess(exam.config), data.augment, exam.config.seed, (data.input_size[0], data.input_size[1]))
    with_words = np.flatnonzero(np.diff(split.offsets))
    for row in np.sort(np.random.default_rng(exam.config.seed).permutation(with_words)[:count]).tolist():
        tiles = []
        for epoch in range(_VARIANTS):
            tensor, target, _ = dataset[SampleKey(epoch, 0, row)]
            colours = [IGNORED if skip else TRUTH for skip in target.ignore.tolist()]
            image = draw_outlines(tensor.permute(1, 2, 0).numpy(), list(target.quads.numpy()), colours)
            tiles.append(Tile(image, f"{split.paths[row].name}, epoch {epoch + 1}"))
        yield tiles


def _outlines(split: TextSplit, span: slice) -> list[NDArray[np.float64]]:
    """[k, 2] of each word: its polygon where it has one, else its quad."""
    polygons = [split.polygon_points[first:last] for first, last in zip(split.polygon_offsets[:-1][span], split.polygon_offsets[1:][span], strict=True)]
    return [polygon if len(polygon) else quad for polygon, quad in zip(polygons, split.quads[span], strict=True)]
