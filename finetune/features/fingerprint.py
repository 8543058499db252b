"""What features depend on, as one short text: other weights, pictures, views or types make other features."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
import torch

from backbones.types import Backbone
from finetune.config import DataConfig

_SCHEMA = 1
_PACKAGES = ("finetune-light", "torch", "albumentations", "opencv-python-headless", "Pillow", "numpy")  # they decide what a view looks like


def features_fingerprint(backbone: Backbone, stages: int, read: Sequence[int] | None, data: DataConfig, preprocess: dict[str, Any], annotations: str, paths: Sequence[Path], how: Sequence[str]) -> str:
    """A hash of everything that features depend on.

    Args:
        backbone: Only its leading stages count.
        stages: How many.
        read: Maps that are kept.
        data: Augmentation, views, input size.
        preprocess: How pictures become inputs.
        annotations: Fingerprint of the training split: views look at the boxes.
        paths: Pictures, in order; their sizes and times of change are looked at.
        how: Precision and type.
    """
    digest = hashlib.sha256()
    facts = (
        _SCHEMA, [(name, _version(name)) for name in _PACKAGES], stages, read, str(backbone.specs), str(backbone.image_stats), type(backbone).__name__, list(how),
        (data.augment, data.views, list(data.input_size), data.channels), preprocess, annotations, len(paths),
    )  # fmt: skip
    digest.update(json.dumps(facts, sort_keys=True).encode())
    for path in paths:
        stat = path.stat()
        digest.update(f"{path.name} {stat.st_size} {stat.st_mtime_ns}\n".encode("utf-8", "surrogateescape"))
    for stage in backbone.stages()[:stages]:
        digest.update(repr(stage).encode())
        for name, value in stage.state_dict().items():
            digest.update(f"{name} {value.dtype} {tuple(value.shape)}".encode())
            digest.update(np.ascontiguousarray(value.detach().cpu().flatten().contiguous().view(torch.uint8).numpy() if value.numel() else ()).tobytes())
    return digest.hexdigest()[:24]


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return ""
