"""Latency, multiply-adds and memory of the candidates, in turns, once all are trained: words on a picture of the scored split as evaluation sees it, boxes at the input size."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

from backbones.errors import FinetuneError
from finetune.compare.plan import load_plan
from finetune.compare.record import Comparison
from finetune.compare.truth import truth_of_run
from finetune.compare.types import Candidate
from finetune.console import console
from finetune.profile.measure import profile_models
from finetune.profile.record import profile_to_dict
from finetune.profile.settings import ProfileSettings
from finetune.profile.subject import subject_from_run

_SECONDS = 5.0  # for each model at each batch size


def with_profiles(comparison: Comparison, out: Path) -> Comparison:
    """Measure the candidates that have a finished run; where all are measured already nothing is done, so that all were measured in turns."""
    folders = {candidate.name: _folder(comparison, candidate) for candidate in comparison.candidates}
    there = {name: folder for name, folder in folders.items() if folder is not None}
    if not there or all(candidate.profile for candidate in comparison.candidates if candidate.name in there):
        return comparison
    try:
        words = comparison.data.kind == "words"
        picture = _usual_picture(out, comparison.scored_split) if words else None
        subjects = [subject_from_run(str(out / folder), name, picture) for name, folder in there.items()]
        settings = ProfileSettings(measure=("latency", "memory"), batch=1 if words else 8, seconds=_SECONDS)  # whole pictures with words are large, and read one by one
        records = profile_models(subjects, settings, say=lambda line: console().print(line, markup=False))
    except FinetuneError as error:  # the figures of the runs are worth more than those of the profile
        console().print(f"the candidates could not be measured: {error}", markup=False)
        return comparison
    measured = dict(zip(there, map(profile_to_dict, records), strict=True))
    return replace(comparison, candidates=tuple(replace(one, profile=measured.get(one.name, {})) for one in comparison.candidates))


def _usual_picture(out: Path, split: str) -> str:
    """The first picture of the size that most pictures of a split have."""
    truth = truth_of_run(load_plan(out).config, split)
    sizes = [(int(height), int(width)) for height, width in truth.original_hw]
    return str(truth.paths[sizes.index(Counter(sizes).most_common(1)[0][0])])


def _folder(comparison: Comparison, candidate: Candidate) -> str | None:
    return next((run.folder for run in comparison.runs_of(candidate.name) if run.state == "finished"), None)
