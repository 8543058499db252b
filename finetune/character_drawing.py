"""Words with the characters that a network found in them, for people to look at: a sheet of rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageDraw

from finetune.drawing import Colour, bold_font, to_picture
from finetune.map_drawing import draw_maps
from finetune.word_drawing import draw_outlines

if TYPE_CHECKING:
    from finetune.word_characters import SplitWord

_EXACT: Colour = (40, 220, 90)
_NEARLY: Colour = (255, 170, 30)
_DIVIDED: Colour = (255, 70, 70)
_GAP = 6
_CAPTION = 16
_COLUMNS = 2
_LARGEST = (330, 130)  # width and height of one picture of a word


def draw_characters(words: Sequence[SplitWord]) -> Image.Image:
    """A sheet of words: the crop, its region map, and the characters that training gets.

    Green: as many as the text has. Orange: another number, trusted less. Red: divided equally, because too many or too few were found.
    """
    panels = [_panel(word) for word in words]
    rows = [panels[first : first + _COLUMNS] for first in range(0, len(panels), _COLUMNS)]
    width = max(panel.width for panel in panels)
    heights = [max(panel.height for panel in row) for row in rows]
    sheet = Image.new("RGB", (_COLUMNS * (width + _GAP) + _GAP, sum(heights) + _GAP * (len(rows) + 1)), (255, 255, 255))
    top = _GAP
    for row, height in zip(rows, heights, strict=True):
        for column, panel in enumerate(row):
            sheet.paste(panel, (_GAP + column * (width + _GAP), top))
        top += height + _GAP
    return sheet


def _panel(word: SplitWord) -> Image.Image:
    wanted = len(word.quads) if word.confidence < 0.5 else None
    colour = _DIVIDED if wanted is not None else _EXACT if word.confidence == 1 else _NEARLY
    pixels = np.asarray(to_picture(word.crop))
    mapped = draw_maps(pixels, np.stack([word.region, np.zeros_like(word.region)]))
    pictures = [_fitted(picture) for picture in (to_picture(word.crop), mapped, draw_outlines(word.crop, list(word.quads), [colour] * len(word.quads)))]
    panel = Image.new("RGB", (3 * _LARGEST[0] + 2 * _GAP, _CAPTION + max(picture.height for picture in pictures)), (245, 245, 245))
    ending = ": divided equally" if wanted is not None else ""
    ImageDraw.Draw(panel).text((2, 1), f"{word.text}   found {word.found}, confidence {word.confidence:.2f}{ending}", fill=(20, 20, 20), font=bold_font(12))
    for number, picture in enumerate(pictures):
        panel.paste(picture, (number * (_LARGEST[0] + _GAP), _CAPTION))
    return panel


def _fitted(picture: Image.Image) -> Image.Image:
    scale = min(1.0, _LARGEST[0] / picture.width, _LARGEST[1] / picture.height)
    return picture if scale == 1 else picture.resize((max(1, round(picture.width * scale)), max(1, round(picture.height * scale))), Image.Resampling.BILINEAR)
