"""Drawn characters with the rectangles of their ink, kept in bounded memory by every process."""

from __future__ import annotations

import unicodedata
from collections import OrderedDict
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont, features

SIZES = (10, 12, 14, 17, 20, 24, 29, 35, 42, 50, 60, 72, 86, 104, 124, 150, 180)  # pixels; fewer sizes, more glyphs that are drawn already
MOST_BYTES = 24_000_000
_FAINT = 24  # of 255: fainter pixels are no ink


@dataclass(frozen=True, eq=False)
class Glyph:
    """One drawn character, or a whole word of a script whose letters join.

    ``mask`` [h, w] u8 is its coverage, with its first pixel ``left`` and ``top`` of the pen on the baseline (y down). ``ink`` is the
    rectangle of what is drawn, relative to the pen, to parts of a pixel: the coverage of a border pixel says how far ink reaches into it.
    """

    mask: NDArray[np.uint8]
    left: int
    top: int
    ink: tuple[float, float, float, float]
    advance: float


def nearest_size(size: float) -> int:
    """The smallest of ``SIZES`` that is not below ``size``, or the largest."""
    return next((known for known in SIZES if known >= size), SIZES[-1])


def joins(text: str) -> bool:
    """Whether a word is of a script whose letters join or are reordered: it is drawn as a whole, and its characters have no quads."""
    return any(unicodedata.bidirectional(c) in ("R", "AL") or "\u0900" <= c <= "\u0dff" or "\u0f00" <= c <= "\u109f" or "\u1700" <= c <= "\u18af" for c in text)


def can_shape() -> bool:
    """Whether this Pillow can draw words of such scripts."""
    return bool(features.check("raqm"))


def split_characters(text: str) -> list[str]:
    """A word as what is drawn one after the other: letters with the marks that stand on them; a joined script is one piece."""
    if joins(text):
        return [text]
    pieces: list[str] = []
    for character in text:
        if pieces and unicodedata.category(character) in ("Mn", "Me", "Mc"):
            pieces[-1] += character
        else:
            pieces.append(character)
    return pieces


@lru_cache(maxsize=192)
def _open(path: Path, size: int, shaped: bool) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(str(path), size, layout_engine=ImageFont.Layout.RAQM if shaped else ImageFont.Layout.BASIC)


def _draw(path: Path, size: int, piece: str) -> Glyph:
    font = _open(path, size, len(piece) > 1 and can_shape())
    advance = float(font.getlength(piece))
    left, top, right, bottom = font.getbbox(piece, anchor="ls")
    left, top, right, bottom = int(left) - 1, int(top) - 1, int(right) + 1, int(bottom) + 1
    image = Image.new("L", (right - left, bottom - top))
    ImageDraw.Draw(image).text((-left, -top), piece, font=font, fill=255, anchor="ls")
    mask = np.array(image)
    strong = mask > _FAINT
    columns, rows = np.flatnonzero(strong.any(0)), np.flatnonzero(strong.any(1))
    if not len(columns):
        return Glyph(np.zeros((0, 0), np.uint8), 0, 0, (0.0, 0.0, 0.0, 0.0), advance)
    x0, x1, y0, y1 = columns[0], columns[-1] + 1, rows[0], rows[-1] + 1
    mask = np.ascontiguousarray(mask[y0:y1, x0:x1])
    edges = [1.0 - float(edge.max()) / 255 for edge in (mask[:, 0], mask[0], mask[:, -1], mask[-1])]
    left, top = left + int(x0), top + int(y0)
    ink = (left + edges[0], top + edges[1], left + mask.shape[1] - edges[2], top + mask.shape[0] - edges[3])
    return Glyph(mask, left, top, ink, advance)


class GlyphStore:
    """Glyphs by font, size and character; those not used for longest go when they take more than ``most_bytes``."""

    def __init__(self, most_bytes: int = MOST_BYTES) -> None:
        self._kept: OrderedDict[tuple[Path, int, str], Glyph] = OrderedDict()
        self._most, self.bytes = most_bytes, 0

    def get(self, path: Path, size: int, piece: str) -> Glyph:
        """The glyph of a character in a font at a size in pixels."""
        key = (path, size, piece)
        known = self._kept.get(key)
        if known is not None:
            self._kept.move_to_end(key)
            return known
        glyph = _draw(path, size, piece)
        self._kept[key] = glyph
        self.bytes += glyph.mask.nbytes + 200
        while self.bytes > self._most and len(self._kept) > 1:
            self.bytes -= self._kept.popitem(last=False)[1].mask.nbytes + 200
        return glyph
