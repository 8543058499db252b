"""The answer in words: what it says of its own sureness never contradicts itself."""

from __future__ import annotations

import numpy as np
import pytest

from finetune.compare.types import Candidate
from finetune.report.answer import find_answer
from finetune.report.certainty import Certainty
from finetune.report.entries import Entry
from finetune.report.limits import Limits

MEANS = np.array([0.50, 0.47, 0.45, 0.30])


def make_entries(params: tuple[float, ...] = (4e6, 2e6, 1e6, 1e6)) -> list[Entry]:
    return [
        Entry(row + 1, Candidate(f"net{row}", f"net{row}", "imagenet", "ssdlite", params=int(params[row])), (), (mean - 0.01, mean + 0.01), (), None, ())
        for row, mean in enumerate(MEANS.tolist())
    ]


def make_certainty(noise: float, from_seeds: bool = True) -> Certainty:
    draws = MEANS + np.random.default_rng(3).normal(size=(4000, 4)) * noise
    return Certainty(MEANS, draws, from_seeds, True, noise if from_seeds else None)


@pytest.mark.parametrize(("noise", "said"), [(0.001, "That is sure"), (0.014, "That is likely, but not sure"), (0.03, "That is not settled"), (0.2, "That is not settled")])
def test_a_lead_is_sure_or_may_be_chance_and_never_both(noise: float, said: str) -> None:
    answer = find_answer(make_entries(), make_certainty(noise), Limits(), "AP", "test")
    text = " ".join(answer.certainty)
    assert text.startswith(f"{said}: with seeds and pictures drawn anew, net0 comes first in ")
    assert ("may be chance" in text) != ("That is sure" in text)
    assert ("The next one, net1, is 0.030 AP behind" in text) == (said == "That is sure")


@pytest.mark.parametrize("noise", np.geomspace(0.003, 0.1, 12).tolist())
def test_the_sentence_under_a_limit_does_not_contradict_itself_either(noise: float) -> None:
    sentence = find_answer(make_entries(), make_certainty(noise), Limits(None, 3e6), "AP", "test").limit_sentence
    assert sentence.startswith("Under 3M parameters take net1: AP 0.470")
    assert ("may be chance" in sentence) != ("that is sure" in sentence)


def test_where_many_share_the_draws_a_lead_that_none_may_break_is_sure_and_no_share_is_called_whole() -> None:
    text = " ".join(find_answer(make_entries(), make_certainty(0.0001), Limits(), "AP", "test").certainty)
    assert "comes first in more than 99% of the draws" in text
    assert "100%" not in text


def test_nothing_learnt_is_no_recommendation() -> None:
    nothing = Certainty(np.zeros(4), np.zeros((4000, 4)), True, True, 0.0)
    answer = find_answer(make_entries(), nothing, Limits(None, 3e6), "AP", "test")
    assert answer.best is None
    assert answer.headline.startswith("No candidate has learnt anything yet: AP is 0 on test")


def test_with_one_seed_only_pictures_speak() -> None:
    text = " ".join(find_answer(make_entries(), make_certainty(0.001, from_seeds=False), Limits(), "AP", "test").certainty)
    assert text.startswith("As far as pictures go, that is sure: with pictures drawn anew")
    assert "so it is too high" in text
