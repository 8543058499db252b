"""The settings of each job: those that all share, and what earlier jobs have told. No torch here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from backbones.errors import FinetuneError, UsageError
from finetune.compare.budget import TIMED_EPOCHS, epoch_cost, epochs_in
from finetune.compare.outcome import Outcome, trials_of
from finetune.compare.plan import ComparisonPlan, Job, jobs_of
from finetune.compare.rates import best_rate, trial_epochs
from finetune.config import RunConfig
from finetune.config_file import config_to_dict
from finetune.data.mix_names import with_folder
from finetune.run_folder import data_name

PRIMARY = {"coco": "AP", "voc2007-11pt": "mAP", "voc2012-area": "mAP"}  # words: hmean


def primary_of(protocol: str) -> str:
    """The figure of a protocol that chooses."""
    return PRIMARY.get(protocol, "hmean")


class CandidateFailedError(FinetuneError):
    """No run of a candidate can be made."""


@dataclass(frozen=True)
class Known:
    """What the jobs so far tell about each candidate.

    Args:
        plan: The plan.
        images: Pictures of the training split.
        outcomes: Job name to outcome.
    """

    plan: ComparisonPlan
    images: int
    outcomes: Mapping[str, Outcome]

    @property
    def jobs(self) -> tuple[Job, ...]:
        """All jobs of the plan."""
        return jobs_of(self.plan)

    def cost(self, candidate: str) -> tuple[float, float] | None:
        """Seconds of an epoch and of an evaluation in the timed run; None where it has not ended well."""
        outcome = next((self.outcomes[job.name] for job in self.jobs if job.kind == "time" and job.candidate == candidate), None)
        return epoch_cost(outcome.run.curve, self.images) if outcome is not None and outcome.state == "finished" else None

    def epochs(self, candidate: str) -> int | None:
        """Epochs of its runs; None where they are not known, 0 where not one fits."""
        budget = self.plan.budget
        if budget.kind == "epochs":
            return int(budget.amount)
        cost = self.cost(candidate)
        return None if cost is None else epochs_in(budget.amount, *cost)

    def trial_epochs(self) -> int:
        """Epochs of each trial of a rate: the same for all candidates, by the shortest run."""
        known = [epochs for entrant in self.plan.entrants if (epochs := self.epochs(entrant.name))]
        return trial_epochs(min(known)) if known else trial_epochs(1)

    def rate(self, candidate: str) -> float | None:
        """The rate of its runs; None where it is not known."""
        if self.plan.rates.kind == "fixed":
            return self.plan.rates.rates[0]
        protocol = self.plan.config.evaluate.protocols[0]
        return best_rate(trials_of(self.jobs, self.outcomes, candidate, protocol, primary_of(protocol)))


def settings_of(job: Job, known: Known) -> RunConfig:
    """The settings of a job that trains.

    Raises:
        UsageError: A job that it needs has not ended.
        CandidateFailedError: The jobs that it needs have failed.
    """
    _check_needs(job, known)
    plan = known.plan
    entrant = plan.entrant(job.candidate)
    if entrant is None:
        raise UsageError(f"job {job.number} ({job.name}) scores a finished run: it has no settings of its own")
    config = replace(plan.config, backbone=replace(plan.config.backbone, name=entrant.backbone, weights=entrant.weights), seed=job.seed)
    if job.kind == "time":
        return _short(config, TIMED_EPOCHS)
    epochs = known.epochs(job.candidate)
    if epochs is None:
        raise CandidateFailedError(f"its timed run failed: {_failure(known, job, 'time')}")
    if epochs == 0:
        train_seconds, evaluation_seconds = known.cost(job.candidate) or (0.0, 0.0)
        raise CandidateFailedError(f"not one epoch fits into {plan.budget.text}: it takes {train_seconds + evaluation_seconds:.0f} seconds with its evaluation; give a larger --budget")
    if job.kind == "rate":
        config = replace(config, train=replace(config.train, lr=job.rate or config.train.lr))
        return _short(config, known.trial_epochs())
    rate = known.rate(job.candidate)
    if rate is None:
        raise CandidateFailedError(f"no rate of its sweep worked: {_failure(known, job, 'rate')}")
    return replace(config, train=replace(config.train, lr=rate, epochs=epochs))


def _short(config: RunConfig, epochs: int) -> RunConfig:
    """A run of few epochs that is scored at its end."""
    return replace(config, train=replace(config.train, epochs=epochs, evaluate_every=epochs, early_stop=0))


def _check_needs(job: Job, known: Known) -> None:
    missing = [str(number) for number in job.needs if known.outcomes[known.jobs[number].name].state not in ("finished", "failed")]
    if missing:
        raise UsageError(f"job {job.number} ({job.name}) needs the results of the jobs {', '.join(missing)}: do those first")


def _failure(known: Known, job: Job, kind: str) -> str:
    reasons = [known.outcomes[other.name].run.failure for other in known.jobs if other.kind == kind and other.candidate == job.candidate]
    return next((reason for reason in reasons if reason), "unknown reason")


def shareable_settings(config: RunConfig) -> dict[str, Any]:
    """Settings as JSON values, without paths of this machine: files and folders by their names."""
    tree = config_to_dict(config)
    tree["data"]["root"] = data_name(config)
    tree["data"]["mix"] = {with_folder(name, lambda folder: Path(folder).name): share for name, share in config.data.mix.items()}
    return {key: _named(value) for key, value in tree.items()}


def _named(value: Any) -> Any:
    """A value with absolute paths cut down to names."""
    if isinstance(value, str):
        return Path(value).name if Path(value).is_absolute() else value
    if isinstance(value, Mapping):
        return {_named(key): _named(item) for key, item in value.items()}
    return [_named(item) for item in value] if isinstance(value, list | tuple) else value
