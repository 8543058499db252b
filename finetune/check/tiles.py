"""Small pictures for the page: annotated ones, the worst findings with their box marked, and what the network will see."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from backbones.errors import DataError
from finetune.check.examine import Examination
from finetune.check.report import in_order
from finetune.check.tile import MARK, PALE, Tile, cut_around, shrink
from finetune.check.word_tiles import crop_rows, draw_words_of, mark_word
from finetune.data.findings import Finding, shorten
from finetune.data.images import read_image
from finetune.data.types import BoxSplit
from finetune.drawing import IGNORED, class_colour, draw_boxes

_MOST_OF_A_KIND = 6
_VARIANTS = 4


def box_tiles(exam: Examination, count: int = 24) -> list[Tile]:
    """Annotated pictures, chosen by the seed: splits take turns."""
    rng = np.random.default_rng(exam.config.seed)
    queues = {name: rng.permutation(len(split)).tolist() for name, split in exam.splits.items()}
    chosen: list[tuple[str, int]] = []
    while len(chosen) < count and any(queues.values()):
        chosen += [(name, queue.pop()) for name, queue in queues.items() if queue]
    tiles = []
    for name, row in sorted(chosen[:count], key=lambda item: list(exam.splits).index(item[0])):
        split = exam.splits[name]
        pixels = _read(split.paths[row], split, row)
        if pixels is not None and (words := exam.words.get(name)) is not None:
            span = words.rows(row)
            tiles.append(Tile(draw_words_of(pixels, words, row), f"{words.paths[row].name} ({name}, {span.stop - span.start} words)"))
        elif pixels is not None:
            small, scale = shrink(pixels)
            span = split.rows(row)
            tiles.append(Tile(_drawn(small, split.boxes[span] * scale, split, span), f"{split.paths[row].name} ({name}, {span.stop - span.start} boxes)"))
    return tiles


def finding_tiles(exam: Examination, count: int = 24) -> list[Tile]:
    """The worst findings that can be shown: kinds take turns, errors first."""
    kinds: dict[Any, list[Finding]] = {}
    for finding in in_order(exam):
        if finding.image is not None and len(of_kind := kinds.setdefault(finding.kind, [])) < _MOST_OF_A_KIND:
            of_kind.append(finding)
    chosen = [finding for turn in range(_MOST_OF_A_KIND) for rows in kinds.values() for finding in rows[turn : turn + 1]][:count]
    rank = {kind: number for number, kind in enumerate(exam.findings.kinds())}
    tiles = []
    for finding in sorted(chosen, key=lambda item: rank[item.kind]):
        image = _picture_of(finding, exam)
        if image is not None:
            tiles.append(Tile(image, f"{finding.kind.name}: {shorten(finding.place, 160)}", finding.kind.severity))
    return tiles


def augmented_tiles(exam: Examination, count: int = 6) -> Iterator[list[Tile]]:
    """For some training pictures: a few of the samples that the network will see, boxes drawn, as the training loader makes them."""
    if exam.words:
        yield from crop_rows(exam, count)
        return
    split = exam.splits.get("train")
    if split is None or not (~split.ignore).any():
        return
    from finetune.data.samplers import SampleKey
    from finetune.datamodule import DetectionDataModule

    data = DetectionDataModule.from_splits(train=split, config=exam.config.data, seed=exam.config.seed)
    data.without_cache()
    dataset = data.train_dataloader().dataset
    with_boxes = np.flatnonzero(np.diff(split.offsets))
    for row in np.sort(np.random.default_rng(exam.config.seed).permutation(with_boxes)[:count]).tolist():
        tiles = []
        for epoch in range(_VARIANTS):
            tensor, target, _ = dataset[SampleKey(epoch, 0, row)]
            boxes, labels, ignore = target.boxes.numpy(), target.labels.tolist(), target.ignore.tolist()
            colours = [IGNORED if skip else class_colour(label) for label, skip in zip(labels, ignore, strict=True)]
            image = draw_boxes(tensor.permute(1, 2, 0).numpy(), boxes, colours, [split.class_names[label] for label in labels])
            tiles.append(Tile(image, f"{split.paths[row].name}, epoch {epoch + 1}"))
        yield tiles


def _picture_of(finding: Finding, exam: Examination) -> Image.Image | None:
    split = exam.splits.get(finding.split)
    row = split.paths.index(finding.image) if split is not None and finding.image in split.paths else None
    pixels = _read(finding.image, split, row)
    if pixels is None:
        return None
    if finding.other is not None:
        other = _read(finding.other, None, None)
        return _beside(shrink(pixels)[0], shrink(pixels if other is None else other)[0])
    if row is not None and (words := exam.words.get(finding.split)) is not None:
        return draw_words_of(pixels, words, row) if finding.box is None else mark_word(pixels, words, row, finding)
    if finding.box is None:
        small, scale = shrink(pixels)
        return _drawn(small, split.boxes[split.rows(row)] * scale, split, split.rows(row)) if split is not None and row is not None else Image.fromarray(small)
    others = split.boxes[split.rows(row)] if split is not None and row is not None else np.zeros((0, 4))
    return _marked(pixels, np.array(finding.box, np.float64), others)


def _marked(pixels: NDArray[np.uint8], box: NDArray[np.float64], others: NDArray[np.float64]) -> Image.Image:
    """The surroundings of a box, the box in red and wide enough to be seen, the other boxes pale."""
    small, scale, corner, mark = cut_around(pixels, box)
    boxes = (np.concatenate([others.reshape(-1, 4), mark[None]]) - np.tile(corner, 2)) * scale
    return draw_boxes(small, boxes, [PALE] * len(others) + [MARK], [""] * (len(others) + 1))


def _drawn(small: NDArray[np.uint8], boxes: NDArray[np.float64], split: BoxSplit, span: slice) -> Image.Image:
    labels, ignore = split.labels[span].tolist(), split.ignore[span].tolist()
    colours = [IGNORED if skip else class_colour(label) for label, skip in zip(labels, ignore, strict=True)]
    words = [split.class_names[label] + (" (ignored)" if skip else "") for label, skip in zip(labels, ignore, strict=True)]
    return draw_boxes(small, boxes, colours, words)


def _beside(left: NDArray[np.uint8], right: NDArray[np.uint8]) -> Image.Image:
    sheet = Image.new("RGB", (left.shape[1] + right.shape[1] + 4, max(left.shape[0], right.shape[0])), (32, 33, 36))
    sheet.paste(Image.fromarray(left), (0, 0))
    sheet.paste(Image.fromarray(right), (left.shape[1] + 4, 0))
    return sheet


def _read(path: Path | None, split: BoxSplit | None, row: int | None) -> NDArray[np.uint8] | None:
    frame = None if split is None or row is None else tuple(split.original_hw[row].tolist())
    try:
        return None if path is None else read_image(path, 3, frame)
    except DataError:
        return None


def sheet_of(tiles: Sequence[Tile]) -> list[Image.Image]:
    """The pictures alone, for ``contact_sheet``."""
    return [tile.image for tile in tiles]
