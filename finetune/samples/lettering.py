"""Words on flat panels, with the ink rectangle of every character."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import matplotlib
from PIL import ImageDraw, ImageFont

Rect = tuple[float, float, float, float]
BOLD, PLAIN, SERIF, MONO = "DejaVuSans-Bold", "DejaVuSans", "DejaVuSerif-Bold", "DejaVuSansMono-Bold"


@dataclass(frozen=True)
class FlatWord:
    """One word on a panel: the ink rectangles of its characters in panel pixels."""

    text: str
    characters: tuple[Rect, ...]

    @property
    def rect(self) -> Rect:
        """The smallest rectangle around all characters."""
        lefts, tops, rights, bottoms = zip(*self.characters, strict=True)
        return min(lefts), min(tops), max(rights), max(bottoms)


@lru_cache(maxsize=512)
def load_font(name: str, size: int) -> ImageFont.FreeTypeFont:
    """A font that matplotlib brings along; the basic layout engine is on every machine."""
    path = Path(matplotlib.get_data_path()) / "fonts" / "ttf" / f"{name}.ttf"
    return ImageFont.truetype(str(path), size, layout_engine=ImageFont.Layout.BASIC)


def fit_font(text: str, width: float, height: float, name: str = BOLD) -> ImageFont.FreeTypeFont:
    """The largest size of a font whose line of capitals fits into width x height pixels."""
    probe = load_font(name, 100)
    size = min(100 * width / max(probe.getlength(text), 1.0), height / 0.74)
    return load_font(name, max(4, int(size)))


def write_line(draw: ImageDraw.ImageDraw, text: str, font: ImageFont.FreeTypeFont, centre: tuple[float, float], fill: tuple[int, ...]) -> list[FlatWord]:
    """Write one line centred on a point, character by character.

    Returns:
        One FlatWord per blank-separated word.
    """
    ascent = font.getbbox("H", anchor="ls")
    x = centre[0] - font.getlength(text) / 2
    baseline = round(centre[1] - (ascent[1] + ascent[3]) / 2)
    words: list[FlatWord] = []
    for position, word in enumerate(text.split(" ")):
        if position:
            x += font.getlength(" ")
        rects: list[Rect] = []
        for character in word:
            start = round(x)  # whole pixels, so that the rectangles are those of the ink
            draw.text((start, baseline), character, font=font, fill=fill, anchor="ls")
            left, top, right, bottom = font.getbbox(character, anchor="ls")
            rects.append((start + left, baseline + top, start + right, baseline + bottom))
            x += font.getlength(character)
        words.append(FlatWord(word, tuple(rects)))
    return words
