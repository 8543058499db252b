"""Black figures on warning and crossing signs."""

from __future__ import annotations

from finetune.samples.panels import BLACK, RED, YELLOW, Colour, Sheet
from finetune.samples.truth import Point

GREEN_LIGHT = (24, 140, 60)


def _placer(centre: Point, height: float, flip: bool) -> tuple[float, float, float, float]:
    return centre[0], centre[1], height, -1.0 if flip else 1.0


def walker(sheet: Sheet, centre: Point, height: float, fill: Colour, flip: bool) -> None:
    """Somebody walking."""
    x, y, size, way = _placer(centre, height, flip)

    def at(dx: float, dy: float) -> Point:
        return x + way * dx * size, y + dy * size

    sheet.disc(*at(0.02, -0.4), 0.1 * size, fill)
    sheet.stroke([at(0.0, -0.26), at(-0.02, 0.08)], 0.17 * size, fill)
    sheet.stroke([at(-0.02, 0.08), at(0.12, 0.26), at(0.16, 0.48)], 0.1 * size, fill)
    sheet.stroke([at(-0.02, 0.08), at(-0.1, 0.28), at(-0.22, 0.46)], 0.1 * size, fill)
    sheet.stroke([at(0.02, -0.24), at(0.2, -0.06), at(0.28, -0.1)], 0.07 * size, fill)
    sheet.stroke([at(-0.02, -0.24), at(-0.2, -0.04), at(-0.16, 0.06)], 0.07 * size, fill)


def danger(sheet: Sheet, centre: Point, height: float, fill: Colour, flip: bool) -> None:
    """An exclamation mark, as a shape."""
    x, y, size, _ = _placer(centre, height, flip)
    sheet.polygon([(x - 0.13 * size, y - 0.5 * size), (x + 0.13 * size, y - 0.5 * size), (x + 0.07 * size, y + 0.18 * size), (x - 0.07 * size, y + 0.18 * size)], fill)
    sheet.disc(x, y + 0.38 * size, 0.12 * size, fill)


def bend(sheet: Sheet, centre: Point, height: float, fill: Colour, flip: bool) -> None:
    """A bent arrow."""
    x, y, size, way = _placer(centre, height, flip)
    sheet.stroke([(x - way * 0.12 * size, y + 0.5 * size), (x - way * 0.12 * size, y + 0.1 * size), (x + way * 0.14 * size, y - 0.22 * size)], 0.17 * size, fill)
    sheet.polygon([(x + way * 0.3 * size, y - 0.45 * size), (x + way * 0.32 * size, y - 0.02 * size), (x - way * 0.08 * size, y - 0.36 * size)], fill)


def crossroads(sheet: Sheet, centre: Point, height: float, fill: Colour, flip: bool) -> None:
    """A cross of two roads."""
    x, y, size, _ = _placer(centre, height, flip)
    sheet.stroke([(x - 0.36 * size, y + 0.4 * size), (x + 0.36 * size, y - 0.32 * size)], 0.17 * size, fill)
    sheet.stroke([(x + 0.36 * size, y + 0.4 * size), (x - 0.36 * size, y - 0.32 * size)], 0.17 * size, fill)


def bumps(sheet: Sheet, centre: Point, height: float, fill: Colour, flip: bool) -> None:
    """Two bumps in the road."""
    x, y, size, _ = _placer(centre, height, flip)
    sheet.disc(x - 0.26 * size, y + 0.28 * size, 0.22 * size, fill)
    sheet.disc(x + 0.26 * size, y + 0.28 * size, 0.22 * size, fill)
    sheet.box(x - 0.62 * size, y + 0.28 * size, x + 0.62 * size, y + 0.48 * size, fill)


def traffic_lights(sheet: Sheet, centre: Point, height: float, fill: Colour, flip: bool) -> None:
    """Three lamps."""
    x, y, size, _ = _placer(centre, height, flip)
    sheet.box(x - 0.17 * size, y - 0.52 * size, x + 0.17 * size, y + 0.5 * size, BLACK, 0.04 * size)
    for offset, colour in ((-0.34, RED), (-0.01, YELLOW), (0.32, GREEN_LIGHT)):
        sheet.disc(x, y + offset * size, 0.12 * size, colour)


def works(sheet: Sheet, centre: Point, height: float, fill: Colour, flip: bool) -> None:
    """Somebody digging."""
    x, y, size, way = _placer(centre, height, flip)

    def at(dx: float, dy: float) -> Point:
        return x + way * dx * size, y + dy * size

    sheet.disc(*at(0.02, -0.36), 0.1 * size, fill)
    sheet.stroke([at(-0.06, -0.24), at(-0.24, 0.06)], 0.15 * size, fill)
    sheet.stroke([at(-0.24, 0.06), at(-0.1, 0.24), at(-0.14, 0.46)], 0.09 * size, fill)
    sheet.stroke([at(-0.24, 0.06), at(-0.34, 0.26), at(-0.4, 0.46)], 0.09 * size, fill)
    sheet.stroke([at(-0.06, -0.18), at(0.1, 0.02), at(0.28, 0.34)], 0.07 * size, fill)
    sheet.polygon([at(0.16, 0.48), at(0.36, 0.22), at(0.6, 0.48)], fill)


WARNINGS = (danger, danger, bend, crossroads, bumps, traffic_lights, works, walker)
