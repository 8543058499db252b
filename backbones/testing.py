"""The contract of a backbone as a check that plug-in authors can run in their own tests."""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from backbones.errors import FinetuneError, UsageError
from backbones.types import FeatureSpec, ImageStats, SizeRule


class BackboneContractError(FinetuneError, AssertionError):
    """A backbone breaks the contract; the message says which rule and how."""


def check_attributes(backbone: object, name: str) -> None:
    """Check what can be seen without running it.

    Raises:
        UsageError: Something is missing or of the wrong kind.
    """
    if not isinstance(backbone, nn.Module):
        raise UsageError(f"backbone {name}: a torch.nn.Module is wanted, the factory returned {type(backbone).__name__}")
    wanted = {"specs": "a tuple of FeatureSpec", "image_stats": "an ImageStats", "size_rule": "a SizeRule", "stages": "a method that returns the pretrained parts, stem first"}
    missing = [f"{key} ({what})" for key, what in wanted.items() if not hasattr(backbone, key)]
    if missing:
        raise UsageError(f"backbone {name}: {type(backbone).__name__} has no {' and no '.join(missing)}; see backbones.types.Backbone")
    specs = tuple(backbone.specs) if isinstance(backbone.specs, tuple | list) else ()
    if not specs or not all(isinstance(spec, FeatureSpec) for spec in specs):
        raise UsageError(f"backbone {name}: specs must be a tuple of at least one FeatureSpec, not {backbone.specs!r}")
    if not isinstance(backbone.image_stats, ImageStats) or not isinstance(backbone.size_rule, SizeRule) or not callable(backbone.stages):
        raise UsageError(f"backbone {name}: image_stats must be an ImageStats, size_rule a SizeRule and stages a method; see backbones.types.Backbone")


def check_backbone(backbone: nn.Module, *, in_channels: int = 3, sizes: Sequence[tuple[int, int]] = ((96, 128), (97, 131)), seed: int = 0) -> None:
    """Check that a backbone meets the whole contract of ``backbones.types.Backbone``; it is left as it was.

    Args:
        backbone: A backbone with any weights.
        in_channels: Channels of the images that it takes.
        sizes: (height, width) in pixels to try; they are made to fit its size rule.
        seed: Seed of the random images.

    Raises:
        UsageError: An attribute is missing.
        BackboneContractError: A rule is broken; the message names it.
    """
    check_attributes(backbone, type(backbone).__name__)
    checked: Any = copy.deepcopy(backbone)
    generator = torch.Generator().manual_seed(seed)
    _check_specs(checked.specs)
    fitting = list(dict.fromkeys(_fitting(size, checked.size_rule) for size in sizes))
    for size in fitting:
        _check_maps(checked, torch.randn(2, in_channels, *size, generator=generator))
    images = torch.randn(2, in_channels, *fitting[0], generator=generator)
    _check_stages(checked)
    _check_batch(checked, images)
    _check_gradients(checked, images)
    _check_state(checked, backbone, images)


def _require(holds: bool, rule: str) -> None:
    if not holds:
        raise BackboneContractError(f"backbone contract: {rule}")


def _fitting(size: tuple[int, int], rule: SizeRule) -> tuple[int, int]:
    if rule.fixed is not None:
        return rule.fixed
    height, width = (max(1, round(side / rule.multiple)) * rule.multiple for side in size)
    return height, width


def _check_specs(specs: Sequence[FeatureSpec]) -> None:
    names, strides = [spec.name for spec in specs], [spec.stride for spec in specs]
    _require(len(set(names)) == len(names), f"names of specs must be unique, not {names}")
    _require(strides == sorted(strides), f"specs must stand finest first, not with strides {strides}")
    _require(all(spec.channels > 0 and spec.stride > 0 for spec in specs), f"channels and strides must be positive: {specs}")


def _check_maps(backbone: Any, images: Tensor) -> None:
    backbone.eval()
    with torch.no_grad():
        maps = backbone(images)
    _require(isinstance(maps, list), f"forward must return a list of tensors, not {type(maps).__name__}")
    _require(len(maps) == len(backbone.specs), f"forward gives {len(maps)} maps for {len(backbone.specs)} specs")
    height, width = images.shape[-2:]
    for spec, grid in zip(backbone.specs, maps, strict=True):
        where = f"{spec.name} of a {height}x{width} image"
        _require(grid.ndim == 4 and grid.shape[:2] == (len(images), spec.channels), f"{where} must be [B, {spec.channels}, h, w] (NCHW), not {list(grid.shape)}")
        wanted = (math.ceil(height / spec.stride), math.ceil(width / spec.stride))
        _require(abs(grid.shape[2] - wanted[0]) <= 1 and abs(grid.shape[3] - wanted[1]) <= 1, f"{where} at stride {spec.stride} must have {wanted} cells give or take one, not {tuple(grid.shape[2:])}")
        _require(grid.dtype == torch.float32, f"{where} must be float32, not {grid.dtype}")
        _require(bool(torch.isfinite(grid).all()), f"{where} has values that are not finite")


def _check_stages(backbone: Any) -> None:
    """Every parameter and buffer in exactly one stage. New layers of a backbone are not forbidden, but the provided ones have none."""
    stages = backbone.stages()
    _require(len(stages) > 0 and all(isinstance(stage, nn.Module) for stage in stages), "stages() must return at least one nn.Module")
    held: dict[int, int] = {}
    for index, stage in enumerate(stages):
        for value in {id(value): value for value in [*stage.parameters(), *stage.buffers()]}.values():
            _require(id(value) not in held, f"stages {held.get(id(value))} and {index} share a parameter or buffer")
            held[id(value)] = index
    loose = [name for name, value in [*backbone.named_parameters(), *backbone.named_buffers()] if id(value) not in held]
    _require(not loose, f"stages() must hold every parameter and buffer, these are in none: {', '.join(loose[:5])}")


def _check_batch(backbone: Any, images: Tensor) -> None:
    backbone.eval()
    with torch.no_grad():
        together, alone = backbone(images), backbone(images[:1])
    for spec, both, one in zip(backbone.specs, together, alone, strict=True):
        scale = both.abs().max().clamp(min=1e-6)
        _require(bool(((both[:1] - one).abs().max() / scale) < 1e-3), f"{spec.name}: an image alone must give what it gives in a batch, in eval mode")


def _check_gradients(backbone: Any, images: Tensor) -> None:
    backbone.train()
    for parameter in backbone.parameters():
        parameter.requires_grad_(True)
    backbone.zero_grad()
    sum(grid.float().mean() for grid in backbone(images)).backward()
    dead = [name for name, parameter in backbone.named_parameters() if parameter.grad is None]
    _require(not dead, f"every parameter must get a gradient (others cost memory and break DDP); none for {', '.join(dead[:5])}")
    broken = [name for name, parameter in backbone.named_parameters() if parameter.grad is not None and not bool(torch.isfinite(parameter.grad).all())]
    _require(not broken, f"gradients must be finite, not so for {', '.join(broken[:5])}")
    backbone.zero_grad()


def _check_state(backbone: Any, original: nn.Module, images: Tensor) -> None:
    other = copy.deepcopy(original)
    with torch.no_grad():
        for parameter in other.parameters():
            parameter.zero_()
    other.load_state_dict(backbone.state_dict())
    backbone.eval()
    other.eval()
    with torch.no_grad():
        same = all(torch.equal(mine, theirs) for mine, theirs in zip(backbone(images), other(images), strict=True))
    _require(same, "a state dict loaded into a copy must give the same maps bit for bit")
