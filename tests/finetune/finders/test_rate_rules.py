"""The reading of range tests, on curves whose answer is known by construction."""

from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.typing import NDArray

from finetune.finders.rate_rules import has_seen_enough, judge, round_rate, smooth

RATES = [1e-4 * 10 ** (step / 25) for step in range(101)]  # 1e-4 to 1


def curve(falls: float, rises: float, noise: float, seed: int = 0) -> NDArray[np.float64]:
    """A loss of 10 that falls to 4 around the rate ``falls`` and climbs by 8 a decade from ``rises`` on."""
    x = np.log10(RATES)
    level = 10 - 6 / (1 + np.exp(-(x - math.log10(falls)) * 6)) + 8 * np.maximum(0, x - math.log10(rises))
    return level + np.random.default_rng(seed).normal(0, noise, len(x))


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize(("falls", "rises"), [(0.001, 0.1), (0.003, 0.03), (0.01, 0.2)])
def test_the_suggestion_is_a_quarter_of_where_the_loss_rises(falls: float, rises: float, seed: int) -> None:
    found = judge(RATES, list(curve(falls, rises, 0.4, seed)))
    assert found.suggestion is not None
    assert found.fastest is not None
    assert found.rises is not None
    assert found.diverges is not None
    assert rises / 4 / 1.8 < found.suggestion < rises / 4 * 1.8
    assert falls / 2.5 < found.fastest < falls * 2.5
    assert found.fastest < found.rises < found.diverges
    assert RATES[0] < found.suggestion < RATES[-1]
    assert found.dies is None


@pytest.mark.parametrize("seed", range(5))
def test_noise_alone_suggests_nothing(seed: int) -> None:
    losses = np.random.default_rng(seed).normal(10, 1.0, len(RATES))
    assert judge(RATES, list(losses)).suggestion is None
    assert judge(RATES, list(losses + np.linspace(0, 8, len(RATES)))).suggestion is None, "a loss that only rises"


def test_a_loss_that_never_rises_suggests_nothing_but_says_where_it_falls() -> None:
    found = judge(RATES, list(curve(0.01, 10.0, 0.1)))
    assert (found.suggestion, found.rises) == (None, None)
    assert found.fastest == pytest.approx(0.01, rel=0.5)


def test_a_network_that_dies_without_paying_for_it_sets_a_limit() -> None:
    """Some losses are divided by what the network finds: one that finds nothing any more has a loss near zero, at far too high a rate."""
    losses = curve(0.003, 10.0, 0.1)
    losses[80:] = 0.01
    found = judge(RATES, list(losses))
    assert found.dies is not None
    assert found.suggestion is not None
    assert RATES[75] <= found.dies <= RATES[90]
    assert found.suggestion <= RATES[90] / 3
    assert found.rises is None


def test_one_explosion_does_not_move_the_answer() -> None:
    calm = curve(0.003, 0.1, 0.2)
    wild = calm.copy()
    wild[40] = 1e4
    first, second = judge(RATES, list(calm)), judge(RATES, list(wild))
    assert first.suggestion == second.suggestion


def test_too_few_points_suggest_nothing() -> None:
    assert judge(RATES[:5], [1.0, 2.0, 3.0, 4.0, 5.0]).suggestion is None


def test_smoothing_lags_behind_nothing() -> None:
    """A straight line and its slope come back exactly, also at the ends, where a running mean is late."""
    x = np.log10(RATES)
    level, slope = smooth(x, 3 - 2 * x)
    assert np.allclose(level, 3 - 2 * x)
    assert np.allclose(slope, -2)


def test_a_sweep_ends_when_half_of_the_fall_is_lost() -> None:
    losses = list(curve(0.003, 0.1, 0.2))
    end = next(n for n in range(len(losses)) if has_seen_enough(losses[:n]))
    assert 0.15 < RATES[end] < 0.6, "half of the fall, 3 of 8 a decade beyond 0.1, half a window late"
    assert not any(has_seen_enough(list(np.random.default_rng(seed).normal(10, 0.7, 60)[:n])) for seed in range(20) for n in range(60)), "noise alone"
    assert has_seen_enough([10.0] * 30 + [25.0] * 9), "it only rises"


@pytest.mark.parametrize(("rate", "rounded"), [(0.012, 0.01), (0.0126, 0.015), (0.0449, 0.05), (0.9, 1.0), (8.9, 10.0), (2.6e-5, 3e-5)])
def test_rates_are_rounded(rate: float, rounded: float) -> None:
    assert round_rate(rate) == pytest.approx(rounded, rel=1e-9)
