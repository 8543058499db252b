"""The plan of a comparison, kept in its folder: settings, candidates, seeds, and the jobs that follow from them. No torch here."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

import yaml

from backbones.errors import UsageError
from finetune.compare.record import build
from finetune.compare.types import Budget, RateProtocol
from finetune.config import RunConfig
from finetune.config_file import config_from_dict, config_to_dict
from finetune.run_folder import write_atomic

PLAN_FILE = "plan.yaml"
_SCHEMA = 1

JobKind = Literal["time", "rate", "train", "score"]


@dataclass(frozen=True)
class Entrant:
    """A candidate before anything is known of it.

    Args:
        name: Unique: the backbone, with its weights where the same one comes twice.
        backbone: Backbone name.
        weights: What ``backbone.weights`` takes.
    """

    name: str
    backbone: str
    weights: str


@dataclass(frozen=True)
class Added:
    """A finished run that takes part.

    Args:
        candidate: Name of its candidate.
        folder: Run folder, absolute.
        seed: Its seed.
    """

    candidate: str
    folder: str
    seed: int


@dataclass(frozen=True)
class Job:
    """One piece of work, independent of all others of its kind.

    Args:
        number: From 0, over all jobs of the plan.
        kind: "time" (a short run whose seconds tell how many epochs fit), "rate" (a short run at one rate), "train", or "score" (an added run).
        candidate: Name of its candidate.
        seed: Of the run.
        name: Unique, and fit for a file name.
        rate: Of a trial of rates.
        needs: Numbers of the jobs that must have ended before.
        folder: Of an added run.
    """

    number: int
    kind: JobKind
    candidate: str
    seed: int
    name: str
    rate: float | None = None
    needs: tuple[int, ...] = ()
    folder: str | None = None


@dataclass(frozen=True)
class ComparisonPlan:
    """What will be done. Paths in it are absolute: it belongs to one machine, unlike the record.

    Args:
        config: Settings shared by all runs.
        entrants: Candidates that are trained.
        seeds: Seeds of each.
        budget: What each run gets.
        rates: How learning rates are chosen.
        added: Finished runs that take part.
        command: The command that repeats it, without paths of this machine.
    """

    config: RunConfig
    entrants: tuple[Entrant, ...]
    seeds: tuple[int, ...]
    budget: Budget
    rates: RateProtocol
    added: tuple[Added, ...] = ()
    command: str = ""

    @property
    def candidate_names(self) -> tuple[str, ...]:
        """Those that are trained, then those of added runs."""
        return tuple(dict.fromkeys((*(entrant.name for entrant in self.entrants), *(run.candidate for run in self.added))))

    def entrant(self, name: str) -> Entrant | None:
        """The entrant of a name; None for a candidate that only added runs have."""
        return next((entrant for entrant in self.entrants if entrant.name == name), None)


def name_entrants(backbones: Sequence[str], weights: str) -> tuple[Entrant, ...]:
    """Candidates from what the user wrote: names, with or without ``=weights``, separated by spaces or commas.

    Raises:
        UsageError: One comes twice.
    """
    given = [part.strip() for text in backbones for part in text.split(",") if part.strip()]
    pairs = [(name, own or weights) for name, _, own in (text.partition("=") for text in given)]
    for pair in pairs:
        if pairs.count(pair) > 1:
            raise UsageError(f"--backbones: {pair[0]} with the weights {pair[1]} is there twice; leave one out")
    names = [name for name, _ in pairs]
    return tuple(Entrant(name if names.count(name) == 1 else f"{name} ({Path(own).name})", name, own) for name, own in pairs)


def jobs_of(plan: ComparisonPlan) -> tuple[Job, ...]:
    """All jobs, those that others need first; their numbers follow from the plan alone."""
    jobs: list[Job] = []

    def add(kind: JobKind, candidate: str, seed: int, name: str, rate: float | None = None, needs: Sequence[int] = (), folder: str | None = None) -> None:
        jobs.append(Job(len(jobs), kind, candidate, seed, name, rate, tuple(needs), folder))

    stems = _stems(plan.candidate_names)
    first = plan.seeds[0] if plan.seeds else 0
    if plan.budget.kind == "minutes":
        for entrant in plan.entrants:
            add("time", entrant.name, first, f"time-{stems[entrant.name]}")
    timed = [job.number for job in jobs]
    if plan.rates.kind == "sweep":
        for entrant in plan.entrants:
            for rate in plan.rates.rates:
                add("rate", entrant.name, first, f"rate-{stems[entrant.name]}-{rate:g}", rate, timed)
    before = list(jobs)
    for seed in plan.seeds:  # one run of each candidate before the second of any: an early look is already a comparison
        for entrant in plan.entrants:
            needs = [job.number for job in before if job.candidate == entrant.name]
            add("train", entrant.name, seed, f"{stems[entrant.name]}-s{seed}", needs=needs)
    for run in plan.added:
        add("score", run.candidate, run.seed, f"added-{stems[run.candidate]}-s{run.seed}", folder=run.folder)
    return _with_unique_names(jobs)


def _with_unique_names(jobs: Sequence[Job]) -> tuple[Job, ...]:
    counts, seen = Counter(job.name for job in jobs), Counter[str]()
    named: list[Job] = []
    for job in jobs:
        seen[job.name] += 1
        named.append(job if counts[job.name] == 1 else replace(job, name=f"{job.name}-{seen[job.name]}"))
    return tuple(named)


def _stems(names: Sequence[str]) -> dict[str, str]:
    """Names of files for names of candidates."""
    stems: dict[str, str] = {}
    for name in names:
        stem = re.sub(r"[^A-Za-z0-9_.]+", "-", name).strip("-.") or "candidate"
        taken = list(stems.values())
        stems[name] = stem if stem not in taken else f"{stem}-{len(taken)}"
    return stems


def save_plan(plan: ComparisonPlan, out: Path) -> None:
    """Write the plan into the folder of its comparison, in one step."""
    values = {"schema": _SCHEMA, **_listed(asdict(plan)), "config": config_to_dict(plan.config)}
    write_atomic(out / PLAN_FILE, lambda temporary: temporary.write_text(yaml.safe_dump(values, sort_keys=False, allow_unicode=True), encoding="utf-8"))


def load_plan(out: Path) -> ComparisonPlan:
    """Read the plan in a folder.

    Raises:
        UsageError: There is none, or it cannot be read.
    """
    file = out / PLAN_FILE
    try:
        values: Any = yaml.safe_load(file.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise UsageError(f"{out} holds no comparison (no {PLAN_FILE} in it): start one with finetune compare --backbones A,B --data D --out {out}") from error
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise UsageError(f"cannot read {file}: {error}".splitlines()[0]) from error
    if not isinstance(values, Mapping) or values.get("schema") != _SCHEMA:
        raise UsageError(f"{file} is no plan that this version reads: use the version that wrote it")
    try:
        config = config_from_dict(values["config"], str(file))
        return build(ComparisonPlan, {**values, "config": config})
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise UsageError(f"{file} is not a complete plan: {error}") from error


def _listed(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _listed(item) for key, item in value.items()}
    return [_listed(item) for item in value] if isinstance(value, list | tuple) else value
