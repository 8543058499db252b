"""``finetune evaluate``: the score of a run, or of a file of predictions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from backbones.errors import UsageError
from finetune.console import console, write_json
from finetune.data.types import TextSplit
from finetune.evaluation import TEXT_PROTOCOLS, check_protocol, create_evaluator
from finetune.evaluation.predictions import read_predictions
from finetune.evaluation.submission import check_submission
from finetune.evaluation.tables import print_result, result_to_json
from finetune.evaluation.text_iou import TextIouEvaluator
from finetune.evaluation.text_scoring import read_files_to_score, text_protocols
from finetune.evaluation.truth import load_truth
from finetune.options import EvaluateOptions

if TYPE_CHECKING:
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
    if options.run is not None and options.detector is not None:
        raise UsageError("give a run or --detector, not both")
    if (options.run is not None or options.detector is not None) and options.predictions is not None:
        raise UsageError("give a run or --predictions, not both: predictions in a file are scored without the run")
    if options.batch_size < 1:
        raise UsageError(f"--batch_size is {options.batch_size}: it must be 1 or more")
    _check_submission(options)
    if options.run is not None or options.detector is not None:
        results = _score_run(options)
    elif options.data is not None and options.predictions is not None:
        results = _score_file(options, options.data, options.predictions)
    else:
        raise UsageError("nothing to score: give a run folder, or both --data ANNOTATIONS and --predictions FILE")
    write_json(options.json, {"results": [result_to_json(result) for result in results]})
    return 0


def _check_submission(options: EvaluateOptions) -> None:
    if options.submission is None:
        return
    if options.run is None and options.detector is None:
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
    from finetune.score_run import say_classes

    say_classes(truth)
    rows, remarks = read_predictions(predictions, truth)
    for remark in remarks:
        console().print(f"note: {remark}", markup=False)
    evaluators = [create_evaluator(protocol, truth) for protocol in options.protocol or ("coco",)]
    for evaluator in evaluators:
        evaluator.add(rows)
    conditions = [f"{len(rows.image)} predictions of {Path(predictions).name}", _describe(truth, data), "sizes and IoU in pixels of the original pictures"]
    return _report(evaluators, truth, conditions)


def _score_run(options: EvaluateOptions) -> list[EvalResult]:
    from finetune.score_run import check_words_can_be_written, detect, input_conditions, load_to_score, sweep, truth_of, write_words

    loaded = load_to_score(options)
    origin = ""
    if options.sweep is not None:
        loaded, origin = sweep(loaded, options)
    truth = truth_of(loaded, options, options.split)
    if options.submission is not None:
        check_words_can_be_written(options.submission, truth)
    evaluators = [create_evaluator(protocol, truth) for protocol in options.protocol or loaded.config.evaluate.protocols]
    detect(loaded, truth, evaluators, options.batch_size)
    named = f"run {options.run}" if options.run else f"{options.detector} {options.weights or ''}".rstrip()
    results = _report(evaluators, truth, [named, _describe(truth, options.data), *input_conditions(loaded), *([origin] if origin else [])])
    _explain(results[0], options, loaded, truth)
    if options.submission is not None and isinstance(truth, TextSplit):
        write_words(options.submission, evaluators[0], truth)
    if options.run is not None and Path(options.run).is_dir():
        _keep(Path(options.run), options, loaded, truth, results)
    return results


def _explain(result: EvalResult, options: EvaluateOptions, loaded: LoadedRun, truth: BoxSplit | TextSplit) -> None:
    """Say why a figure is 0, and draw it into the folder of the run where there is one."""
    if result.values.get(result.primary) != 0:
        return
    from finetune.explain_zero import explain_zero

    folder = Path(options.run) if options.run is not None else None
    for line in explain_zero(loaded, truth, folder / "pictures" / f"diagnosis_{options.split}.png" if folder is not None and folder.is_dir() else None):
        console().print(line, markup=False)


def _report(evaluators: Sequence[Evaluator], truth: BoxSplit | TextSplit, conditions: Sequence[str]) -> list[EvalResult]:
    results = [replace(evaluator.evaluate(), by_height=evaluator.by_height() if isinstance(evaluator, TextIouEvaluator) else ()) for evaluator in evaluators]
    results = [replace(result, conditions=(*result.conditions, *conditions)) if result.conditions else result for result in results]
    for result in results:
        print_result(result, truth, conditions)
    return results


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
        "input": loaded.preprocess.to_dict(),
        "results": [{**result_to_json(result), "notes": list(result.notes)} for result in results],
    }
    write_json_atomic(target, content)
    console().print(f"written: {target}", markup=False)
