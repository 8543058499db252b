"""Rank correlations against hand-worked cases and scipy."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from finetune.report.correlation import chance_spearman, correlate, kendall, ranks, spearman


def test_equal_values_share_the_mean_rank() -> None:
    assert ranks(np.array([[10.0, 20.0, 20.0, 5.0]])).tolist() == [[2.0, 3.5, 3.5, 1.0]]


def test_hand_worked_correlations() -> None:
    # orders 1 2 3 4 and 2 1 4 3: rank differences 1, 1, 1, 1; rho = 1 - 6 * 4 / (4 * 15) = 0.6; 4 pairs agree, 2 do not: tau = 1 / 3
    one, two = np.array([[1.0, 2, 3, 4]]), np.array([[2.0, 1, 4, 3]])
    assert spearman(one, two)[0] == pytest.approx(0.6)
    assert kendall(one, two)[0] == pytest.approx(1 / 3)


def test_against_scipy_with_ties() -> None:
    rng = np.random.default_rng(3)
    one, two = rng.integers(0, 5, (40, 9)).astype(float), rng.integers(0, 5, (40, 9)).astype(float)
    assert np.allclose(spearman(one, two), [stats.spearmanr(a, b).statistic for a, b in zip(one, two, strict=True)], equal_nan=True)
    assert np.allclose(kendall(one, two), [stats.kendalltau(a, b).statistic for a, b in zip(one, two, strict=True)], equal_nan=True)


def test_what_chance_gives_is_exact_for_few() -> None:
    # of the 6 orders of three, one has rho 1 and one -1
    values = np.array([1.0, 2, 3])
    assert sorted(np.round(chance_spearman(values, values), 6).tolist()) == [-1.0, -0.5, -0.5, 0.5, 0.5, 1.0]
    found = correlate(values, values)
    assert (found.pairs, found.spearman, found.kendall) == (3, pytest.approx(1.0), pytest.approx(1.0))
    assert found.chance == pytest.approx(2 / 6)
    assert found.needed is None  # no value of three candidates is beyond chance at 5%


def test_needed_values_are_those_of_the_tables() -> None:
    # two-sided 5% critical values of Spearman: 1.000 for 5, 0.886 for 6, 0.786 for 7
    for count, needed in ((5, 1.0), (6, 0.886), (7, 0.786)):
        values = np.arange(count, dtype=float)
        assert correlate(values, values).needed == pytest.approx(needed, abs=5e-4)


def test_bootstrap_covers_a_true_correlation_and_widens_with_few() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=40)
    many = correlate(x, x + rng.normal(size=40))
    few = correlate(x[:6], x[:6] + rng.normal(size=6))
    assert many.low < many.spearman < many.high  # type: ignore[operator]
    assert few.high - few.low > 1.5 * (many.high - many.low)  # type: ignore[operator]


def test_undefined_cases_say_so() -> None:
    nothing = correlate(np.array([1.0, np.nan, 3, 4]), np.array([1.0, 2, np.nan, 4]))
    assert (nothing.pairs, nothing.spearman) == (2, None)
    constant = correlate(np.ones(5), np.arange(5.0))
    assert (constant.pairs, constant.spearman, constant.low) == (5, None, None)
