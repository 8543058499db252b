"""Small pictures for the page: annotated ones, the worst findings with their box marked, and what the network will see."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from backbones.errors import DataError
from finetune.check.examine import Examination
from finetune.check.report import in_order
from finetune.data.findings import Finding, shorten
from finetune.data.images import read_image
from finetune.data.types import BoxSplit
from finetune.drawing import IGNORED, Colour, class_colour, draw_boxes

TILE = 400  # longest side in pixels
_MARK: Colour = (255, 40, 40)
_PALE: Colour = (190, 190, 190)
_MOST_OF_A_KIND = 6
_LEAST_CROP = 0.25  # of the longer side of the picture: small boxes are shown enlarged, with their surroundings
_VARIANTS = 4


class Tile(NamedTuple):
    """A small picture, what it shows, and the severity of a finding or ""."""

    image: Image.Image
    caption: str
    severity: str = ""


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
        if pixels is not None:
            small, scale = _shrink(pixels)
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
    split = exam.splits.get("train")
    if split is None or not (~split.ignore).any():
        return
    from finetune.data.samplers import SampleKey
    from finetune.datamodule import DetectionDataModule

    data = DetectionDataModule.from_splits(train=split, config=exam.config.data, seed=exam.config.seed)
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
        return _beside(_shrink(pixels)[0], _shrink(pixels if other is None else other)[0])
    if finding.box is None:
        small, scale = _shrink(pixels)
        return _drawn(small, split.boxes[split.rows(row)] * scale, split, split.rows(row)) if split is not None and row is not None else Image.fromarray(small)
    others = split.boxes[split.rows(row)] if split is not None and row is not None else np.zeros((0, 4))
    return _marked(pixels, np.array(finding.box, np.float64), others)


def _marked(pixels: NDArray[np.uint8], box: NDArray[np.float64], others: NDArray[np.float64]) -> Image.Image:
    """The surroundings of a box, the box in red and wide enough to be seen, the other boxes pale."""
    height, width = pixels.shape[:2]
    x1, x2 = np.clip(sorted(box[0::2]), 0, width)
    y1, y2 = np.clip(sorted(box[1::2]), 0, height)
    side = min(max(1.6 * (x2 - x1), 1.6 * (y2 - y1), _LEAST_CROP * max(width, height), 32.0), float(max(width, height)))
    left, top = (int(np.clip((low + high - side) / 2, 0, max(0, size - side))) for low, high, size in ((x1, x2, width), (y1, y2, height)))
    crop = pixels[top : top + round(side), left : left + round(side)]
    small, scale = _shrink(crop, enlarge=True)
    least = 8 / scale  # a box of nothing becomes a mark of 8 pixels
    grow_x, grow_y = max(0.0, (least - (x2 - x1)) / 2), max(0.0, (least - (y2 - y1)) / 2)
    mark = np.array([x1 - grow_x, y1 - grow_y, x2 + grow_x, y2 + grow_y])
    boxes = (np.concatenate([others.reshape(-1, 4), mark[None]]) - np.array([left, top, left, top])) * scale
    return draw_boxes(small, boxes, [_PALE] * len(others) + [_MARK], [""] * (len(others) + 1))


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


def _shrink(pixels: NDArray[np.uint8], longest: int = TILE, enlarge: bool = False) -> tuple[NDArray[np.uint8], float]:
    """A copy whose longer side is ``longest`` or less, and its scale."""
    scale = longest / max(pixels.shape[:2])
    if scale >= 1 and not enlarge:
        return pixels, 1.0
    size = (max(1, round(pixels.shape[1] * scale)), max(1, round(pixels.shape[0] * scale)))
    return np.asarray(Image.fromarray(pixels).resize(size, Image.Resampling.LANCZOS if scale < 1 else Image.Resampling.BICUBIC)), scale


def sheet_of(tiles: Sequence[Tile]) -> list[Image.Image]:
    """The pictures alone, for ``contact_sheet``."""
    return [tile.image for tile in tiles]
