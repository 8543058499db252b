"""The road signs: one function a class, each drawing its own variants."""

from __future__ import annotations

from collections.abc import Callable
from math import pi
from random import Random

from finetune.samples.panels import BLACK, BLUE, GREEN, RED, WHITE, YELLOW, Colour, Panel, Sheet, inset, ring
from finetune.samples.pictograms import WARNINGS, walker
from finetune.samples.words import DISTANCES, PLATES, SPEEDS, STREETS, TOWNS

TRIANGLE_UP = [(0.575, 0.0), (1.15, 1.0), (0.0, 1.0)]
TRIANGLE_DOWN = [(0.0, 0.0), (1.15, 0.0), (0.575, 1.0)]


def stop(rng: Random) -> Panel:
    """Red octagon."""
    side = rng.uniform(0.65, 0.85)
    red = shift(RED, rng)

    def paint(sheet: Sheet) -> None:
        for radius, colour in ((0.54, WHITE), (0.50, red)):
            sheet.polygon(ring(8, radius, pi / 8), colour)
        sheet.text("STOP", (0.5, 0.5), 0.8, 0.34, WHITE)

    return Panel("stop", (side, side), paint)


def give_way(rng: Random) -> Panel:
    """White triangle on its tip with a red rim."""
    side = rng.uniform(0.65, 0.85)
    red, worded, rim = shift(RED, rng), rng.random() < 0.25, rng.uniform(0.34, 0.44)

    def paint(sheet: Sheet) -> None:
        for share, colour in ((0.0, WHITE), (0.05, red), (rim, WHITE)):
            sheet.polygon(inset(TRIANGLE_DOWN, share), colour)
        if worded:
            sheet.text("YIELD", (0.575, 0.3), 0.46, 0.13, red)

    return Panel("yield", (side * 1.15, side), paint)


def speed_limit(rng: Random) -> Panel:
    """White disc with a red ring and a number."""
    side, speed, red = rng.uniform(0.6, 0.8), rng.choice(SPEEDS), shift(RED, rng)
    inner = YELLOW if rng.random() < 0.12 else WHITE

    def paint(sheet: Sheet) -> None:
        for radius, colour in ((0.5, WHITE), (0.485, red), (0.36, inner)):
            sheet.disc(0.5, 0.5, radius, colour)
        sheet.text(speed, (0.5, 0.5), 0.62, 0.36, BLACK)

    return Panel("speed-limit", (side, side), paint)


def no_entry(rng: Random) -> Panel:
    """Red disc with a white bar."""
    side, red, worded = rng.uniform(0.6, 0.8), shift(RED, rng), rng.random() < 0.15

    def paint(sheet: Sheet) -> None:
        for radius, colour in ((0.5, WHITE), (0.485, red)):
            sheet.disc(0.5, 0.5, radius, colour)
        sheet.box(0.15, 0.4, 0.85, 0.6, WHITE, 0.03)
        if worded:
            sheet.text("NO ENTRY", (0.5, 0.5), 0.6, 0.1, red)

    return Panel("no-entry", (side, side), paint)


def pedestrian_crossing(rng: Random) -> Panel:
    """Blue square, white triangle, somebody walking over stripes."""
    side, blue, flip = rng.uniform(0.6, 0.8), shift(BLUE, rng), rng.random() < 0.5

    def paint(sheet: Sheet) -> None:
        sheet.box(0, 0, 1, 1, WHITE, 0.07)
        sheet.box(0.025, 0.025, 0.975, 0.975, blue, 0.06)
        sheet.polygon([(0.5, 0.12), (0.92, 0.86), (0.08, 0.86)], WHITE)
        walker(sheet, (0.5, 0.56), 0.44, BLACK, flip)
        for k in range(5):
            x = 0.2 + 0.13 * k
            sheet.polygon([(x + 0.02, 0.78), (x + 0.08, 0.78), (x + 0.07, 0.84), (x - 0.01, 0.84)], BLACK)

    return Panel("pedestrian-crossing", (side, side), paint, blue)


def parking(rng: Random) -> Panel:
    """Blue square or upright board with a P."""
    side, blue = rng.uniform(0.55, 0.75), shift(BLUE, rng)
    extra = rng.choice(["", "", "2h", "Taxi", "Bus"])
    aspect = 0.72 if extra else rng.choice([1.0, 1.0, 0.85])

    def paint(sheet: Sheet) -> None:
        sheet.box(0, 0, aspect, 1, WHITE, 0.06)
        sheet.box(0.03, 0.03, aspect - 0.03, 0.97, blue, 0.05)
        sheet.text("P", (aspect / 2, 0.36 if extra else 0.5), aspect * 0.8, 0.48 if extra else 0.66, WHITE)
        if extra:
            sheet.text(extra, (aspect / 2, 0.8), aspect * 0.74, 0.2, WHITE)

    return Panel("parking", (side * aspect, side), paint, blue)


