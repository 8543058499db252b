"""Words cut out of pictures and made upright, all of one height, for a network to look at again."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from finetune.data.text.quads import Quads, sizes

MARGIN = 0.25  # of the height: what is seen of the surroundings on every side
_LONGEST = 24  # times its height: longer crops are squeezed, which a perspective undoes
_MOST_TIMES = 8  # a word is drawn larger than it is to become, at most
_MOST_PIXELS = 1 << 20  # of a batch, padding included
_MULTIPLE = 32  # of the sides of a batch: what every backbone takes
Pixels = NDArray[np.uint8]


def crop_sizes(quads: Quads, standing: NDArray[np.bool_], height: int) -> NDArray[np.int64]:
    """Height and width of upright words, [N, 2].

    Args:
        quads: [N, 4, 2] words.
        standing: [N] bool: words whose characters stand below each other; their width becomes ``height``.
        height: Of the others.
    """
    width_height = np.maximum(sizes(quads), 1e-6)
    across = np.where(standing, 0, 1)
    along = width_height[np.arange(len(quads)), 1 - across] / width_height[np.arange(len(quads)), across] * height
    longer = np.rint(along).clip(height / 4, height * _LONGEST).astype(np.int64)
    level = np.full(len(quads), height)
    return np.where(standing[:, None], np.stack([longer, level], axis=1), np.stack([level, longer], axis=1))


def cut_words(picture: Pixels, quads: Quads, word_hw: NDArray[np.int64], margin: int) -> list[Pixels]:
    """Words made upright, in the perspective of their corners: [h + 2 * margin, w + 2 * margin, C] uint8 each.

    Args:
        picture: [H, W, C] uint8.
        quads: [N, 4, 2] words in its pixels, clockwise from the top-left corner of the text.
        word_hw: [N, 2] how large the words become.
        margin: What is seen of the surroundings on every side.
    """
    return [_cut(picture, quad.astype(np.float32), (int(hw[0]), int(hw[1])), margin) for quad, hw in zip(quads, word_hw, strict=True)]


def into_crop(points: Quads, quad: Quads, word_hw: NDArray[np.int64], margin: int) -> Quads:
    """Points [..., 2] of a picture in pixels of the crop that ``cut_words`` makes of a word [4, 2]."""
    matrix = cv2.getPerspectiveTransform(quad.astype(np.float32), _corners((int(word_hw[0]), int(word_hw[1])), margin))
    mapped: Any = cv2.perspectiveTransform(points.reshape(-1, 1, 2).astype(np.float64), matrix)
    crop_points: Quads = mapped.reshape(points.shape)
    return crop_points


def _corners(word_hw: tuple[int, int], margin: int) -> NDArray[np.float32]:
    """Corners of the word in its crop."""
    left, top, right, bottom = margin, margin, margin + word_hw[1], margin + word_hw[0]
    return np.array([[left, top], [right, top], [right, bottom], [left, bottom]], np.float32)


def _cut(picture: Pixels, quad: NDArray[np.float32], word_hw: tuple[int, int], margin: int) -> Pixels:
    """Words that are larger in the picture are made upright at a whole multiple of the size, then shrunk, so that no pixel is skipped."""
    width, height = sizes(quad[None].astype(np.float64))[0]
    times = int(np.clip(max(height / word_hw[0], width / word_hw[1]), 1, _MOST_TIMES))
    hw = times * (word_hw[0] + 2 * margin), times * (word_hw[1] + 2 * margin)
    target = times * _corners(word_hw, margin)
    half = np.float32(0.5)  # OpenCV counts from the centres of pixels
    matrix = cv2.getPerspectiveTransform(quad - half, target - half)
    drawn: Any = cv2.warpPerspective(picture, matrix, hw[::-1], flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    if times > 1:
        drawn = cv2.resize(drawn, (hw[1] // times, hw[0] // times), interpolation=cv2.INTER_AREA)
    return drawn.reshape(*drawn.shape[:2], -1)


def alike_batches(crop_hw: NDArray[np.int64]) -> Iterator[NDArray[np.int64]]:
    """Rows of crops that go through the network together: of similar size, together at most a megapixel; the same crops make the same batches."""
    order = np.lexsort((crop_hw[:, 1], crop_hw[:, 0]))
    first = 0
    while first < len(order):
        last = first + 1
        while last < len(order) and (last + 1 - first) * int(np.prod(batch_hw(crop_hw[order[first : last + 1]]))) <= _MOST_PIXELS:
            last += 1
        yield order[first:last]
        first = last


def batch_hw(crop_hw: NDArray[np.int64]) -> tuple[int, int]:
    """Height and width of a batch that holds crops of these sizes [N, 2]."""
    height, width = (-(-crop_hw.max(0) // _MULTIPLE) * _MULTIPLE).tolist()
    return height, width


def stack_crops(crops: Sequence[Pixels]) -> Pixels:
    """Crops as one batch [N, H, W, C]: each in its top-left corner, black beyond."""
    hw = batch_hw(np.array([crop.shape[:2] for crop in crops]))
    batch = np.zeros((len(crops), *hw, crops[0].shape[2]), np.uint8)
    for place, crop in zip(batch, crops, strict=True):
        place[: crop.shape[0], : crop.shape[1]] = crop
    return batch
