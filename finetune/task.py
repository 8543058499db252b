"""The LightningModule: one thin layer between a detector and a trainer, ours or the user's own."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Literal

import pytorch_lightning as pl
import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_map

from backbones.errors import FinetuneError, UsageError
from backbones.freeze import FreezePolicy, parameter_groups
from backbones.frozen import FrozenFeatures
from detectors.types import Batch, Detections, FeatureBatch
from finetune.callbacks.averaging import WeightAveraging
from finetune.callbacks.evaluation import Evaluation
from finetune.config import TrainConfig
from finetune.data.original import map_back
from finetune.processes import check_follows, trainable_names, wrap_again
from finetune.schedule import ScheduleKind, group_factor, rate_factor
from finetune.timeline import timeline

_DEFAULT = TrainConfig()  # the recipe stands in one place


class NonFiniteLossError(FinetuneError):
    """A loss became NaN or infinite; ``image_ids`` and ``losses`` are those of the batch."""

    def __init__(self, losses: Mapping[str, float], image_ids: Sequence[int | str], sources: Sequence[str], epoch: int, step: int) -> None:
        self.losses, self.image_ids, self.sources, self.epoch, self.step = dict(losses), list(image_ids), list(sources), epoch, step
        values = ", ".join(f"{name} {value:g}" for name, value in losses.items())
        shown = ", ".join(str(i) for i in self.image_ids)
        super().__init__(
            f"the loss is not finite ({values}) in epoch {epoch + 1}, step {step}, images {shown}: most often the learning rate is too high "
            "(try a third of train.lr, or more train.warmup), gradients are not clipped (train.clip_norm), or fp16 overflows (train.precision 32-true)"
        )


class DetectionTask(pl.LightningModule):
    """Trains and scores a detector on the batches of a DetectionDataModule.

    Args:
        detector: A network that meets ``detectors.types.Detector``.
        freeze: What of the backbone stays as it is, epoch by epoch; default: nothing. Put into force at every epoch start.
        optimizer: "sgd" (Nesterov momentum) or "adamw".
        lr: Rate of the new modules.
        backbone_lr_scale: Rate of the backbone as a share of ``lr``.
        layer_decay: Each backbone stage further from the head gets its rate multiplied by this.
        momentum: SGD momentum.
        weight_decay: Not applied to norms and biases.
        schedule: "cosine" to zero, or "step".
        milestones: With "step": shares of the budget.
        warmup: Share of the budget with linearly rising rate.
        channels_last: Channels-last memory format.
        ema: Decay of averaged weights, which are then the evaluated ones; 0 is off.
        protocols: Protocols that score each validation.
        seed: Random numbers of an epoch follow from it, the epoch and the rank.
    """

    detector: Any

    def __init__(
        self,
        detector: nn.Module,
        *,
        freeze: FreezePolicy | None = None,
        optimizer: Literal["sgd", "adamw"] = _DEFAULT.optimizer,
        lr: float = _DEFAULT.lr,
        backbone_lr_scale: float = _DEFAULT.backbone_lr_scale,
        layer_decay: float = _DEFAULT.layer_decay,
        momentum: float = _DEFAULT.momentum,
        weight_decay: float = _DEFAULT.weight_decay,
        schedule: ScheduleKind = _DEFAULT.schedule,
        milestones: Sequence[float] = _DEFAULT.milestones,
        warmup: float = _DEFAULT.warmup,
        channels_last: bool = _DEFAULT.channels_last,
        ema: float = _DEFAULT.ema,
        protocols: Sequence[str] = ("coco",),
        seed: int = 0,
    ) -> None:
        super().__init__()
        self.detector = detector
        self.policy = freeze or FreezePolicy()
        self._optimizer, self._momentum, self._seed = optimizer, momentum, seed
        self._groups = partial(parameter_groups, lr=lr, backbone_lr_scale=backbone_lr_scale, layer_decay=layer_decay, weight_decay=weight_decay)
        self._factor = partial(rate_factor, kind=schedule, warmup=warmup, milestones=tuple(milestones))
        self._format = torch.channels_last if channels_last else torch.contiguous_format
        self._ema, self._protocols = ema, tuple(protocols)
        self.detector.to(memory_format=self._format)
        self._epochs = 1  # of the run; known when it starts, and of no account for the first epoch
        self.policy.apply(self.detector.backbone)  # before a strategy wraps the module
        self._reduced = trainable_names(self)

    def forward(self, images: Tensor | FrozenFeatures) -> Any:
        """Raw outputs of pictures that are not normalised yet.

        Args:
            images: [B, C, H, W] uint8 in 0..255 or float in 0..1, or what ``lead`` gave for them.

        Returns:
            The detector's raw outputs, floating point as float32 whatever the precision of the forward pass.
        """
        inputs = images.changed(self._formatted) if isinstance(images, FrozenFeatures) else self._formatted(self.detector.image_stats.normalize(images))
        return tree_map(lambda t: t.float() if isinstance(t, Tensor) and t.is_floating_point() else t, self.detector(inputs))

    def lead(self, images: Tensor, stages: int) -> FrozenFeatures:
        """What the first ``stages`` stages of the backbone give for pictures that are not normalised yet, as far as it is read later."""
        features: FrozenFeatures = self.detector.pyramid.lead(self._formatted(self.detector.image_stats.normalize(images)), stages)
        return features

    def _formatted(self, tensor: Tensor) -> Tensor:
        return tensor.contiguous(memory_format=self._format) if tensor.ndim == 4 else tensor

    def training_step(self, batch: Batch | FeatureBatch, batch_idx: int) -> Tensor:
        """The sum of the losses; stops at the first that is not finite."""
        losses = self._losses(self(batch.features if isinstance(batch, FeatureBatch) else batch.images), batch)
        total = torch.stack(list(losses.values())).sum()
        if not torch.isfinite(total):
            raise NonFiniteLossError(
                {k: float(v.detach()) for k, v in losses.items()}, [m.image_id for m in batch.metas], [m.source for m in batch.metas], self.current_epoch, self.global_step
            )
        self._log_losses("train", losses, total, batch)
        return total

    def validation_step(self, batch: Batch, batch_idx: int) -> list[Detections]:  # type: ignore[override]
        """Detections in original pixels; logs the validation losses."""
        outputs = self(batch.images)
        losses = self._losses(outputs, batch)
        self._log_losses("val", losses, torch.stack(list(losses.values())).sum(), batch)
        return self._detect(outputs, batch)

    def test_step(self, batch: Batch, batch_idx: int) -> list[Detections]:  # type: ignore[override]
        """Detections in original pixels."""
        return self._detect(self(batch.images), batch)

    predict_step = test_step

    def configure_optimizers(self) -> Any:
        """Groups by stage, without decay on norms and biases; the rate of each follows the optimiser steps of the whole run."""
        epochs, total, per_epoch = self._budget()
        self.policy.check(self.detector.backbone, epochs)
        self._epochs = epochs
        groups = self._groups(self.detector.backbone, self.detector.new_modules())
        sgd = self._optimizer == "sgd"
        optimizer = torch.optim.SGD(groups, momentum=self._momentum, nesterov=self._momentum > 0) if sgd else torch.optim.AdamW(groups)
        scheduled = partial(self._factor, total=total)
        rising = round(self.policy.thaw_warmup * total)
        starts = [None if start is None else start * per_epoch for start in self.policy.starts(self.detector.backbone, epochs)]
        factors: list[Callable[[int], float]] = [partial(group_factor, scheduled=scheduled, start=0 if group["stage"] is None else starts[group["stage"]], rising=rising) for group in groups]
        scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, factors)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}

    def _budget(self) -> tuple[int, int, int]:
        """Epochs of the run, its optimiser steps, and those of one epoch, also where the trainer was only given steps."""
        total = self.trainer.estimated_stepping_batches
        if total in (float("inf"), -1):
            raise UsageError("the schedule needs an end: give the Trainer max_epochs or max_steps")
        self.trainer.fit_loop.setup_data()  # a second call does nothing
        batches = self.trainer.num_training_batches
        per_epoch = int(total) if batches == float("inf") else max(1, math.ceil(batches / self.trainer.accumulate_grad_batches))
        return math.ceil(int(total) / per_epoch), int(total), per_epoch

    def timeline(self, epochs: int) -> list[str]:
        """What thaws when in a run of so many epochs, with the rates: a line per change.

        Raises:
            UsageError: The freeze policy does not fit the backbone or the number of epochs.
        """
        self.policy.check(self.detector.backbone, epochs)
        groups = self._groups(self.detector.backbone, self.detector.new_modules())
        return timeline(self.policy, self.detector.backbone, groups, self._factor, epochs)

    def configure_callbacks(self) -> list[pl.Callback]:
        """Metrics and weight averaging, so that they also work in a user's own Trainer."""
        present = {type(callback) for callback in self.trainer.callbacks}  # type: ignore[attr-defined]
        wanted: list[pl.Callback] = [WeightAveraging(self._ema)] if self._ema else []
        return [callback for callback in (*wanted, Evaluation(self._protocols)) if type(callback) not in present]

    def setup(self, stage: str) -> None:
        """The last moment before a strategy wraps the module: remember which gradients it will reduce."""
        if self.policy.changes and stage == "fit":
            check_follows(self.trainer.strategy)
        self._reduced = trainable_names(self)

    def on_train_start(self) -> None:
        """Also a run that goes on in the middle of an epoch has its freeze policy in force."""
        self._freeze()

    def on_train_epoch_start(self) -> None:
        """The freeze policy of this epoch."""
        self._freeze()

    def _freeze(self) -> None:
        self.policy.apply(self.detector.backbone, self.current_epoch, self._epochs)
        trainable = trainable_names(self)
        if trainable != self._reduced:
            wrap_again(self.trainer.strategy, self)
            self._reduced = trainable

    def on_train_batch_start(self, batch: Batch | FeatureBatch, batch_idx: int) -> None:
        """Random numbers of an epoch do not depend on what ran before, so a resumed run repeats the uninterrupted one."""
        if batch_idx == 0:
            torch.manual_seed((self._seed * 1_000_003 + self.current_epoch) * 4099 + self.global_rank)

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Tell the data which epoch comes next: loader workers start before Lightning says so."""
        epoch = checkpoint["loops"]["fit_loop"]["epoch_progress"]["current"]["processed"]
        datamodule: Any = getattr(self.trainer, "datamodule", None)
        if hasattr(datamodule, "set_epoch"):
            datamodule.set_epoch(epoch)

    def _losses(self, outputs: Any, batch: Batch | FeatureBatch) -> Mapping[str, Tensor]:
        with torch.autocast(self.device.type, enabled=False):
            return self.detector.loss(outputs, batch.targets)

    def _detect(self, outputs: Any, batch: Batch) -> list[Detections]:
        found = self.detector.decode(outputs, batch.input_hw)
        return [map_back(detections.to("cpu"), meta) for detections, meta in zip(found, batch.metas, strict=True)]

    def _log_losses(self, stage: str, losses: Mapping[str, Tensor], total: Tensor, batch: Batch | FeatureBatch) -> None:
        values = {f"{stage}/loss": total.detach(), **{f"{stage}/{name}": value.detach() for name, value in losses.items()}}
        self.log_dict(values, on_step=False, on_epoch=True, batch_size=len(batch.metas), sync_dist=self.trainer.world_size > 1)
