"""Rank correlations of few candidates: Spearman and Kendall, with bootstrap intervals and what chance alone would give."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import permutations

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]

DRAWS = 2000
LEVEL = 0.05  # chance of a "correlation" among candidates that have none
_EXACT = 8  # candidates up to which every order is tried: 40,320
_SHUFFLES = 20_000
_CELLS = 4_000_000  # numbers held at once


@dataclass(frozen=True)
class Correlation:
    """Two rank correlations over the same candidates; None where they are not defined (fewer than 3, or all equal).

    Args:
        pairs: Candidates that have both values.
        spearman: Correlation of the ranks.
        low: Lower end of its 95% bootstrap interval over candidates.
        high: Upper end.
        kendall: Tau-b: share of pairs in the same order minus share in the opposite order, ties corrected for.
        kendall_low: Lower end of its interval.
        kendall_high: Upper end.
        needed: Least absolute value of Spearman that chance exceeds in less than 5% of all orders; None where no value does.
        chance: Share of random orders whose Spearman is as far from 0.
    """

    pairs: int
    spearman: float | None = None
    low: float | None = None
    high: float | None = None
    kendall: float | None = None
    kendall_low: float | None = None
    kendall_high: float | None = None
    needed: float | None = None
    chance: float | None = None


def correlate(one: Values, two: Values, seed: int = 0) -> Correlation:
    """Both correlations of two columns [N]; candidates with a NaN in either are left out."""
    known = np.isfinite(one) & np.isfinite(two)
    one, two = one[known], two[known]
    count = len(one)
    if count < 3:
        return Correlation(count)
    rho, tau = float(spearman(one[None], two[None])[0]), float(kendall(one[None], two[None])[0])
    if not np.isfinite(rho):
        return Correlation(count)
    drawn = np.random.default_rng(seed).integers(0, count, (DRAWS, count))
    low, high = _interval(spearman(one[drawn], two[drawn]))
    tau_low, tau_high = _interval(kendall(one[drawn], two[drawn]))
    by_chance = np.abs(chance_spearman(one, two, seed))
    return Correlation(count, rho, low, high, tau, tau_low, tau_high, _needed(by_chance), float((by_chance >= abs(rho) - 1e-9).mean()))


def ranks(values: Values) -> Values:
    """Ranks from 1 within each row of [B, N]; equal values share the mean of their ranks."""
    below = (values[:, None, :] < values[:, :, None]).sum(axis=2)
    equal = (values[:, None, :] == values[:, :, None]).sum(axis=2)
    return below + (equal + 1) / 2


def spearman(one: Values, two: Values) -> Values:
    """[B] correlation of the ranks of rows [B, N]; NaN where a row is constant."""
    return _in_blocks(lambda a, b: _pearson(ranks(a), ranks(b)), one, two)


def kendall(one: Values, two: Values) -> Values:
    """[B] tau-b of rows [B, N]; NaN where a row is constant."""
    return _in_blocks(_tau_b, one, two)


def chance_spearman(one: Values, two: Values, seed: int = 0) -> Values:
    """Spearman of ``one`` [N] with every order of ``two`` [N], or with many random orders where there are too many."""
    count = len(one)
    first, second = ranks(one[None])[0], ranks(two[None])[0]
    every = count <= _EXACT
    orders = np.array(list(permutations(range(count))), np.int64) if every else np.argsort(np.random.default_rng(seed).random((_SHUFFLES, count)), axis=1)
    return _pearson(np.broadcast_to(first, orders.shape), second[orders])


def _needed(by_chance: Values) -> float | None:
    """The least value that chance reaches or exceeds in at most 5% of all orders."""
    levels = np.unique(np.round(by_chance, 9))
    shares = (by_chance[None] >= levels[:, None] - 1e-9).mean(axis=1)
    enough = levels[shares <= LEVEL]
    return float(enough[0]) if len(enough) else None


def _pearson(one: Values, two: Values) -> Values:
    one, two = one - one.mean(axis=1, keepdims=True), two - two.mean(axis=1, keepdims=True)
    scale = np.sqrt((one**2).sum(axis=1) * (two**2).sum(axis=1))
    return np.divide((one * two).sum(axis=1), scale, out=np.full(len(scale), np.nan), where=scale > 0)


def _tau_b(one: Values, two: Values) -> Values:
    first, second = np.sign(one[:, :, None] - one[:, None]), np.sign(two[:, :, None] - two[:, None])
    scale = np.sqrt((first**2).sum(axis=(1, 2)) * (second**2).sum(axis=(1, 2)))
    return np.divide((first * second).sum(axis=(1, 2)), scale, out=np.full(len(scale), np.nan), where=scale > 0)


def _in_blocks(rule: Callable[[Values, Values], Values], one: Values, two: Values) -> Values:
    step = max(1, _CELLS // max(1, one.shape[1] ** 2))
    return np.concatenate([rule(one[start : start + step], two[start : start + step]) for start in range(0, len(one), step)])


def _interval(values: Values) -> tuple[float | None, float | None]:
    """The middle 95%, without draws in which a column was constant."""
    finite = values[np.isfinite(values)]
    if not len(finite):
        return None, None
    low, high = np.percentile(finite, (2.5, 97.5))
    return float(low), float(high)
