"""Detector weights to start from, also when the classes differ."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Any

from torch import Tensor

from backbones.errors import UsageError
from backbones.types import ImageStats
from finetune.weights_file import load_weights

TORCHVISION_COCO = "torchvision-coco"
CRAFT_OFFICIAL = "craft_mlt_25k"


def load_start_weights(detector: Any, weights: str, class_names: Sequence[str], keep_classes: bool) -> list[str]:
    """Fill a detector with the weights of another run.

    Rows of the class layers are kept where all class names are the same; else they start anew, but for classes with the
    same name when ``keep_classes``. Everything else must fit.

    Args:
        detector: The new detector, of ``class_names``.
        weights: "torchvision-coco" or its .pth file, "craft_mlt_25k" (for the detector craft) or its .pth file, a run folder or a .safetensors file.
        class_names: Classes of the new data, in label order.
        keep_classes: Keep rows of classes with the same name.

    Returns:
        Lines for the user.

    Raises:
        UsageError: The weights belong to another network.
    """
    if _is_published_craft(weights, detector):
        from detectors.craft.weights import load_craft_weights

        load_craft_weights(detector, weights)
        return [f"weights: {weights}, as published"]
    state, old_names, stats = _read(weights, detector)
    detector.image_stats = stats
    own = detector.state_dict()
    rows = _class_rows(detector)
    differ = [name for name in own if name not in rows and (name not in state or state[name].shape != own[name].shape)]
    if differ or set(state) - set(own):
        example = (differ or sorted(set(state) - set(own)))[0]
        raise UsageError(f"{weights} holds the weights of another network ({example} differs): use its backbone, pyramid and ssdlite settings, or leave detector.weights out")
    merged = {name: tensor for name, tensor in state.items() if name not in rows}
    same = tuple(old_names) == tuple(class_names)
    kept = [name for name in class_names if name in old_names] if keep_classes else []
    for name, columns in rows.items():
        merged[name] = state[name] if same else _merge_rows(own[name], state[name], columns, old_names, class_names, kept)
    detector.load_state_dict(merged)
    line = f"weights: {weights} ({len(old_names)} classes)"
    if same:
        return [line]
    loud = f"head re-initialised: {len(old_names)} -> {len(class_names)} classes"
    return [line, loud + (f", rows of {len(kept)} classes with the same name kept: {', '.join(kept)}" if kept else "")]


def _is_published_craft(weights: str, detector: Any) -> bool:
    """Whether these are the weights of the published CRAFT, for its network."""
    from detectors.craft.trunk import VggTrunk

    fits = isinstance(detector.backbone, VggTrunk)
    if weights == CRAFT_OFFICIAL and not fits:
        raise UsageError(f"{CRAFT_OFFICIAL} are the weights of CRAFT with its own trunk: choose --detector craft, or leave detector.weights out")
    return fits and (weights == CRAFT_OFFICIAL or weights.endswith(".pth"))


def _read(weights: str, detector: Any) -> tuple[Mapping[str, Tensor], Sequence[str], ImageStats]:
    if weights != TORCHVISION_COCO and not weights.endswith(".pth"):
        state, info = load_weights(weights)
        return state, info.class_names, info.image_stats
    try:
        module = import_module("detectors.ssdlite.torchvision_weights")
    except ImportError as error:
        raise UsageError("detector.weights torchvision-coco is not available in this version: give a run folder or a .safetensors file") from error
    state, names, stats = module.load(detector, None if weights == TORCHVISION_COCO else weights)
    return state, names, stats


def _class_rows(detector: Any) -> dict[str, int]:
    """Names of the tensors whose rows are classes, with the columns of one anchor (background included)."""
    if not hasattr(detector.head, "class_layers"):  # one class only, as for text
        return {}
    layers = {id(layer): detector.head.class_columns for layer in detector.head.class_layers()}
    return {
        f"{name}.{part}": layers[id(module)]
        for name, module in detector.named_modules()
        if id(module) in layers
        for part, tensor in (("weight", module.weight), ("bias", module.bias))
        if tensor is not None
    }


def _merge_rows(new: Tensor, old: Tensor, columns: int, old_names: Sequence[str], new_names: Sequence[str], kept: Sequence[str]) -> Tensor:
    """Fresh rows, with the old ones of kept classes (and then of background) in their places; rows are anchor-major."""
    merged = new.clone()
    background = columns - len(new_names)
    by_anchor = merged.view(-1, columns, *new.shape[1:])
    old_columns = len(old_names) + background
    if old.shape[0] != by_anchor.shape[0] * old_columns:
        raise UsageError(f"the class layer of these weights has {old.shape[0]} rows, not {by_anchor.shape[0]} anchors x {old_columns}: they belong to another class loss or other anchors")
    old_by_anchor = old.to(new.dtype).view(-1, old_columns, *old.shape[1:])
    if kept and background:
        by_anchor[:, 0] = old_by_anchor[:, 0]
    for name in kept:
        by_anchor[:, background + list(new_names).index(name)] = old_by_anchor[:, background + list(old_names).index(name)]
    return merged
