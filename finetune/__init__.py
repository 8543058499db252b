"""Fine-tune light object detectors. The names below are the Python API; each is imported on first use, so that this package needs no torch."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from backbones import create_backbone
    from detectors.registry import create_detector
    from finetune.config import RunConfig
    from finetune.datamodule import DetectionDataModule
    from finetune.evaluation import create_evaluator
    from finetune.load import load_run
    from finetune.task import DetectionTask
    from finetune.training import fit

__all__ = ["DetectionDataModule", "DetectionTask", "RunConfig", "create_backbone", "create_detector", "create_evaluator", "fit", "load_run"]

_HOMES = {
    "DetectionDataModule": "finetune.datamodule",
    "DetectionTask": "finetune.task",
    "RunConfig": "finetune.config",
    "create_backbone": "backbones",
    "create_detector": "detectors.registry",
    "create_evaluator": "finetune.evaluation",
    "fit": "finetune.training",
    "load_run": "finetune.load",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'finetune' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
