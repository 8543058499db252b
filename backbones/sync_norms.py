"""BatchNorm layers whose statistics are those of all processes, put in place of the usual ones and taken out again."""

from __future__ import annotations

from dataclasses import dataclass

from timm.layers.norm_act import BatchNormAct2d, SyncBatchNormAct
from torch import nn

from backbones.errors import UsageError
from backbones.freeze import copy_mode

_PLAIN = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)


@dataclass(frozen=True, eq=False)
class Replaced:
    """A layer that stands in the place of another."""

    parent: nn.Module
    name: str
    original: nn.Module
    stand_in: nn.Module


def share_norms(module: nn.Module) -> list[Replaced]:
    """Replace every BatchNorm layer below ``module`` by one that shares its statistics, over the same parameters and buffers.

    Args:
        module: Is changed in place. An activation inside a norm (timm's BatchNormAct2d) stays.

    Returns:
        What ``restore_norms`` needs.

    Raises:
        UsageError: A BatchNorm class of somebody's own, whose behaviour would be lost.
    """
    stand_ins: dict[int, nn.Module] = {}
    replaced = []
    for path, parent in list(module.named_modules(remove_duplicate=False)):
        for name, layer in parent.named_children():
            if isinstance(layer, nn.modules.batchnorm._BatchNorm) and not isinstance(layer, nn.SyncBatchNorm):
                if id(layer) not in stand_ins:
                    stand_ins[id(layer)] = _stand_in(layer, f"{path}.{name}")
                replaced.append(Replaced(parent, name, layer, stand_ins[id(layer)]))
    for item in replaced:
        item.parent.add_module(item.name, item.stand_in)
    return replaced


def restore_norms(replaced: list[Replaced]) -> None:
    """Put the layers of before back, with the parameters, buffers and mode of those that stood in for them."""
    for item in replaced:
        item.original._buffers.update(item.stand_in._buffers)  # moving to a device makes new buffers
        copy_mode(item.stand_in, item.original)
        item.parent.add_module(item.name, item.original)


def _stand_in(layer: nn.modules.batchnorm._BatchNorm, path: str) -> nn.Module:
    settings = (layer.num_features, layer.eps, layer.momentum, layer.affine, layer.track_running_stats)
    shared: nn.Module
    if type(layer) is BatchNormAct2d:
        shared = SyncBatchNormAct(*settings)
        shared.act, shared.drop = layer.act, layer.drop
    elif type(layer) in _PLAIN:
        shared = nn.SyncBatchNorm(*settings)
    else:
        raise UsageError(f"train.sync_batchnorm cannot share {path}, a {type(layer).__name__}: nobody says how it differs from BatchNorm; switch train.sync_batchnorm off")
    shared._parameters.update(layer._parameters)
    shared._buffers.update(layer._buffers)
    copy_mode(layer, shared)
    return shared
