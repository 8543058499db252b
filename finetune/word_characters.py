"""A network looks again at every word whose text is known, cut out and upright, and its region maps give the characters."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from detectors.craft.characters import split_words, stands
from detectors.craft.decode import STRIDE
from detectors.craft.pseudo import LEAST_CONFIDENCE, PseudoCharacters, characters_of
from finetune.data.text.dataset import TextDataset
from finetune.data.text.word_crops import MARGIN, alike_batches, crop_sizes, cut_words, into_crop, stack_crops
from finetune.read_ahead import read_ahead

_PICTURES = 32  # read before their words are put into batches

Look = Callable[[Tensor], Tensor]


@dataclass(frozen=True, eq=False)
class SplitWord:
    """One word that was looked at, for pictures.

    ``crop`` [h, w, C] uint8 with its ``region`` map [h / 2, w / 2] f32; ``quads`` [k, 4, 2] are the characters that training gets, in pixels of the
    crop: those ``found``, or an equal division where ``confidence`` is below 0.5.
    """

    row: int
    text: str
    crop: NDArray[np.uint8]
    region: NDArray[np.float32]
    quads: NDArray[np.float64]
    found: int
    confidence: float


@dataclass(frozen=True, eq=False)
class FoundInSet:
    """What was found in the words of one set.

    Args:
        quads: [K, 4, 2] f32 in pixels of the pictures, word by word.
        counts: [E] i64 characters of each word that are to be used.
        found: [E] i64 that were found.
        confidence: [E] f32.
        lengths: [E] i64 by the texts.
        shown: Some of the words.
    """

    quads: Tensor
    counts: Tensor
    found: Tensor
    confidence: Tensor
    lengths: Tensor
    shown: tuple[SplitWord, ...]


def find_characters(look: Look, data: TextDataset, height: int, show: int = 0, between: Callable[[], object] | None = None) -> FoundInSet:
    """Look at every word of a set that can be split; what is found depends on the words and on the weights alone.

    Args:
        look: From uint8 images [B, C, H, W] to maps [B, 2, h, w] at stride 2.
        data: The set.
        height: Of the upright words, in pixels of the network's input.
        show: How many of the words are to be kept for pictures.
        between: Called between batches.
    """
    words = _Words(data, height)
    shown = set(np.linspace(0, len(words.room) - 1, min(show, len(words.room))).round().astype(int).tolist())
    parts: list[tuple[NDArray[np.int64], PseudoCharacters]] = []
    pictures: list[SplitWord] = []
    for rows, crops in words.crops():
        for batch in alike_batches(words.hw[rows] + 2 * words.margin):
            own, chosen = rows[batch], [crops[number] for number in batch.tolist()]
            regions = look(torch.from_numpy(stack_crops(chosen)).permute(0, 3, 1, 2).contiguous())[:, 0].float().cpu().numpy()
            found = characters_of(regions, words.places(own), words.quads[own], words.lengths[own], words.standing[own])
            parts.append((own, found))
            pictures += [words.shown(row, crop, region, found, number) for number, (row, crop, region) in enumerate(zip(own.tolist(), chosen, regions, strict=True)) if row in shown]
            if between is not None:
                between()
    return _joined(parts, words.lengths, sorted(pictures, key=lambda word: word.row))


class _Words:
    """The words of a set that can be split, and how they are shown to the network."""

    def __init__(self, data: TextDataset, height: int) -> None:
        self._split, self._channels = data.split, data.preprocess.channels
        self.room = data.room_for_characters()
        self.quads, self.lengths = torch.from_numpy(self.room.quads), torch.from_numpy(self.room.lengths)
        self.standing = stands(self.quads, self.lengths) & (self.lengths > 1)
        self.hw, self.margin = crop_sizes(self.room.quads.astype(np.float64), self.standing.numpy(), height), round(MARGIN * height)

    def places(self, rows: NDArray[np.int64]) -> NDArray[np.float32]:
        """[N, 4] left, top, right and bottom of words in their maps."""
        size = self.hw[rows][:, ::-1]
        return ((np.concatenate([np.zeros_like(size), size], axis=1) + self.margin) / STRIDE).astype(np.float32)

    def crops(self) -> Iterator[tuple[NDArray[np.int64], list[NDArray[np.uint8]]]]:
        """Crops of the words of some pictures at a time, with the rows of these words; words of pictures that cannot be read are left out."""
        split = self._split
        pictures, first = np.unique(np.searchsorted(split.offsets, self.room.rows, side="right") - 1, return_index=True)
        last = np.append(first[1:], len(self.room))
        for images in read_ahead([split.paths[index] for index in pictures.tolist()], self._channels, _PICTURES, split.original_hw[pictures]):
            rows: list[NDArray[np.int64]] = []
            crops: list[NDArray[np.uint8]] = []
            for image in images:
                if image.pixels is not None:
                    own = np.arange(first[image.number], last[image.number])
                    rows.append(own)
                    crops += cut_words(image.pixels, self.room.quads[own].astype(np.float64), self.hw[own], self.margin)
            if rows:
                yield np.concatenate(rows), crops

    def shown(self, row: int, crop: NDArray[np.uint8], region: NDArray[np.float32], found: PseudoCharacters, number: int) -> SplitWord:
        """One word of a batch."""
        text, confidence = self._split.texts[self.room.rows[row]], float(found.confidence[number])
        characters = found.quads[found.words == number] if confidence >= LEAST_CONFIDENCE else split_words(self.quads[row : row + 1], [text])[0]
        quads = into_crop(characters.double().numpy(), self.quads[row].double().numpy(), self.hw[row], self.margin)
        height, width = (-(-side // STRIDE) for side in crop.shape[:2])
        return SplitWord(row, text, crop, region[:height, :width].copy(), quads, int(found.found[number]), confidence)


def _joined(parts: Sequence[tuple[NDArray[np.int64], PseudoCharacters]], lengths: Tensor, shown: Sequence[SplitWord]) -> FoundInSet:
    """Batches put together, word by word."""
    found, confidence = torch.zeros(len(lengths), dtype=torch.int64), torch.zeros(len(lengths))
    quads, words = [torch.zeros(0, 4, 2)], [torch.zeros(0, dtype=torch.int64)]
    for rows, part in parts:
        own = torch.from_numpy(rows)
        found[own], confidence[own] = part.found, part.confidence.float()
        quads.append(part.quads)
        words.append(own[part.words])
    owner = torch.cat(words)
    order = owner.argsort(stable=True)
    return FoundInSet(torch.cat(quads)[order], torch.bincount(owner, minlength=len(lengths)), found, confidence, lengths, tuple(shown))
