"""Values of many quads written into maps at once: no loop over quads, no image warped.

Every quad covers the cells within its bounding rectangle. These rectangles, of all sizes, are cut into runs of eight cells of a row; all runs
together are one [8, R] array, over which the perspective of each run's quad is evaluated in closed form and scattered into the maps, the
greatest value winning. Per quad there is arithmetic on a handful of numbers; per cell there are no look-ups.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import threshold

from detectors.quads import enlarged, to_square

_RUN = 8  # cells evaluated together
_MOST_RUNS = 2**17  # at once, about 30 MB: only huge quads by the hundred reach it


class _Runs(NamedTuple):
    """Where runs lie: the quad, its row and column of cells within the quad's rectangle, and the position in the padded maps, each [R]."""

    quad: Tensor
    row: Tensor
    column: Tensor
    position: Tensor


def draw_gaussians(quads: Tensor, planes: Tensor, count: int, map_hw: tuple[int, int], sigma: float, factor: float) -> Tensor:
    """Draw isotropic Gaussians warped into quads; where they overlap the greater value stays.

    Args:
        quads: [N, 4, 2] f32, drawable, in cells of the maps (cell (0, 0) covers 0..1).
        planes: [N] i64, the map that each is drawn into.
        count: Number of maps.
        map_hw: Their size.
        sigma: Of the Gaussian, as a share of half the side of the square; 1 at the centre, cut to 0 beyond the square's inner circle.
        factor: The square is warped onto the quad with its diagonals enlarged so much.

    Returns:
        [count, h, w] f32 in 0..1.
    """
    slope = -0.5 / sigma**2
    rim = math.exp(slope) * (1 - 1e-5)

    def gaussian(u: Tensor, v: Tensor, weight: Tensor) -> Tensor:
        squared_radius = u.mul_(u).addcmul_(v, v).div_(weight.mul_(weight))
        return threshold(squared_radius.mul_(slope).exp_(), rim, 0.0, inplace=True)

    return _write(enlarged(quads, factor), planes, count, map_hw, gaussian)


def fill_quads(quads: Tensor, planes: Tensor, values: Tensor, count: int, map_hw: tuple[int, int]) -> Tensor:
    """Fill quads with a value each; where they overlap the greater value stays, where there is none 0.

    Args:
        quads: [N, 4, 2] f32, drawable, in cells of the maps; a cell belongs to a quad when its centre does.
        planes: [N] i64, the map that each is drawn into.
        values: [N] f32, at least 0.
        count: Number of maps.
        map_hw: Their size.

    Returns:
        [count, h, w] f32.
    """

    def inside(u: Tensor, v: Tensor, weight: Tensor) -> Tensor:
        return (torch.maximum(u.abs_(), v.abs_()) <= weight.abs_()).float()

    return _write(quads, planes, count, map_hw, inside, values)


def _write(
    quads: Tensor, planes: Tensor, count: int, map_hw: tuple[int, int], value: Callable[[Tensor, Tensor, Tensor], Tensor], scale: Tensor | None = None
) -> Tensor:
    height, width = map_hw
    padded = width + _RUN  # runs may leave their rectangle to the right: they find 0 there, and the maps have room
    maps = torch.zeros(count * height * padded + _RUN, device=quads.device)
    perspective = to_square(quads)
    (centre_x, centre_y), corners = perspective.centre, quads.permute(2, 1, 0)
    left, right = (corners[0].amin(0) - 0.5).ceil_().clamp_(min=0), (corners[0].amax(0) - 0.5).floor_().clamp_(max=width - 1)
    top, bottom = (corners[1].amin(0) - 0.5).ceil_().clamp_(min=0), (corners[1].amax(0) - 0.5).floor_().clamp_(max=height - 1)
    across = ((right - left + _RUN).clamp_(min=0) / _RUN).long()  # runs in a row
    origin = perspective.origin + perspective.right * (left + 0.5 - centre_x) + perspective.down * (top + 0.5 - centre_y)
    start = (planes * height + top.long()) * padded + left.long()
    steps = torch.arange(_RUN, device=quads.device, dtype=torch.float32)[:, None]
    for runs in _runs(across, (bottom - top + 1).clamp_(min=0).long() * across, start, padded):
        rightward = perspective.right.index_select(1, runs.quad)
        base = origin.index_select(1, runs.quad).addcmul_(rightward, runs.column.float()).addcmul_(perspective.down.index_select(1, runs.quad), runs.row.float())
        u, v, weight = (torch.addcmul(base[i], rightward[i], steps) for i in range(3))
        values = value(u, v, weight)
        if scale is not None:
            values *= scale.index_select(0, runs.quad)
        for step in range(_RUN):  # an index for every cell would cost more than all the rest
            maps[step:].scatter_reduce_(0, runs.position, values[step], "amax")
    return maps[: count * height * padded].view(count, height, padded)[:, :, :width]


def _runs(across: Tensor, counts: Tensor, start: Tensor, padded: int) -> Iterator[_Runs]:
    """Cut rectangles into runs, in portions that fit into memory: as a rule one.

    Args:
        across: [N] i64, runs in a row of each rectangle.
        counts: [N] i64, runs of each rectangle.
        start: [N] i64, position of the first cell of each.
        padded: From a cell to the one below.
    """
    ends = counts.cumsum(0)
    total = int(ends[-1]) if len(ends) else 0
    for first in range(0, total, _MOST_RUNS):
        number = torch.arange(first, min(total, first + _MOST_RUNS), device=counts.device)
        quad = torch.searchsorted(ends, number, right=True) if total > _MOST_RUNS else torch.repeat_interleave(counts, output_size=total)
        number -= (ends - counts).index_select(0, quad)
        per_row = across.index_select(0, quad)
        row = torch.div(number, per_row, rounding_mode="floor")
        column = (number - row * per_row) * _RUN
        yield _Runs(quad, row, column, start.index_select(0, quad) + row * padded + column)
