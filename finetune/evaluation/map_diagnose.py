"""Sentences that say why maps of a text detector give no words, or too few: targets, thresholds, or a network that has learnt nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray

from detectors.craft.decode import DecodeSettings, decode_many
from finetune.data.text.checks import LEAST_LETTERS
from finetune.data.text.quads import letter_sizes
from finetune.data.types import TextSplit
from finetune.evaluation.text_iou import TextIouEvaluator

if TYPE_CHECKING:
    from finetune.probes import Maps, Probe

_TEXT = (0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8)
_LINK, _LOW = (0.1, 0.2, 0.4, 0.6), (0.03, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5)
_BETTER = 0.05  # Hmean: other thresholds that bring less are not worth a sentence
_CEILING = 0.8  # Hmean of perfect maps below which the targets are at fault
_FOLLOWS = 0.3  # correlation of the region map with its target below which nothing is learnt
_MANY = 0.5


def diagnose_maps(probes: Sequence[Probe], used: DecodeSettings) -> list[str]:
    """Explain what a text detector makes of some pictures.

    Args:
        probes: Pictures with maps.
        used: Thresholds of the run.

    Returns:
        Sentences, most likely cause first.
    """
    pairs = [(probe, probe.maps) for probe in probes if probe.maps is not None]
    probes, maps = [probe for probe, _ in pairs], [own for _, own in pairs]
    truth = _truth(probes)
    here = f"the {len(probes)} picture{'s' * (len(probes) != 1)} looked at"
    counted = np.flatnonzero(~truth.ignore)
    if not len(counted):
        what = f"all {len(truth.ignore)} words of {here} are to be ignored" if len(truth.ignore) else f"{here} hold no words"
        return [f"{what}, so their targets are empty and nothing can be learnt from them"]
    notes = [*_small(truth, counted, here), *_ceiling(truth, maps, used)]
    found = np.concatenate([own.found[0].ravel() for own in maps])
    if not np.isfinite(found).all():
        return [*notes, f"the maps of {here} hold values that are not numbers: the network diverged, lower train.lr"]
    return [*notes, *_flat(maps, used, here), *_thresholds(truth, maps, used, here)]


def _truth(probes: Sequence[Probe]) -> TextSplit:
    """The words of the pictures as a split, in pixels of the inputs."""
    targets = [probe.target for probe in probes]
    counts = [len(target.ignore) for target in targets]
    total = sum(counts)
    none = np.zeros(total + 1, np.int64)
    return TextSplit(
        name="val", image_ids=tuple(map(str, range(len(probes)))), paths=tuple(Path(probe.meta.source) for probe in probes),
        original_hw=np.array([probe.image.shape[:2] for probe in probes], np.int32), offsets=np.cumsum([0, *counts]),
        quads=np.concatenate([np.zeros((0, 4, 2)), *(target.quads.double().numpy() for target in targets)]),  # type: ignore[union-attr]
        ignore=np.concatenate([np.zeros(0, np.bool_), *(target.ignore.numpy() for target in targets)]),
        texts=tuple(text for target, count in zip(targets, counts, strict=True) for text in (target.texts or ("",) * count)),  # type: ignore[union-attr]
        annotation_ids=("",) * total, polygon_offsets=none, polygon_points=np.zeros((0, 2)), char_offsets=none, char_quads=np.zeros((0, 4, 2)),
    )  # fmt: skip


def _small(truth: TextSplit, counted: NDArray[np.intp], here: str) -> list[str]:
    letters = np.array([len(truth.texts[row].replace(" ", "")) for row in counted], np.int64)
    heights = letter_sizes(truth.quads[counted], letters)
    small = int((heights < LEAST_LETTERS).sum())
    if small < _MANY * len(counted):
        return []
    share = f"{small} of the {len(counted)} words of {here}"
    return [f"{share} are lower than {LEAST_LETTERS:g} pixels in the input (median {np.median(heights):.1f}), too small to be learnt: raise craft.canvas or craft.mag_ratio"]


def _ceiling(truth: TextSplit, maps: Sequence[Maps], used: DecodeSettings) -> list[str]:
    best = hmeans(truth, [own.target for own in maps], [used])[0]
    if best >= _CEILING:
        return []
    return [f"even perfect maps would give Hmean {best:.2f} with these thresholds ({_words(used)}; 0.7, 0.4, 0.4 are usual): words are too small in the input, or run into one another"]


def _flat(maps: Sequence[Maps], used: DecodeSettings, here: str) -> list[str]:
    peak = max(float(own.found[0].max()) for own in maps)
    learned = [own.confidence > 0 for own in maps]
    wanted = np.concatenate([own.target[0][mask] for own, mask in zip(maps, learned, strict=True)])
    given = np.concatenate([own.found[0][mask] for own, mask in zip(maps, learned, strict=True)])
    spread = float(wanted.std() * given.std())
    follows = float(((wanted - wanted.mean()) * (given - given.mean())).mean()) / spread if spread > 1e-12 else 0.0
    state = f"follows its target (correlation {follows:.2f})" if follows >= _FOLLOWS else f"does not follow its target (correlation {follows:.2f})"
    remedy = "train longer" if follows >= _FOLLOWS else "nothing is learnt yet: train longer, and look at the loss curve, train.lr and freeze"
    if peak < used.text_threshold:
        return [f"the region map of {here} reaches {peak:.3g} at most, below the text threshold {used.text_threshold:g}: no word can be found. It {state}: {remedy}"]
    return [f"the region map of {here} reaches {peak:.3g}, above the text threshold {used.text_threshold:g}, but {state}: {remedy}"] if follows < _FOLLOWS else []


def _thresholds(truth: TextSplit, maps: Sequence[Maps], used: DecodeSettings, here: str) -> list[str]:
    sets = [used, *(replace(used, text_threshold=text, link_threshold=link, low_text=low) for link, low, text in product(_LINK, _LOW, _TEXT) if text >= low)]
    figures = hmeans(truth, [own.found for own in maps], sets)
    best = int(np.argmax(figures))
    if figures[best] > figures[0] + _BETTER:
        return [f"with {_words(sets[best])} {here} would have Hmean {figures[best]:.2f}, with those of the run ({_words(used)}) {figures[0]:.2f}"]
    return [f"no other thresholds would give a match on {here}"] if figures[0] == 0 else []


def hmeans(truth: TextSplit, maps: Sequence[NDArray[np.float32]], settings: Sequence[DecodeSettings]) -> list[float]:
    """Hmean (icdar2015-iou, in pixels of the inputs) of some maps under several thresholds.

    Args:
        truth: One image per map.
        maps: [2, h, w] each.
        settings: Thresholds.
    """
    from detectors.types import ImageMeta

    evaluator = TextIouEvaluator(truth)
    decoded = [decode_many(torch.from_numpy(own)[None], settings)[0] for own in maps]
    sizes = [(int(height), int(width)) for height, width in truth.original_hw]
    metas = [ImageMeta(image_id, "", hw, hw, (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)) for image_id, hw in zip(truth.image_ids, sizes, strict=True)]
    figures = []
    for row in range(len(settings)):
        evaluator.reset()
        evaluator.process([found[row] for found in decoded], metas)
        figures.append(evaluator.evaluate().values["hmean"] or 0.0)
    return figures


def _words(settings: DecodeSettings) -> str:
    return f"text threshold {settings.text_threshold:g}, link threshold {settings.link_threshold:g}, low text {settings.low_text:g}"
