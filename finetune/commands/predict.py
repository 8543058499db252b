"""``finetune predict``: objects or words in pictures, as JSON, as ICDAR text files, and drawn."""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from backbones.errors import DataError, FinetuneError, UsageError
from finetune.console import console, write_json
from finetune.drawing import draw_detections
from finetune.evaluation.predictions import result_entries, write_predictions
from finetune.nearest import did_you_mean
from finetune.options import PredictOptions
from finetune.pictures import drawn_names, find_pictures, relative_names
from finetune.predicted_words import word_entries, write_word_files
from finetune.read_ahead import ReadImage, progress_bar, read_ahead
from finetune.run_folder import write_json_atomic

if TYPE_CHECKING:
    from detectors.types import BoxDetections, Detections
    from finetune.load import LoadedRun

_NAMED = 10
_LEAST_SCORE = 0.3  # of boxes, unless the user says another


@dataclass
class _Found:
    """What a prediction collects on its way over the pictures."""

    images: list[dict[str, Any]] = field(default_factory=list)
    entries: list[dict[str, Any]] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)


def run(options: PredictOptions) -> int:
    """Predict; return 3 when some pictures could not be read, after all the others.

    Raises:
        UsageError: The run, a class, a score or OUT does not fit.
        DataError: There are no pictures.
    """
    if options.batch_size < 1:
        raise UsageError(f"--batch_size is {options.batch_size}: it must be 1 or more")
    paths = find_pictures(options.images)
    out = _free_folder(options.out)
    from finetune.load import load_run
    from finetune.text_settings import TextChanges, apply_changes

    loaded = apply_changes(load_run(options.run, options.device), TextChanges.of(options))
    if options.crops and not loaded.finds_words:
        raise UsageError("--crops cuts out words; this run finds boxes")
    if options.score is None:
        options = replace(options, score=0.0 if loaded.finds_words else _LEAST_SCORE)
    least = class_thresholds(loaded.class_names, options)
    folders = [out, *(out / name for name, wanted in (("pictures", options.draw), ("icdar", loaded.finds_words), ("crops", options.crops)) if wanted)]
    try:
        for folder in folders:
            folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"cannot create {out} ({error.strerror or error}): choose another --out") from error
    begin = time.perf_counter()
    found = _predict(loaded, paths, least, options, out)
    seconds = time.perf_counter() - begin
    categories = dict(zip(loaded.category_ids, loaded.class_names, strict=True))
    limits = {"score": options.score, "class_scores": dict(options.class_scores), "classes": list(options.classes)}
    info = {"description": "finetune predict", "run": options.run, "input": loaded.preprocess.to_dict(), **limits}
    if loaded.finds_words:
        from finetune.text_settings import thresholds_of

        info |= {"thresholds": dict(thresholds_of(loaded.detector.decoding))}
    if loaded.finds_words:
        write_json_atomic(out / "predictions.json", {"info": info, "images": found.images, "words": found.entries})
    else:
        write_predictions(out / "predictions.json", found.images, categories, found.entries, info)
    _summarize(found, seconds, out, options, loaded)
    return DataError.exit_code if found.faults else 0


def class_thresholds(class_names: Sequence[str], options: PredictOptions) -> np.ndarray[Any, np.dtype[np.float64]]:
    """[C] least score of each class; infinite for classes that the user does not want.

    Raises:
        UsageError: An unknown class, or a score outside 0..1.
    """
    for name in (*options.class_scores, *options.classes):
        if name not in class_names:
            raise UsageError(f"the run knows no class {name!r}{did_you_mean(name, class_names)} (classes: {', '.join(class_names[:20])}{' ...' if len(class_names) > 20 else ''})")
    scores = {"--score": options.score or 0.0, **{f"--class_scores {name}": score for name, score in options.class_scores.items()}}
    for where, score in scores.items():
        if not 0 <= score <= 1:
            raise UsageError(f"{where} is {score:g}: a score lies in 0..1")
    wanted = options.classes or class_names
    return np.array([options.class_scores.get(name, options.score or 0.0) if name in wanted else np.inf for name in class_names])


def _free_folder(out: str | None) -> Path:
    """The folder to write; it must not exist, or be empty."""
    if out is not None:
        folder = Path(out).expanduser()
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise UsageError(f"{out} exists and is never overwritten: choose another --out, or remove it")
        if folder.exists():
            folder.rmdir()
        return folder
    number = 1
    while Path(f"predictions-{number}").exists():
        number += 1
    return Path(f"predictions-{number}")


