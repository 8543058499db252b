"""Pictures with boxes: class colours, labels with scores, readable on light and dark grounds."""

from __future__ import annotations

import colorsys
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

if TYPE_CHECKING:
    from detectors.types import BoxDetections

Colour = tuple[int, int, int]
Rectangle = tuple[float, float, float, float]

IGNORED: Colour = (150, 150, 150)
_BACKGROUND: Colour = (32, 33, 36)
_LONGEST_PANEL = 1280
_LUMINANCE = np.array([0.299, 0.587, 0.114])


def class_colour(label: int) -> Colour:
    """A strong colour for a class; neighbours in the list of classes differ in hue and brightness."""
    hue, bright = (label * 0.381966 + 0.02) % 1.0, (0.95, 0.78, 1.0)[label % 3]
    strong = np.array(colorsys.hsv_to_rgb(hue, (0.85, 0.95, 0.62)[label % 3], bright))
    light = float(strong @ _LUMINANCE)
    if light < 0.36:  # blue and violet would vanish on dark ground
        strong = strong + (1 - strong) * (0.36 - light) / (1 - light)
    red, green, blue = np.round(strong * 255).astype(int).tolist()
    return red, green, blue


def draw_detections(image: NDArray[np.uint8], detections: BoxDetections, class_names: Sequence[str], least_score: float = 0.0) -> Image.Image:
    """Draw detections into a copy of a picture.

    Args:
        image: [H, W, 3] or [H, W, 1] uint8.
        detections: Boxes in pixels of the picture.
        class_names: Classes in label order.
        least_score: Detections below are left out.

    Returns:
        An RGB picture of the same size.
    """
    boxes, labels, scores = _columns(detections, least_score)
    words = [f"{_name(class_names, label)} {score:.2f}" for label, score in zip(labels, scores, strict=True)]
    return _draw(to_picture(image), boxes, [class_colour(label) for label in labels], words)


def draw_comparison(
    image: NDArray[np.uint8],
    detections: BoxDetections,
    boxes: NDArray[Any],
    labels: NDArray[Any],
    class_names: Sequence[str],
    ignore: NDArray[np.bool_] | None = None,
    least_score: float = 0.3,
) -> Image.Image:
    """Draw the truth and, beside it (below it, for wide pictures), the detections.

    Args:
        image: [H, W, 3] or [H, W, 1] uint8.
        detections: Boxes in pixels of the picture.
        boxes: Truth [N, 4] xyxy in pixels of the picture.
        labels: Truth [N].
        class_names: Classes in label order.
        ignore: Truth [N] that does not count; drawn grey.
        least_score: Detections below are left out.

    Returns:
        An RGB picture with two titled panels, each at most 1280 pixels long.
    """
    picture = to_picture(image)
    scale = min(1.0, _LONGEST_PANEL / max(picture.size))
    if scale < 1:
        picture = picture.resize((max(1, round(picture.width * scale)), max(1, round(picture.height * scale))), Image.Resampling.LANCZOS)
    grey = np.zeros(len(labels), np.bool_) if ignore is None else ignore
    names = [_name(class_names, int(label)) + (" (ignored)" if skip else "") for label, skip in zip(labels, grey, strict=True)]
    colours = [IGNORED if skip else class_colour(int(label)) for label, skip in zip(labels, grey, strict=True)]
    left = _draw(picture.copy(), np.asarray(boxes, np.float64).reshape(-1, 4) * scale, colours, names)
    found, kinds, scores = _columns(detections, least_score)
    words = [f"{_name(class_names, label)} {score:.2f}" for label, score in zip(kinds, scores, strict=True)]
    right = _draw(picture.copy(), found * scale, [class_colour(label) for label in kinds], words)
    return join_panels(left, f"truth: {len(labels)}", right, f"detections, score {least_score:g} or more: {len(kinds)}")


def draw_boxes(image: NDArray[np.uint8], boxes: NDArray[Any], colours: Sequence[Colour], words: Sequence[str]) -> Image.Image:
    """Draw boxes, later ones on top, into a copy of a picture.

    Args:
        image: [H, W, 3] or [H, W, 1] uint8.
        boxes: [N, 4] xyxy in pixels of the picture.
        colours: One per box.
        words: One per box.

    Returns:
        An RGB picture of the same size.
    """
    return _draw(to_picture(image), np.asarray(boxes, np.float64).reshape(-1, 4), colours, words)


