"""Batched arithmetic of quads [N, 4, 2]: corners xy in order around the shape, in pixels."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

LEAST_AREA = 0.01  # square pixels: less is no shape to draw, whatever its corners
_FARTHEST = 1e6  # pixels: beyond, float32 loses the shape
_LEAST_TURN = 1e-3  # of the area, at each corner: less is a triangle, whose perspective is singular


class SquareMap(NamedTuple):
    """The perspective that takes N quads to the square -1..1: u = (right[0] * x + down[0] * y + origin[0]) / (... [2] ...), v with [1].

    ``right``, ``down`` and ``origin`` are [3, N]; x and y are measured from ``centre`` (x [N], y [N]) of the quad.
    """

    right: Tensor
    down: Tensor
    origin: Tensor
    centre: tuple[Tensor, Tensor]


def signed_area(quads: Tensor) -> Tensor:
    """Areas [N], negative where the corners run counter-clockwise on the screen."""
    first, second = quads[:, 2] - quads[:, 0], quads[:, 3] - quads[:, 1]
    return (first[:, 0] * second[:, 1] - first[:, 1] * second[:, 0]) / 2


def drawable(quads: Tensor) -> Tensor:
    """[N] bool: finite corners, some area, and convex, in either direction: what a square can be warped onto."""
    sides = quads.roll(-1, 1) - quads
    following = sides.roll(-1, 1)
    turns = sides[..., 0] * following[..., 1] - sides[..., 1] * following[..., 0]  # twice the area of each corner's triangle
    area = signed_area(quads)
    convex = (turns * area.sign()[:, None] > _LEAST_TURN * area.abs()[:, None]).all(1)
    return convex & (area.abs() >= LEAST_AREA) & (quads.abs() < _FARTHEST).all(2).all(1)


def crossing(quads: Tensor) -> Tensor:
    """Where the diagonals of convex quads cross, [N, 2]."""
    first, second, top = quads[:, 2] - quads[:, 0], quads[:, 3] - quads[:, 1], quads[:, 1] - quads[:, 0]
    share = (top[:, 0] * second[:, 1] - top[:, 1] * second[:, 0]) / (2 * signed_area(quads))
    return quads[:, 0] + share[:, None] * first


def enlarged(quads: Tensor, factor: float) -> Tensor:
    """Quads whose corners moved along their diagonals, to ``factor`` times the distance from where these cross."""
    return torch.lerp(crossing(quads)[:, None], quads, factor)


def from_square(quads: Tensor, points: Tensor) -> Tensor:
    """Take points of the square 0..1 into convex quads by the perspective of each.

    Args:
        quads: [N, 4, 2].
        points: [N, P, 2], (0, 0) at the first corner, (1, 0) at the second.

    Returns:
        [N, P, 2] in the frame of the quads.
    """
    centre = crossing(quads)
    (a, d, g), (b, e, h), (c, f) = _unit_square(*(quads - centre[:, None]).permute(2, 1, 0))
    u, v = points.unbind(2)
    weight = g[:, None] * u + h[:, None] * v + 1
    x, y = a[:, None] * u + b[:, None] * v + c[:, None], d[:, None] * u + e[:, None] * v + f[:, None]
    return torch.stack([x / weight, y / weight], dim=2) + centre[:, None]


def to_square(quads: Tensor) -> SquareMap:
    """The perspective of each convex quad [N, 4, 2] to the square -1..1, in closed form: the adjugate of the way back."""
    centre = crossing(quads)
    (a, d, g), (b, e, h), (c, f) = _unit_square(*(quads - centre[:, None]).permute(2, 1, 0))
    right = _to_centred(e - f * h, f * g - d, d * h - e * g)
    down = _to_centred(c * h - b, a - c * g, b * g - a * h)
    origin = _to_centred(b * f - c * e, c * d - a * f, a * e - b * d)
    return SquareMap(right, down, origin, (centre[:, 0], centre[:, 1]))


def _unit_square(x: Tensor, y: Tensor) -> tuple[tuple[Tensor, Tensor, Tensor], tuple[Tensor, Tensor, Tensor], tuple[Tensor, Tensor]]:
    """Columns of the perspective from the square 0..1 onto quads x [4, N], y [4, N] (Heckbert 1989, section 2.2.3); the last entry is 1."""
    ax, ay, bx, by = x[1] - x[2], y[1] - y[2], x[3] - x[2], y[3] - y[2]
    sx, sy = x[0] - x[1] + x[2] - x[3], y[0] - y[1] + y[2] - y[3]
    area = ax * by - ay * bx
    g, h = (sx * by - sy * bx) / area, (ax * sy - ay * sx) / area
    return (x[1] - x[0] + g * x[1], y[1] - y[0] + g * y[1], g), (x[3] - x[0] + h * x[3], y[3] - y[0] + h * y[3], h), (x[0], y[0])


def _to_centred(u: Tensor, v: Tensor, weight: Tensor) -> Tensor:
    """From 0..1 to -1..1, as [3, N]."""
    return torch.stack([2 * u - weight, 2 * v - weight, weight])