def priority_road(rng: Random) -> Panel:
    """Yellow diamond with a white and black rim."""
    side, yellow = rng.uniform(0.65, 0.85), shift(YELLOW, rng)

    def paint(sheet: Sheet) -> None:
        for radius, colour in ((0.5, BLACK), (0.485, WHITE), (0.37, BLACK), (0.355, yellow)):
            sheet.polygon(ring(4, radius, 0.0), colour)

    return Panel("priority-road", (side, side), paint)


def warning(rng: Random) -> Panel:
    """White or yellow triangle with a red rim and a pictogram."""
    side, red = rng.uniform(0.65, 0.85), shift(RED, rng)
    pictogram, flip = rng.choice(WARNINGS), rng.random() < 0.5
    inner = YELLOW if rng.random() < 0.25 else WHITE

    def paint(sheet: Sheet) -> None:
        for share, colour in ((0.0, WHITE), (0.04, red), (0.34, inner)):
            sheet.polygon(inset(TRIANGLE_UP, share), colour)
        pictogram(sheet, (0.575, 0.68), 0.4, BLACK, flip)

    return Panel("warning", (side * 1.15, side), paint)


def direction(rng: Random) -> Panel:
    """A board with place names, its end pointing the way."""
    names = rng.sample(TOWNS, rng.choice([1, 1, 2, 2, 3]))
    far = [rng.choice(DISTANCES) if rng.random() < 0.6 else "" for _ in names]
    height, longest = 0.42 * len(names) + 0.1, max(len(name) for name in names)
    width = min(2.6, 0.2 * longest + 0.65 + (0.35 if any(far) else 0.0))
    back, ink = rng.choice([(BLUE, WHITE), (GREEN, WHITE), (YELLOW, BLACK), (WHITE, BLACK)])
    back, aspect, left, tip = shift(back, rng), width / height, rng.random() < 0.5, rng.choice([0.0, 0.22, 0.3])

    def paint(sheet: Sheet) -> None:
        for edge, colour in ((0.0, ink if back != ink else WHITE), (0.035, back)):
            shape = [(edge, edge), (aspect - tip - edge, edge), (aspect - edge * (1.4 if tip else 1.0), 0.5), (aspect - tip - edge, 1 - edge), (edge, 1 - edge)]
            sheet.polygon([(aspect - x, y) if left else (x, y) for x, y in shape], colour)
        line = 0.84 / len(names)
        room = aspect - tip - 0.3
        centre = room / 2 + 0.15 + (tip if left else 0.0)
        for k, (name, distance) in enumerate(zip(names, far, strict=True)):
            y = 0.08 + line * (k + 0.5)
            sheet.text(f"{name} {distance}".strip(), (centre, y), room, line * 0.6, ink)

    return Panel("direction", (width, height), paint, back)


def street_name(rng: Random) -> Panel:
    """A narrow enamel plate."""
    name, height = rng.choice(STREETS), rng.uniform(0.24, 0.3)
    back, ink = rng.choice([(shift((20, 52, 120), rng), WHITE), (shift((20, 52, 120), rng), WHITE), (WHITE, BLACK), (shift((24, 84, 52), rng), WHITE)])
    aspect = 0.62 * len(name) * 0.74 + 0.6

    def paint(sheet: Sheet) -> None:
        for edge, colour in ((0.0, back), (0.06, ink), (0.11, back)):
            sheet.box(edge, edge, aspect - edge, 1 - edge, colour, 0.08)
        sheet.text(name, (aspect / 2, 0.48), aspect - 0.4, 0.46, ink)

    return Panel("street-name", (height * aspect, height), paint, back)


def extra_plate(rng: Random) -> Panel:
    """The small white or yellow plate under a sign: words, but no class of its own."""
    text = rng.choice(PLATES)
    height, aspect = 0.24, max(2.0, 0.5 * len(text) + 0.5)
    back = YELLOW if rng.random() < 0.2 else WHITE

    def paint(sheet: Sheet) -> None:
        for edge, colour in ((0.0, BLACK), (0.05, back)):
            sheet.box(edge, edge, aspect - edge, 1 - edge, colour, 0.06)
        sheet.text(text, (aspect / 2, 0.5), aspect - 0.4, 0.56, BLACK)

    return Panel(None, (height * aspect, height), paint, BLACK)


def shift(colour: Colour, rng: Random) -> Colour:
    """A paint of another maker: the same colour, a little different."""
    red, green, blue = (max(0, min(255, round(value + rng.uniform(-16, 16)))) for value in colour)
    return red, green, blue


SIGNS: dict[str, Callable[[Random], Panel]] = {
    "stop": stop, "yield": give_way, "speed-limit": speed_limit, "no-entry": no_entry, "pedestrian-crossing": pedestrian_crossing,
    "parking": parking, "priority-road": priority_road, "warning": warning, "direction": direction, "street-name": street_name,
}  # fmt: skip
