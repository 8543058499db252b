"""Freeze policies: frozen means no gradient, no optimiser step, no weight decay, and norms that stay in eval mode."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

from torch import nn

from backbones.errors import UsageError
from backbones.types import Backbone


def _stay_in_eval(module: nn.Module, mode: bool = True) -> nn.Module:
    return module


def _freeze_module(module: nn.Module) -> None:
    """No gradients below ``module``, and no later ``.train()`` by anyone takes it or a part of it out of eval mode."""
    module.requires_grad_(False)
    for parameter in module.parameters():
        parameter.grad = None  # an old gradient would make the optimiser step once more, with momentum and decay
    module.eval()
    for part in module.modules():
        part.__dict__["train"] = partial(_stay_in_eval, part)


def _thaw_module(module: nn.Module) -> None:
    for part in module.modules():
        part.__dict__.pop("train", None)
    module.requires_grad_(True)


def is_norm(module: nn.Module) -> bool:
    """Whether a module is a normalisation layer, of torch or by name (timm's and users' own)."""
    return isinstance(module, nn.modules.batchnorm._NormBase | nn.GroupNorm | nn.LayerNorm) or ("norm" in type(module).__name__.lower() and not list(module.children()))


def _is_batchnorm(module: nn.Module) -> bool:
    return isinstance(module, nn.modules.batchnorm._BatchNorm) or "batchnorm" in type(module).__name__.lower()


@dataclass(frozen=True)
class FreezePolicy:
    """What of a backbone stays as it was pretrained.

    Args:
        policy: "none", "backbone" (every stage), "stages" (the first ``stages`` ones, stem included) or "norms".
        stages: How many leading stages, with policy "stages".
        batchnorm: "frozen" keeps the statistics and affine values of every BatchNorm layer of the backbone; "train" lets them move.
    """

    policy: Literal["none", "backbone", "stages", "norms"] = "none"
    stages: int = 0
    batchnorm: Literal["train", "frozen"] = "train"

    def frozen_stages(self, backbone: Backbone) -> int:
        """How many leading stages are frozen; raises UsageError when the backbone has fewer."""
        count = len(backbone.stages())
        if self.policy == "stages" and not 0 <= self.stages <= count:
            raise UsageError(f"freeze.stages is {self.stages}, but the backbone has {count} stages: give 0 to {count}")
        return {"backbone": count, "stages": self.stages}.get(self.policy, 0)

    def apply(self, backbone: Backbone) -> None:
        """Put the policy into force; what an earlier one froze and this one does not is thawed. Call it again after a change."""
        frozen = self.frozen_stages(backbone)
        stages = list(backbone.stages())
        loose = [part for part in backbone.modules() if next(part.parameters(), None) is None] if isinstance(backbone, nn.Module) else []
        for part in (*stages, *loose):
            _thaw_module(part)
            part.train(getattr(backbone, "training", True))
        if frozen == len(stages):  # dropout between the stages belongs to none of them
            for part in loose:
                _freeze_module(part)
        for index, stage in enumerate(stages):
            if index < frozen:
                _freeze_module(stage)
                continue
            for part in stage.modules():
                if (self.policy == "norms" and is_norm(part)) or (self.batchnorm == "frozen" and _is_batchnorm(part)):
                    _freeze_module(part)
        if hasattr(backbone, "frozen_stages"):
            backbone.frozen_stages = frozen  # the backbone runs these without building a graph

    def describe(self, backbone: Backbone) -> list[str]:
        """Lines for the user: each stage, frozen or training, with parameter counts."""
        frozen = self.frozen_stages(backbone)
        lines = []
        for index, stage in enumerate(backbone.stages()):
            total, trainable = count_parameters([stage])
            state = "frozen" if index < frozen else "training" if trainable == total else "training, norms frozen"
            lines.append(f"stage {index}: {state}, {trainable:,} of {total:,} parameters train")
        return lines


def count_parameters(modules: Iterable[nn.Module]) -> tuple[int, int]:
    """Parameters of some modules: (all, trainable), each counted once."""
    found = {id(p): p for module in modules for p in module.parameters()}.values()
    return sum(p.numel() for p in found), sum(p.numel() for p in found if p.requires_grad)


def parameter_groups(
    backbone: Backbone,
    new_modules: Sequence[nn.Module],
    *,
    lr: float,
    backbone_lr_scale: float = 1.0,
    layer_decay: float = 1.0,
    weight_decay: float = 0.0,
) -> list[dict[str, Any]]:
    """Optimiser groups by stage: every parameter is in one, also a frozen one, which gets no gradient and so no step.

    Args:
        backbone: Whose stages get the backbone rate, stem first.
        new_modules: Pyramid and head; they get ``lr``.
        lr: Rate of the new modules.
        backbone_lr_scale: Rate of the top stage as a share of ``lr``.
        layer_decay: Each stage further down gets its rate multiplied by this.
        weight_decay: Not applied to parameters of one dimension (norms, biases).

    Returns:
        Groups with "name", "params", "lr" and "weight_decay".
    """
    stages = list(backbone.stages())
    parts: list[tuple[str, Sequence[nn.Module], float]] = [
        (f"backbone.{index}", [stage], lr * backbone_lr_scale * layer_decay ** (len(stages) - 1 - index)) for index, stage in enumerate(stages)
    ]
    parts.append(("new", new_modules, lr))
    groups: list[dict[str, Any]] = []
    seen: set[int] = set()
    for name, modules, rate in parts:
        fresh = {id(p): p for module in modules for p in module.parameters() if id(p) not in seen}
        seen.update(fresh)
        decayed = [p for p in fresh.values() if p.ndim > 1]
        plain = [p for p in fresh.values() if p.ndim <= 1]
        groups += [{"name": n, "params": ps, "lr": rate, "weight_decay": wd} for n, ps, wd in ((name, decayed, weight_decay), (f"{name}.plain", plain, 0.0)) if ps]
    return groups
