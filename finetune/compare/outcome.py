"""What a job leaves behind: one JSON file, replaced as a whole, that says how far it is or what came out. No torch here."""

from __future__ import annotations

import csv
import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from backbones.errors import UsageError
from finetune.compare.plan import Job
from finetune.compare.record import build
from finetune.compare.types import ComparedRun, RateTrial
from finetune.run_folder import write_json_atomic

JOBS_FOLDER = "jobs"
_SCHEMA = 1
_PATH = re.compile(r"(?<![\w.:/])/(?:[\w.@+~-]+/)+(?=[\w.@+~-])")


@dataclass(frozen=True)
class Outcome:
    """How far a job is.

    Args:
        job: Name of the job.
        run: Its run: state, figures, curve.
        params: Parameters of the detector.
        trainable_params: Those that were trained.
    """

    job: str
    run: ComparedRun
    params: int | None = None
    trainable_params: int | None = None

    @property
    def state(self) -> str:
        """State of the run: "waiting", "running", "finished" or "failed"."""
        return self.run.state


def outcome_file(out: Path, job: Job) -> Path:
    """Where the outcome of a job is kept."""
    return out / JOBS_FOLDER / f"{job.name}.json"


def log_file(out: Path, job: Job) -> Path:
    """Where a job's lines go."""
    return out / JOBS_FOLDER / f"{job.name}.log"


def folder_of(job: Job) -> str:
    """Folder of the run of a job that trains, relative to the comparison's."""
    return f"{'runs' if job.kind == 'train' else 'trials'}/{job.name}"


def read_outcome(out: Path, job: Job) -> Outcome:
    """The outcome of a job; of one that never began, one that waits."""
    try:
        values = json.loads(outcome_file(out, job).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return Outcome(job.name, ComparedRun(job.candidate, job.seed, folder_of(job)))
    except (OSError, ValueError) as error:
        raise UsageError(f"cannot read {outcome_file(out, job)}: {error}; remove it to do the job again") from error
    if not isinstance(values, Mapping) or values.get("schema") != _SCHEMA:
        raise UsageError(f"{outcome_file(out, job)} is not of this version: use the version that wrote it")
    return build(Outcome, values)


def write_outcome(out: Path, job: Job, outcome: Outcome) -> None:
    """Put the outcome of a job in place, in one step."""
    file = outcome_file(out, job)
    file.parent.mkdir(parents=True, exist_ok=True)
    write_json_atomic(file, {"schema": _SCHEMA, **json.loads(json.dumps(asdict(outcome), allow_nan=False))})


def as_failed(outcome: Outcome, reason: str) -> Outcome:
    """The outcome of a job that did not work, with the reason in one line and without paths of this machine."""
    return replace(outcome, run=replace(outcome.run, state="failed", failure=without_paths(" ".join(reason.split()))))


def without_paths(text: str) -> str:
    """A text with absolute paths cut down to their last part, so that it can be shown to others."""
    return _PATH.sub("", text)


def read_curve(file: Path) -> tuple[Mapping[str, float | None], ...]:
    """The rows of a metrics.csv; what is empty or not finite is None. Without a file there are none."""
    try:
        with file.open(newline="", encoding="utf-8") as stream:
            return tuple({name: _number(text) for name, text in row.items() if name} for row in csv.DictReader(stream))
    except FileNotFoundError:
        return ()


def _number(text: str | None) -> float | None:
    try:
        value = float(text) if text else math.nan
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def trial_of(job: Job, outcome: Outcome, protocol: str, primary: str) -> RateTrial:
    """What a short run at one rate tells."""
    figure = next((scores.values.get(primary) for scores in outcome.run.val_scores if scores.protocol == protocol), None)
    loss = next((row["val/loss"] for row in reversed(outcome.run.curve) if row.get("val/loss") is not None), None)
    return RateTrial(job.rate or 0.0, figure, loss, outcome.run.failure)


def trials_of(jobs: Sequence[Job], outcomes: Mapping[str, Outcome], candidate: str, protocol: str, primary: str) -> tuple[RateTrial, ...]:
    """The ended trials of a candidate, in the order of the plan."""
    own = [job for job in jobs if job.kind == "rate" and job.candidate == candidate and outcomes[job.name].state in ("finished", "failed")]
    return tuple(trial_of(job, outcomes[job.name], protocol, primary) for job in own)
