"""The score of a trained detector on a split: pictures are read, detected and handed to the evaluators."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from backbones.errors import DataError, UsageError
from detectors.types import Detections, ImageMeta, TextDetections
from finetune.config import DataConfig
from finetune.console import console
from finetune.data.text.splits import load_text_annotations
from finetune.data.types import BoxSplit, TextSplit
from finetune.evaluation import TEXT_PROTOCOLS, create_evaluator
from finetune.evaluation.submission import check_submission, write_submission
from finetune.evaluation.truth import SPLITS, check_split, load_other_truth, load_run_truth
from finetune.options import EvaluateOptions
from finetune.read_ahead import progress_bar, read_ahead
from finetune.text_settings import TextChanges, apply_changes, best_of, flags_of, sweep_settings, text_conditions

if TYPE_CHECKING:
    from finetune.evaluation.base import Evaluator
    from finetune.load import LoadedRun

_SWEEPABLE = tuple(name for name in SPLITS if name != "test")
_AS_IT_IS = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)
_TEXT_BATCH = 1  # whole pictures of text are large and of many sizes


def load_to_score(options: EvaluateOptions) -> LoadedRun:
    """The run, or the published detector, that is asked for, with other input size and thresholds where they are given.

    Raises:
        UsageError: It is not there, or an option does not fit it.
    """
    from finetune.load import load_detector, load_run

    if options.detector is not None:
        loaded = load_detector(options.detector, options.weights, options.device)
    elif options.run is not None:
        loaded = load_run(options.run, options.device)
    else:
        raise UsageError("nothing to score: give a run folder, or --detector with --weights")
    return apply_changes(loaded, TextChanges.of(options))


def truth_of(loaded: LoadedRun, options: EvaluateOptions, split: str) -> BoxSplit | TextSplit:
    """A split of the data of the run, or of other data; the classes are said."""
    from finetune.load import PUBLISHED

    check_split(split)
    if options.data is None:
        if options.detector is not None or options.run in PUBLISHED:
            raise UsageError("published weights have no data of their own: give --data FOLDER")
        truth = load_run_truth(loaded.config.data, loaded.config.seed, split, "text" if loaded.finds_words else "boxes")
        say_classes(truth)
        return truth
    if loaded.finds_words:
        return load_text_annotations(DataConfig(root=options.data), split, need_images=True)
    truth, lines = load_other_truth(loaded.config.data, options.data, split, loaded.class_names)
    for line in lines:
        console().print(line, markup=False)
    return truth


def say_classes(truth: BoxSplit | TextSplit) -> None:
    """Category ids and class names, the first twelve."""
    if isinstance(truth, TextSplit):
        return
    pairs = [f"{category} {name}" for category, name in zip(truth.category_ids, truth.class_names, strict=True)]
    shown = ", ".join(pairs[:12]) + (f", ... ({len(pairs)} classes)" if len(pairs) > 12 else "")
    console().print(f"category ids and classes: {shown}", markup=False)


def sweep(loaded: LoadedRun, options: EvaluateOptions) -> tuple[LoadedRun, str]:
    """Choose the thresholds of a text detector on a split that is not the test split.

    Returns:
        The run with the best thresholds, and the sentence that says where they come from.

    Raises:
        UsageError: It detects no text, or the split is the test split.
    """
    split = options.sweep or ""
    if not loaded.finds_words:
        raise UsageError("--sweep chooses the thresholds of a detector of scene text; this run finds boxes")
    if split not in _SWEEPABLE:
        raise UsageError(f"--sweep {split}: thresholds are chosen on {' or '.join(_SWEEPABLE)}, never on the split that a method is judged by")
    truth = truth_of(loaded, options, split)
    protocol = next((name for name in (*options.protocol, *loaded.config.evaluate.protocols) if name in TEXT_PROTOCOLS), TEXT_PROTOCOLS[0])
    settings = sweep_settings(loaded.detector.decoding)
    evaluator = create_evaluator(protocol, truth)
    by_settings: list[list[tuple[Detections, ImageMeta]]] = [[] for _ in settings]
    from detectors.craft.decode import decode_many

    for images, metas in _pictures(loaded, truth, _TEXT_BATCH, f"sweeping thresholds on {split}"):
        outputs, inputs = loaded.look(images)
        for found, own_input, meta in zip(decode_many(outputs.maps, settings), inputs, metas, strict=True):
            for collected, detections in zip(by_settings, found, strict=True):
                collected.append((loaded.map_back([detections], [own_input])[0], meta))
    hmeans = [_hmean(evaluator, collected) for collected in by_settings]
    best = best_of(hmeans, settings)
    loaded.detector.decoding = settings[best]
    before, after = (hmeans[row] or 0.0 for row in (0, best))
    line = f"thresholds chosen on {split} ({len(truth)} pictures, {len(settings)} sets tried, {protocol}): Hmean {after:.4f}, with those of the run {before:.4f}; again with {flags_of(settings[best])}"
    console().print(line, markup=False)
    return loaded, f"thresholds chosen on {split}" + ("" if split != options.split else ", the split that is scored: this figure is too good")


def _hmean(evaluator: Evaluator, found: Sequence[tuple[Detections, ImageMeta]]) -> float | None:
    evaluator.reset()
    evaluator.process([detections for detections, _ in found], [meta for _, meta in found])
    return evaluator.evaluate().values["hmean"]


def detect(loaded: LoadedRun, truth: BoxSplit | TextSplit, evaluators: Sequence[Evaluator], batch_size: int) -> None:
    """Run the network over the pictures of a split and hand what it finds to the evaluators."""
    relabel = _relabelling(loaded, truth)
    for images, metas in _pictures(loaded, truth, _TEXT_BATCH if loaded.finds_words else batch_size, f"evaluating {truth.name}"):
        found = [relabel(detections) for detections in loaded.predict(images)]
        for evaluator in evaluators:
            evaluator.process(found, metas)


def _pictures(loaded: LoadedRun, truth: BoxSplit | TextSplit, batch_size: int, what: str) -> Iterator[tuple[list[NDArray[np.uint8]], list[ImageMeta]]]:
    """The pictures of a split, and the metas that name them: detections are in pixels of the picture already."""
    with progress_bar() as bar:
        task = bar.add_task(what, total=len(truth))
        for batch in read_ahead(truth.paths, loaded.preprocess.channels, batch_size, truth.original_hw):
            broken = next((image.fault for image in batch if image.pixels is None), None)
            if broken:
                raise DataError(f"{broken}; a score without it would not be comparable: replace the picture, or take it out of the annotations")
            images = [image.pixels for image in batch if image.pixels is not None]
            sizes = [(pixels.shape[0], pixels.shape[1]) for pixels in images]
            yield images, [ImageMeta(truth.image_ids[image.number], str(truth.paths[image.number]), hw, hw, _AS_IT_IS) for image, hw in zip(batch, sizes, strict=True)]
            bar.advance(task, len(batch))


def _relabelling(loaded: LoadedRun, truth: BoxSplit | TextSplit) -> Callable[[Detections], Detections]:
    """Labels of the run to labels of the truth; classes that the truth does not have are left out. Words have one label."""
    if loaded.finds_words:
        return lambda detections: detections
    labels = np.array([truth.class_names.index(name) if name in truth.class_names else -1 for name in loaded.class_names], np.int64)
    if (labels < 0).all():
        raise DataError(f"run and data have no class in common: the run knows {', '.join(loaded.class_names[:8])}, the data {', '.join(truth.class_names[:8])}")
    mapping = torch.from_numpy(labels)

    def relabel(detections: Detections) -> Detections:
        if isinstance(detections, TextDetections):
            return detections
        mapped = mapping[detections.labels]
        known = mapped >= 0
        return replace(detections, boxes=detections.boxes[known], scores=detections.scores[known], labels=mapped[known])

    return relabel


def input_conditions(loaded: LoadedRun) -> list[str]:
    """The input of the network, as it belongs beside every figure."""
    if loaded.finds_words:
        return text_conditions(loaded)
    height, width = loaded.preprocess.input_hw  # type: ignore[union-attr]
    return [f"input {height} x {width} ({loaded.preprocess.resize})"]  # type: ignore[union-attr]


def check_words_can_be_written(path: str, truth: BoxSplit | TextSplit) -> None:
    """Before anything is computed: raise UsageError where a submission of this truth cannot be written to ``path``."""
    if not isinstance(truth, TextSplit):
        raise UsageError("--submission is for scene text; this run finds boxes")
    check_submission(path, truth.image_ids)


def write_words(path: str, words: Any, truth: TextSplit) -> None:
    """Write the words that an evaluator of scene text collected as a submission zip."""
    write_submission(path, truth.image_ids, words.store.rows(), words.protocol)
    console().print(f"written: {path}", markup=False)
