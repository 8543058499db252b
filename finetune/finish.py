"""What a run leaves behind when it has trained: pictures, the record, and the next commands."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from functools import partial
from typing import Any

from finetune.callbacks.checkpoints import Checkpoints
from finetune.callbacks.table import MetricsTable
from finetune.config import RunConfig
from finetune.config_file import config_to_dict
from finetune.curves import read_curves
from finetune.data import DataSplits, read_image
from finetune.data.first_images import spread_images
from finetune.data.types import BoxSplit, TextSplit
from finetune.load import LoadedRun, load_run
from finetune.overfit import verdict_lines
from finetune.record import RunRecord, load_record, record_to_dict
from finetune.run_folder import RunFolder, data_name, package_versions, write_atomic, write_json_atomic
from finetune.run_log import RunLog

_PICTURES = 8


def finish_run(folder: RunFolder, config: RunConfig, splits: DataSplits[Any], checkpoints: Checkpoints, table: MetricsTable, params: tuple[int, int], log: RunLog) -> RunRecord:
    """Draw pictures, write the record and say what there is.

    Args:
        folder: The run folder, trained.
        config: Settings.
        splits: Data.
        checkpoints: Knows the best epoch.
        table: Rows of all epochs.
        params: Parameters, all and trained.
        log: Where lines go.
    """
    protocol = config.evaluate.protocols[0]
    notes = [] if config.data.overfit else read_curves(table.rows, f"val/{protocol}/{checkpoints.best_primary}")
    loaded = load_run(folder.root)
    table.draw()  # the curves of a run that was killed after its last epoch
    if splits.val is not None and not config.data.overfit:
        draw_pictures(loaded, splits.val, folder)
    files = {name: folder.relative(path) for name, path in (("weights", folder.weights), ("curves", folder.curves), ("metrics", folder.metrics), ("pictures", folder.pictures), ("log", folder.log))}
    record = RunRecord(
        config=config_to_dict(config),
        seed=config.seed,
        data_name=data_name(config),
        data_fingerprint=splits.fingerprint,
        class_names=tuple(splits.class_names),
        params=params[0],
        trainable_params=params[1],
        results={"val": checkpoints.best_results} if checkpoints.best_results else {},
        best_epoch=checkpoints.best_epoch,
        epochs=checkpoints.finished,
        versions=package_versions(),
        seconds=checkpoints.total_seconds,
        notes=(*notes, *verdict_lines(config, table.rows)[:1]),
        files=files,
    )
    write_json_atomic(folder.record, record_to_dict(record))
    ends = end_lines(folder, record, splits.val)
    if config.data.overfit:  # its score and weights are of no use
        log.say(*(line for line in ends if line.startswith(("curves:", "pictures:"))))
    else:
        log.say("", *notes, *checkpoints.best_notes, *ends)
    return load_record(folder.record)


def draw_pictures(loaded: LoadedRun, split: BoxSplit | TextSplit, folder: RunFolder, count: int = _PICTURES) -> None:
    """Draw predictions beside the truth for pictures spread over a split, those with boxes first."""
    from finetune.drawing import draw_comparison
    from finetune.word_drawing import draw_word_comparison

    for index in spread_images(split, count):
        height, width = (int(side) for side in split.original_hw[index])
        image = read_image(split.paths[index], loaded.config.data.channels, (height, width))
        rows = split.rows(index)
        found = loaded.predict([image])[0]
        if isinstance(split, TextSplit):
            picture = draw_word_comparison(image, found, split.quads[rows], split.ignore[rows])
        else:
            picture = draw_comparison(image, found, split.boxes[rows], split.labels[rows], loaded.class_names, split.ignore[rows])
        write_atomic(folder.pictures / f"{split.paths[index].stem}.jpg", partial(picture.save, format="JPEG"))


def end_lines(folder: RunFolder, record: RunRecord, val: BoxSplit | TextSplit | None) -> list[str]:
    """The score, where everything is, and what to type next."""
    root = shlex.quote(str(folder.root))
    scores = [f"{result['protocol']} {_figures(result['values'])}" for result in record.results.get("val", ())]
    score = "; ".join(scores) + f" on {len(val):,} validation images, best epoch {record.best_epoch} of {record.epochs}" if scores and val is not None else "not scored: there is no validation split"
    return [
        f"score: {score}",
        f"weights: {folder.weights}",
        f"curves: {folder.curves} (numbers in {folder.metrics.name})",
        f"pictures: {folder.pictures}",
        "next:",
        f"  finetune evaluate {root}",
        f"  finetune predict {root} IMAGES",
    ]


def _figures(values: dict[str, Any]) -> str:
    names: Sequence[str] = [name for name in ("AP50", "AP", "mAP", "precision", "recall", "hmean") if name in values]
    return ", ".join(f"{name} {'n/a' if values[name] is None else format(values[name], '.3f')}" for name in names)
