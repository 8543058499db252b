"""What the user sees of a comparison: one view of progress whatever the engine, and a table at the end. No torch here."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path

from rich.markup import escape
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table

from finetune.compare.outcome import Outcome, folder_of, read_curve
from finetune.compare.plan import Job
from finetune.compare.record import Comparison
from finetune.compare.types import Candidate, ComparedRun
from finetune.console import console

_TABLE_WIDTH = 160
_WORDS = {"time": "timed run", "rate": "trial of a rate", "train": "run", "score": "added run"}


class ProgressView:
    """On a terminal a bar over all jobs and one for each that runs; elsewhere a line when a job begins or ends.

    Args:
        jobs: All jobs.
        out: Folder of the comparison.
    """

    def __init__(self, jobs: Sequence[Job], out: Path) -> None:
        self._jobs, self._out = jobs, out
        self._bar = Progress(TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[note]}"), TimeElapsedColumn(), console=console(), transient=True)
        self._all = self._bar.add_task("all jobs", total=len(jobs), note="")
        self._tasks: dict[str, TaskID] = {}
        self._begun: set[int] = set()
        if console().is_terminal:
            self._bar.start()

    def end(self, job: Job, outcome: Outcome, primary: str) -> None:
        """A job has ended."""
        run = outcome.run
        if outcome.state == "failed":
            text = f"failed: {run.failure}"
        else:
            scores = run.scores or run.val_scores
            figure = scores[0].values.get(primary) if scores else None
            text = (f"{primary} {figure:.3f} on {scores[0].split}, " if figure is not None else "") + f"{run.seconds or 0:.0f} s of training"
        console().print(f"{title(job)}: {text}", markup=False)

    def again(self, job: Job, reason: str) -> None:
        """A job whose process was lost waits for another try."""
        self._begun.discard(job.number)
        console().print(f"{title(job)}: {reason}; it will go on where it was", markup=False)

    def update(self, outcomes: Mapping[str, Outcome]) -> None:
        """Say which jobs have begun, and draw anew."""
        for job in self._jobs:
            if outcomes[job.name].state == "running" and job.number not in self._begun:
                self._begun.add(job.number)
                console().print(f"{title(job)} ...", markup=False)
        if not console().is_terminal:
            return
        ended = sum(outcome.state in ("finished", "failed") for outcome in outcomes.values())
        self._bar.update(self._all, completed=ended, note=f"{ended} of {len(self._jobs)}")
        for job in self._jobs:
            running = outcomes[job.name].state == "running"
            if running and job.name not in self._tasks:
                self._tasks[job.name] = self._bar.add_task(title(job), total=None, note="")
            elif not running and job.name in self._tasks:
                self._bar.remove_task(self._tasks.pop(job.name))
            if running:
                done = len(read_curve(self._out / folder_of(job) / "metrics.csv"))
                self._bar.update(self._tasks[job.name], note=f"{done} epochs done")

    def close(self) -> None:
        """Leave a clean terminal."""
        self._bar.stop()


def title(job: Job) -> str:
    """A job for people."""
    rate = f", rate {job.rate:g}" if job.rate is not None else ""
    return f"job {job.number}, {job.candidate}, seed {job.seed}{rate} ({_WORDS[job.kind]})"


def print_jobs(jobs: Sequence[Job], out: Path) -> None:
    """The jobs of a plan by stage, for other schedulers."""
    for kind in ("time", "rate", "train", "score"):
        numbers = [job.number for job in jobs if job.kind == kind]
        if numbers:
            console().print(f"jobs {numbers[0]}-{numbers[-1]}: {_WORDS[kind]}s; each with: finetune compare --out {out} --only-job NUMBER", markup=False)
    console().print(f"a stage begins when the one before has ended; at the end: finetune compare --out {out}", markup=False)


def print_comparison(comparison: Comparison) -> None:
    """The table of candidates, best mean first, and what belongs beside it."""
    table = Table(box=None, pad_edge=False, title=escape(f"{comparison.data.name}, {comparison.scored_split}: {comparison.primary} ({comparison.protocols[0]})"), title_justify="left")
    for name in ("backbone", comparison.primary, "spread", "runs", "epochs", "rate", "train s", "params", "latency ms"):
        table.add_column(name, justify="left" if name == "backbone" else "right", no_wrap=True)
    for candidate in sorted(comparison.candidates, key=lambda one: -(_mean(comparison, one) or -1.0)):
        figures, runs = figures_of(comparison, candidate), [run for run in comparison.runs_of(candidate.name) if run.state == "finished"]
        spread = f"{statistics.stdev(figures):.4f}" if len(figures) > 1 else "-"
        seconds = [run.seconds for run in runs if run.seconds is not None]
        latency = candidate.profile.get("latency_ms_median")
        cells = [f"{statistics.mean(figures):.4f}" if figures else "-", spread, str(len(runs)), str(candidate.epochs or "-"), f"{candidate.lr:g}" if candidate.lr else "-"]
        cells += [f"{statistics.mean(seconds):.0f}" if seconds else "-", f"{candidate.params / 1e6:.2f}M" if candidate.params else "-", f"{latency:.1f}" if latency else "-"]
        table.add_row(escape(candidate.name), *cells)
    if not console().is_terminal:
        console().width = _TABLE_WIDTH  # Rich gives a pipe 80 columns, which cuts titles and names
    console().print(table)
    for run in comparison.runs:
        if run.state == "failed":
            console().print(f"failed: {run.candidate}, seed {run.seed}: {run.failure}", markup=False)
    for sentence in (*comparison.budget.sentences, *comparison.rates.sentences, *comparison.notes):
        console().print(f"note: {sentence}", markup=False)


def figures_of(comparison: Comparison, candidate: Candidate) -> list[float]:
    """The primary figure of each finished run of a candidate."""
    return [figure for run in comparison.runs_of(candidate.name) if (figure := _figure(run, comparison)) is not None]


def _figure(run: ComparedRun, comparison: Comparison) -> float | None:
    return next((scores.values.get(comparison.primary) for scores in run.scores if scores.protocol == comparison.protocols[0]), None)


def _mean(comparison: Comparison, candidate: Candidate) -> float | None:
    figures = figures_of(comparison, candidate)
    return statistics.mean(figures) if figures else None
