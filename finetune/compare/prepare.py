"""From what the user gave to a comparison in its folder: data looked at, plan made or continued, truth written."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from backbones.errors import DataError, UsageError
from detectors.registry import TEXT_DETECTORS
from finetune.budget import images_of_an_epoch
from finetune.compare.added import plan_of_runs, read_added, with_own_names
from finetune.compare.budget import check_budget, plan_budget
from finetune.compare.command import repeat_command
from finetune.compare.gathering import Setting, comparison_of, read_outcomes, save_comparison
from finetune.compare.options import CompareConfig, CompareOptions
from finetune.compare.plan import Added, ComparisonPlan, Entrant, load_plan, name_entrants, save_plan
from finetune.compare.rates import plan_rates
from finetune.compare.record import COMPARISON_FILE, TRUTH_FILE, load_comparison
from finetune.config import RunConfig
from finetune.config_file import config_to_dict, with_absolute_paths
from finetune.console import console
from finetune.rules import name_faults
from finetune.run_folder import RunFolder, data_name

_DEFAULT_FOLDER = "comparisons"


def has_settings(options: CompareOptions) -> bool:
    """Whether the user says what to compare, rather than only where a comparison lies."""
    return bool(options.compare.backbones or options.runs) or options.run != RunConfig()


def choose_folder(options: CompareOptions) -> Path:
    """The folder of the comparison; the next free comparisons/<data>-<n> where none is given.

    Raises:
        UsageError: Nothing is given at all.
    """
    if options.out is not None:
        return Path(options.out).expanduser()
    if not options.compare.backbones and not options.runs:
        raise UsageError("nothing to compare: give --backbones A,B with --data D, or finished run folders, or --config compare_bccd_quick, or --out of a comparison to go on with")
    name = data_name(options.run if options.compare.backbones else RunFolder.open(options.runs[0]).load_config())
    number = 1
    while (Path(_DEFAULT_FOLDER) / f"{name}-{number}").exists():
        number += 1
    return Path(_DEFAULT_FOLDER) / f"{name}-{number}"


def prepare(options: CompareOptions, out: Path, engine: str) -> Setting:
    """Make the plan, or read and extend the one that is there; look at the data; write plan, truth and a first record.

    Raises:
        UsageError: Settings that do not work, or others than those of the comparison in the folder.
        DataError: Data that cannot be used.
    """
    old = load_plan(out) if (out / "plan.yaml").is_file() or not has_settings(options) else None
    if old is None:
        _check_free(out)
    plan = old
    splits: Any = None
    if has_settings(options):
        added = read_added(options.runs)
        if options.compare.backbones:
            plan, splits = _new_plan(options, added)
        elif old is None:
            plan = plan_of_runs(added)
        else:
            plan = replace(old, added=added)
        plan = plan if old is None else extend(old, plan, out)
    if plan is None:
        raise UsageError(f"{out} holds no comparison")
    plan = replace(plan, added=with_own_names(plan))
    return _settle(plan, out, engine, splits, options.compare)


def _settle(plan: ComparisonPlan, out: Path, engine: str, splits: Any, settings: CompareConfig) -> Setting:
    """Write what there is before the first job."""
    if (out / COMPARISON_FILE).is_file():
        before = load_comparison(out)
        data = replace(before.data, attribution=settings.attribution or before.data.attribution)
        setting = Setting(plan, data, before.scored_split, engine, before.truth)
    else:
        from finetune.compare.truth import describe_data, truth_of_run, write_truth

        config = plan.config
        splits = splits or _read_splits(config)
        split = "test" if splits.test is not None else "val"
        if splits.train is None or splits.get(split) is None:
            raise DataError(f"{config.data.root} has no {'training' if splits.train is None else 'validation or test'} split: a comparison needs both")
        out.mkdir(parents=True, exist_ok=True)
        write_truth(truth_of_run(config, split), split, out, config.data.channels, settings.pictures)
        setting = Setting(plan, replace(describe_data(config, splits), attribution=settings.attribution), split, engine, TRUTH_FILE)
    save_plan(plan, out)
    save_comparison(comparison_of(setting, read_outcomes(plan, out)), out)
    return setting


def _new_plan(options: CompareOptions, added: tuple[Added, ...]) -> tuple[ComparisonPlan, Any]:
    settings, config = options.compare, options.run
    entrants = name_entrants(settings.backbones, config.backbone.weights)
    faults = [text for entrant in entrants for _, text in name_faults(entrant.backbone, config.detector.name)]
    if faults:
        raise UsageError("; ".join(dict.fromkeys(faults)))
    check_budget(settings.budget)
    rates = plan_rates(settings, config.train.lr)
    config = with_absolute_paths(config)
    if config.data.split_seed is None:
        config = replace(config, data=replace(config.data, split_seed=config.seed))  # every seed trains and is scored on the same pictures
    splits = _read_splits(config)
    if splits.train is None:
        raise DataError(f"{config.data.root} has no training split: set data.train")
    budget, config = plan_budget(settings.budget, config, images_of_an_epoch(config.data, len(splits.train)))
    seeds = tuple(range(config.seed, config.seed + settings.seeds))
    return ComparisonPlan(config, entrants, seeds, budget, rates, added, repeat_command(options, entrants)), splits


def _read_splits(config: RunConfig) -> Any:
    from finetune.check.words import word_preprocess
    from finetune.data.splits import load_splits

    words = config.detector.name in TEXT_DETECTORS
    splits = load_splits(config.data, config.seed, wants="text" if words else "boxes", preprocess=word_preprocess(config) if words else None)
    for line in splits.summary:
        console().print(line, markup=False)
    return splits


def extend(old: ComparisonPlan, new: ComparisonPlan, out: Path) -> ComparisonPlan:
    """A plan with the candidates, seeds and added runs of a later command: what is finished stays.

    Raises:
        UsageError: Settings, budget or rates are not those of the comparison.
    """
    differing = _differences(config_to_dict(old.config), config_to_dict(new.config)) if new.entrants else []
    if new.entrants and old.entrants:
        differing += [f"budget {old.budget.text} -> {new.budget.text}"] if old.budget != new.budget else []
        differing += [f"lr_protocol {old.rates.kind} -> {new.rates.kind}"] if old.rates != new.rates else []
    if differing:
        raise UsageError(f"{out} holds a comparison with other settings ({'; '.join(differing[:6])}): choose another --out, or give only --out to go on with it")
    fresh = tuple(entrant for entrant in new.entrants if (entrant.backbone, entrant.weights) not in {(e.backbone, e.weights) for e in old.entrants})
    if fresh and old.entrants and old.budget.kind == "minutes" and old.rates.kind == "sweep":
        raise UsageError("a comparison by minutes with a sweep has one length of trials for all its candidates, and takes no more: start a new one with all of them")
    base = old if old.entrants or not new.entrants else replace(new, added=())
    folders = {run.folder for run in old.added}
    names = {entrant.name for entrant in old.entrants}
    renamed = tuple(replace(e, name=f"{e.backbone} ({Path(e.weights).name})") if e.name in names else e for e in fresh)
    entrants: tuple[Entrant, ...] = (*old.entrants, *renamed)
    added = (*old.added, *(run for run in new.added if run.folder not in folders))
    seeds = tuple(dict.fromkeys((*old.seeds, *new.seeds)))
    return replace(base, entrants=entrants, added=added, seeds=seeds)


def _differences(old: dict[str, Any], new: dict[str, Any], prefix: str = "") -> list[str]:
    found: list[str] = []
    for key in dict.fromkeys((*old, *new)):
        before, now = old.get(key), new.get(key)
        if isinstance(before, dict) and isinstance(now, dict):
            found += _differences(before, now, f"{prefix}{key}.")
        elif before != now:
            found.append(f"{prefix}{key} {before} -> {now}")
    return found


def _check_free(out: Path) -> None:
    if out.exists() and (not out.is_dir() or any(path.name != ".lock" for path in out.iterdir())):
        raise UsageError(f"{out} exists and holds no comparison, and is never overwritten: choose another --out")
