"""The loop that hands out jobs, with an engine whose jobs end at once as a test wants them to."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from finetune.compare.budget import plan_budget
from finetune.compare.driver import run_jobs
from finetune.compare.engines import Ended
from finetune.compare.gathering import Setting, comparison_of, read_outcomes, save_comparison
from finetune.compare.options import CompareConfig
from finetune.compare.outcome import Outcome, read_outcome, write_outcome
from finetune.compare.plan import ComparisonPlan, Job, jobs_of, name_entrants, save_plan
from finetune.compare.rates import plan_rates
from finetune.compare.types import ComparedData, Scores
from finetune.config import RunConfig

End = Callable[[Job, Outcome], Outcome | None]  # what a job leaves; None: its process is lost


class InstantEngine:
    """Jobs end as soon as they are waited for."""

    description, slots = "instant", 3

    def __init__(self, setting: Setting, out: Path, end: End) -> None:
        self.jobs, self.out, self.end = jobs_of(setting.plan), out, end
        self.started: list[int] = []
        self.most = 0
        self._running: list[int] = []

    def start(self, job: int, log: Path) -> None:
        self.started.append(job)
        self._running.append(job)
        self.most = max(self.most, len(self._running))

    def wait(self, seconds: float) -> list[Ended]:
        number = self._running.pop(0)
        outcome = self.end(self.jobs[number], read_outcome(self.out, self.jobs[number]))
        if outcome is not None:
            write_outcome(self.out, self.jobs[number], outcome)
        return [Ended(number, "its process was killed")]

    def stop(self) -> None:
        self._running = []


def finished(job: Job, outcome: Outcome) -> Outcome:
    """A run that reached what its rate is worth."""
    scores = (Scores("coco", "AP", "val", {"AP": (job.rate or 0.05) + 0.01 * job.seed}),)
    return replace(outcome, run=replace(outcome.run, state="finished", scores=scores, val_scores=scores, attempts=outcome.run.attempts + 1))


def failed(outcome: Outcome, reason: str = "out of memory") -> Outcome:
    return replace(outcome, run=replace(outcome.run, state="failed", failure=reason))


def make_setting(out: Path, protocol: str = "fixed") -> Setting:
    budget, config = plan_budget("4ep", RunConfig(), 100)
    rates = plan_rates(CompareConfig(lr_protocol=protocol), 0.06)  # type: ignore[arg-type]
    plan = ComparisonPlan(config, name_entrants(["a", "b", "c"], "none"), (0, 1), budget, rates)
    setting = Setting(plan, ComparedData("d", "boxes", "f00d", ("x",), {"train": 100, "val": 10}), "val", "instant", None)
    out.mkdir()
    save_plan(plan, out)
    save_comparison(comparison_of(setting, read_outcomes(plan, out)), out)
    return setting


def test_a_failed_candidate_is_reported_and_the_others_go_on(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    setting = make_setting(tmp_path / "c")
    engine = InstantEngine(setting, tmp_path / "c", lambda job, outcome: failed(outcome) if job.candidate == "b" else finished(job, outcome))
    comparison = run_jobs(setting, tmp_path / "c", engine)
    assert {run.candidate: run.state for run in comparison.runs} == {"a": "finished", "b": "failed", "c": "finished"}
    assert {candidate.name: candidate.failure for candidate in comparison.candidates} == {"a": None, "b": "out of memory", "c": None}
    assert "b, seed 1 (run): failed: out of memory" in capsys.readouterr().out
    assert engine.most == 3


def test_a_lost_job_is_started_again_and_given_up_in_the_end(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    setting = make_setting(tmp_path / "c")
    lost: list[int] = []

    def end(job: Job, outcome: Outcome) -> Outcome | None:
        if job.candidate == "b" or (job.candidate == "c" and job.number not in lost):
            lost.append(job.number)
            return None
        return finished(job, outcome)

    comparison = run_jobs(setting, tmp_path / "c", InstantEngine(setting, tmp_path / "c", end))
    assert {run.candidate: run.state for run in comparison.runs} == {"a": "finished", "b": "failed", "c": "finished"}
    assert [run.failure for run in comparison.runs_of("b")] == ["its process was killed (3 times)"] * 2
    assert capsys.readouterr().out.count("it will go on where it was") == 2 * 2 + 2


def test_finished_jobs_are_not_started_again_and_failed_ones_are(tmp_path: Path) -> None:
    setting, out = make_setting(tmp_path / "c"), tmp_path / "c"
    run_jobs(setting, out, InstantEngine(setting, out, lambda job, outcome: failed(outcome) if job.number == 4 else finished(job, outcome)))
    again = InstantEngine(setting, out, finished)
    comparison = run_jobs(setting, out, again)
    assert again.started == [4]
    assert all(run.state == "finished" for run in comparison.runs)


def test_a_sweep_gives_each_candidate_its_rate_and_ends_one_without_any(tmp_path: Path) -> None:
    setting, out = make_setting(tmp_path / "c", "sweep"), tmp_path / "c"
    engine = InstantEngine(setting, out, lambda job, outcome: failed(outcome, "the loss is not finite") if job.candidate == "b" and job.kind == "rate" else finished(job, outcome))
    comparison = run_jobs(setting, out, engine)
    rates = {candidate.name: candidate.lr for candidate in comparison.candidates}
    assert rates == {"a": 0.18, "b": None, "c": 0.18}
    assert "a, c took the largest rate that was tried, 0.18: a larger one may be better (--rates)." in comparison.notes
    assert {run.failure for run in comparison.runs_of("b")} == {"no rate of its sweep worked: the loss is not finite"}
    kinds = [jobs_of(setting.plan)[number].kind for number in engine.started]
    assert kinds == ["rate"] * 9 + ["train"] * 4
