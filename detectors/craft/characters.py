"""Words into characters: by their own quads where they are known, by equal division where they are not; and what joins neighbours."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

import torch
from torch import Tensor

from detectors.quads import drawable, from_square

SPLIT_CONFIDENCE = 0.5  # of characters by equal division: arXiv:1904.01941, section 3.2.2
_CHARACTER_WIDTH = 0.5  # of its word's height: the median over the 665 legible words of 110 images of ICDAR 2015
_TALL, _RATHER_TALL, _WIDE_CHARACTERS = 2.0, 1.6, 2.4


def places(text: str) -> list[bool]:
    """One entry per place that a character takes in a word: False for a space. Marks that sit on another character take none."""
    return [not letter.isspace() for letter in text.strip() if not unicodedata.combining(letter)]


def stands(quads: Tensor, counts: Tensor) -> Tensor:
    """[N] bool: words whose characters stand below each other, by the rule of EasyOCR's trainer.

    The height is over 2 widths, or over 1.6 and characters side by side would be 2.4 times as high as wide.

    Args:
        quads: [N, 4, 2], clockwise from the top-left corner of the text.
        counts: [N] characters.
    """
    width, height = mean_sides(quads)
    ratio = height / width
    across = torch.minimum(width, height) / torch.maximum(width, height) * counts
    return (ratio > _TALL) | ((ratio > _RATHER_TALL) & (across > _WIDE_CHARACTERS))


def mean_sides(quads: Tensor) -> tuple[Tensor, Tensor]:
    """Mean width (upper and lower side) and mean height (left and right side), each [N]."""
    sides = (quads.roll(-1, 1) - quads).norm(dim=2)
    return (sides[:, 0] + sides[:, 2]) / 2, (sides[:, 1] + sides[:, 3]) / 2


def split_word(quad: Tensor, count: int) -> Tensor:
    """Divide a word equally, in its perspective.

    Args:
        quad: [4, 2], clockwise from the top-left corner of the text.
        count: Characters.

    Returns:
        Character quads [count, 4, 2] in reading order, with the corners in the order of the word's.
    """
    return split_words(quad[None], [[True] * count])[0]


def split_words(quads: Tensor, texts: Sequence[str | Sequence[bool]]) -> tuple[Tensor, Tensor]:
    """Divide words equally, each in its perspective.

    A word that ``stands`` is divided from top to bottom. Where a text is not known (""), characters are half as wide as high.

    Args:
        quads: [N, 4, 2], clockwise from the top-left corner of the text.
        texts: Transcriptions, or for each place in the word whether a character is there; spaces keep their place and get no quad.

    Returns:
        Character quads [K, 4, 2] in reading order, with the corners in the order of the word's, and the word of each [K] i64. Words whose quad
        is not drawable have no characters.
    """
    good = drawable(quads)
    width, height = mean_sides(quads)
    guesses = (torch.maximum(width / height, height / width) / _CHARACTER_WIDTH).nan_to_num(1).round().clamp(1, 100).int().tolist()
    wanted = [(places(text) if isinstance(text, str) else list(text)) or [True] * guess for text, guess in zip(texts, guesses, strict=True)]
    counts = torch.tensor([len(places) for places in wanted], device=quads.device)
    tall = stands(quads, counts)
    word = torch.repeat_interleave(counts)
    number = torch.arange(len(word), device=quads.device) - (counts.cumsum(0) - counts)[word]
    kept = good[word] & torch.tensor([here for places in wanted for here in places], dtype=torch.bool, device=quads.device)
    word, number = word[kept], number[kept]
    start, end = number / counts[word], (number + 1) / counts[word]
    zero, one = torch.zeros_like(start), torch.ones_like(start)
    lying = torch.stack([start, zero, end, zero, end, one, start, one], dim=1)
    standing = torch.stack([zero, start, one, start, one, end, zero, end], dim=1)
    points = torch.where(tall[word, None], standing, lying).view(-1, 4, 2)
    return from_square(quads[word], points), word


def affinity_quads(characters: Tensor, words: Tensor) -> tuple[Tensor, Tensor]:
    """Quads between neighbouring characters of a word (arXiv:1904.01941, section 3.2.1).

    The diagonals of each character make an upper and a lower triangle; the centres of these triangles of both neighbours are the corners. The
    diagonals are taken to cross at the mean of the corners, as EasyOCR's trainer does. Unlike there, characters that stand below each other are
    joined by the centres of their left and right triangles: with the upper and lower ones the quad would have no width.

    Args:
        characters: [K, 4, 2] in reading order within a word.
        words: [K] i64, the word of each; the characters of a word are together.

    Returns:
        [A, 4, 2] and the row of the first character of each pair, [A] i64.
    """
    first = (words[1:] == words[:-1]).nonzero().squeeze(1)
    one, other = characters[first], characters[first + 1]
    step = other.mean(1) - one.mean(1)
    rightward = one[:, 1] + one[:, 2] - one[:, 0] - one[:, 3] + other[:, 1] + other[:, 2] - other[:, 0] - other[:, 3]
    downward = one[:, 2] + one[:, 3] - one[:, 0] - one[:, 1] + other[:, 2] + other[:, 3] - other[:, 0] - other[:, 1]
    # the step in the characters' own axes, by Cramer's rule
    along = (step[:, 0] * downward[:, 1] - step[:, 1] * downward[:, 0]).abs()
    below = (rightward[:, 0] * step[:, 1] - rightward[:, 1] * step[:, 0]).abs()
    upper_one, right_one, lower_one, left_one = _triangle_centres(one)
    upper_other, right_other, lower_other, left_other = _triangle_centres(other)
    beside = torch.stack([upper_one, upper_other, lower_other, lower_one], dim=1)
    stacked = torch.stack([left_one, right_one, right_other, left_other], dim=1)
    return torch.where((below > along)[:, None, None], stacked, beside), first


def _triangle_centres(quads: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Centres [N, 2] of the four triangles: upper, right, lower, left."""
    upper, right, lower, left = ((quads + quads.roll(-1, 1) + quads.mean(1, keepdim=True)) / 3).unbind(1)
    return upper, right, lower, left
