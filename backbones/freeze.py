"""Freeze policies: frozen means no gradient, no optimiser step, no weight decay, and norms that stay in eval mode."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

from torch import nn

from backbones.errors import UsageError
from backbones.thaw import even_shares, first_epoch, thaw_faults
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


def copy_mode(source: nn.Module, target: nn.Module) -> None:
    """Give ``target`` the mode of ``source``: training or eval, and whether ``.train()`` changes it."""
    target.training = source.training
    target.__dict__.pop("train", None)
    if "train" in source.__dict__:
        target.__dict__["train"] = partial(_stay_in_eval, target)


def is_norm(module: nn.Module) -> bool:
    """Whether a module is a normalisation layer, of torch or by name (timm's and users' own)."""
    return isinstance(module, nn.modules.batchnorm._NormBase | nn.GroupNorm | nn.LayerNorm) or ("norm" in type(module).__name__.lower() and not list(module.children()))


def _is_batchnorm(module: nn.Module) -> bool:
    return isinstance(module, nn.modules.batchnorm._BatchNorm) or "batchnorm" in type(module).__name__.lower()


@dataclass(frozen=True)
class FreezePolicy:
    """What of a backbone stays as it was pretrained, as a pure function of the epoch: nothing has to be remembered to resume a run.

    Args:
        policy: "none", "backbone" (every stage), "stages" (the first ``stages`` ones, stem included), "norms", or "gradual":
            every stage at first, then they thaw from the top.
        stages: How many leading stages, with policy "stages"; with "gradual" how many are never thawed (one is always left to thaw).
        batchnorm: "frozen" keeps the statistics and affine values of every BatchNorm layer of the backbone, also in stages
            that have thawed; "train" lets them move with their stage.
        thaw: With "gradual": when the stages thaw, the top one first. A number below 1 is a share of the budget; a whole
            number from 1 on is an epoch, counted from 1 as in the log, and the stage trains from the start of that epoch on.
            Equal numbers thaw together; stages without a number stay frozen. Empty spreads all over the first half
            of the budget; in a run too short for that, some stay frozen.
        thaw_warmup: With "gradual": share of the budget in which the rate of a stage that has just thawed rises linearly.
    """

    policy: Literal["none", "backbone", "stages", "norms", "gradual"] = "none"
    stages: int = 0
    batchnorm: Literal["train", "frozen"] = "train"
    thaw: tuple[float, ...] = ()
    thaw_warmup: float = 0.0

    @property
    def changes(self) -> bool:
        """Whether what is frozen depends on the epoch."""
        return self.policy == "gradual"

    def starts(self, backbone: Backbone, epochs: int = 1) -> list[int | None]:
        """The epoch, counted from 0, from which each stage trains, stem first; None for one that stays frozen.

        Args:
            backbone: Whose stages.
            epochs: Epochs of the run; they matter only to "gradual".

        Raises:
            UsageError: The backbone has fewer stages than the policy speaks of.
        """
        count = len(backbone.stages())
        if self.policy == "stages" and not 0 <= self.stages <= count:
            raise UsageError(f"freeze.stages is {self.stages}, but the backbone has {count} stages: give 0 to {count}")
        if not self.changes:
            leading = {"backbone": count, "stages": self.stages}.get(self.policy, 0)
            return [None] * leading + [0] * (count - leading)
        kept = max(0, min(self.stages, count - 1))
        if len(self.thaw) > count - kept:
            raise UsageError(f"freeze.thaw has {len(self.thaw)} numbers, but the backbone has {count} stages, of which freeze.stages keeps {kept} frozen: give at most {count - kept}")
        thawed = [first_epoch(number, epochs) for number in self.thaw or even_shares(count - kept)]
        return [None] * (count - len(thawed)) + thawed[::-1]

    def check(self, backbone: Backbone, epochs: int) -> None:
        """Raise UsageError when the policy does not fit the backbone or a run of so many epochs."""
        self.starts(backbone, epochs)
        if self.changes and (faults := thaw_faults(self.thaw, epochs)):
            raise UsageError(f"freeze.policy gradual: {'; '.join(faults)}; change freeze.thaw or the number of epochs")

    def frozen_stages(self, backbone: Backbone, epoch: int = 0, epochs: int = 1) -> int:
        """How many leading stages are frozen in an epoch (counted from 0); raises UsageError when the backbone has fewer."""
        return sum(start is None or start > epoch for start in self.starts(backbone, epochs))

    def apply(self, backbone: Backbone, epoch: int = 0, epochs: int = 1) -> None:
        """Put the policy into force; what an earlier one froze and this one does not is thawed. Call it again after a change.

        Args:
            backbone: Is changed in place.
            epoch: The epoch, counted from 0; it matters only to "gradual".
            epochs: Epochs of the run. In the first epoch "gradual" does not depend on them.
        """
        frozen = self.frozen_stages(backbone, epoch, epochs)
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

    def describe(self, backbone: Backbone, epoch: int = 0, epochs: int = 1) -> list[str]:
        """Lines for the user: each stage, frozen or training in an epoch, with parameter counts; the policy is in force."""
        frozen = self.frozen_stages(backbone, epoch, epochs)
        lines = []
        for index, (stage, parts) in enumerate(zip(backbone.stages(), stage_parts(backbone), strict=True)):
            total, trainable = count_parameters([stage])
            state = "frozen" if index < frozen else "training" if trainable == total else "training, norms frozen"
            lines.append(f"stage {index} ({parts}): {state}, {trainable:,} of {total:,} parameters train")
        return lines


def stage_parts(backbone: Backbone) -> list[str]:
    """What each stage is made of, as its network calls it: "conv_stem, bn1", "blocks.3", "features.4 to features.8"."""
    paths = {id(module): path for path, module in backbone.named_modules()} if isinstance(backbone, nn.Module) else {}
    named = []
    for stage in backbone.stages():
        inside = [stage] if id(stage) in paths and type(stage) is not nn.Sequential else list(stage.children())
        parts = [_short_name(paths[id(part)]) for part in inside if id(part) in paths]
        named.append(f"{parts[0]} to {parts[-1]}" if len(parts) > 2 else ", ".join(parts) or type(stage).__name__)
    return named


def _short_name(path: str) -> str:
    """The last word of a module's path; a number keeps the word before it."""
    words = path.split(".")
    return ".".join(words[-2:] if words[-1].isdigit() else words[-1:])


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
        Groups with "name", "stage" (None for the new modules), "params", "lr" and "weight_decay".
    """
    stages = list(backbone.stages())
    parts: list[tuple[str, int | None, Sequence[nn.Module], float]] = [
        (f"backbone.{index}", index, [stage], lr * backbone_lr_scale * layer_decay ** (len(stages) - 1 - index)) for index, stage in enumerate(stages)
    ]
    parts.append(("new", None, new_modules, lr))
    groups: list[dict[str, Any]] = []
    seen: set[int] = set()
    for name, stage_index, modules, rate in parts:
        fresh = {id(p): p for module in modules for p in module.parameters() if id(p) not in seen}
        seen.update(fresh)
        decayed = [p for p in fresh.values() if p.ndim > 1]
        plain = [p for p in fresh.values() if p.ndim <= 1]
        named = ((name, decayed, weight_decay), (f"{name}.plain", plain, 0.0))
        groups += [{"name": key, "stage": stage_index, "params": held, "lr": rate, "weight_decay": decay} for key, held, decay in named if held]
    return groups