def _predict(loaded: LoadedRun, paths: Sequence[Path], least: np.ndarray[Any, np.dtype[np.float64]], options: PredictOptions, out: Path) -> _Found:
    """Read, detect, draw and save, batch by batch; drawing goes on while the network works."""
    names = relative_names(paths)
    targets = [out / "pictures" / name for name in drawn_names(names)]
    found = _Found()
    with progress_bar() as bar, ThreadPoolExecutor(2) as pool:
        task = bar.add_task("predicting", total=len(paths))
        drawing: list[Future[None]] = []
        for batch in read_ahead(paths, loaded.preprocess.channels, 1 if loaded.finds_words else options.batch_size):
            for image in batch:
                if image.pixels is None:
                    found.faults.append(image.fault)
                    bar.console.print(f"left out: {image.fault}", markup=False)
            whole = [image for image in batch if image.pixels is not None]
            kept: list[Any] = [_keep(detections, least) for detections in loaded.predict([image.pixels for image in whole if image.pixels is not None])]
            _finish(drawing)
            drawing = []
            for image, detections in zip(whole, kept, strict=True):
                _note(found, image, names[image.number], detections, loaded)
                if loaded.finds_words:
                    drawing.append(pool.submit(write_word_files, image, detections, targets[image.number].stem, out, options.draw, options.crops))
                elif options.draw:
                    drawing.append(pool.submit(_draw, image, detections, loaded.class_names, targets[image.number]))
            bar.advance(task, len(batch))
        _finish(drawing)
    return found


def _keep(detections: Detections, least: np.ndarray[Any, np.dtype[np.float64]]) -> Detections:
    import torch

    from detectors.types import TextDetections

    kept = detections.scores.double() >= torch.from_numpy(least)[detections.labels]
    if isinstance(detections, TextDetections):
        polygons = tuple(polygon for polygon, keep in zip(detections.polygons, kept.tolist(), strict=False) if keep)
        return TextDetections(detections.quads[kept], detections.scores[kept], detections.labels[kept], polygons)
    return replace(detections, boxes=detections.boxes[kept], scores=detections.scores[kept], labels=detections.labels[kept])


def _note(found: _Found, image: ReadImage, name: str, detections: Any, loaded: LoadedRun) -> None:
    if image.pixels is None:
        return
    number = image.number + 1
    found.images.append({"id": number, "file_name": name, "height": image.pixels.shape[0], "width": image.pixels.shape[1]})
    entries = word_entries(number, name, detections) if loaded.finds_words else result_entries(number, name, detections, loaded.category_ids)
    found.entries.extend(entries)


def _draw(image: ReadImage, detections: BoxDetections, class_names: Sequence[str], target: Path) -> None:
    if image.pixels is not None:
        draw_detections(image.pixels, detections, class_names).save(target, quality=92)


def _finish(drawing: Sequence[Future[None]]) -> None:
    for future in drawing:
        try:
            future.result()
        except OSError as error:
            raise FinetuneError(f"cannot write pictures ({error.strerror or error}): free some space, or leave drawing out with --draw false") from error


def _summarize(found: _Found, seconds: float, out: Path, options: PredictOptions, loaded: LoadedRun) -> None:
    done = len(found.images)
    counts = {name: 0 for name in loaded.class_names}
    names = dict(zip(loaded.category_ids, loaded.class_names, strict=True))
    for entry in found.entries:
        counts[names[entry["category_id"]] if not loaded.finds_words else loaded.class_names[0]] += 1
    speed = done / seconds if seconds > 0 else 0.0
    per_class = ", ".join(f"{name} {count}" for name, count in counts.items() if count)
    say = console().print
    what = "words" if loaded.finds_words else f"objects{f' ({per_class})' if per_class else ''}"
    say(f"{done} pictures, {len(found.entries)} {what}, {speed:.1f} images/s ({seconds:.1f} s, reading and drawing included)", markup=False)
    if found.faults:
        shown = "; ".join(found.faults[:_NAMED]) + (f" and {len(found.faults) - _NAMED} more" if len(found.faults) > _NAMED else "")
        say(f"{len(found.faults)} pictures could not be read and were left out: {shown}", markup=False)
    say(f"written: {out / 'predictions.json'}" + (f" and {out / 'pictures'}" if options.draw else ""), markup=False)
    summary = {"images": done, "objects": len(found.entries), "per_class": counts, "seconds": seconds, "images_per_second": speed, "unreadable": found.faults, "out": str(out)}
    write_json(options.json, summary)
