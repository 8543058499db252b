"""Pictures with words: quads or outlines, the truth beside what was found, and words cut out and made upright."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from finetune.drawing import IGNORED, Colour, join_panels, to_picture

if TYPE_CHECKING:
    from detectors.types import TextDetections

FOUND: Colour = (40, 220, 90)
TRUTH: Colour = (255, 170, 30)
_LONGEST_PANEL = 1280
_LEAST_SIDE = 2  # pixels of a word that is cut out


def draw_outlines(image: NDArray[np.uint8], outlines: Sequence[NDArray[Any]], colours: Sequence[Colour], least: int = 1) -> Image.Image:
    """Draw closed outlines [K, 2] xy into a copy of a picture [H, W, 3] or [H, W, 1] uint8, at least ``least`` pixels wide; a dark casing keeps them visible on any ground."""
    picture = to_picture(image)
    pen = ImageDraw.Draw(picture)
    line = max(least, round(float(np.hypot(*picture.size)) / 600))
    for outline, colour in zip(outlines, colours, strict=True):
        points = np.asarray(outline, np.float64)
        if len(points) < 2 or not np.isfinite(points).all():
            continue
        corners = [(float(x), float(y)) for x, y in [*points, points[0]]]
        pen.line(corners, fill=(0, 0, 0), width=line + 2, joint="curve")
        pen.line(corners, fill=colour, width=line, joint="curve")
    return picture


def outlines_of(detections: TextDetections) -> list[NDArray[Any]]:
    """The polygon of each word, or its quad where there are no polygons."""
    if detections.polygons:
        return [polygon.numpy() for polygon in detections.polygons]
    return list(detections.quads.numpy())


def draw_words(image: NDArray[np.uint8], detections: TextDetections) -> Image.Image:
    """Draw what was found into a copy of a picture of the same size."""
    found = outlines_of(detections)
    return draw_outlines(image, found, [FOUND] * len(found))


def draw_word_comparison(image: NDArray[np.uint8], detections: TextDetections, quads: NDArray[Any], ignore: NDArray[np.bool_]) -> Image.Image:
    """The truth (ignored words grey) and, beside or below it, what was found; panels are at most 1280 pixels long."""
    scale = min(1.0, _LONGEST_PANEL / max(image.shape[:2]))
    if scale < 1:
        size = max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale))
        image = cv2.resize(image, size, interpolation=cv2.INTER_AREA).reshape(size[1], size[0], -1)  # type: ignore[assignment]
    left = draw_outlines(image, list(quads * scale), [IGNORED if skip else TRUTH for skip in ignore])
    found = [outline * scale for outline in outlines_of(detections)]
    right = draw_outlines(image, found, [FOUND] * len(found))
    return join_panels(left, f"truth: {int((~ignore).sum())} words, {int(ignore.sum())} ignored", right, f"detections: {len(found)}")


def cut_word(image: NDArray[np.uint8], quad: NDArray[Any]) -> NDArray[np.uint8]:
    """A word made upright: [h, w, C] uint8, as wide and high as the longer of its opposite sides.

    Args:
        image: [H, W, C] uint8.
        quad: [4, 2] xy, clockwise from the top-left corner of the word.
    """
    corners = np.asarray(quad, np.float32)
    sides = np.linalg.norm(np.roll(corners, -1, axis=0) - corners, axis=1)
    width, height = max(_LEAST_SIDE, round(float(max(sides[0], sides[2])))), max(_LEAST_SIDE, round(float(max(sides[1], sides[3]))))
    target = np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float32)
    half = np.float32(0.5)  # OpenCV counts from the centres of pixels
    upright = cv2.warpPerspective(image, cv2.getPerspectiveTransform(corners - half, target - half), (width, height), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return upright.reshape(height, width, -1)  # type: ignore[return-value]
