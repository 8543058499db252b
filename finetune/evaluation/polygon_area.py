"""Areas of polygons and of their intersections, for many pairs at once, as the official scripts' polygon library counts them.

That library takes the area of a polygon from its corners alone (half the absolute sum of cross products: the two halves of
a bow tie cancel), but intersects by the even-odd rule (both halves of a bow tie count). Both are kept here.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Corners = NDArray[np.float64]
Values = NDArray[np.float64]
_CHUNK = 60_000  # crossings of edges with scan lines held at once: about what fits the cache of a core


def areas(corners: Corners) -> Values:
    """Areas [N] of polygons [N, K, 2], from the corners alone."""
    x, y = corners[..., 0], corners[..., 1]
    following_x, following_y = np.roll(x, -1, axis=-1), np.roll(y, -1, axis=-1)
    return 0.5 * np.abs(((x + following_x) * (following_y - y)).sum(axis=-1))


def intersections(one: Corners, two: Corners) -> Values:
    """Areas [P] of what both polygons of each pair cover by the even-odd rule.

    Args:
        one: The first polygon of each pair, [P, K, 2]; repeated corners do no harm.
        two: The second one, [P, L, 2].
    """
    found = np.zeros(len(one))
    if not len(one):
        return found
    origin = one[:, :1]
    one, two = one - origin, two - origin
    plain = _is_convex(one) & _is_convex(two) & _is_whole(one) & _is_whole(two)
    found[plain] = _convex(one[plain], two[plain])
    rest = np.flatnonzero(~plain)
    step = max(1, _CHUNK // (3 * (one.shape[1] + two.shape[1]) ** 2))
    for start in range(0, len(rest), step):
        part = rest[start : start + step]
        found[part] = _scan(one[part], two[part])
    return found


def _cross(a: Corners, b: Corners) -> Values:
    return a[..., 0] * b[..., 1] - a[..., 1] * b[..., 0]


def _edges(corners: Corners) -> Corners:
    return np.roll(corners, -1, axis=1) - corners


def _is_whole(corners: Corners) -> NDArray[np.bool_]:
    """Where all coordinates are whole numbers: only there are cross products exact, which shared edges need."""
    return (corners == np.rint(corners)).all(axis=(1, 2))


def _is_convex(corners: Corners) -> NDArray[np.bool_]:
    """Where a quad turns one way only, never back onto itself, and has an area."""
    if corners.shape[1] != 4:
        return np.zeros(len(corners), np.bool_)
    edges = _edges(corners)
    following = np.roll(edges, -1, axis=1)
    turns = _cross(edges, following)
    straight = (turns == 0) & ((edges * following).sum(axis=-1) > 0)
    left, right = (turns > 0) | straight, (turns < 0) | straight
    return (left.all(axis=1) | right.all(axis=1)) & (turns != 0).any(axis=1)


def _convex(one: Corners, two: Corners) -> Values:
    """Green's theorem over the border of the intersection: the parts of each outline that lie inside the other one."""
    one, two = _turned(one), _turned(two)
    return 0.5 * np.maximum(_inner_border(one, two, shared=True) + _inner_border(two, one, shared=False), 0)


def _turned(corners: Corners) -> Corners:
    """The same polygons, all with a positive sum of cross products."""
    negative = _cross(corners, np.roll(corners, -1, axis=1)).sum(axis=1) < 0
    return np.where(negative[:, None, None], corners[:, ::-1], corners)


def _inner_border(one: Corners, two: Corners, shared: bool) -> Values:
    """Twice the area between the origin and those parts of the edges of ``one`` that lie inside the convex ``two``.

    A part that both outlines share, in the same direction, counts where ``shared`` says so: in one of the two calls.
    """
    edges, planes = _edges(one)[:, :, None], _edges(two)[:, None]
    distance = _cross(planes, one[:, :, None] - two[:, None])  # [P, edges, planes], >= 0 inside
    rate = _cross(planes, edges)
    on_border = (rate == 0) & (distance == 0)
    outside = (rate == 0) & (distance < 0)
    outside |= (on_border & ((edges * planes).sum(axis=-1) <= 0)) if shared else on_border
    with np.errstate(divide="ignore", invalid="ignore"):
        place = -distance / rate
    start = np.where(rate > 0, place, 0.0).max(axis=2).clip(min=0)
    end = np.where(rate < 0, place, 1.0).min(axis=2).clip(max=1)
    share = np.where(outside.any(axis=2), 0.0, np.maximum(end - start, 0))
    return (share * _cross(one, edges[:, :, 0])).sum(axis=1)


def _scan(one: Corners, two: Corners) -> Values:
    """Horizontal slabs between all corners and crossings: inside a slab no edges cross, so its middle line gives its area."""
    heights = np.sort(np.concatenate([one[..., 1], two[..., 1], _crossings(one, two), _crossings(one, one), _crossings(two, two)], axis=1), axis=1)
    heights = heights[:, : int(np.isfinite(heights).sum(axis=1).max())]
    heights = np.where(np.isfinite(heights), heights, np.nanmax(np.where(np.isfinite(heights), heights, np.nan), axis=1)[:, None])
    middle = 0.5 * (heights[:, 1:] + heights[:, :-1])
    last = np.maximum(one[..., 0].max(axis=1), two[..., 0].max(axis=1))
    (first, in_first), (second, in_second) = _cuts(one, middle, last), _cuts(two, middle, last)
    x = np.concatenate([first, second], axis=2)
    order = np.argsort(x, axis=2)
    x = np.take_along_axis(x, order, axis=2)
    nothing = np.zeros(1, np.bool_)
    of_first = np.concatenate([in_first, np.broadcast_to(nothing, in_second.shape)], axis=2)
    of_second = np.concatenate([np.broadcast_to(nothing, in_first.shape), in_second], axis=2)
    inside = [np.logical_xor.accumulate(np.take_along_axis(owner, order, axis=2), axis=2)[..., :-1] for owner in (of_first, of_second)]
    width = (np.diff(x, axis=2) * (inside[0] & inside[1])).sum(axis=2)
    return (width * np.diff(heights, axis=1)).sum(axis=1)


def _cuts(corners: Corners, lines: Values, last: Values) -> tuple[Values, NDArray[np.bool_]]:
    """Where edges cut horizontal lines: x [P, lines, edges], ``last`` where they do not, and whether they do."""
    start, end = corners[:, None], np.roll(corners, -1, axis=1)[:, None]
    level = lines[:, :, None]
    cut = (start[..., 1] <= level) != (end[..., 1] <= level)
    rise = np.where(cut, end[..., 1] - start[..., 1], 1.0)
    x = start[..., 0] + (level - start[..., 1]) * (end[..., 0] - start[..., 0]) / rise
    return np.where(cut, x, last[:, None, None]), cut


def _crossings(one: Corners, two: Corners) -> Values:
    """Heights [P, K * L] at which edges of one polygon cross edges of the other, infinite where they do not."""
    a, b = one[:, :, None], two[:, None]
    d, e = _edges(one)[:, :, None], _edges(two)[:, None]
    slope = _cross(d, e)
    with np.errstate(divide="ignore", invalid="ignore"):
        along, other = _cross(b - a, e) / slope, _cross(b - a, d) / slope
        crossed = (slope != 0) & (along > 0) & (along < 1) & (other >= 0) & (other <= 1)
        heights = np.where(crossed, a[..., 1] + along * d[..., 1], np.inf)
    return heights.reshape(len(one), -1)
