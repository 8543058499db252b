"""Scoring anybody's result files: the truth and the submission are read once, and every protocol gets its evaluator."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from backbones.errors import DataError, UsageError
from finetune.data.types import TextSplit
from finetune.evaluation import BOX_PROTOCOLS, TEXT_PROTOCOLS
from finetune.evaluation.result_lines import split_lines
from finetune.evaluation.text_deteval import DetEvalEvaluator
from finetune.evaluation.text_evaluator import TextEvaluator
from finetune.evaluation.text_files import TextTruth, is_truth_files, read_submission, read_truth, truth_of_split
from finetune.evaluation.text_iou import TextIouEvaluator
from finetune.evaluation.truth import load_truth


@dataclass(frozen=True, eq=False)
class ScoredFiles:
    """Evaluators that hold a method's words, the truth, what the figures depend on, and remarks for the user."""

    evaluators: tuple[TextEvaluator, ...]
    split: TextSplit
    conditions: tuple[str, ...]
    remarks: tuple[str, ...]


def text_protocols(protocols: Sequence[str], predictions: str | None) -> tuple[str, ...]:
    """The text protocols that are asked for; with none named, a zip or folder of results means ``icdar2015-iou``.

    Raises:
        UsageError: Protocols of boxes and of words are mixed.
    """
    words = tuple(protocol for protocol in protocols if protocol in TEXT_PROTOCOLS)
    if words and len(words) < len(protocols):
        raise UsageError(f"protocols {', '.join(protocols)} score different kinds of data: choose from {', '.join(TEXT_PROTOCOLS)}, or from {', '.join(BOX_PROTOCOLS)}")
    is_files = predictions is not None and (Path(predictions).is_dir() or Path(predictions).suffix.lower() == ".zip")
    return words or (("icdar2015-iou",) if is_files and not protocols else ())


def read_files_to_score(data: str, predictions: str, protocols: Sequence[str], split: str, confidences: bool = False, strict: bool = True) -> ScoredFiles:
    """Read ground truth and result files and hand the words to one evaluator per protocol.

    Args:
        data: Zip or folder of ground truth files, or a data set of scene text.
        predictions: Zip or folder of result files.
        protocols: Text protocols.
        split: Split of a data set that has several.
        confidences: Lines of results end with a confidence.
        strict: Refuse what the official scripts refuse.

    Raises:
        DataError: A file cannot be used.
    """
    evaluators, remarks = [], []
    for protocol in protocols:
        truth = _truth(data, protocol, split, predictions)
        submission = read_submission(predictions, truth, confidences, strict)
        evaluator: TextEvaluator = DetEvalEvaluator(truth.split, confidences) if protocol == "icdar2013-deteval" else TextIouEvaluator(truth.split, protocol, confidences)
        evaluator.add(submission.rows, submission.images)
        evaluators.append(evaluator)
        remarks += [remark for remark in (*truth.remarks, *submission.remarks) if remark not in remarks]
    words = len(submission.rows.image)
    found = f"{words} words in {len(submission.images)} files of {Path(predictions).name}"
    conditions = (found, "pixels of the original pictures", "the method's own thresholds and input size: not known from its files")
    return ScoredFiles(tuple(evaluators), truth.split, conditions, tuple(remarks))


def _truth(data: str, protocol: str, split: str, predictions: str) -> TextTruth:
    path = Path(data).expanduser()
    if not path.exists():
        raise DataError(f"there is no {data}: give --data a zip or folder of ground truth files (gt_img_1.txt ...), or a data set of scene text")
    if is_truth_files(path):
        return read_truth(path, protocol)
    loaded = load_truth(data, split)
    if not isinstance(loaded, TextSplit):
        raise UsageError(f"{data} holds boxes, and {protocol} scores words of scene text: choose from {', '.join(BOX_PROTOCOLS)}")
    return truth_of_split(loaded, protocol, _values_of_first_line(Path(predictions)))


def _values_of_first_line(predictions: Path) -> int:
    """How many values the first line of the results has; 0 where there is none."""
    from finetune.evaluation.result_files import entries

    lines = (line for name, content in entries(predictions) if ".txt" in name for _, line in split_lines(content))
    return len(next(lines, "").split(",")) if predictions.exists() else 0
