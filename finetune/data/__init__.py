"""Annotated pictures: found on disk, read, checked, resized, augmented and batched. Names load on first use, because some need torch."""

from __future__ import annotations

from importlib import import_module
from typing import Any

_HOMES = {
    "BoxSplit": "types",
    "DataSplits": "splits",
    "load_splits": "splits",
    "load_annotations": "splits",
    "Preprocess": "preprocess",
    "to_original": "preprocess",
    "read_image": "images",
    "check_images": "images",
    "DetectionDataset": "dataset",
    "collate": "batch",
}
__all__ = sorted(_HOMES)


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
