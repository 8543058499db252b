"""``finetune evaluate``: the score of a run, or of a file of predictions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from backbones.errors import DataError, UsageError
from finetune.console import console, write_json
from finetune.data.types import TextSplit
from finetune.evaluation import TEXT_PROTOCOLS, check_protocol, create_evaluator
from finetune.evaluation.predictions import read_predictions
from finetune.evaluation.submission import check_submission, write_submission
from finetune.evaluation.tables import print_result, result_to_json
from finetune.evaluation.text_scoring import read_files_to_score, text_protocols
from finetune.evaluation.truth import load_other_truth, load_run_truth, load_truth
from finetune.options import EvaluateOptions
from finetune.read_ahead import progress_bar, read_ahead

if TYPE_CHECKING:
    from detectors.types import BoxDetections, TextDetections
    from finetune.data.types import BoxSplit
    from finetune.evaluation.base import EvalResult, Evaluator
    from finetune.load import LoadedRun


def run(options: EvaluateOptions) -> int:
    """Score, print, and write the figures.

    Raises:
        UsageError: It is not clear what is to be scored.
        DataError: Annotations, predictions or pictures cannot be used.
    """
    for protocol in options.protocol:
        check_protocol(protocol)
    if options.run is not None and options.predictions is not None:
        raise UsageError("give a run or --predictions, not both: predictions in a file are scored without the run")
    if options.batch_size < 1:
        raise UsageError(f"--batch_size is {options.batch_size}: it must be 1 or more")
    _check_submission(options)
    if options.run is not None:
        results = _score_run(options, options.run)
    elif options.data is not None and options.predictions is not None:
        results = _score_file(options, options.data, options.predictions)
    else:
        raise UsageError("nothing to score: give a run folder, or both --data ANNOTATIONS and --predictions FILE")
    write_json(options.json, {"results": [result_to_json(result) for result in results]})
    return 0


def _check_submission(options: EvaluateOptions) -> None:
    if options.submission is None:
        return
    if options.run is None:
        raise UsageError("--submission writes the words that a run finds: give a run, too")
    check_submission(options.submission)


def _score_file(options: EvaluateOptions, data: str, predictions: str) -> list[EvalResult]:
    protocols = text_protocols(options.protocol, predictions)
    if protocols:
        scored = read_files_to_score(data, predictions, protocols, options.split, options.confidences, options.strict)
        for remark in scored.remarks:
            console().print(f"note: {remark}", markup=False)
        return _report(scored.evaluators, scored.split, [*scored.conditions, _describe(scored.split, data)])
    truth = load_truth(data, options.split, options.one_based)
    if isinstance(truth, TextSplit):
        raise UsageError(f"{data} holds scene text: choose --protocol from {', '.join(TEXT_PROTOCOLS)}, and give --predictions a zip or folder of result files")
    _say_map(truth)
    rows, remarks = read_predictions(predictions, truth)
    for remark in remarks:
        console().print(f"note: {remark}", markup=False)
    evaluators = [create_evaluator(protocol, truth) for protocol in options.protocol or ("coco",)]
    for evaluator in evaluators:
        evaluator.add(rows)
    conditions = [f"{len(rows.image)} predictions of {Path(predictions).name}", _describe(truth, data), "sizes and IoU in pixels of the original pictures"]
    return _report(evaluators, truth, conditions)


def _score_run(options: EvaluateOptions, path: str) -> list[EvalResult]:
    from finetune.load import load_run

    loaded = load_run(path, options.device)
    if options.data is None:
        truth = load_run_truth(loaded.config.data, loaded.config.seed, options.split)
        _say_map(truth)
    else:
        truth, lines = load_other_truth(loaded.config.data, options.data, options.split, loaded.class_names)
        for line in lines:
            console().print(line, markup=False)
    evaluators = [create_evaluator(protocol, truth) for protocol in options.protocol or loaded.config.evaluate.protocols]
    _detect(loaded, truth, evaluators, options.batch_size)
    height, width = loaded.preprocess.input_hw
    conditions = [f"run {path}", _describe(truth, options.data), f"input {height} x {width} ({loaded.preprocess.resize})"]
    results = _report(evaluators, truth, conditions)
    if options.submission is not None:
        _write_submission(options.submission, evaluators, truth)
    if Path(path).is_dir():
        _keep(Path(path), options, loaded, truth, results)
    return results


def _write_submission(path: str, evaluators: Sequence[Any], truth: BoxSplit | TextSplit) -> None:
    words = next((evaluator for evaluator in evaluators if evaluator.protocol in TEXT_PROTOCOLS), None)
    if words is None or not isinstance(truth, TextSplit):
        raise UsageError(f"--submission is for scene text: choose --protocol from {', '.join(TEXT_PROTOCOLS)}")
    write_submission(path, truth.image_ids, words.store.rows(), words.protocol)
    console().print(f"written: {path}", markup=False)


def _detect(loaded: LoadedRun, truth: BoxSplit | TextSplit, evaluators: Sequence[Evaluator], batch_size: int) -> None:
    """Run the network over the pictures of a split and hand what it finds to the evaluators."""
    from detectors.types import ImageMeta

    labels = np.array([truth.class_names.index(name) if name in truth.class_names else -1 for name in loaded.class_names], np.int64)
    if (labels < 0).all():
        raise DataError(f"run and data have no class in common: the run knows {', '.join(loaded.class_names[:8])}, the data {', '.join(truth.class_names[:8])}")
    input_hw = loaded.preprocess.input_hw
    with progress_bar() as bar:
        task = bar.add_task(f"evaluating {truth.name}", total=len(truth))
        for batch in read_ahead(truth.paths, loaded.preprocess.channels, batch_size, truth.original_hw):
            broken = next((image.fault for image in batch if image.pixels is None), None)
            if broken:
                raise DataError(f"{broken}; a score without it would not be comparable: replace the picture, or take it out of the annotations")
            images = [image.pixels for image in batch if image.pixels is not None]
            metas = [
                ImageMeta(truth.image_ids[image.number], str(truth.paths[image.number]), pixels.shape[:2], input_hw, (1.0, 0.0, 0.0, 0.0, 1.0, 0.0))
                for image, pixels in zip(batch, images, strict=True)
            ]
            found = [_relabel(detections, labels) for detections in loaded.predict(images)]
            for evaluator in evaluators:
                evaluator.process(found, metas)
            bar.advance(task, len(batch))


def _relabel(detections: BoxDetections | TextDetections, labels: np.ndarray[Any, np.dtype[np.int64]]) -> BoxDetections | TextDetections:
    """Labels of the run to labels of the truth; classes that the truth does not have are left out. Words have one label."""
    import torch

    from detectors.types import TextDetections

    if isinstance(detections, TextDetections):
        return detections
    mapped = torch.from_numpy(labels)[detections.labels]
    known = mapped >= 0
    return replace(detections, boxes=detections.boxes[known], scores=detections.scores[known], labels=mapped[known])


def _report(evaluators: Sequence[Evaluator], truth: BoxSplit | TextSplit, conditions: Sequence[str]) -> list[EvalResult]:
    results = [evaluator.evaluate() for evaluator in evaluators]
    results = [replace(result, conditions=(*result.conditions, *conditions)) if result.conditions else result for result in results]
    for result in results:
        print_result(result, truth, conditions)
    return results


def _say_map(truth: BoxSplit | TextSplit) -> None:
    if isinstance(truth, TextSplit):
        return
    pairs = [f"{category} {name}" for category, name in zip(truth.category_ids, truth.class_names, strict=True)]
    shown = ", ".join(pairs[:12]) + (f", ... ({len(pairs)} classes)" if len(pairs) > 12 else "")
    console().print(f"category ids and classes: {shown}", markup=False)


def _describe(truth: BoxSplit | TextSplit, data: str | None) -> str:
    where = f" of {Path(data).name or data}" if data else ""
    ignored = int(truth.ignore.sum())
    if isinstance(truth, TextSplit):
        return f"{truth.name}{where}: {len(truth)} pictures, {len(truth.ignore) - ignored} words and {ignored} ignored (###)"
    return f"{truth.name}{where}: {len(truth)} images, {len(truth.boxes) - ignored} objects" + (f" and {ignored} ignored (crowd or difficult)" if ignored else "")


def _keep(folder: Path, options: EvaluateOptions, loaded: LoadedRun, truth: BoxSplit | TextSplit, results: Sequence[EvalResult]) -> None:
    """Write RUN/evaluation/<split>.json; where it exists, <split>-2.json and so on, so that nothing is overwritten."""
    from finetune.run_folder import write_json_atomic

    target, number = folder / "evaluation" / f"{options.split}.json", 2
    while target.exists():
        target, number = folder / "evaluation" / f"{options.split}-{number}.json", number + 1
    target.parent.mkdir(exist_ok=True)
    content = {
        "split": options.split,
        "data": options.data or loaded.config.data.root,
        "images": len(truth),
        "input_size": list(loaded.preprocess.input_hw),
        "resize": loaded.preprocess.resize,
        "results": [{**result_to_json(result), "notes": list(result.notes)} for result in results],
    }
    write_json_atomic(target, content)
    console().print(f"written: {target}", markup=False)
