"""What a run says before it trains: data, classes, model, what is frozen, and the plan."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from backbones.freeze import count_parameters
from detectors.registry import TEXT_DETECTORS
from detectors.types import Detections
from finetune.config import RunConfig

_CLASSES_A_LINE = 8


def class_lines(class_map: Sequence[str]) -> list[str]:
    """The class map, some classes a line."""
    starts = range(0, len(class_map), _CLASSES_A_LINE)
    return [("classes: " if start == 0 else "         ") + ", ".join(class_map[start : start + _CLASSES_A_LINE]) for start in starts]


def model_lines(detector: Any, config: RunConfig) -> list[str]:
    """Parameters, strides and anchors per image."""
    total, trainable = count_parameters([detector])
    height, width = config.data.input_size
    specs = getattr(getattr(detector, "pyramid", detector.backbone), "specs", detector.backbone.specs)
    strides = ", ".join(str(spec.stride) for spec in specs)
    later = " at first" if config.freeze.policy == "gradual" and trainable < total else ""
    return [
        f"model: {_network(detector, config)}, {total / 1e6:.2f} M parameters, {trainable / 1e6:.2f} M of them train{later}; "
        f"input {height}x{width}, {'maps at stride' if config.detector.name in TEXT_DETECTORS else 'strides'} {strides}"
        + ("" if config.detector.name in TEXT_DETECTORS else f", {count_anchors(detector, config):,} anchors per image")
    ]


def _network(detector: Any, config: RunConfig) -> str:
    if config.detector.name == "craft":
        return "craft with its own trunk"
    return f"{config.detector.name} on {config.backbone.name}" + ("" if config.detector.name in TEXT_DETECTORS else f" ({config.pyramid.kind} pyramid)")


def freeze_lines(task: Any, epochs: int) -> list[str]:
    """The freeze policy of a task and what it does to each stage; with gradual unfreezing what thaws when.

    Raises:
        UsageError: The policy does not fit the backbone or a run of so many epochs.
    """
    policy, detector = task.policy, task.detector
    norms = f"BatchNorm of the backbone {'frozen' if policy.batchnorm == 'frozen' else 'trains'}"
    if policy.changes:
        return [f"freeze: gradual over {epochs} epochs, {norms}{' with its stage' if policy.batchnorm == 'train' else ''}", *(f"  {line}" for line in task.timeline(epochs))]
    name = f"stages: {policy.stages}" if policy.policy == "stages" else policy.policy
    fresh, _ = count_parameters(detector.new_modules())
    return [
        f"freeze: {name}, {norms}",
        *(f"  {line}" for line in policy.describe(detector.backbone)),
        f"  pyramid and head: training, {fresh:,} parameters",
    ]


def plan_line(config: RunConfig, images: int, steps: int, processes: int, precision: str, device: str) -> str:
    """The budget."""
    train = config.train
    shared = f" x {processes} processes" if processes > 1 else ""
    accumulated = f" x {train.accumulate} accumulated" if train.accumulate > 1 else ""
    return (
        f"plan: {train.epochs} epoch{'s' * (train.epochs != 1)} of {images:,} images = {train.epochs * images:,} images "
        f"in {train.epochs * steps:,} steps of {config.data.batch_size}{shared}{accumulated}; "
        f"{train.optimizer}, lr {train.lr:g}, {train.schedule}, precision {precision}, on {device}"
    )


def count_anchors(detector: Any, config: RunConfig) -> int:
    """Predictions per image, as an empty picture shows them."""
    first = next(iter(probe(detector, config)))
    return int(first.shape[1])


@torch.no_grad()
def probe(detector: Any, config: RunConfig) -> Any:
    """Raw outputs of one empty picture; the detector is left as it was."""
    modes = [(module, module.training) for module in detector.modules()]
    device = next(detector.parameters()).device
    try:
        return detector.eval()(torch.zeros(1, config.data.channels, *config.data.input_size, device=device))
    finally:
        for module, mode in modes:
            module.training = mode


def level_lines(detector: Any, config: RunConfig) -> list[str]:
    """The map of every level of backbone and pyramid, as an empty picture shows them."""
    seen: dict[str, list[tuple[int, ...]]] = {}
    hooks = [
        module.register_forward_hook(lambda _module, _inputs, maps, name=name: seen.update({name: [tuple(m.shape[1:]) for m in maps]}))
        for name, module in (("backbone", detector.backbone), ("pyramid", getattr(detector, "pyramid", None)))
        if module is not None
    ]
    try:
        outputs = probe(detector, config)
    finally:
        for hook in hooks:
            hook.remove()
    lines = []
    for name, module in (("backbone", detector.backbone), ("pyramid", getattr(detector, "pyramid", None))):
        for spec, (channels, height, width) in zip(getattr(module, "specs", ()), seen.get(name, ()), strict=False):
            lines.append(f"{name} {spec.name}: {channels} x {height} x {width}, stride {spec.stride}")
    fields = getattr(outputs, "_fields", range(len(outputs)))
    lines += [f"output {field}: {' x '.join(map(str, tensor.shape))}" for field, tensor in zip(fields, outputs, strict=True) if isinstance(tensor, torch.Tensor)]
    return lines


def found_line(detections: Sequence[Detections]) -> str:
    """What a decoded batch holds."""
    counts = [len(found.scores) for found in detections]
    return f"decoded {len(counts)} images: {sum(counts)} detections, {max(counts, default=0)} at most in one"
