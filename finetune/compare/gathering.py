"""From the outcomes of jobs to the record of the comparison. No torch here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from backbones.catalog import find_entry
from backbones.weight_packages import find_weight_package
from backbones.zoo import find_zoo_entry, provider_name
from finetune.compare.outcome import Outcome, read_outcome, trials_of
from finetune.compare.plan import ComparisonPlan, jobs_of
from finetune.compare.rates import sweep_sentence
from finetune.compare.record import COMPARISON_FILE, Comparison, comparison_to_dict
from finetune.compare.settings import Known, primary_of, shareable_settings
from finetune.compare.types import Budget, Candidate, ComparedData, ComparedRun, RateProtocol
from finetune.run_folder import package_versions, write_json_atomic

_OWN_BUDGET = Budget("", "own", 0, ("Finished runs were added; each had its own settings, budget and learning rate.",))
_OWN_RATES = RateProtocol("own", ())


@dataclass(frozen=True)
class Setting:
    """What is known of a comparison before its first job.

    Args:
        plan: The plan.
        data: The data.
        scored_split: "test" or "val".
        engine: In words.
        truth: File of the truth.
    """

    plan: ComparisonPlan
    data: ComparedData
    scored_split: str
    engine: str
    truth: str | None


def read_outcomes(plan: ComparisonPlan, out: Path, before: Mapping[str, Outcome] | None = None) -> dict[str, Outcome]:
    """Job name to outcome, of all jobs; those that had ended ``before`` are not read again."""
    ended = {name: outcome for name, outcome in (before or {}).items() if outcome.state in ("finished", "failed")}
    return {job.name: ended.get(job.name) or read_outcome(out, job) for job in jobs_of(plan)}


def known_of(setting: Setting, outcomes: Mapping[str, Outcome]) -> Known:
    """What jobs have told so far."""
    return Known(setting.plan, setting.data.images.get("train", 0), outcomes)


def comparison_of(setting: Setting, outcomes: Mapping[str, Outcome], profiles: Mapping[str, Mapping[str, Any]] | None = None) -> Comparison:
    """The record as it is now.

    Args:
        setting: What is known beforehand.
        outcomes: Of all jobs.
        profiles: Candidate to its measured cost.
    """
    plan, known = setting.plan, known_of(setting, outcomes)
    runs = tuple(outcomes[job.name].run for job in _shown_jobs(plan))
    protocols = plan.config.evaluate.protocols
    devices = tuple(dict.fromkeys(run.device for run in runs if run.device))
    return Comparison(
        data=setting.data,
        budget=plan.budget if plan.entrants else _OWN_BUDGET,
        rates=_rates(plan, known),
        seeds=tuple(dict.fromkeys(run.seed for run in runs)),
        candidates=tuple(_candidate(name, plan, known, profiles or {}) for name in plan.candidate_names),
        runs=runs,
        settings=shareable_settings(plan.config),
        protocols=protocols,
        primary=primary_of(protocols[0]),
        scored_split=setting.scored_split,
        engine=setting.engine,
        device="; ".join(devices),
        command=plan.command,
        versions=next((run.versions for run in runs if run.versions), package_versions()),
        notes=(*_split_notes(setting), *_alike_notes(plan, runs), *_time_notes(plan, runs), *_rate_notes(plan, known), *_weight_notes(plan)),
        truth=setting.truth,
    )


def save_comparison(comparison: Comparison, out: Path) -> None:
    """Put the record in place, in one step."""
    write_json_atomic(out / COMPARISON_FILE, comparison_to_dict(comparison))


def _shown_jobs(plan: ComparisonPlan) -> list[Any]:
    """Jobs that are runs of the comparison: candidates in order, seeds within."""
    order = {name: number for number, name in enumerate(plan.candidate_names)}
    return sorted((job for job in jobs_of(plan) if job.kind in ("train", "score")), key=lambda job: (order[job.candidate], job.seed))



def _candidate(name: str, plan: ComparisonPlan, known: Known, profiles: Mapping[str, Mapping[str, Any]]) -> Candidate:
    own = [known.outcomes[job.name] for job in jobs_of(plan) if job.candidate == name]
    runs = [known.outcomes[job.name] for job in jobs_of(plan) if job.candidate == name and job.kind in ("train", "score")]
    entrant = plan.entrant(name)
    config = next((outcome.run.config for outcome in runs if outcome.run.config), {})
    backbone = entrant.backbone if entrant else config.get("backbone", {}).get("name", name)
    weights = entrant.weights if entrant else config.get("backbone", {}).get("weights", "")
    counted = next((outcome for outcome in own if outcome.params is not None and outcome.job in {o.job for o in runs}), next((outcome for outcome in own if outcome.params is not None), None))
    protocol = plan.config.evaluate.protocols[0]
    cost = known.cost(name)
    entry: Any = find_entry(provider_name(backbone))
    failed = bool(runs) and all(outcome.state == "failed" for outcome in runs)
    return Candidate(
        name=name,
        backbone=backbone,
        weights=Path(weights).name,
        detector=config.get("detector", {}).get("name", plan.config.detector.name),
        imagenet_top1=_top1(backbone) if weights == "imagenet" else None,
        weights_licence=_licence(backbone, entry) if weights == "imagenet" else None,
        params=counted.params if counted else None,
        trainable_params=counted.trainable_params if counted else None,
        lr=config.get("train", {}).get("lr") or (known.rate(name) if entrant else None),
        rate_trials=trials_of(jobs_of(plan), known.outcomes, name, protocol, primary_of(protocol)),
        epochs=config.get("train", {}).get("epochs") or (known.epochs(name) if entrant else None),
        epoch_seconds=cost[0] if cost else None,
        profile=profiles.get(name, {}),
        failure=next((outcome.run.failure for outcome in runs if outcome.run.failure), None) if failed else None,
    )


def _top1(backbone: str) -> float | None:
    """ImageNet top-1 of the weights that "imagenet" loads here, in 0..1."""
    package = find_weight_package(provider_name(backbone))
    if package is not None and package[0].top1 is not None:
        return package[0].top1 / 100
    entry = find_zoo_entry(backbone)
    return entry.top1 / 100 if entry is not None and entry.top1 is not None else None


def _licence(backbone: str, entry: Any) -> str | None:
    package = find_weight_package(provider_name(backbone))
    return package[0].licence if package else getattr(entry, "licence", None)


def _rates(plan: ComparisonPlan, known: Known) -> RateProtocol:
    if not plan.entrants:
        return _OWN_RATES
    if plan.rates.kind != "sweep":
        return plan.rates
    epochs = known.trial_epochs()
    return replace(plan.rates, epochs=epochs, sentences=(sweep_sentence(plan.rates.rates, epochs),))


def _split_notes(setting: Setting) -> list[str]:
    if setting.scored_split == "test":
        return [f"Scored on test ({setting.data.images.get('test', 0):,} pictures); the best epoch of each run was chosen on val."]
    count = setting.data.images.get("val", 0)
    return [f"There is no test split: scored on val ({count:,} pictures), which also chose the best epoch of each run. Its figures are a little too good, for all alike."]


def _time_notes(plan: ComparisonPlan, runs: Sequence[ComparedRun]) -> list[str]:
    seconds = [run.seconds for run in runs if run.state == "finished" and run.seconds is not None]
    if plan.budget.kind != "minutes" or not plan.entrants or not seconds:
        return []
    return [f"Of {plan.budget.amount:g} minutes planned, runs took {min(seconds) / 60:.1f} to {max(seconds) / 60:.1f}."]


def _rate_notes(plan: ComparisonPlan, known: Known) -> list[str]:
    """Candidates whose best rate is the first or the last of those tried."""
    if plan.rates.kind != "sweep":
        return []
    chosen = [(entrant.name, known.rate(entrant.name)) for entrant in plan.entrants]
    ends = [(min(plan.rates.rates), "smallest", "smaller"), (max(plan.rates.rates), "largest", "larger")]
    named = [(", ".join(name for name, rate in chosen if rate == end), end, which, further) for end, which, further in ends]
    return [f"{names} took the {which} rate that was tried, {end:g}: a {further} one may be better (--rates)." for names, end, which, further in named if names]


def _weight_notes(plan: ComparisonPlan) -> list[str]:
    fresh = [entrant.name for entrant in plan.entrants if entrant.weights == "none"]
    return [f"{', '.join(fresh)}: random weights, so nothing was frozen and the backbone learnt at the full rate."] if fresh else []


def _alike_notes(plan: ComparisonPlan, runs: Sequence[ComparedRun]) -> list[str]:
    """Settings in which finished runs differ beyond what a comparison varies, and data that are not the same."""
    done = [run for run in runs if run.state == "finished"]
    varied = {"seed", "backbone.name", "backbone.weights", "data.workers", "data.split_seed"}
    varied |= {"train.epochs", "train.evaluate_every"} if plan.budget.kind == "minutes" and plan.entrants else set()
    varied |= {"train.lr"} if plan.rates.kind == "sweep" and plan.entrants else set()
    found: dict[str, dict[str, None]] = {}
    for run in done:
        for key, value in _flat(run.config):
            if key not in varied:
                found.setdefault(key, {})[str(value)] = None
    differing = [f"{key} ({', '.join(values)})" for key, values in found.items() if len(values) > 1]
    notes = [f"Not alike in: {'; '.join(differing)}. Such runs do not compare backbones alone."] if differing else []
    if len({run.data_fingerprint for run in done}) > 1:
        notes.append("The training data of the runs are not the same (their fingerprints differ): figures cannot be compared.")
    if len({run.device for run in done if run.device}) > 1:
        notes.append("Runs were trained on several kinds of devices: their seconds cannot be compared.")
    return notes


def _flat(tree: Mapping[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    rows: list[tuple[str, Any]] = []
    for key, value in tree.items():
        rows += _flat(value, f"{prefix}{key}.") if isinstance(value, Mapping) and value else [(f"{prefix}{key}", value)]
    return rows
