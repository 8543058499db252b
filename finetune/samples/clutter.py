"""Panels that look like signs and are none: shop boards, posters, backs of signs, mirrors, clocks."""

from __future__ import annotations

from collections.abc import Callable
from math import cos, pi, sin
from random import Random

from finetune.samples.buildings import AWNINGS, WALLS
from finetune.samples.lettering import BOLD, PLAIN, SERIF
from finetune.samples.panels import BLACK, RED, WHITE, Colour, Panel, Sheet, ring
from finetune.samples.words import POSTERS, SHOPS

GREY: Colour = (138, 142, 146)


def _colour(rng: Random) -> Colour:
    red, green, blue = rng.choice(AWNINGS + WALLS)
    return int(red), int(green), int(blue)


def shop_board(rng: Random, height: float = 0.6) -> Panel:
    """The long board over a shop."""
    name, font, back = rng.choice(SHOPS), rng.choice([BOLD, SERIF, PLAIN]), _colour(rng)
    ink = BLACK if sum(back) > 420 else WHITE
    aspect = 0.62 * len(name) + 1.2

    def paint(sheet: Sheet) -> None:
        sheet.box(0, 0, aspect, 1, back)
        sheet.text(name, (aspect / 2, 0.48), aspect - 0.5, 0.5, ink, font)

    return Panel(None, (height * aspect, height), paint, back)


def hanging_board(rng: Random) -> Panel:
    """A round or square board over the pavement."""
    name, back, is_round = rng.choice(SHOPS), _colour(rng), rng.random() < 0.5
    ink = BLACK if sum(back) > 420 else WHITE

    def paint(sheet: Sheet) -> None:
        if is_round:
            sheet.disc(0.5, 0.5, 0.5, ink)
            sheet.disc(0.5, 0.5, 0.46, back)
        else:
            sheet.box(0, 0, 1, 1, back, 0.05)
        sheet.text(name, (0.5, 0.5), 0.76, 0.24, ink, SERIF)

    return Panel(None, (0.75, 0.75), paint, back)


def poster(rng: Random) -> Panel:
    """A bill with a headline and coloured shapes."""
    back, word, shapes = _colour(rng), rng.choice(POSTERS), rng.randint(1, 3)
    places = [(rng.uniform(0.15, 0.5), rng.uniform(0.4, 0.8), rng.uniform(0.08, 0.22), _colour(rng), rng.choice([3, 4, 24])) for _ in range(shapes)]

    def paint(sheet: Sheet) -> None:
        sheet.box(0, 0, 0.7, 1, (236, 234, 226))
        sheet.box(0.03, 0.03, 0.67, 0.97, back)
        for x, y, radius, colour, corners in places:
            sheet.polygon(ring(corners, radius, pi / 6, (x, y)), colour)
        sheet.text(word, (0.35, 0.17), 0.56, 0.18, BLACK if sum(back) > 420 else WHITE)

    return Panel(None, (0.7, 1.0), paint)


def back_of_sign(rng: Random) -> Panel:
    """The grey back of a sign for those who come the other way."""
    corners, turn = rng.choice([(32, 0.0), (8, pi / 8), (3, pi / 2), (3, -pi / 2), (4, 0.0)])
    grey = rng.choice([GREY, (112, 116, 120), (160, 162, 164)])
    dark = (grey[0] - 30, grey[1] - 30, grey[2] - 30)

    def paint(sheet: Sheet) -> None:
        sheet.polygon(ring(corners, 0.5, turn), grey)
        for y in (0.38, 0.6):
            sheet.box(0.3, y, 0.7, y + 0.05, dark)

    return Panel(None, (0.7, 0.7), paint, grey)


def mirror(rng: Random) -> Panel:
    """A round traffic mirror with a red or orange rim."""
    rim = rng.choice([RED, (232, 120, 30)])
    sky = rng.choice([(150, 180, 208), (120, 136, 150)])

    def paint(sheet: Sheet) -> None:
        sheet.disc(0.5, 0.5, 0.5, rim)
        sheet.disc(0.5, 0.5, 0.44, sky)
        sheet.polygon([(0.08, 0.58), (0.92, 0.58), (0.8, 0.8), (0.5, 0.92), (0.2, 0.8)], (96, 98, 100))
        sheet.polygon([(0.46, 0.58), (0.54, 0.58), (0.68, 0.86), (0.34, 0.86)], (140, 140, 140))
        sheet.disc(0.34, 0.3, 0.08, WHITE)

    return Panel(None, (0.7, 0.7), paint, rim)


def clock(rng: Random) -> Panel:
    """A street clock."""
    angle, hour = rng.uniform(0, 2 * pi), rng.uniform(0, 2 * pi)
    rim = rng.choice([BLACK, (40, 70, 56), (120, 30, 30)])

    def paint(sheet: Sheet) -> None:
        sheet.disc(0.5, 0.5, 0.5, rim)
        sheet.disc(0.5, 0.5, 0.43, WHITE)
        for k in range(12):
            sheet.disc(0.5 + 0.36 * cos(k * pi / 6), 0.5 + 0.36 * sin(k * pi / 6), 0.022, BLACK)
        sheet.stroke([(0.5, 0.5), (0.5 + 0.33 * cos(angle), 0.5 + 0.33 * sin(angle))], 0.035, BLACK)
        sheet.stroke([(0.5, 0.5), (0.5 + 0.2 * cos(hour), 0.5 + 0.2 * sin(hour))], 0.05, BLACK)

    return Panel(None, (0.7, 0.7), paint, rim)


def sale_disc(rng: Random) -> Panel:
    """A round or starry advertisement in loud colours."""
    colour = rng.choice([(214, 30, 40), (240, 190, 20), (30, 100, 190), (230, 110, 30)])
    word, corners = rng.choice(POSTERS), rng.choice([14, 40])

    def paint(sheet: Sheet) -> None:
        for share in (1.0, 0.84):
            points = [(0.5 + (x - 0.5) * (share if k % 2 else 1.0), 0.5 + (y - 0.5) * (share if k % 2 else 1.0)) for k, (x, y) in enumerate(ring(corners, 0.5, 0.2))]
            sheet.polygon(points, colour)
        sheet.text(word, (0.5, 0.5), 0.62, 0.22, WHITE if colour[1] < 150 else BLACK)

    return Panel(None, (0.7, 0.7), paint, colour)


ON_POSTS: tuple[Callable[[Random], Panel], ...] = (back_of_sign, back_of_sign, mirror, clock, sale_disc, hanging_board, poster)
