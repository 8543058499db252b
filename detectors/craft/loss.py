"""Loss of CRAFT: squared error of both maps over the positive cells and the hardest negative ones (arXiv:1904.01941, sections 3.2 and 4.2).

The paper weighs the squared error by a confidence map and mines negatives "at a ratio of 1:3". The training code that EasyOCR released later
(trainer/craft/loss/mseloss.py) fills in the rest: cells whose target is 0.1 or more are positive; region and affinity are mined apart; the mean
over the positives and the mean over the chosen negatives are added, so positives weigh the same however few they are. That is what keeps the maps
from collapsing to background: without mining, a text-free output is a good answer for 97 of 100 cells. Of its two variants "image" is
``Maploss_v3`` (means within an image, then over images) and "batch" ``Maploss_v2`` (means over the batch). Its shipped settings: v3, 1 negative a
positive and at least 1000 of 147,456 on SynthText; v2, 0.3 and, only where there are fewer negatives than wanted, 5000, on ICDAR. Differences:

- Three negatives a positive by default, as the paper says.
- Cells of confidence 0 are neither positive nor negative. There, they count among the positives' number and may be mined at loss 0.
- The least number of negatives is a share of the image's cells, holds with and without positives, in both variants, and never asks for more cells
  than there are. There, fewer negatives than asked for is an error.
- Cells as hard as the last one chosen share its place, so equal cells get equal gradients. The value is the same.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal, get_args

import torch
from torch import Tensor

from backbones.errors import UsageError
from detectors.craft.heatmaps import MapTargets, SkippedQuad, build_targets
from detectors.ranks import reduced_count
from detectors.types import TextTarget

Mining = Literal["image", "batch"]
POSITIVE = 0.1  # targets of at least this are text
_ANSWERS = (0.0, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4)


@dataclass(frozen=True)
class CraftLoss:
    """Squared error with mining of hard negatives.

    Args:
        mining: "image" mines in each image; "batch" over all, where images without text lend their hard cells to the others.
        negatives: Mined cells for each positive one.
        least_negatives: Share of an image's cells that are mined at least.
        affinity_weight: Weight of the affinity map; the region map has 1.
        stride: Input pixels per cell of the maps.
        on_skipped: Is told which quads could not be drawn.
    """

    mining: Mining = "image"
    negatives: float = 3.0
    least_negatives: float = 0.01
    affinity_weight: float = 1.0
    stride: int = 2
    on_skipped: Callable[[Sequence[SkippedQuad]], None] | None = None

    def __post_init__(self) -> None:
        if self.mining not in get_args(Mining):
            raise UsageError(f"craft.mining is {self.mining!r}; {' or '.join(get_args(Mining))} is wanted")
        if self.negatives < 0 or not 0 < self.least_negatives <= 1:
            raise UsageError(f"craft.negatives {self.negatives:g}, least_negatives {self.least_negatives:g}: a number from 0 on and a share of the cells in 0..1 are wanted")

    def __call__(self, maps: Tensor, targets: MapTargets | Sequence[TextTarget]) -> dict[str, Tensor]:
        """Losses "region" and "affinity".

        Args:
            maps: [B, 2, h, w], as the network gives them.
            targets: Drawn maps, or one target per image to draw here.
        """
        if not isinstance(targets, MapTargets):
            targets = build_targets(targets, (int(maps.shape[-2]), int(maps.shape[-1])), self.stride, maps.device)
        if targets.skipped and self.on_skipped is not None:
            self.on_skipped(targets.skipped)
        errors = (maps.float() - targets.maps).square() * targets.confidence[:, None]
        with torch.no_grad():
            weights = self._weights(errors.detach(), targets)
        # where rather than a product: an infinite error in a cell that does not count must not become NaN
        region, affinity = torch.where(weights > 0, errors * weights, 0.0).sum((0, 2, 3))
        return {"region": region, "affinity": self.affinity_weight * affinity}

    @torch.no_grad()
    def constant_level(self, targets: Sequence[TextTarget], map_hw: tuple[int, int]) -> float:
        """Region loss of the best answer that is the same in every cell: a network above it has learnt nothing about where text is.

        Args:
            targets: One per image.
            map_hw: Height and width of the maps.
        """
        drawn = build_targets(targets, map_hw, self.stride)
        quiet = replace(self, on_skipped=None)
        return min(float(quiet(torch.full_like(drawn.maps, answer), drawn)["region"]) for answer in _ANSWERS)

    def _weights(self, errors: Tensor, targets: MapTargets) -> Tensor:
        """What each cell's error counts, [B, 2, h, w]: 1 / number for positives and for mined negatives, else 0."""
        batch, _, height, width = errors.shape
        learned = (targets.confidence > 0)[:, None]
        positive = (targets.maps >= POSITIVE) & learned
        negative = ~positive & learned
        rows = self._rows
        text, ground, hardness = rows(positive), rows(negative), rows(errors)
        number = text.sum(1, keepdim=True)
        least = max(1, round(self.least_negatives * height * width))
        wanted = (number * self.negatives).long().clamp_(min=least if self.mining == "image" else least * batch)
        wanted = torch.minimum(wanted, ground.sum(1, keepdim=True))
        mined = hardest(hardness.masked_fill(~ground, -1.0), wanted)
        if self.mining == "image":  # a mean over images of means within them: ranks of equal batches need no common count
            divisors = number.clamp(min=1) * batch, wanted.clamp(min=1) * batch
        else:
            text_count, mined_count = reduced_count(torch.stack([number, wanted]).float())
            divisors = text_count, mined_count
        weights = text / divisors[0] + mined / divisors[1]
        return weights.view(batch, 2, height, width) if self.mining == "image" else weights.view(2, batch, height, width).transpose(0, 1)

    def _rows(self, cells: Tensor) -> Tensor:
        """[B, 2, h, w] as the rows that are mined apart: [2 B, h w], or [2, B h w] over the batch."""
        return cells.flatten(0, 1).flatten(1) if self.mining == "image" else cells.transpose(0, 1).flatten(1)


def hardest(hardness: Tensor, counts: Tensor) -> Tensor:
    """Choose the ``counts`` greatest numbers of each row.

    Args:
        hardness: [R, N], at least 0; -1 where nothing may be chosen.
        counts: [R, 1] i64, at most the number of entries that may be chosen.

    Returns:
        [R, N] f32: 1 for the chosen, 0 for the rest; those equal to the smallest that is chosen share what is left.
    """
    most = int(counts.max())
    if most == 0:
        return torch.zeros_like(hardness)
    last = hardness.topk(most, dim=1).values.gather(1, (counts - 1).clamp(min=0))
    above, equal = hardness > last, hardness == last
    left = (counts - above.sum(1, keepdim=True)) / equal.sum(1, keepdim=True)
    return torch.where(counts > 0, torch.where(above, 1.0, equal * left), 0.0)
