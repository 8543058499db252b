"""From region and affinity maps to words: connected components, each with the smallest rotated rectangle around it (arXiv:1904.01941, section 3.3)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from backbones.errors import UsageError
from detectors.craft.outline import curved_outline
from detectors.types import TextDetections

STRIDE = 2  # input pixels per cell of the maps
_SQUARE = 0.1  # a rectangle whose sides differ by less than this share is laid straight: its angle means nothing

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class DecodeSettings:
    """Thresholds of the decoding; the defaults are those of the published code.

    Args:
        text_threshold: A word's region map must reach this somewhere.
        link_threshold: Cells whose affinity is greater join characters into a word.
        low_text: Cells whose region is greater belong to characters. Lower gives larger quads.
        min_area: Least size of a word in cells (4 pixels of the input each).
        polygons: Also give an outline for each word, curved where the word is.
    """

    text_threshold: float = 0.7
    link_threshold: float = 0.4
    low_text: float = 0.4
    min_area: int = 10
    polygons: bool = False

    def __post_init__(self) -> None:
        for name in ("text_threshold", "link_threshold", "low_text"):
            if not 0 < getattr(self, name) < 1:
                raise UsageError(f"craft.{name} is {getattr(self, name)}; a number between 0 and 1 is wanted, such as 0.4")
        if self.min_area < 1:
            raise UsageError(f"craft.min_area is {self.min_area}; at least 1 cell is wanted")


class _Words(NamedTuple):
    """Words of one image in cells of the maps: quads [N, 4, 2], peaks and scores [N], an outline [K, 2] each where asked for."""

    quads: Floats
    peaks: Floats
    scores: Floats
    outlines: list[Floats]


def decode_maps(maps: Tensor, settings: DecodeSettings) -> list[TextDetections]:
    """Find words.

    Args:
        maps: [B, 2, h, w], region and affinity at stride 2.
        settings: Thresholds.

    Returns:
        Words per image in input pixels on the CPU, score descending. The score is the mean of the region map, cut to 0..1, over the
        character cells of the word. As in the published code, cell (x, y) lies at input pixel (2 x, 2 y).
    """
    return [found[0] for found in decode_many(maps, [settings])]


def decode_many(maps: Tensor, settings: Sequence[DecodeSettings]) -> list[list[TextDetections]]:
    """Find words under several settings; those that differ in ``text_threshold`` alone cost next to nothing.

    Args:
        maps: [B, 2, h, w], region and affinity at stride 2.
        settings: S sets of thresholds.

    Returns:
        For each image S results, each as ``decode_maps`` gives it.
    """
    planes = maps.detach().float().cpu().contiguous().numpy()
    return [_decode_image(region, affinity, settings) for region, affinity in planes]


def _decode_image(region: Floats, affinity: Floats, settings: Sequence[DecodeSettings]) -> list[TextDetections]:
    lowest: dict[DecodeSettings, float] = {}  # least text threshold by all that decides what the components are
    for wanted in settings:
        lowest[_shape_of(wanted)] = min(wanted.text_threshold, lowest.get(_shape_of(wanted), 1.0))
    words = {shape: _find_words(region, affinity, shape, threshold) for shape, threshold in lowest.items()}
    return [_select(words[_shape_of(wanted)], wanted.text_threshold) for wanted in settings]


def _shape_of(settings: DecodeSettings) -> DecodeSettings:
    return DecodeSettings(0.5, settings.link_threshold, settings.low_text, settings.min_area, settings.polygons)


def _select(words: _Words, text_threshold: float) -> TextDetections:
    kept = np.flatnonzero(words.peaks >= np.float32(text_threshold))
    order = kept[np.argsort(-words.scores[kept], kind="stable")]
    polygons = tuple(torch.from_numpy(words.outlines[index] * STRIDE) for index in order) if words.outlines else ()
    return TextDetections(torch.from_numpy(words.quads[order] * STRIDE), torch.from_numpy(words.scores[order]), torch.zeros(len(order), dtype=torch.int64), polygons)


def _find_words(region: Floats, affinity: Floats, settings: DecodeSettings, text_threshold: float) -> _Words:
    """Words of one image whose peak reaches ``text_threshold``, in the order of their components."""
    text = region > np.float32(settings.low_text)
    either = text | (affinity > np.float32(settings.link_threshold))
    count, labels, stats, _ = cv2.connectedComponentsWithStats(either.view(np.uint8), connectivity=4, ltype=cv2.CV_32S)
    reaches = np.zeros(count, bool)
    reaches[labels[region >= np.float32(text_threshold)]] = True
    reaches[0] = False
    quads, peaks, scores, outlines = [], [], [], []
    for label in np.flatnonzero(reaches & (stats[:, cv2.CC_STAT_AREA] >= settings.min_area)):
        x, y, width, height, area = stats[label].tolist()
        spread = int(math.sqrt(area * min(width, height) / (width * height)) * 2)
        top, left = max(0, y - spread), max(0, x - spread)
        window = slice(top, y + height + spread + 1), slice(left, x + width + spread + 1)
        component = labels[window] == label
        characters = component & text[window]
        values = region[window][characters]
        if not len(values):  # joined by affinity alone: only where text_threshold is below low_text
            continue
        grown = cv2.dilate(characters.view(np.uint8), np.ones((1 + spread, 1 + spread), np.uint8))
        quad = _smallest_quad(grown, left, top)
        quads.append(quad)
        if settings.polygons:
            corner = np.array((left, top), np.float32)
            outline = curved_outline(component, quad - corner)
            outlines.append(quad if outline is None else outline + corner)
        peaks.append(values.max())
        scores.append(values.mean())
    return _Words(
        np.asarray(quads, np.float32).reshape(-1, 4, 2), np.asarray(peaks, np.float32), np.asarray(scores, np.float32).clip(0, 1), outlines
    )


def _smallest_quad(mask: NDArray[Any], left: int, top: int) -> Floats:
    """The smallest rotated rectangle around the cells of a mask, [4, 2] xy, clockwise from the corner nearest to the top left.

    Of each row only the first and the last cell can be corners of the hull.

    Args:
        mask: A window of the maps, 1 in the cells of the word.
        left: Column of the maps where the window begins.
        top: Row of the maps where the window begins.
    """
    rows = np.flatnonzero(mask.any(1))
    marked = mask[rows]
    first, last = left + marked.argmax(1), left + mask.shape[1] - 1 - marked[:, ::-1].argmax(1)
    height = top + rows
    points = np.stack([np.concatenate([first, last]), np.concatenate([height, height])], axis=1).astype(np.int32)
    quad = cv2.boxPoints(cv2.minAreaRect(points))
    sides = math.dist(quad[0], quad[1]), math.dist(quad[1], quad[2])
    if abs(1 - max(sides) / (min(sides) + 1e-5)) <= _SQUARE:
        x1, x2, y1, y2 = first.min(), last.max(), height[0], height[-1]
        quad = np.array([[x1, y1], [x2, y1], [x2, y2], [x1, y2]], np.float32)
    return np.roll(quad, -int(quad.sum(1).argmin()), axis=0)