def contact_sheet(images: Sequence[Image.Image | NDArray[np.uint8]], columns: int = 4, cell_width: int = 320) -> Image.Image:
    """Small copies of pictures in rows.

    Args:
        images: Pictures of any size.
        columns: Pictures per row.
        cell_width: Width of a copy in pixels; the tallest one sets the height of its row.

    Returns:
        One RGB picture.
    """
    small = []
    for image in images:
        picture = image.convert("RGB") if isinstance(image, Image.Image) else to_picture(image)
        small.append(picture.resize((cell_width, max(1, round(picture.height * cell_width / picture.width))), Image.Resampling.LANCZOS))
    gap = max(2, cell_width // 40)
    rows = [small[i : i + max(1, columns)] for i in range(0, len(small), max(1, columns))]
    width = min(max(1, columns), max(1, len(small))) * (cell_width + gap) + gap
    sheet = Image.new("RGB", (width, gap + sum(max(p.height for p in row) + gap for row in rows)), _BACKGROUND)
    top = gap
    for row in rows:
        for i, picture in enumerate(row):
            sheet.paste(picture, (gap + i * (cell_width + gap), top))
        top += max(p.height for p in row) + gap
    return sheet


def to_picture(image: NDArray[np.uint8]) -> Image.Image:
    """An RGB picture of [H, W, 3], [H, W, 1] or [H, W] uint8."""
    pixels = image[:, :, 0] if image.ndim == 3 and image.shape[2] == 1 else image
    return Image.fromarray(np.ascontiguousarray(pixels)).convert("RGB")


def _columns(detections: BoxDetections, least_score: float) -> tuple[NDArray[np.float64], list[int], list[float]]:
    """Boxes, labels and scores, best last, so that the best are drawn on top."""
    scores = detections.scores.detach().cpu().double().numpy()
    order = np.argsort(scores, kind="stable")
    order = order[scores[order] >= least_score]
    boxes = detections.boxes.detach().cpu().double().numpy().reshape(-1, 4)[order]
    return boxes, detections.labels.detach().cpu().numpy()[order].tolist(), scores[order].tolist()


def _name(class_names: Sequence[str], label: int) -> str:
    return class_names[label] if 0 <= label < len(class_names) else f"class {label}"


def _draw(picture: Image.Image, boxes: NDArray[np.float64], colours: Sequence[Colour], words: Sequence[str]) -> Image.Image:
    """Draw boxes, each with a dark casing that keeps its colour visible on any ground, then labels where they hide least."""
    pen = ImageDraw.Draw(picture)
    size = float(np.hypot(*picture.size))
    line = max(1, round(size / 420))
    letters = bold_font(int(np.clip(size / 58, 9, 60)))
    drawn: list[tuple[Rectangle, Colour, str]] = []
    for box, colour, word in zip(boxes.tolist(), colours, words, strict=True):
        corners = _visible(box, picture.size)
        if corners is not None:
            _frame(pen, corners, max(1, line // 2), (0, 0, 0), grow=max(1, line // 2))
            _frame(pen, corners, line, colour)
            drawn.append((corners, colour, word))
    taken: list[Rectangle] = []
    for corners, colour, word in reversed([entry for entry in drawn if entry[2]]):
        taken.append(_label(pen, corners, colour, word, letters, picture.size, taken))
    return picture


def _visible(box: Sequence[float], size: tuple[int, int]) -> Rectangle | None:
    """The part of a box that lies in the picture, at least one pixel large; None for one outside, or with values that are not numbers."""
    if not np.isfinite(box).all():
        return None
    x1, x2 = sorted((box[0], box[2]))
    y1, y2 = sorted((box[1], box[3]))
    width, height = size
    if x2 < 0 or y2 < 0 or x1 > width or y1 > height:
        return None
    left, top = min(max(round(x1), 0), width - 1), min(max(round(y1), 0), height - 1)
    return left, top, max(left, min(round(x2), width) - 1), max(top, min(round(y2), height) - 1)


def _frame(pen: ImageDraw.ImageDraw, corners: Rectangle, line: int, colour: Colour, grow: int = 0) -> None:
    x1, y1, x2, y2 = corners
    pen.rectangle((x1 - grow, y1 - grow, x2 + grow, y2 + grow), outline=colour, width=line)


def _label(pen: ImageDraw.ImageDraw, corners: Rectangle, colour: Colour, word: str, letters: Any, size: tuple[int, int], taken: Sequence[Rectangle]) -> Rectangle:
    left, top, right, bottom = pen.textbbox((0, 0), word, font=letters)
    pad = max(1, round((bottom - top) / 6))
    width, height = right - left + 2 * pad, bottom - top + 2 * pad
    x1, y1, x2, y2 = corners
    places = [(x1, y1 - height), (x1, y1), (x1, y2 + 1), (x2 - width, y1 - height), (x2 - width, y2 + 1)]
    inside = [(min(max(x, 0), max(0, size[0] - width)), min(max(y, 0), max(0, size[1] - height))) for x, y in places]
    areas = [(x, y, x + width, y + height) for x, y in inside]
    area = next((area for area in areas if not any(_meet(area, other) for other in taken)), areas[0])
    pen.rectangle(area, fill=colour)
    ink = (0, 0, 0) if float(np.array(colour) @ _LUMINANCE) > 120 else (255, 255, 255)
    pen.text((area[0] + pad - left, area[1] + pad - top), word, fill=ink, font=letters)
    return area


def _meet(one: Rectangle, two: Rectangle) -> bool:
    return one[0] < two[2] and two[0] < one[2] and one[1] < two[3] and two[1] < one[3]


@cache
def bold_font(points: int) -> Any:
    """DejaVu Sans Bold, which comes with matplotlib."""
    import matplotlib

    return ImageFont.truetype(str(Path(matplotlib.get_data_path()) / "fonts" / "ttf" / "DejaVuSans-Bold.ttf"), points)


def join_panels(left: Image.Image, left_title: str, right: Image.Image, right_title: str) -> Image.Image:
    """Two pictures of one size with titles, beside each other, or one below the other where they are wide."""
    width, height = left.size
    beside = width <= 1.7 * height
    letters = bold_font(int(np.clip(np.hypot(width, height) / 50, 9, 30)))
    strip, gap = round(letters.size * 1.7), max(4, width // 100)
    step = (width + gap, 0) if beside else (0, height + strip)
    sheet = Image.new("RGB", (width + step[0], height + strip + step[1]), _BACKGROUND)
    pen = ImageDraw.Draw(sheet)
    for number, (picture, title) in enumerate(((left, left_title), (right, right_title))):
        x, y = number * step[0], number * step[1]
        pen.text((x + gap, y + strip / 2), title, fill=(235, 235, 235), font=letters, anchor="lm")
        sheet.paste(picture, (x, y + strip))
    return sheet
