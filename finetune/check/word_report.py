"""Words of scene text in numbers: how many, how many count, what is known of them, and how high their letters are at the input size."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from finetune.check.words import word_scales
from finetune.config import RunConfig
from finetune.data.text.quads import letter_sizes, mend, sizes
from finetune.data.types import TextSplit


def words_of_split(split: TextSplit, config: RunConfig) -> dict[str, Any]:
    """The words of a split as JSON values; heights are of letters, in input pixels, of words that are not ignored."""
    total, ignored = len(split.quads), int(split.ignore.sum())
    counts, per_image = ~split.ignore, np.diff(split.offsets)
    heights = _heights(split, config)
    without = int(sum(not text for text, counted in zip(split.texts, counts.tolist(), strict=True) if counted))
    return {
        "words": total,
        "ignored": ignored,
        "ignored_share": round(ignored / total, 4) if total else None,
        "without_words": int((per_image == 0).sum()),
        "words_per_image": {"mean": round(float(per_image.mean()), 2), "most": int(per_image.max())} if len(split) else None,
        "without_text": without,
        "curved": int((np.diff(split.polygon_offsets) > 0).sum()),
        "with_characters": int((np.diff(split.char_offsets) > 0).sum()),
        "characters": len(split.char_quads),
        "distinct_letters": len({letter for text, counted in zip(split.texts, counts.tolist(), strict=True) if counted for letter in text if not letter.isspace()}),
        "letter_height_at_input": {f"p{q}": round(float(np.percentile(heights, q)), 1) for q in (5, 50, 95)} if len(heights) else None,
    }


def word_sides(split: TextSplit, config: RunConfig) -> NDArray[np.float64]:
    """[M, 2] width along the text and height across it, in input pixels, of the words that count."""
    mended = mend(split.quads)
    counts = ~split.ignore & ~mended.empty
    return sizes(mended.quads)[counts] * _scale_of_words(split, config)[counts, None]


def _heights(split: TextSplit, config: RunConfig) -> NDArray[np.float64]:
    letters, mended = np.array([len(text) for text in split.texts], np.int64), mend(split.quads)
    return (letter_sizes(mended.quads, letters) * _scale_of_words(split, config))[~split.ignore & ~mended.empty]


def _scale_of_words(split: TextSplit, config: RunConfig) -> NDArray[np.float64]:
    """[M] input pixels for a pixel, per word."""
    return np.repeat(word_scales(split, config), np.diff(split.offsets))
