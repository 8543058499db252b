"""The loop that hands out jobs and keeps the record: everything it knows is on disk, so it may be killed and started again. No torch here."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from finetune.compare.engines import Engine
from finetune.compare.gathering import Setting, comparison_of, known_of, read_outcomes, save_comparison
from finetune.compare.outcome import Outcome, as_failed, log_file, read_outcome, write_outcome
from finetune.compare.plan import Job, jobs_of
from finetune.compare.record import Comparison, load_comparison
from finetune.compare.settings import CandidateFailedError, primary_of, settings_of
from finetune.compare.view import ProgressView

_TRIES = 3  # of a job whose process was lost
_PAUSE = 0.5
_ENDED = ("finished", "failed")


@dataclass
class _Lost:
    """How often each job's process was lost."""

    counts: dict[int, int]


def run_jobs(setting: Setting, out: Path, engine: Engine) -> Comparison:
    """Do all jobs that have not ended, several at once.

    Args:
        setting: The comparison.
        out: Its folder.
        engine: Who runs the jobs.

    Returns:
        The record, which is also on disk.
    """
    jobs = jobs_of(setting.plan)
    _try_failed_again(setting, out)
    view, lost = ProgressView(jobs, out), _Lost({})
    running: set[int] = set()
    outcomes: dict[str, Outcome] = {}
    try:
        while True:
            outcomes = read_outcomes(setting.plan, out, outcomes)
            if all(outcome.state in _ENDED for outcome in outcomes.values()) and not running:
                break
            for job in _ready(jobs, outcomes, running):
                if len(running) >= engine.slots:
                    break
                _start(job, setting, out, engine, view, running, outcomes)
            view.update(outcomes)
            for ended in engine.wait(_PAUSE) if running else ():
                running.discard(ended.job)
                _take(jobs[ended.job], ended.reason, setting, out, view, lost, outcomes)
        return _save(setting, out, outcomes)
    finally:
        view.close()
        engine.stop()


def _ready(jobs: tuple[Job, ...], outcomes: dict[str, Outcome], running: set[int]) -> list[Job]:
    ended = {job.number for job in jobs if outcomes[job.name].state in _ENDED}
    return [job for job in jobs if job.number not in ended | running and ended.issuperset(job.needs)]


def _start(job: Job, setting: Setting, out: Path, engine: Engine, view: ProgressView, running: set[int], outcomes: dict[str, Outcome]) -> None:
    """Start a job, unless it is clear beforehand that it cannot work."""
    try:
        if job.kind != "score":
            settings_of(job, known_of(setting, outcomes))
    except CandidateFailedError as error:
        failed = as_failed(outcomes[job.name], str(error))
        write_outcome(out, job, failed)
        outcomes[job.name] = failed
        view.end(job, failed, "")
        return
    engine.start(job.number, log_file(out, job))
    running.add(job.number)


def _take(job: Job, reason: str, setting: Setting, out: Path, view: ProgressView, lost: _Lost, before: dict[str, Outcome]) -> None:
    """Look at what a process that has ended left; one that was lost is started again by the loop. ``before``: all outcomes as they were."""
    outcome = read_outcome(out, job)
    if outcome.state not in _ENDED:
        lost.counts[job.number] = lost.counts.get(job.number, 0) + 1
        if lost.counts[job.number] < _TRIES:
            write_outcome(out, job, replace(outcome, run=replace(outcome.run, state="waiting")))
            view.again(job, reason)
            return
        outcome = as_failed(outcome, f"{reason} ({_TRIES} times)")
        write_outcome(out, job, outcome)
    view.end(job, outcome, primary_of(setting.plan.config.evaluate.protocols[0]))
    _save(setting, out, before)


def _save(setting: Setting, out: Path, before: dict[str, Outcome]) -> Comparison:
    profiles = {candidate.name: candidate.profile for candidate in load_comparison(out).candidates}
    comparison = comparison_of(setting, read_outcomes(setting.plan, out, before), profiles)
    save_comparison(comparison, out)
    return comparison


def _try_failed_again(setting: Setting, out: Path) -> None:
    """A new start is a new chance: what failed waits again, but of trials of rates only those of a candidate without any that worked."""
    outcomes = read_outcomes(setting.plan, out)
    jobs = jobs_of(setting.plan)
    worked = {job.candidate for job in jobs if job.kind == "rate" and outcomes[job.name].state == "finished"}
    for job in jobs:
        outcome = outcomes[job.name]
        if outcome.state == "running" or (outcome.state == "failed" and not (job.kind == "rate" and job.candidate in worked)):
            write_outcome(out, job, replace(outcome, run=replace(outcome.run, state="waiting", failure=None)))
