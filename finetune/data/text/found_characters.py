"""Characters that a model found in the words of a split, in memory that loader processes share: they may be found anew while loaders run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from detectors.craft.characters import places
from detectors.craft.pseudo import most_characters
from detectors.quads import drawable
from finetune.data.text.quads import Quads
from finetune.data.types import TextSplit


class KnownCharacters(NamedTuple):
    """Characters of N words: quads [K, 4, 2] f64 in pixels of the picture, the word of each [K] i64, and how far those of each word are to be trusted, [N] f32.

    The characters of a word are together, in reading order.
    """

    quads: Quads
    words: NDArray[np.int64]
    confidence: NDArray[np.float32]


class FoundCharacters:
    """Room for the characters of all words that can be split: they count, their text is known, their own characters are not.

    Loader processes read what ``put`` wrote last, also those that were started before.

    Args:
        split: Pictures and words.
        quads: [M, 4, 2] its words with corners in order.

    Attributes:
        rows: [E] i64, the words of the split that can be split.
        lengths: [E] i64, their characters.
        quads: [E, 4, 2] f32, their corners.
    """

    def __init__(self, split: TextSplit, quads: Quads) -> None:
        lengths = np.array([sum(places(text)) for text in split.texts], np.int64)
        fit = drawable(torch.from_numpy(quads).float()).numpy()
        self.rows = np.flatnonzero(fit & ~split.ignore & (lengths > 0) & (np.diff(split.char_offsets) == 0))
        self.lengths, self.quads = lengths[self.rows], quads[self.rows].astype(np.float32)
        self._place = np.full(len(quads), len(self.rows))  # of each word of the split; the last one is that of all others, and never has any
        self._place[self.rows] = np.arange(len(self.rows))
        room = most_characters(self.lengths)
        self._starts = np.cumsum([0, *room])
        self._quads = torch.zeros(int(room.sum()), 4, 2).share_memory_()
        self._counts = torch.zeros(len(self.rows) + 1, dtype=torch.int64).share_memory_()
        self._confidence = torch.ones(len(self.rows) + 1).share_memory_()

    def __len__(self) -> int:
        return len(self.rows)

    def put(self, quads: Tensor, counts: Tensor, confidence: Tensor) -> None:
        """Replace all characters.

        Args:
            quads: [K, 4, 2] f32 in pixels of the pictures, word by word in the order of ``rows``, in reading order within a word.
            counts: [E] i64 characters of each word; 0 where it is to be divided equally.
            confidence: [E] f32 in 0..1.
        """
        self._quads[torch.from_numpy(self._slots(np.arange(len(self)), counts.numpy()))] = quads
        self._confidence[:-1] = confidence
        self._counts[:-1] = counts

    def of(self, rows: NDArray[np.intp]) -> KnownCharacters:
        """Characters found in words of the split; words without any have confidence 1."""
        place = self._place[rows]
        counts = self._counts.numpy()[place]
        confidence = np.where(counts > 0, self._confidence.numpy()[place], np.float32(1))
        return KnownCharacters(self._quads.numpy()[self._slots(place, counts)].astype(np.float64), np.repeat(np.arange(len(rows)), counts), confidence)

    def state(self) -> dict[str, Tensor]:
        """Tensors for a checkpoint."""
        counts = self._counts[:-1].clone()
        slots = torch.from_numpy(self._slots(np.arange(len(self)), counts.numpy()))
        return {"lengths": torch.from_numpy(self.lengths.copy()), "quads": self._quads[slots].clone(), "counts": counts, "confidence": self._confidence[:-1].clone()}

    def restore(self, state: Mapping[str, Tensor]) -> bool:
        """Take over a state, if it is one of words as long as these."""
        fits = torch.equal(state["lengths"].cpu(), torch.from_numpy(self.lengths))
        if fits:
            self.put(state["quads"].cpu(), state["counts"].cpu(), state["confidence"].cpu())
        return fits

    def _slots(self, place: NDArray[np.int64], counts: NDArray[np.int64]) -> NDArray[np.int64]:
        """[K] where the characters of words are kept."""
        number = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
        slots: NDArray[np.int64] = np.repeat(self._starts[place], counts) + number
        return slots


def known_characters(split: TextSplit, rows: NDArray[np.intp], found: FoundCharacters | None = None) -> KnownCharacters:
    """Characters of words of a split: those that it brings, and those that a model found where it brings none."""
    counts = (split.char_offsets[1:] - split.char_offsets[:-1])[rows]
    number = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
    own = split.char_quads[np.repeat(split.char_offsets[rows], counts) + number]
    words = np.repeat(np.arange(len(rows)), counts)
    if found is None:
        return KnownCharacters(own, words, np.ones(len(rows), np.float32))
    more = found.of(rows)
    return KnownCharacters(np.concatenate([own, more.quads]), np.concatenate([words, more.words]), more.confidence)
