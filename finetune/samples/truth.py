"""What is known about a drawn picture: boxes of the signs, quads of the words and of their characters."""

from __future__ import annotations

from dataclasses import dataclass

from PIL import Image

Point = tuple[float, float]
Quad = tuple[Point, ...]  # four corners, clockwise from the top-left one of the upright text
Rgb = tuple[float, float, float]

# The order is the order of the COCO category ids, which count from 1.
CLASS_NAMES = (
    "stop", "yield", "speed-limit", "no-entry", "pedestrian-crossing", "parking", "priority-road", "warning", "direction", "street-name",
)  # fmt: skip

MIN_VISIBLE = 0.3  # a sign with a smaller visible share is ignored: VOC difficult, COCO iscrowd
MIN_READABLE = 0.75  # a word with a smaller visible share is "###"
MIN_CHARACTER = 6.0  # pixels: a word with lower characters is "###"


@dataclass(frozen=True)
class SignBox:
    """One sign: box xyxy in whole pixels (0-based, half-open), the share that can be seen, and whether the frame cuts it."""

    label: str
    box: tuple[int, int, int, int]
    visible: float
    truncated: bool

    @property
    def ignore(self) -> bool:
        """Neither an object to find nor background: nearly hidden."""
        return self.visible < MIN_VISIBLE


@dataclass(frozen=True)
class Word:
    """One word: its quad and one quad per character in picture pixels (pixel-edge coordinates), exact from the homography."""

    text: str
    quad: Quad
    characters: tuple[Quad, ...]
    readable: bool


@dataclass(frozen=True)
class Picture:
    """One drawn picture with its truth; ``quality`` is that of the JPEG file."""

    image: Image.Image
    signs: tuple[SignBox, ...]
    words: tuple[Word, ...]
    quality: int
