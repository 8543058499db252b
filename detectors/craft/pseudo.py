"""Characters from the region maps of words whose length is known: the weak supervision of CRAFT (arXiv:1904.01941, section 3.2.2).

A word is cut out, made upright and shown to the network once more. Its region map is split by a watershed: what stands out begins a character,
and characters grow downhill until they meet. The paper's confidence compares their number l_c with the length l of the word,
s_conf = (l - min(l, |l - l_c|)) / l; below 0.5 the characters are dropped and the word is divided equally with confidence 0.5 (``heatmaps``).

The training code that EasyOCR released later (trainer/craft: ``data/pseudo_label``) fills in the rest: crops of 128 pixels without their
surroundings, cells above 0.75 begin a character, growth ends at 0.05, a character is the upright rectangle around its cells, cut at the word.
Differences, with figures of the official weights on 150 words of ICDAR 2015 (as many characters as the word has; mean confidence) where 0.75
gave 72% and 0.893:

- A character begins where the map stands out by a twelfth of the word's peak and reaches four tenths of it: characters that touch are told apart
  (0.75 takes them for one), faint ones count, and a young network whose maps stay low is understood. With a quarter of the word's height of its
  surroundings, in which what belongs to neighbours is recognised by its middle: 82%, 0.95.
- A character ends where its map falls to a quarter of its peak, which is where the Gaussians that are learned have its sides
  (``heatmaps``: 0.249), so that splitting drawn maps gives their characters back. On drawn words, whose characters are known, IoU 0.76; down to 0.05
  it was 0.68, by equal division 0.67.
- The length does not choose among several splits: words that only so came to their number were split no better than equally, with confidence 1.
- All words of a batch lie in one picture and are split together. The flood goes down level by level, by OpenCV's dilation. OpenCV's own watershed
  floods by the differences between neighbouring cells, which puts the border between a broad and a narrow character on the slope of the narrow one.
- Characters that stand below each other are put in order from top to bottom. There, such words are turned by a quarter.
- A confidence of 0.5 itself keeps the characters, as in the paper. There, the word is divided equally.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from detectors.craft.heatmaps import ENLARGEMENT, SIGMA
from detectors.quads import from_square

LEAST_CONFIDENCE = 0.5  # below, characters are no better than an equal division
_PROMINENCE = 0.08  # of the word's peak: a character stands out by so much
_FAINTEST = 0.4  # of the word's peak: a character reaches so much
_NOTHING = 0.2  # a word whose map stays below has no characters
_STEP = 0.05  # between the levels of the flood
_CELLS_A_LEVEL = 3  # that it advances at most before the next level: only bumps without a character of their own need more
_SIDE = math.exp(-0.5 / (SIGMA * ENLARGEMENT) ** 2)  # of the peak, in the middle of a character's side
_AROUND = np.ones((3, 3), np.uint8)

Floats = NDArray[np.float32]


class SplitWords(NamedTuple):
    """What was found in N words.

    ``boxes`` [K, 4] f32 are left, top, right and bottom of each character as shares of its word's width and height; ``words`` [K] i64 the word
    of each, in reading order within a word.
    """

    boxes: Floats
    words: NDArray[np.int64]


class PseudoCharacters(NamedTuple):
    """Characters of N words: quads [K, 4, 2] f32 in the frame of the words' quads, in reading order within a word; the word of each, [K] i64.

    ``found`` [N] i64 is how many were found in each word, ``confidence`` [N] f32 how far they are to be trusted; words of less than 0.5 have none.
    """

    quads: Tensor
    words: Tensor
    found: Tensor
    confidence: Tensor


def split_confidence(lengths: Tensor, found: Tensor) -> Tensor:
    """[N] f32 confidence in words of ``lengths`` [N] characters, at least 1, of which ``found`` [N] were found: s_conf of the paper."""
    return (lengths - torch.minimum(lengths, (lengths - found).abs())) / lengths


def most_characters(lengths: NDArray[np.int64]) -> NDArray[np.int64]:
    """[N] how many characters words of ``lengths`` [N] can have at most and still be trusted."""
    return lengths + (lengths * (1 - LEAST_CONFIDENCE)).astype(np.int64)


def characters_of(regions: Floats, places: Floats, quads: Tensor, lengths: Tensor, standing: Tensor) -> PseudoCharacters:
    """Characters of words by their region maps.

    Args:
        regions: [N, h, w] f32, each of one upright word.
        places: [N, 4] f32 left, top, right and bottom of the words in cells of the maps.
        quads: [N, 4, 2], drawable: where the words are, clockwise from the top-left corner of the text.
        lengths: [N] i64 characters of each word, at least 1.
        standing: [N] bool, whose characters stand below each other.
    """
    split = split_regions(regions, places, standing.numpy())
    words = torch.from_numpy(split.words)
    found = torch.bincount(words, minlength=len(quads))
    confidence = split_confidence(lengths, found)
    kept = (confidence >= LEAST_CONFIDENCE)[words]
    words, (left, top, right, bottom) = words[kept], torch.from_numpy(split.boxes)[kept].unbind(1)
    corners = torch.stack([left, top, right, top, right, bottom, left, bottom], dim=1).view(-1, 4, 2)
    return PseudoCharacters(from_square(quads[words], corners.to(quads.dtype)), words, found, confidence)


def split_regions(regions: Floats, places: Floats, standing: NDArray[np.bool_]) -> SplitWords:
    """Split the region maps of words into characters; arguments as for ``characters_of``."""
    count, height, width = regions.shape
    if not regions.size:
        return SplitWords(np.zeros((0, 4), np.float32), np.zeros(0, np.int64))
    peaks = np.where(_inside(places, height, width), regions, 0).max((1, 2), initial=0)
    seen = peaks >= _NOTHING
    field = np.zeros((count, height + 1, width), np.float32)  # an empty row keeps words apart
    field[:, :height] = regions.clip(0) / np.where(seen, peaks, np.inf)[:, None, None]
    field = field.reshape(-1, width)
    labels = _flood(field, _cores(field))
    y, x = labels.nonzero()
    label, value = labels[y, x], field[y, x]
    tops = np.zeros(int(label.max(initial=0)) + 1, np.float32)
    np.maximum.at(tops, label, value)
    body = value >= _SIDE * tops[label]
    label, x, y = label[body], x[body], y[body]
    word = np.zeros(len(tops), np.int64)
    word[label] = y // (height + 1)
    y %= height + 1
    least, most = (np.stack([_extreme(label, one, len(tops), sign) for one in (x, y)], axis=1)[1:] for sign in (1, -1))
    return _within(np.concatenate([least, most + 1], axis=1), word[1:], places, standing)


def _inside(places: Floats, height: int, width: int) -> NDArray[np.bool_]:
    """[N, h, w] cells whose centres lie in their word."""
    left, top, right, bottom = (side[:, None, None] for side in places.T)
    rows, columns = np.arange(height)[None, :, None] + 0.5, np.arange(width)[None, None, :] + 0.5
    inside: NDArray[np.bool_] = (rows > top) & (rows < bottom) & (columns > left) & (columns < right)
    return inside


def _within(boxes: NDArray[np.int64], word: NDArray[np.int64], places: Floats, standing: NDArray[np.bool_]) -> SplitWords:
    """Characters whose middle lies in their word, in reading order, cut at the word."""
    origin, size = places[word, :2], places[word, 2:] - places[word, :2]
    shares = (boxes.reshape(-1, 2, 2) - origin[:, None]) / size[:, None]
    middle = shares.mean(1)
    own = np.flatnonzero(((middle > 0) & (middle < 1)).all(1))
    order = own[np.lexsort((np.where(standing[word], middle[:, 1], middle[:, 0])[own], word[own]))]
    return SplitWords(shares.clip(0, 1).reshape(-1, 4)[order].astype(np.float32), word[order])


def _extreme(label: NDArray[np.int64], values: NDArray[np.int64], count: int, sign: int) -> NDArray[np.int64]:
    """[count] the smallest (sign 1) or greatest (-1) value of each label."""
    least = np.full(count, np.iinfo(np.int64).max)
    np.minimum.at(least, label, sign * values)
    return sign * least


def _cores(field: Floats) -> NDArray[np.int32]:
    """Labels from 1 where characters begin, [H, W]: the maxima that are left when all that stands out by less is levelled."""
    high: Any = cv2.threshold(field, _FAINTEST - _PROMINENCE, 0, cv2.THRESH_TOZERO)[1]
    levelled = _rebuilt(high - _PROMINENCE, high)
    maxima = levelled > _rebuilt(levelled - _PROMINENCE / 100, levelled)
    return cv2.connectedComponents((maxima & (high > _FAINTEST)).astype(np.uint8), connectivity=8)[1]


def _rebuilt(seed: Floats, field: Floats) -> Floats:
    """The morphological reconstruction of a field from a lower one: what can be reached from its peaks without climbing."""
    seed = seed.clip(0)
    while True:
        grown: Any = cv2.min(cv2.dilate(seed, _AROUND), field)
        if np.array_equal(grown, seed):
            return seed
        seed = grown


def _flood(field: Floats, cores: NDArray[np.int32]) -> NDArray[np.int64]:
    """Let labels grow downhill until they meet, level by level, [H, W]."""
    labels: Any = cores.astype(np.uint16 if cores.max(initial=0) < 2**16 else np.float32)
    levels = np.arange(1 - _STEP, _SIDE * _FAINTEST, -_STEP)
    for number, level in enumerate(levels, start=1):
        above = field > level
        left = _CELLS_A_LEVEL if number < len(levels) else -1  # in the end, until nothing grows
        while left:
            grown = cv2.dilate(labels, _AROUND)
            fresh = above & (labels == 0) & (grown > 0)
            if not fresh.any():
                break
            np.copyto(labels, grown, where=fresh)
            left -= 1
    return labels.astype(np.int64)
