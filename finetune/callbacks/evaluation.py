"""Scores every validation and test by all protocols of the run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pytorch_lightning as pl
import torch.distributed as dist

from detectors.types import Batch, Detections, ImageMeta
from finetune.data.types import BoxSplit, TextSplit
from finetune.evaluation import create_evaluator
from finetune.evaluation.base import EvalResult


class Evaluation(pl.Callback):
    """Collects detections over batches and processes, runs every protocol, logs ``val/coco/AP50`` and the like.

    ``results`` are those of the last evaluation, ``epoch`` the epoch (from 0) it belongs to. The truth is the split of the
    trainer's datamodule. In a fit the last epoch is always evaluated.

    Args:
        protocols: Names of protocols; the primary figure of the first is the figure of the run.
    """

    def __init__(self, protocols: Sequence[str] = ("coco",)) -> None:
        self.protocols = tuple(protocols)
        self.results: dict[str, EvalResult] = {}
        self.epoch: int | None = None
        self._found: dict[int | str, tuple[Detections, ImageMeta]] = {}

    @property
    def figure(self) -> float | None:
        """The primary figure of the first protocol; None for n/a."""
        result = self.results.get(self.protocols[0])
        return None if result is None else result.values.get(result.primary)

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """The last epoch is evaluated, whatever the interval."""
        if trainer.check_val_every_n_epoch is not None and trainer.current_epoch + 1 == trainer.max_epochs:
            trainer.check_val_every_n_epoch = 1

    def on_validation_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Forget what was found before."""
        self._found = {}

    on_test_epoch_start = on_validation_epoch_start

    def on_validation_batch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Batch, *_: Any) -> None:
        """Collect."""
        self._found.update({meta.image_id: (detections, meta) for detections, meta in zip(outputs, batch.metas, strict=True)})

    def on_test_batch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Batch, *_: Any) -> None:
        """Collect."""
        self.on_validation_batch_end(trainer, pl_module, outputs, batch)

    def on_validation_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Score the validation split."""
        self._evaluate(trainer, pl_module, "val")

    def on_test_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Score the test split."""
        self._evaluate(trainer, pl_module, "test")

    def _evaluate(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        found = _gather(self._found)
        self._found = {}
        if trainer.sanity_checking:
            return
        split: BoxSplit | TextSplit = getattr(trainer.datamodule.splits, stage)  # type: ignore[attr-defined]
        scored = [_score(protocol, split, found) for protocol in self.protocols] if trainer.is_global_zero else []
        self.results = _broadcast({result.protocol: result for result in scored})
        self.epoch = trainer.current_epoch
        values = {f"{stage}/{name}/{key}": value for name, result in self.results.items() for key, value in result.values.items() if value is not None}
        pl_module.log_dict(values, batch_size=1, sync_dist=False)


def _score(protocol: str, split: BoxSplit | TextSplit, found: Mapping[int | str, tuple[Detections, ImageMeta]]) -> EvalResult:
    evaluator = create_evaluator(protocol, split)
    evaluator.reset()
    ordered = [found[image_id] for image_id in split.image_ids if image_id in found]
    evaluator.process([detections for detections, _ in ordered], [meta for _, meta in ordered])
    return evaluator.evaluate()


def _gather(found: dict[Any, Any]) -> dict[Any, Any]:
    """Detections of all processes on every process."""
    if not (dist.is_available() and dist.is_initialized()):
        return found
    parts: list[dict[Any, Any]] = [{} for _ in range(dist.get_world_size())]
    dist.all_gather_object(parts, found)
    return {key: value for part in parts for key, value in part.items()}


def _broadcast(results: dict[str, EvalResult]) -> dict[str, EvalResult]:
    """Results of the first process on every process."""
    if not (dist.is_available() and dist.is_initialized()):
        return results
    box = [results]
    dist.broadcast_object_list(box, src=0)
    return box[0]
