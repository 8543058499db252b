"""One fixed crop of each picture with text: what a test of the set-up trains on and is scored on."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
from numpy.typing import NDArray

from finetune.data.preprocess import Affine
from finetune.data.text.checks import LEAST_LETTERS
from finetune.data.text.geometry import is_whole, seen
from finetune.data.text.quads import Quads, letter_sizes, map_points, mend
from finetune.data.text_preprocess import TextPreprocess
from finetune.data.types import TextSplit

_PLACES = 256  # that are compared


def fixed_windows(split: TextSplit, preprocess: TextPreprocess, crop_hw: tuple[int, int]) -> tuple[TextSplit, tuple[Affine, ...]]:
    """Choose a crop of each picture, at the scale of evaluation, where most words are whole.

    Args:
        split: Words.
        preprocess: Its canvas and enlargement are the scale.
        crop_hw: Height and width of the crops in pixels of the input.

    Returns:
        The split in which words that do not lie whole in the crop, or are lower than 6 pixels in it, are ignored; and the affine from each picture
        to its crop.
    """
    mended, letters = mend(split.quads), np.array([len(text.replace(" ", "")) for text in split.texts], np.int64)
    ignore, windows = split.ignore | mended.empty, []
    for index in range(len(split)):
        rows = split.rows(index)
        height, width = split.original_hw[index].tolist()
        scale = preprocess.ratio((height, width))
        quads = mended.quads[rows] * scale
        small = letter_sizes(quads, letters[rows]) < LEAST_LETTERS
        ignored = ignore[rows] | small
        left, top = _place(quads, ignored, (height * scale, width * scale), crop_hw)
        windows.append((scale, 0.0, -left, 0.0, scale, -top))
        ignore[rows] = ignored | ~is_whole(seen(map_points(mended.quads[rows], windows[-1]), crop_hw))
    return replace(split, ignore=ignore), tuple(windows)


def cover_words(image: NDArray[np.uint8], quads: Quads) -> NDArray[np.uint8]:
    """A crop [H, W, C] in which words [N, 4, 2] are painted over with its median colour: nothing is learnt where they are, so nothing may be found there either."""
    if not len(quads):
        return image
    corners = np.clip(np.rint(quads), -(2**14), 2**14).astype(np.int32)
    covered = np.ascontiguousarray(image).copy()
    colour = np.median(image.reshape(-1, image.shape[2]), axis=0).tolist()
    for quad in corners:  # together, cv2.fillPoly leaves holes where they overlap
        cv2.fillPoly(covered, [quad], colour)
    return covered


def _place(quads: Quads, ignore: NDArray[np.bool_], picture_hw: tuple[float, float], crop_hw: tuple[int, int]) -> tuple[float, float]:
    """Left and top of the crop: of many places, always the same ones, that with most whole words and fewest cut ones."""
    crop = np.array(crop_hw[::-1], np.float64)
    most = np.maximum(np.array(picture_hw[::-1]) - crop, 0)
    counted = quads[~ignore]
    if not len(counted) or not most.any():
        return (most / 2)[0].item(), (most / 2)[1].item()
    low, high = counted.min(1), counted.max(1)
    rng = np.random.default_rng(0)
    around = rng.choice(len(counted), _PLACES)
    origins = np.clip(rng.uniform(np.minimum(high[around] - crop, low[around]), np.maximum(high[around] - crop, low[around])), 0, most)
    start = origins[:, None]
    shared = np.maximum(np.minimum(high, start + crop) - np.maximum(low, start), 0).prod(2)
    share = shared / np.maximum((high - low).prod(1), 1e-9)
    value = is_whole(share).sum(1) - 0.5 * ((share > 0) & ~is_whole(share)).sum(1)
    left, top = origins[int(np.argmax(value))].round().tolist()
    return left, top
