"""Pretrained feature extractors with one contract. Names are looked up on first use, so that importing this package needs no torch."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from backbones.errors import DataError, FinetuneError, UsageError
    from backbones.registry import create_backbone, list_backbones
    from backbones.testing import check_backbone
    from backbones.types import Backbone, FeatureSpec, ImageStats, SizeRule

__all__ = [
    "Backbone",
    "DataError",
    "FeatureSpec",
    "FinetuneError",
    "ImageStats",
    "SizeRule",
    "UsageError",
    "check_backbone",
    "create_backbone",
    "list_backbones",
]

_HOMES = {
    "backbones.errors": ("DataError", "FinetuneError", "UsageError"),
    "backbones.types": ("Backbone", "FeatureSpec", "ImageStats", "SizeRule"),
    "backbones.registry": ("create_backbone", "list_backbones"),
    "backbones.testing": ("check_backbone",),
}


def __getattr__(name: str) -> Any:
    for module, names in _HOMES.items():
        if name in names:
            return getattr(importlib.import_module(module), name)
    raise AttributeError(f"module 'backbones' has no attribute {name!r}")
