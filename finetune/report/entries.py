"""A comparison digested: one entry a candidate, with its scores over seeds, its costs and what its detections say."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backbones.errors import DataError, UsageError
from finetune.compare.record import Comparison
from finetune.compare.types import Candidate, ComparedRun
from finetune.profile.record import ProfileRecord, profile_from_dict
from finetune.report.box_errors import BoxErrors, find_box_errors
from finetune.report.matching import match_classes
from finetune.report.redraw import box_scores, draw_weights, word_scores
from finetune.report.saved import Found, Truth, load_found, load_truth
from finetune.report.word_errors import WordErrors, find_word_errors

_TOLERANCE = 0.005  # between a figure of the record and the same one counted again from saved detections


@dataclass(frozen=True, eq=False)
class RunFindings:
    """What the saved detections of a run say: its errors, and its scores [1 + B] on redrawn pictures (row 0: as they are)."""

    found: Found
    errors: BoxErrors | WordErrors
    redrawn: NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Entry:
    """One candidate.

    Args:
        number: From 1, in the order of the user.
        candidate: As compared.
        runs: Finished runs that have the primary figure.
        scores: That figure, one per run.
        failures: Why runs are missing, one line each.
        profile: Measured cost, None where it was not measured.
        findings: Of each run, None where detections are not there.
    """

    number: int
    candidate: Candidate
    runs: tuple[ComparedRun, ...]
    scores: tuple[float, ...]
    failures: tuple[str, ...]
    profile: ProfileRecord | None
    findings: tuple[RunFindings | None, ...]

    @property
    def name(self) -> str:
        """Of the candidate."""
        return self.candidate.name

    @property
    def mean(self) -> float | None:
        """Mean score over seeds."""
        return float(np.mean(self.scores)) if self.scores else None

    @property
    def spread(self) -> float | None:
        """Standard deviation over seeds; None with fewer than two."""
        return float(np.std(self.scores, ddof=1)) if len(self.scores) > 1 else None

    @property
    def costs(self) -> dict[str, float | None]:
        """Latency (ms, network and decoding), network, p95 (both ms), macs, params, memory (bytes of inference), training_memory, seconds (of one training)."""
        profile, seconds = self.profile, [run.seconds for run in self.runs if run.seconds is not None]
        first = profile.latencies[0] if profile and profile.latencies else None
        return {
            "latency": first.decoded_ms_median if first else None,
            "network": first.network_ms_median if first else None,
            "p95": first.decoded_ms_p95 if first else None,
            "macs": profile.macs if profile else None,
            "params": self.candidate.params if self.candidate.params is not None else profile.parameters if profile else None,
            "memory": profile.peak_inference_bytes if profile else None,
            "training_memory": profile.peak_training_bytes if profile else None,
            "seconds": float(np.mean(seconds)) if seconds else None,
        }

    @property
    def typical(self) -> int | None:
        """The run whose score is in the middle, of those with detections: the one that is shown."""
        rows = [row for row, findings in enumerate(self.findings) if findings is not None]
        return sorted(rows, key=lambda row: self.scores[row])[(len(rows) - 1) // 2] if rows else None

    def figure(self, name: str) -> float | None:
        """Mean over seeds of another figure of the protocol that chooses."""
        values = [value for run in self.runs if (value := run.scores[0].values.get(name)) is not None]
        return float(np.mean(values)) if values else None

    def per_class(self) -> dict[str, float | None]:
        """Class to the mean over seeds of its primary figure (or AP)."""
        rows: dict[str, list[float]] = {}
        for run in self.runs:
            for name, figures in run.scores[0].per_class.items():
                value = figures.get(run.scores[0].primary, figures.get("AP"))
                rows.setdefault(name, []).extend([] if value is None else [value])
        return {name: float(np.mean(values)) if values else None for name, values in rows.items()}

    def redrawn(self) -> NDArray[np.float64] | None:
        """Scores [1 + B] on redrawn pictures, the mean over seeds; None where any run lacks its detections."""
        known = [findings.redrawn for findings in self.findings if findings is not None]
        return np.mean(known, axis=0) if known and len(known) == len(self.runs) else None


def read_entries(folder: Path, comparison: Comparison) -> tuple[list[Entry], Truth | None, list[str]]:
    """Entries of all candidates, the truth where it was saved, and sentences about what could not be read."""
    notes: list[str] = []
    truth = _truth(folder, comparison, notes)
    drawn = draw_weights(len(truth.pictures)) if truth else None
    entries = []
    for number, candidate in enumerate(comparison.candidates, 1):
        runs = comparison.runs_of(candidate.name)
        scored = [(run, value) for run in runs if run.state == "finished" and (value := _primary(run, comparison)) is not None]
        failures = _failures(candidate, runs, comparison)
        findings = [None if truth is None or drawn is None else _findings(folder, comparison, run, value, truth, drawn, notes) for run, value in scored]
        entries.append(Entry(number, candidate, tuple(run for run, _ in scored), tuple(value for _, value in scored), tuple(failures), _profile(candidate, notes), tuple(findings)))
    return entries, truth, notes


def _failures(candidate: Candidate, runs: Sequence[ComparedRun], comparison: Comparison) -> list[str]:
    """Why runs are missing, each reason once with the seeds that have it."""
    seeds: dict[str, list[int]] = {}
    for run in runs:
        if run.state != "finished":
            seeds.setdefault(run.failure or run.state, []).append(run.seed)
        elif _primary(run, comparison) is None:
            seeds.setdefault(f"no {comparison.primary} on {comparison.scored_split}", []).append(run.seed)
    own = [candidate.failure] if candidate.failure and candidate.failure not in seeds else []
    return own + [f"seed{'s' * (len(having) > 1)} {', '.join(map(str, having))}: {reason}" for reason, having in seeds.items()]


def _truth(folder: Path, comparison: Comparison, notes: list[str]) -> Truth | None:
    if comparison.truth is None:
        return None
    try:
        return load_truth(folder / comparison.truth)
    except DataError as error:
        notes.append(f"The truth could not be read, so pictures, errors and the noise of pictures are left out: {_without_folder(error, folder)}")
        return None


def _findings(folder: Path, comparison: Comparison, run: ComparedRun, score: float, truth: Truth, drawn: Sequence[Any], notes: list[str]) -> RunFindings | None:
    if run.predictions is None:
        return None
    try:
        found = load_found(folder / run.predictions, truth)
    except DataError as error:
        notes.append(f"{run.candidate}, seed {run.seed}: its detections could not be read: {_without_folder(error, folder)}")
        return None
    protocol = comparison.protocols[0]
    errors: BoxErrors | WordErrors
    if truth.kind == "words":
        errors = find_word_errors(truth, found)
        redrawn = word_scores(truth, found, errors, comparison.primary, *drawn)
    else:
        matches = match_classes(truth, found)
        errors = find_box_errors(truth, found, matches)
        redrawn = box_scores(truth, found, matches, protocol, comparison.primary, *drawn)
    if np.isfinite(redrawn[0]) and abs(redrawn[0] - score) > _TOLERANCE:
        notes.append(f"{run.candidate}, seed {run.seed}: counted again from its saved detections, {comparison.primary} is {redrawn[0]:.4f} instead of {score:.4f} by the rules of {protocol}.")
    return RunFindings(found, errors, redrawn)


def _without_folder(error: Exception, folder: Path) -> str:
    return str(error).replace(f"{folder}/", "")


def _primary(run: ComparedRun, comparison: Comparison) -> float | None:
    return run.scores[0].values.get(comparison.primary) if run.scores else None


def _profile(candidate: Candidate, notes: list[str]) -> ProfileRecord | None:
    values: Mapping[str, Any] = candidate.profile
    if not values:
        return None
    try:
        return profile_from_dict(values)
    except UsageError as error:
        notes.append(f"{candidate.name}: {error}")
        return None
