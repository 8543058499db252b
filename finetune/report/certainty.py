"""How sure an order of candidates is: seeds and pictures both move a figure, and both are drawn again many times."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]
_DRAWS = 4000


@dataclass(frozen=True, eq=False)
class Certainty:
    """Scores of C candidates in D draws [D, C], around the measured means [C].

    ``from_seeds`` and ``from_pictures`` say which noise is in them; ``seed_spread`` is the standard deviation that another seed brings,
    from all candidates together, None with one seed each.
    """

    means: Values
    draws: Values
    from_seeds: bool
    from_pictures: bool
    seed_spread: float | None

    @property
    def known(self) -> bool:
        """Whether anything is known about noise."""
        return self.from_seeds or self.from_pictures

    @property
    def sources(self) -> str:
        """What was drawn again, in words."""
        return " and ".join([*(["seeds"] if self.from_seeds else []), *(["pictures"] if self.from_pictures else [])])

    def interval(self, row: int) -> tuple[float, float]:
        """Where 95% of the draws of a candidate lie."""
        low, high = np.percentile(self.draws[:, row], (2.5, 97.5))
        return float(low), float(high)

    def difference(self, one: int, two: int) -> tuple[float, float]:
        """Where 95% of the differences of two candidates lie; both were scored on the same pictures in each draw."""
        low, high = np.percentile(self.draws[:, one] - self.draws[:, two], (2.5, 97.5))
        return float(low), float(high)

    def first_share(self, row: int, among: Sequence[int]) -> float:
        """In which share of the draws a candidate is the best of some."""
        columns = list(among)
        return float((self.draws[:, columns].argmax(axis=1) == columns.index(row)).mean())

    def within_noise(self, best: int, among: Sequence[int]) -> list[int]:
        """Candidates whose distance to the best one may be chance: the interval of the difference reaches 0."""
        return [row for row in among if row != best and self.difference(best, row)[0] <= 0] if self.known else []


def measure_certainty(scores: Sequence[Sequence[float]], redrawn: Sequence[Values | None], seed: int = 0) -> Certainty:
    """Join the noise of seeds and of pictures.

    Seeds: with few of them each candidate's own spread says little, so one spread is taken from all together and drawn from Student's t with their
    common degrees of freedom. Pictures: the deviations of the redrawn scores from the one of the split as it is.

    Args:
        scores: The scores of each candidate, one per seed.
        redrawn: Of each candidate [1 + B] scores on redrawn pictures, the mean of its seeds, row 0 the split as it is; None where unknown.
        seed: Of the drawing.
    """
    rng = np.random.default_rng(seed)
    counts, means = np.array([len(row) for row in scores]), np.array([np.mean(row) for row in scores])
    freedom = int((counts - 1).sum())
    squares = float(sum(((np.asarray(row) - np.mean(row)) ** 2).sum() for row in scores))
    spread = float(np.sqrt(squares / freedom)) if freedom else None
    draws = np.tile(means, (_DRAWS, 1))
    if spread is not None:
        scale = np.sqrt(freedom / rng.chisquare(freedom, (_DRAWS, 1)))
        draws += rng.normal(size=draws.shape) * scale * spread / np.sqrt(counts)
    pictures = [row for row in redrawn if row is not None]
    all_known = len(pictures) == len(scores) and bool(pictures)
    if all_known:
        moved = np.stack([row[1:] - row[0] for row in pictures], axis=1)
        moved = moved[np.isfinite(moved).all(axis=1)]
        all_known = bool(len(moved))
        if all_known:
            draws += moved[np.arange(_DRAWS) % len(moved)]
    return Certainty(means, draws, spread is not None, all_known, spread)
