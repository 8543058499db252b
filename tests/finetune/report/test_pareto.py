"""The front of accuracy against cost, by hand."""

from __future__ import annotations

import numpy as np

from finetune.report.pareto import pareto_front


def front(pairs: list[tuple[float, float]]) -> list[bool]:
    costs, scores = np.array(pairs, float).reshape(-1, 2).T
    return pareto_front(costs, scores).tolist()


def test_beaten_candidates_are_off_the_front() -> None:
    # 2 costs more than 1 and scores less; 3 costs the most and scores the most
    assert front([(10, 0.5), (12, 0.4), (20, 0.6)]) == [True, False, True]


def test_equal_cost_keeps_the_better_and_equal_score_the_cheaper() -> None:
    assert front([(10, 0.5), (10, 0.6)]) == [False, True]
    assert front([(10, 0.5), (9, 0.5)]) == [False, True]


def test_equals_stay_together() -> None:
    assert front([(10, 0.5), (10, 0.5), (11, 0.5)]) == [True, True, False]


def test_unknown_values_neither_beat_nor_stand_on_the_front() -> None:
    assert front([(np.nan, 0.9), (10, 0.5), (1, np.nan)]) == [False, True, False]
    assert front([]) == []
