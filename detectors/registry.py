"""Detectors by name. No torch is imported until one is created."""

from __future__ import annotations

import difflib
from importlib import import_module
from typing import TYPE_CHECKING, Any

from backbones.errors import UsageError

if TYPE_CHECKING:
    from backbones.types import Backbone

_BUILDERS = {
    "craft": "detectors.craft.build:build_craft",
    "craftlite": "detectors.craft.build:build_craftlite",
    "craftlite-tiny": "detectors.craft.build:build_craftlite_tiny",
    "ssdlite": "detectors.ssdlite.build:build_ssdlite",
}
DETECTOR_NAMES = tuple(sorted(_BUILDERS))
TEXT_DETECTORS = ("craft", "craftlite", "craftlite-tiny")  # they find words (TextTarget, TextDetections), all others boxes


def list_detectors() -> tuple[str, ...]:
    """Names that ``create_detector`` takes, sorted."""
    return DETECTOR_NAMES


def create_detector(name: str, backbone: Backbone | str | None = None, **settings: Any) -> Any:
    """Create a detector.

    Args:
        name: One of ``list_detectors()``.
        backbone: A backbone, or the name of one (with its ImageNet weights). None for "craft", which has its own.
        **settings: Arguments of the detector's builder, ``num_classes`` among them where there are classes.

    Returns:
        An nn.Module that meets the ``Detector`` contract.

    Raises:
        UsageError: An unknown name or setting.
    """
    if name not in _BUILDERS:
        near = difflib.get_close_matches(name, DETECTOR_NAMES, n=1)
        raise UsageError(f"no detector is called {name!r}" + (f"; did you mean {near[0]!r}?" if near else "") + f" There are: {', '.join(DETECTOR_NAMES)}")
    if isinstance(backbone, str):
        from backbones import create_backbone

        backbone = create_backbone(backbone)
    module, function = _BUILDERS[name].split(":")
    return getattr(import_module(module), function)(backbone, **settings)
