"""Targets of CRAFT: a region map, an affinity map and a confidence map from quads (arXiv:1904.01941, section 3.2).

A Gaussian is warped into each character (region) and between neighbours (affinity). The constants are those of the training code that
EasyOCR released later (trainer/craft: ``gauss_init_size`` 200, ``gauss_sigma`` 40, ``enlarge_region`` and ``enlarge_affinity`` 0.5): the
corners move out to 1.5 times their distance from where the diagonals cross, sigma is 0.4 of half the enlarged side, the value is 1 in the
middle, about 0.25 in the middle of a character's side, 0.04 at the rim, 0 beyond the circle within the enlarged square; where characters
overlap the greater value stays. Differences:

- Perspective and Gaussian are evaluated at the centres of the map's cells, exactly. There, corners are cut to whole pixels, a bitmap is warped
  at full resolution and the map is halved by cubic interpolation.
- A character that leaves the picture is drawn as far as it is in it. There, its corners are pushed to the border, which bends the Gaussian.
- Neighbours that stand below each other are joined (``affinity_quads``).
- A word without characters is divided equally with confidence 0.5 right here; characters that a model found in the word (``pseudo``) come as
  ``TextTarget.char_quads`` with ``word_confidence``.
- Ignored words are left out of the confidence, except where a word that counts lies over them. There, the later line of the file wins.

Where to call it: in the loss, on the device of the network. A target of quads is some hundred bytes on its way from a loader to a GPU, its
maps are 0.8 MB at 640 x 640, and all images of a batch are drawn in one pass. Only maps that quads cannot give (a teacher's) travel as maps.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from backbones.errors import FinetuneError
from detectors.craft.characters import SPLIT_CONFIDENCE, affinity_quads, split_words
from detectors.craft.raster import draw_gaussians, fill_quads
from detectors.quads import drawable
from detectors.types import TensorRecord, TextTarget

SIGMA = 0.4
ENLARGEMENT = 1.5


@dataclass(frozen=True)
class SkippedQuad:
    """A quad that no Gaussian can be warped onto: corners that are not finite, enclose no area or are in no order around a convex shape.

    ``image`` is the position in the batch, ``word`` the row in the target's ``quads``, ``row`` the row in ``char_quads`` ("character") or of the
    pair's first character ("affinity"); a "word" is one that was to be divided.
    """

    image: int
    kind: Literal["word", "character", "affinity"]
    word: int
    row: int

    def __str__(self) -> str:
        place = f", character quad {self.row}" if self.kind == "character" else f", between its character quad {self.row} and the next" if self.kind == "affinity" else ""
        return f"image {self.image} of the batch, word {self.word}{place}: corners without area or not in order around a convex shape; nothing was drawn"


@dataclass(frozen=True, eq=False)
class MapTargets(TensorRecord):
    """Maps [B, 2, h, w] f32, region and affinity in 0..1; confidence [B, h, w] f32 in 0..1, 0 where nothing is to be learned; what was skipped."""

    maps: Tensor
    confidence: Tensor
    skipped: tuple[SkippedQuad, ...] = ()


class _Words(NamedTuple):
    """All words of a batch: quads [N, 4, 2], image [N], row in its target [N], ignore [N] bool, confidence [N]; and their characters: quads [K, 4, 2], word [K], row [K]."""

    quads: Tensor
    image: Tensor
    row: Tensor
    ignore: Tensor
    confidence: Tensor
    characters: Tensor
    char_word: Tensor
    char_row: Tensor

    def without_characters(self) -> Tensor:
        """[N] bool."""
        bare = torch.ones_like(self.ignore)
        bare[self.char_word] = False
        return bare


def build_targets(targets: Sequence[TextTarget], map_hw: tuple[int, int], stride: int = 2, device: torch.device | str | None = None) -> MapTargets:
    """Draw the maps of a batch; targets that carry maps keep them.

    Args:
        targets: One per image, quads in input pixels (pixel-edge coordinates: cell (0, 0) covers 0..stride).
        map_hw: Height and width of the maps.
        stride: Input pixels per cell.
        device: Where to draw; default: where the targets are.

    Raises:
        FinetuneError: Ready-made maps of another size.
    """
    device = torch.device(device) if device is not None else targets[0].quads.device
    targets = [target.to(device) for target in targets]
    ready = [index for index, target in enumerate(targets) if target.maps is not None]
    drawn = [_without_words(target) if target.maps is not None else target for target in targets]
    words = _gather(drawn, device)
    maps, skipped = _draw_maps(words, len(targets), map_hw, stride)
    confidence = _draw_confidence(words, len(targets), map_hw, stride)
    for index in ready:
        _put_ready(targets[index], maps[index], confidence[index], index)
    return MapTargets(maps, confidence, skipped)


def with_maps(target: TextTarget, map_hw: tuple[int, int], stride: int = 2) -> TextTarget:
    """A target that carries its drawn maps, for those who want them made in a loader."""
    if target.maps is not None:
        return target
    drawn = build_targets([target], map_hw, stride)
    return replace(target, maps=drawn.maps[0], confidence=drawn.confidence[0])


def _without_words(target: TextTarget) -> TextTarget:
    return TextTarget(target.quads[:0], target.ignore[:0])


def _put_ready(target: TextTarget, maps: Tensor, confidence: Tensor, index: int) -> None:
    for name, value, room in (("maps", target.maps, maps), ("confidence", target.confidence, confidence)):
        if value is None:
            continue
        if value.shape != room.shape:
            raise FinetuneError(f"image {index} of the batch carries {name} of {tuple(value.shape)}, its place is {tuple(room.shape)}: make them at the size of the network's maps")
        room.copy_(value.float() / 255 if value.dtype == torch.uint8 else value)


def _gather(targets: Sequence[TextTarget], device: torch.device) -> _Words:
    """Flat arrays of a batch; words that count and have no characters get theirs by equal division."""
    quads = torch.cat([target.quads.float() for target in targets])
    ignore = torch.cat([target.ignore for target in targets])
    counts = [len(target.quads) for target in targets]
    offsets = [sum(counts[:index]) for index in range(len(counts))]
    image = torch.repeat_interleave(torch.tensor(counts, device=device))
    row = torch.arange(len(quads), device=device) - torch.tensor(offsets, device=device)[image]
    known = [(t.char_quads.float(), t.char_words + start) for t, start in zip(targets, offsets, strict=True) if t.char_quads is not None and t.char_words is not None]
    characters = torch.cat([quads[:0], *(part for part, _ in known)])
    char_word = torch.cat([image[:0], *(part for _, part in known)])
    char_row = torch.cat([image[:0], *(torch.arange(len(part), device=device) for part, _ in known)])
    bare = ~ignore
    bare[char_word] = False
    given = [torch.ones(n, device=device) if (value := target.word_confidence) is None else value.float() for target, n in zip(targets, counts, strict=True)]
    confidence = torch.where(bare, SPLIT_CONFIDENCE, torch.cat(given))
    if bool(bare.any()):
        texts = [text for target in targets for text in (target.texts or ("",) * len(target.quads))]
        rows = bare.nonzero().squeeze(1)
        pieces, owner = split_words(quads[rows], [texts[index] for index in rows.tolist()])
        characters, char_word = torch.cat([characters, pieces]), torch.cat([char_word, rows[owner]])
        char_row = torch.cat([char_row, torch.full_like(owner, -1)])
    return _Words(quads, image, row, ignore, confidence, characters, char_word, char_row)


def _draw_maps(words: _Words, count: int, map_hw: tuple[int, int], stride: int) -> tuple[Tensor, tuple[SkippedQuad, ...]]:
    """Region and affinity of all images in one pass, [count, 2, h, w]."""
    counts = ~words.ignore[words.char_word]
    characters, owner, row = words.characters[counts], words.char_word[counts], words.char_row[counts]
    between, first = affinity_quads(characters, owner)
    quads = torch.cat([characters, between])
    words_of = torch.cat([owner, owner[first]])
    good = drawable(quads)
    skipped = _name_skipped(words, good, words_of, torch.cat([row, row[first]]), len(characters))
    planes = 2 * words.image[words_of]
    planes[len(characters) :] += 1
    maps = draw_gaussians(quads[good] / stride, planes[good], 2 * count, map_hw, SIGMA, ENLARGEMENT)
    return maps.view(count, 2, *map_hw), skipped


def _draw_confidence(words: _Words, count: int, map_hw: tuple[int, int], stride: int) -> Tensor:
    """1 where there is no word, 0 in ignored ones and in those that cannot be divided, a word's own confidence where one counts, [count, h, w]."""
    good = drawable(words.quads)
    left_out = words.ignore | words.without_characters() | (words.confidence <= 0)
    special = left_out | (words.confidence < 1)
    if not bool(special.any()):
        return torch.ones(count, *map_hw, device=words.quads.device)
    shapes = torch.where(good[:, None, None], words.quads, _rectangles(words.quads))
    shown = drawable(shapes)
    planes = 2 * words.image + left_out
    values = torch.where(left_out, 1.0, words.confidence)
    filled = fill_quads(shapes[shown] / stride, planes[shown], values[shown], 2 * count, map_hw).view(count, 2, *map_hw)
    counting, ignored = filled[:, 0], filled[:, 1]
    return torch.where(counting > 0, counting, 1 - ignored)


def _rectangles(quads: Tensor) -> Tensor:
    """Bounding rectangles [N, 4, 2] of quads."""
    (left, top), (right, bottom) = quads.amin(1).unbind(1), quads.amax(1).unbind(1)
    return torch.stack([left, top, right, top, right, bottom, left, bottom], dim=1).view(-1, 4, 2)


def _name_skipped(words: _Words, good: Tensor, words_of: Tensor, rows: Tensor, characters: int) -> tuple[SkippedQuad, ...]:
    bad = (~good).nonzero().squeeze(1)
    undivided = (~words.ignore & words.without_characters()).nonzero().squeeze(1)
    if not len(bad) and not len(undivided):
        return ()
    image, word = words.image.tolist(), words.row.tolist()
    names = [SkippedQuad(image[index], "word", word[index], -1) for index in undivided.tolist()]
    for index, owner, row in zip(bad.tolist(), words_of[bad].tolist(), rows[bad].tolist(), strict=True):
        names.append(SkippedQuad(image[owner], "character" if index < characters else "affinity", word[owner], row))
    return tuple(names)
