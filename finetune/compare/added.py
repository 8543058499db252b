"""Finished runs that take part in a comparison."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from backbones.errors import UsageError
from finetune.compare.plan import Added, ComparisonPlan
from finetune.compare.settings import shareable_settings
from finetune.compare.types import Budget, RateProtocol
from finetune.record import load_record
from finetune.run_folder import RunFolder


def read_added(folders: Sequence[str]) -> tuple[Added, ...]:
    """Finished runs that shall take part.

    Raises:
        UsageError: No run folder, or a run that is not finished.
    """
    added: list[Added] = []
    for text in folders:
        folder = RunFolder.open(text)
        if not folder.record.is_file():
            raise UsageError(f"{text} is a run that has not finished: go on with it first (finetune train --resume {text})")
        config, record = folder.load_config(), load_record(folder.record)
        added.append(Added(config.backbone.name, folder.root.resolve().as_posix(), record.seed))
    return tuple(added)


def plan_of_runs(added: tuple[Added, ...]) -> ComparisonPlan:
    """The plan of a comparison of finished runs alone."""
    config = RunFolder.open(added[0].folder).load_config()
    budget, rates = Budget("", "own", 0), RateProtocol("own", ())
    return ComparisonPlan(config, (), tuple(dict.fromkeys(run.seed for run in added)), budget, rates, added)


def with_own_names(plan: ComparisonPlan) -> tuple[Added, ...]:
    """Added runs under names that say what is the same: runs of one candidate differ in their seed alone."""
    groups: list[tuple[Any, str]] = []
    taken = [entrant.name for entrant in plan.entrants]
    named: list[Added] = []
    for run in plan.added:
        config = RunFolder.open(run.folder).load_config()
        tree = {**shareable_settings(config), "seed": 0}
        seeds = [(other.candidate, other.seed) for other in named]
        name = next((name for known, name in groups if known == tree and (name, run.seed) not in seeds), None)
        if name is None:
            name = config.backbone.name
            if name in taken:
                name = f"{config.backbone.name} ({Path(run.folder).name})"
            while name in taken:
                name = f"{name}'"
            taken.append(name)
            groups.append((tree, name))
        named.append(replace(run, candidate=name))
    return tuple(named)
