"""Budgets, rates and jobs of a comparison follow from what the user wrote, and its record survives the way through a file."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from backbones.errors import UsageError
from finetune.compare.budget import check_budget, epoch_cost, epochs_in, plan_budget
from finetune.compare.options import CompareConfig
from finetune.compare.outcome import without_paths
from finetune.compare.plan import ComparisonPlan, jobs_of, load_plan, name_entrants, save_plan
from finetune.compare.prepare import extend
from finetune.compare.rates import best_rate, plan_rates
from finetune.compare.types import RateTrial
from finetune.config import DataConfig, FreezeConfig, RunConfig


def make_plan(budget: str = "4ep", protocol: str = "fixed") -> ComparisonPlan:
    planned, config = plan_budget(budget, RunConfig(), 100)
    rates = plan_rates(CompareConfig(lr_protocol=protocol), 0.06)  # type: ignore[arg-type]
    return ComparisonPlan(config, name_entrants(["a,b=none", "b"], "imagenet"), (0, 1), planned, rates)


@pytest.mark.parametrize("text", ["30", "ep", "0ep", "1.5ep", "-3min", "3days"])
def test_unreadable_budgets_are_refused(text: str) -> None:
    with pytest.raises(UsageError, match="--budget"):
        check_budget(text)


def test_quick_says_what_it_does_not_tell() -> None:
    budget, config = plan_budget("quick", RunConfig(), 205)
    assert (budget.amount, config.train.epochs, config.freeze.policy) == (6, 6, "backbone")
    assert any("does not tell" in sentence for sentence in budget.sentences)
    assert (config.data.views, config.data.feature_cache) == (2, "auto")
    assert any("computed once, for 2 fixed views" in sentence and "does not tell what fresh augmentation would bring" in sentence for sentence in budget.sentences)


@pytest.mark.parametrize("change", [{"data": DataConfig(mosaic=0.5)}, {"freeze": FreezeConfig("norms")}])
def test_quick_keeps_no_features_where_it_cannot(change: dict) -> None:
    budget, config = plan_budget("quick", replace(RunConfig(), **change), 205)
    assert (config.data.views, config.data.feature_cache) == (0, "off")
    assert not any("views" in sentence for sentence in budget.sentences)


def test_quick_without_augmentation_needs_no_views() -> None:
    _, config = plan_budget("quick", replace(RunConfig(), data=DataConfig(augment="none")), 205)
    assert (config.data.views, config.data.feature_cache) == (0, "auto")


def test_minutes_become_the_most_epochs_that_fit() -> None:
    train, evaluation = epoch_cost([{"images_per_second": 5.0, "seconds": 20.0}, {"images_per_second": 10.0, "seconds": 14.0, "val/loss": 1.0}], 100)
    assert (train, evaluation) == (10.0, 4.0)
    assert epochs_in(2, 10.0, 0.0) == 12
    assert epochs_in(2, 10.0, 4.0) == 8
    assert epochs_in(0.1, 10.0, 0.0) == 0


def test_jobs_are_numbered_by_stage_and_wait_for_their_own_candidate() -> None:
    jobs = jobs_of(make_plan("20min", "sweep"))
    assert [job.kind for job in jobs] == ["time"] * 3 + ["rate"] * 9 + ["train"] * 6
    assert len({job.name for job in jobs}) == len(jobs)
    first = next(job for job in jobs if job.kind == "train")
    assert first.needs == (0, 3, 4, 5)


def test_the_best_rate_is_that_of_the_best_figure_then_of_the_least_loss() -> None:
    trials = [RateTrial(0.02, 0.1, 2.0), RateTrial(0.06, 0.3, 3.0), RateTrial(0.2, None, None, "not finite")]
    assert best_rate(trials) == 0.06
    assert best_rate([RateTrial(0.02, 0.0, 2.0), RateTrial(0.06, 0.0, 1.0)]) == 0.06
    assert best_rate(trials[2:]) is None


def test_a_plan_survives_its_file_and_grows_but_does_not_change(tmp_path: Path) -> None:
    plan = make_plan()
    save_plan(plan, tmp_path)
    assert load_plan(tmp_path) == plan
    more = replace(plan, entrants=name_entrants(["c"], "none"), seeds=(0, 1, 2))
    grown = extend(plan, more, tmp_path)
    assert [entrant.name for entrant in grown.entrants] == ["a", "b (none)", "b (imagenet)", "c"]
    assert grown.seeds == (0, 1, 2)
    other = replace(plan, config=replace(plan.config, seed=7))
    with pytest.raises(UsageError, match="seed 0 -> 7"):
        extend(plan, other, tmp_path)


def test_reasons_are_shown_without_paths() -> None:
    assert without_paths("cannot read /home/me/data/a.jpg: see https://example.org/x/y") == "cannot read a.jpg: see https://example.org/x/y"
