"""The canvas: paints at twice the picture's size under a given light, and remembers which panel shows at every pixel."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import exp

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageChops, ImageDraw, ImageFilter

from finetune.samples.camera import map_points, solve_homography
from finetune.samples.panels import MARGIN, Panel
from finetune.samples.truth import Point, Quad, Rgb

SUPERSAMPLE = 2
MAX_PANELS = 250


@dataclass(frozen=True)
class Light:
    """Ambient colour (1 = as painted), colour and density of the air, and whether lamps are on."""

    ambient: Rgb
    air: Rgb
    density: float  # share lost per metre, exponential
    lamps: bool
    sun: float  # strength of cast shadows, 0..1

    def tone(self, colour: Rgb, depth: float, glow: float) -> tuple[int, int, int]:
        """A paint as seen from ``depth`` metres; ``glow`` is the share of its own light."""
        clear = exp(-self.density * depth)
        own, far = clear * glow, 1.0 - clear
        lit = clear - own
        red = colour[0] * (self.ambient[0] * lit + own) + self.air[0] * far
        green = colour[1] * (self.ambient[1] * lit + own) + self.air[1] * far
        blue = colour[2] * (self.ambient[2] * lit + own) + self.air[2] * far
        return min(255, int(red + 0.5)), min(255, int(green + 0.5)), min(255, int(blue + 0.5))


@dataclass(frozen=True, eq=False)
class Placed:
    """A panel on the canvas: its number in the owner map, its outline and its words in picture pixels."""

    number: int
    label: str | None
    outline: tuple[Point, ...]
    words: tuple[tuple[str, Quad, tuple[Quad, ...]], ...]  # text, quad, character quads


def _corners(rect: tuple[float, float, float, float]) -> Quad:
    left, top, right, bottom = rect
    return (left, top), (right, top), (right, bottom), (left, bottom)


class Painter:
    """Draws in picture pixels; everything painted later hides what is below it."""

    def __init__(self, size: tuple[int, int], light: Light) -> None:
        self.size = size
        self.light = light
        big = (size[0] * SUPERSAMPLE, size[1] * SUPERSAMPLE)
        self.canvas = Image.new("RGB", big)
        self.draw = ImageDraw.Draw(self.canvas)
        self.owner = Image.new("L", big)
        self._hide = ImageDraw.Draw(self.owner)
        self.placed: list[Placed] = []
        self.glows: list[tuple[float, float, float, Rgb]] = []

    def _scaled(self, points: Sequence[Point]) -> list[Point]:
        limit = 20000.0
        return [(max(-limit, min(limit, x * SUPERSAMPLE)), max(-limit, min(limit, y * SUPERSAMPLE))) for x, y in points]

    def polygon(self, points: Sequence[Point], colour: Rgb, depth: float = 0.0, glow: float = 0.0) -> None:
        """Fill a polygon."""
        scaled = self._scaled(points)
        self.draw.polygon(scaled, fill=self.light.tone(colour, depth, glow))
        if self.placed:
            self._hide.polygon(scaled, fill=0)

    def line(self, points: Sequence[Point], width: float, colour: Rgb, depth: float = 0.0, glow: float = 0.0) -> None:
        """Draw a line of a width in picture pixels."""
        scaled, thick = self._scaled(points), max(1, round(width * SUPERSAMPLE))
        self.draw.line(scaled, fill=self.light.tone(colour, depth, glow), width=thick, joint="curve")
        if self.placed:
            self._hide.line(scaled, fill=0, width=thick, joint="curve")

    def ellipse(self, x: float, y: float, radius_x: float, radius_y: float, colour: Rgb, depth: float = 0.0, glow: float = 0.0) -> None:
        """Fill an ellipse."""
        first, last = self._scaled([(x - radius_x, y - radius_y), (x + radius_x, y + radius_y)])
        self.draw.ellipse([first, last], fill=self.light.tone(colour, depth, glow))
        if self.placed:
            self._hide.ellipse([first, last], fill=0)

    def shadow(self, points: Sequence[Point], strength: float) -> None:
        """Darken a polygon on the ground; it hides nothing."""
        scaled = self._scaled(points)
        left, top = (int(max(0, min(p[k] for p in scaled))) for k in (0, 1))
        right, bottom = (int(min(self.canvas.size[k], max(p[k] for p in scaled) + 1)) for k in (0, 1))
        if right - left < 2 or bottom - top < 2:
            return
        mask = Image.new("L", (right - left, bottom - top))
        ImageDraw.Draw(mask).polygon([(x - left, y - top) for x, y in scaled], fill=round(255 * strength))
        self.canvas.paste((8, 10, 22), (left, top, right, bottom), mask)

    def pool(self, points: Sequence[Point], strength: float, blur: float) -> None:
        """Brighten a polygon with soft edges, as the light of a lamp on the ground does."""
        small = (self.size[0] // 4, self.size[1] // 4)
        mask = Image.new("L", small)
        ImageDraw.Draw(mask).polygon([(x / 4, y / 4) for x, y in points], fill=round(255 * strength))
        mask = mask.filter(ImageFilter.GaussianBlur(blur / 4)).resize(self.canvas.size, Image.Resampling.BILINEAR)
        lit = self.canvas.point(lambda value: min(255, value * 2.6 + 10))
        self.canvas.paste(lit, (0, 0), mask)

    def glow(self, point: Point, radius: float, colour: Rgb) -> None:
        """Remember a lamp; its halo is added to the finished picture."""
        self.glows.append((point[0], point[1], radius, colour))

    def panel(self, panel: Panel, quad: Quad, depth: float, lit: Rgb = (1.0, 1.0, 1.0), grime: NDArray[np.float32] | None = None) -> Placed | None:
        """Hang a panel with its corners at ``quad``; ``lit`` multiplies its colours, ``grime`` [h, w] in 0..1 darkens it."""
        if len(self.placed) >= MAX_PANELS:
            return None
        tall = max(abs(quad[3][1] - quad[0][1]), abs(quad[2][1] - quad[1][1]), abs(quad[1][0] - quad[0][0]) / (panel.size[0] / panel.size[1]))
        sheet = panel.render(round(tall * SUPERSAMPLE * 1.1))
        width, height = sheet.image.size
        inner = _corners((MARGIN, MARGIN, width - MARGIN, height - MARGIN))
        to_picture = solve_homography(inner, quad)
        self._warp(self._toned(sheet.image, depth, lit, grime), to_picture, len(self.placed) + 1)
        words = []
        for word in sheet.words:
            characters = tuple(map_points(to_picture, _corners(rect)) for rect in word.characters)
            words.append((word.text, map_points(to_picture, _corners(word.rect)), characters))
        self.placed.append(Placed(len(self.placed) + 1, panel.label, map_points(to_picture, sheet.outline), tuple(words)))
        return self.placed[-1]

    def _toned(self, image: Image.Image, depth: float, lit: Rgb, grime: NDArray[np.float32] | None) -> Image.Image:
        zero, full = self.light.tone((0, 0, 0), depth, 0.0), self.light.tone((255, 255, 255), depth, 0.0)
        tables: list[int] = []
        for channel in range(3):
            span = (full[channel] - zero[channel]) * lit[channel]
            tables += np.clip(np.rint(zero[channel] + span * np.linspace(0, 1, 256)), 0, 255).astype(int).tolist()
        alpha = image.getchannel("A")
        toned = image.convert("RGB").point(tables)
        if grime is not None:
            dirt = Image.fromarray((grime * 255).astype(np.uint8)).resize(image.size, Image.Resampling.BICUBIC)
            toned = ImageChops.multiply(toned, Image.merge("RGB", [dirt] * 3))
        toned.putalpha(alpha)
        return toned

    def _warp(self, image: Image.Image, to_picture: NDArray[np.float64], number: int) -> None:
        big = np.diag([SUPERSAMPLE, SUPERSAMPLE, 1.0]) @ to_picture
        width, height = image.size
        corners = np.array(map_points(big, _corners((0, 0, width, height))))
        left, top = (int(value) for value in np.maximum(np.floor(corners.min(0)), 0))
        right, bottom = (int(value) for value in np.minimum(np.ceil(corners.max(0)), self.canvas.size))
        if right <= left or bottom <= top:
            return
        back = np.linalg.inv(np.array([[1, 0, -left], [0, 1, -top], [0, 0, 1.0]]) @ big)
        back /= back[2, 2]
        warped = image.transform((right - left, bottom - top), Image.Transform.PERSPECTIVE, tuple(back.reshape(-1)[:8]), Image.Resampling.BICUBIC)
        alpha = warped.getchannel("A")
        self.canvas.paste(warped.convert("RGB"), (left, top), alpha)
        self.owner.paste(number, (left, top, right, bottom), alpha.point(lambda value: 255 if value > 127 else 0))
