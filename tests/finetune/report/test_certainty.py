"""Noise of seeds and pictures, and the sentences about it."""

from __future__ import annotations

import numpy as np
import pytest

from finetune.report.answer import say_correlation
from finetune.report.certainty import measure_certainty
from finetune.report.correlation import correlate


def test_the_spread_of_seeds_is_pooled() -> None:
    # squares: 0.0002 + 0.0008 over two degrees of freedom
    found = measure_certainty([[0.50, 0.52], [0.40, 0.44]], [None, None])
    assert found.seed_spread == pytest.approx(np.sqrt(0.0005))
    assert (found.sources, found.known) == ("seeds", True)


def test_far_apart_is_sure_and_close_is_noise() -> None:
    found = measure_certainty([[0.50, 0.51, 0.52], [0.30, 0.31, 0.32], [0.505, 0.515, 0.49]], [None] * 3)
    assert found.within_noise(0, [0, 1, 2]) == [2]
    assert found.first_share(0, [0, 1]) == pytest.approx(1.0, abs=0.01)
    assert 0.4 < found.first_share(0, [0, 1, 2]) < 0.9


def test_pictures_are_paired() -> None:
    # both move together by far more than they differ: the difference is certain all the same
    moves = np.random.default_rng(0).normal(0, 0.1, 500)
    rows = [np.concatenate([[0.5], 0.5 + moves]), np.concatenate([[0.48], 0.48 + moves])]
    found = measure_certainty([[0.5], [0.48]], rows)
    assert (found.sources, found.seed_spread) == ("pictures", None)
    assert found.within_noise(0, [0, 1]) == []
    low, high = found.interval(0)
    assert low < 0.4
    assert high > 0.6
    assert found.difference(0, 1) == pytest.approx((0.02, 0.02))


def test_without_noise_nothing_is_claimed() -> None:
    found = measure_certainty([[0.5], [0.4]], [None, None])
    assert not found.known
    assert found.within_noise(0, [0, 1]) == []


def test_few_candidates_allow_few_words() -> None:
    three = np.arange(3.0)
    assert "even a perfect order arises by chance" in say_correlation(correlate(three, three), "A", "B")
    six = np.arange(6.0)
    assert "go together" in say_correlation(correlate(six, six), "A", "B")
    mixed = say_correlation(correlate(six, np.array([1.0, 0, 3, 5, 2, 4])), "A", "B")
    assert "±0.89 or further" in mixed
    assert "neither a relation nor its absence" in mixed
