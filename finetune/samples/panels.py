"""Flat panels: what is painted on sheet metal before it is put into the street."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from math import cos, pi, sin

from PIL import Image, ImageDraw

from finetune.samples.lettering import BOLD, FlatWord, fit_font, write_line
from finetune.samples.truth import Point

Colour = tuple[int, int, int]
WHITE, BLACK, RED, BLUE, GREEN, YELLOW = (244, 244, 240), (22, 22, 24), (196, 22, 34), (18, 84, 168), (14, 112, 68), (248, 196, 18)
MARGIN = 2  # transparent texture pixels around the sheet, so that warped edges are smooth


@dataclass
class Sheet:
    """A panel being painted, in units of its own height: x in 0..aspect, y in 0..1."""

    aspect: float
    pixels: int  # height of the sheet in texture pixels
    rim: Colour = WHITE
    outline: tuple[Point, ...] = ()
    words: list[FlatWord] = field(default_factory=list)

    def __post_init__(self) -> None:
        size = (round(self.aspect * self.pixels) + 2 * MARGIN, self.pixels + 2 * MARGIN)
        self.image = Image.new("RGBA", size, (*self.rim, 0))
        self.draw = ImageDraw.Draw(self.image)

    def at(self, x: float, y: float) -> Point:
        """Texture pixel of a point in sheet units."""
        return x * self.pixels + MARGIN, y * self.pixels + MARGIN

    def _cut(self, points: Sequence[Point]) -> None:
        if not self.outline:
            self.outline = tuple(self.at(*point) for point in points)

    def polygon(self, points: Sequence[Point], fill: Colour) -> None:
        """Fill a polygon; the first shape painted is the outline of the sheet."""
        self._cut(points)
        self.draw.polygon([self.at(*point) for point in points], fill=(*fill, 255))

    def disc(self, x: float, y: float, radius: float, fill: Colour) -> None:
        """Fill a circle."""
        self._cut([(x + radius * cos(angle * pi / 24), y + radius * sin(angle * pi / 24)) for angle in range(48)])
        self.draw.ellipse([*self.at(x - radius, y - radius), *self.at(x + radius, y + radius)], fill=(*fill, 255))

    def box(self, left: float, top: float, right: float, bottom: float, fill: Colour, radius: float = 0.0) -> None:
        """Fill a rectangle, with rounded corners if asked."""
        self._cut([(left, top), (right, top), (right, bottom), (left, bottom)])
        x1, y1, x2, y2 = *self.at(left, top), *self.at(right, bottom)
        self.draw.rounded_rectangle([x1, y1, x2 - 1, y2 - 1], radius=radius * self.pixels, fill=(*fill, 255))

    def stroke(self, points: Sequence[Point], width: float, fill: Colour) -> None:
        """A line with round ends."""
        self.draw.line([self.at(*point) for point in points], fill=(*fill, 255), width=max(1, round(width * self.pixels)), joint="curve")
        for x, y in (points[0], points[-1]):
            self.disc(x, y, width / 2, fill)

    def text(self, line: str, centre: Point, width: float, height: float, fill: Colour, font: str = BOLD) -> None:
        """Write one line as large as width x height allows."""
        fitted = fit_font(line, width * self.pixels, height * self.pixels, font)
        self.words += write_line(self.draw, line, fitted, self.at(*centre), (*fill, 255))


@dataclass(frozen=True)
class Panel:
    """A design that can be painted at any size: its class (None for clutter), width and height in metres, how it is painted."""

    label: str | None
    size: tuple[float, float]
    paint: Callable[[Sheet], None]
    rim: Colour = WHITE

    def render(self, pixels: int) -> Sheet:
        """Paint it with a height of ``pixels`` texture pixels."""
        sheet = Sheet(self.size[0] / self.size[1], max(8, pixels), self.rim)
        self.paint(sheet)
        return sheet


def ring(count: int, radius: float, turn: float, centre: Point = (0.5, 0.5)) -> list[Point]:
    """Corners of a regular polygon; ``turn`` is the angle of the first one."""
    return [(centre[0] + radius * cos(turn + 2 * pi * k / count), centre[1] + radius * sin(turn + 2 * pi * k / count)) for k in range(count)]


def inset(points: Sequence[Point], share: float) -> list[Point]:
    """A polygon drawn towards its centre by a share of its size."""
    x, y = sum(p[0] for p in points) / len(points), sum(p[1] for p in points) / len(points)
    return [(px + (x - px) * share, py + (y - py) * share) for px, py in points]
