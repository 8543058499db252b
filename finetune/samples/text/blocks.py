"""Blocks of text: which words stand in which lines, in which type, how they are painted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import cos, pi, sin
from random import Random

import cv2
import numpy as np
from numpy.typing import NDArray

from finetune.samples.text.colours import Rgb, against, mixed, paint
from finetune.samples.text.corpus import Corpus
from finetune.samples.text.fonts import FontSet
from finetune.samples.text.glyphs import GlyphStore, nearest_size
from finetune.samples.text.sheets import BORDER, Sheet, between, plate, ramp, soft_noise
from finetune.samples.text.typesetting import FlatWord, Line, ink_arc, ink_line, lay_line

CAPITAL = 0.72  # height of capitals, a share of the size of a font
Size = tuple[int, int]


@dataclass(frozen=True, eq=False)
class Row:
    """A line with its place on the sheet; ``radius`` 0 is straight."""

    line: Line
    x: int
    baseline: int
    radius: float = 0.0


@dataclass(frozen=True, eq=False)
class Layout:
    """Lines on a sheet of ``size`` sheet pixels, of which ``scale`` picture pixels make one; ``pad`` is free around the text."""

    rows: tuple[Row, ...]
    size: Size
    scale: float
    height: float  # of the largest capitals, in picture pixels
    finer: int
    pad: int


@dataclass(frozen=True, eq=False)
class Block:
    """A painted sheet [h, w, 4] u8 (colours times coverage), the coverage of its letters [h, w] u8, and its words in sheet pixels."""

    pixels: NDArray[np.uint8]
    ink: NDArray[np.uint8]
    words: tuple[FlatWord, ...]


class Typist:
    """Chooses words and type for blocks.

    Args:
        corpus: What is written.
        fonts: What can be chosen.
        store: Where glyphs come from.
    """

    def __init__(self, corpus: Corpus, fonts: FontSet, store: GlyphStore) -> None:
        self.corpus, self.fonts, self.store = corpus, fonts, store

    def plan(self, rng: Random, height: float, room: tuple[float, float]) -> Layout | None:
        """A block with capitals of about ``height`` picture pixels that is not larger than ``room`` picture pixels.

        Returns:
            None where nothing fits.
        """
        kind = rng.random()
        counts = [1] if kind < 0.38 else [rng.randint(2, 4)] if kind < 0.58 else [rng.randint(1, 3) for _ in range(rng.randint(2, 4))]
        if kind > 0.92:
            counts = [rng.randint(2, 5) for _ in range(rng.randint(3, 7))]
        shares = [1.0] + [1.0 if kind > 0.92 or rng.random() < 0.4 else rng.choice([0.5, 0.65, 0.8]) for _ in counts[1:]]
        if len(counts) > 1 and rng.random() < 0.3:
            rng.shuffle(shares)
        lines = [self.corpus.words(count, rng) for count in counts]
        for _ in range(6):
            layout = self._lay(rng, lines, shares, height)
            if layout is None:
                return None
            if layout.size[0] * layout.scale <= room[0] and layout.size[1] * layout.scale <= room[1]:
                return layout
            if len(lines) > 1 and rng.random() < 0.5:
                lines, shares = lines[:-1], shares[:-1]
            elif len(lines[0]) > 1 and rng.random() < 0.6:
                lines = [line[: max(1, len(line) - 1)] for line in lines]
            else:
                height *= 0.7
        return None

    def _lay(self, rng: Random, lines: Sequence[Sequence[str]], shares: Sequence[float], height: float) -> Layout | None:
        finer = 3 if height < 13 else 2 if height < 26 else 1
        spacing, gap = (rng.uniform(0.05, 0.3) if rng.random() < 0.2 else rng.uniform(-0.02, 0.04)), rng.uniform(0.24, 0.42)
        same = self.fonts.choose([word for words in lines for word in words], rng) if rng.random() < 0.7 else None
        main = nearest_size(height / CAPITAL * finer)
        set_lines: list[tuple[Line, int]] = []
        for words, share in zip(lines, shares, strict=True):
            font = same or self.fonts.choose(words, rng)
            size = nearest_size(main * share)
            line = None if font is None else lay_line(self.store, font, size, words, spacing, gap + max(0.0, spacing))
            if line is None:
                return None
            set_lines.append((line, size))
        scale = height / CAPITAL / main
        if len(set_lines) == 1 and rng.random() < 0.16 and len(set_lines[0][0].glyphs) > 3:
            return _bent(rng, set_lines[0][0], main, scale, height, finer)
        leading, align = rng.uniform(1.0, 1.5), rng.choice([0.0, 0.5, 0.5])
        extents = [line.extent for line, _ in set_lines]
        wide = max(e[2] - e[0] for e in extents)
        pad = int(main * (rng.uniform(0.12, 0.3) if rng.random() < 0.4 else rng.uniform(0.3, 0.9))) + BORDER + 2
        rows, y = [], float(pad)
        for (line, size), (left, top, right, bottom) in zip(set_lines, extents, strict=True):
            x = pad - left + align * (wide - (right - left))
            y -= top
            rows.append(Row(line, round(x), round(y)))
            y += max(bottom, 0.0) + size * (leading - 1) + size * 0.06
        last = rows[-1]
        return Layout(tuple(rows), (int(wide) + 2 * pad + 1, int(last.baseline + extents[-1][3]) + pad + 1), scale, height, finer, pad)


def _bent(rng: Random, line: Line, size: int, scale: float, height: float, finer: int) -> Layout:
    left, top, right, bottom = line.extent
    wide = right - left
    angle = rng.uniform(0.4, min(2.4, 0.25 * wide / size + 0.5))  # of the whole arc, radians
    radius = wide / angle
    sag = radius * (1 - cos(min(angle / 2, pi / 2)))
    pad = int(size * rng.uniform(0.3, 0.8)) + BORDER + 2
    up = rng.random() < 0.65
    tall = sag + (bottom - top) + 2 * pad + size * 0.3
    baseline = pad - top + size * 0.15 + (0 if up else sag)
    across = 2 * (radius - top) * sin(min(angle / 2, pi / 2)) if up else wide + size
    width = int(max(wide, across) + 2 * pad + size * 0.3)
    row = Row(line, round((width - wide) / 2 - left), round(baseline), radius if up else -radius)
    return Layout((row,), (width, int(tall) + 1), scale, height, finer, pad)


def paint_block(layout: Layout, ground: Rgb | None, rng: Random, noise: np.random.Generator) -> Block:
    """Paint a layout straight onto the ``ground`` (the colour that is there), or on a plate of its own where that is None."""
    width, height = layout.size
    ink = np.zeros((height, width), np.uint8)
    words: list[FlatWord] = []
    for row in layout.rows:
        words += ink_arc(ink, row.line, row.x, row.baseline, row.radius) if row.radius else ink_line(ink, row.line, row.x, row.baseline)
    sheet = Sheet(layout.size)
    below, bare = ground or paint(rng), ground is not None
    if not bare:
        _lay_plate(sheet, layout, below, rng)
    colour = against(below, rng)
    _lay_letters(sheet, layout, ink, (colour, below), bare, rng)
    if rng.random() < 0.5:
        angle = rng.uniform(0, 2 * pi)
        factor = 1 + (ramp(cos(angle), sin(angle)) - 0.5) * np.float32(rng.uniform(0.1, 0.7))
        if rng.random() < 0.5:
            factor += soft_noise((17, 17), rng.randint(3, 9), noise) * np.float32(rng.uniform(0.04, 0.25))
        sheet.light(factor)
    return Block(sheet.pixels(), ink, tuple(words))


def _lay_plate(sheet: Sheet, layout: Layout, colour: Rgb, rng: Random) -> None:
    shape = rng.choice(["box", "box", "round", "oval"]) if len(layout.rows) == 1 and layout.pad > 0.4 * layout.size[1] / 2 else rng.choice(["box", "box", "round"])
    roundness = rng.uniform(0.15, 1.0)
    mask = plate(layout.size, BORDER, shape, roundness)
    if rng.random() < 0.3:
        sheet.lay(mask, against(colour, rng))
        mask = plate(layout.size, BORDER + max(2, int(layout.pad * rng.uniform(0.1, 0.4))), shape, roundness)
    if rng.random() < 0.3:
        other, angle = mixed(colour, paint(rng), rng.uniform(0.1, 0.4)), rng.uniform(0, 2 * pi)
        sheet.lay(mask, between(colour, other, ramp(cos(angle), sin(angle)), layout.size), rng.choice([1.0, 1.0, rng.uniform(0.6, 1.0)]))
    else:
        sheet.lay(mask, colour, rng.choice([1.0, 1.0, 1.0, rng.uniform(0.6, 1.0)]))


def _lay_letters(sheet: Sheet, layout: Layout, ink: NDArray[np.uint8], colours: tuple[Rgb, Rgb], bare: bool, rng: Random) -> None:
    colour, below = colours
    size = layout.rows[0].line.glyphs[0].mask.shape[0]
    kind = rng.random()
    if kind < 0.18:  # a shadow, or letters that stand off the wall
        away = max(1, round(size * rng.uniform(0.03, 0.12)))
        shifted = cv2.warpAffine(ink, np.array([[1.0, 0, rng.choice([-1, 1]) * away], [0, 1.0, rng.choice([-0.5, 1]) * away]]), layout.size)
        soft = cv2.GaussianBlur(shifted, (0, 0), max(0.5, away * rng.uniform(0.2, 1.0)))
        sheet.lay(soft, mixed(below, (0, 0, 0) if rng.random() < 0.8 else paint(rng), rng.uniform(0.5, 1.0)), rng.uniform(0.5, 1.0))
    elif kind < 0.32:  # an outline
        reach = max(1, round(size * rng.uniform(0.03, 0.1)))
        wide = cv2.dilate(ink, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * reach + 1, 2 * reach + 1)))
        sheet.lay(wide, against(colour, rng, 0.05), rng.uniform(0.7, 1.0))
    elif kind < 0.38 and not bare:  # light that spills
        sheet.lay(cv2.GaussianBlur(ink, (0, 0), max(1.0, size * rng.uniform(0.08, 0.25))), mixed(colour, (255, 255, 255), 0.3), rng.uniform(0.3, 0.8))
    opacity = rng.uniform(0.75, 1.0) if bare else rng.uniform(0.88, 1.0)
    if rng.random() < 0.2:
        other = against(below, rng, 0.0)
        sheet.lay(ink, between(colour, other, ramp(0.0, 1.0), layout.size), opacity)
    else:
        sheet.lay(ink, colour, opacity)
