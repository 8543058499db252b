"""What several processes need beside a strategy: gradients that are reduced also after a thaw, and norms that are shared."""

from __future__ import annotations

from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.plugins.layer_sync import LayerSync
from pytorch_lightning.strategies import DDPStrategy, ParallelStrategy, Strategy
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from backbones.errors import UsageError
from backbones.sync_norms import Replaced, restore_norms, share_norms


def trainable_names(module: nn.Module) -> frozenset[str]:
    """Parameters that want a gradient: those that a strategy which wraps the module now will reduce."""
    return frozenset(name for name, parameter in module.named_parameters() if parameter.requires_grad)


def check_follows(strategy: Strategy) -> None:
    """Raise UsageError for a strategy that fixes at its start which gradients are reduced, and cannot be told anew."""
    if isinstance(strategy, ParallelStrategy) and not isinstance(strategy, DDPStrategy):
        raise UsageError(
            f"the strategy {type(strategy).__name__} fixes at its start which parameters train, so stages that thaw later would drift apart between the processes: "
            "use ddp (train.strategy ddp), or a freeze.policy that does not change (stages, backbone, norms, none)"
        )


def wrap_again(strategy: Strategy, module: pl.LightningModule) -> None:
    """Let a strategy look anew at which parameters train; call it in every process, between two steps.

    DistributedDataParallel reduces the gradients of the parameters that trained when it was made: of those thawed later every
    process keeps its own, silently. The other way, wrapping everything with ``find_unused_parameters``, searches the graph
    in every step and sends zeros for what is frozen; a new wrapper costs milliseconds a boundary and nothing a step.

    Args:
        strategy: Of the trainer.
        module: The task that it wraps.

    Raises:
        UsageError: A strategy that cannot.
    """
    check_follows(strategy)
    if isinstance(strategy, DDPStrategy) and isinstance(strategy.model, DistributedDataParallel):
        strategy.model = module  # nothing else holds the old wrapper, whose hooks go with it
        strategy.configure_ddp()


class SharedNorms(LayerSync):
    """BatchNorm statistics over all processes, also in the norms with an activation of timm, which Lightning's own plugin would cut off."""

    def __init__(self) -> None:
        self._replaced: list[Replaced] = []

    def apply(self, model: nn.Module) -> nn.Module:
        """Replace the BatchNorm layers."""
        self._replaced = share_norms(model)
        return model

    def revert(self, model: nn.Module) -> nn.Module:
        """Put the layers of before back, with what they have learnt."""
        restore_norms(self._replaced)
        self._replaced = []
        return model


def check_shared_norms(trainer: Any) -> None:
    """Raise UsageError when norms cannot be shared on the device of a trainer."""
    if trainer.world_size > 1 and trainer.strategy.root_device.type == "cpu":
        raise UsageError(f"train.sync_batchnorm works on GPUs only, and this run has {trainer.world_size} processes on the CPU: switch it off, or freeze the norms (freeze.batchnorm frozen)")
