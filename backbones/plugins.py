"""Backbones that other packages bring, by the entry-point group ``finetune.backbones``. No torch here."""

from __future__ import annotations

import logging
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from backbones.errors import UsageError

GROUP = "finetune.backbones"
logger = logging.getLogger("backbones")


def plugin_points() -> dict[str, EntryPoint]:
    """Entry points by name, sorted; nothing is imported."""
    return {point.name: point for point in sorted(entry_points(group=GROUP), key=lambda point: point.name)}


def load_plugin(name: str) -> Any:
    """Import the factory of one plug-in.

    Raises:
        UsageError: Its package cannot be imported.
    """
    point = plugin_points()[name]
    try:
        return point.load()
    except Exception as error:
        owner = point.dist.name if point.dist else point.value
        raise UsageError(f"backbone plug-in {name} of {owner} is broken: {point.value} cannot be imported ({type(error).__name__}: {error}); repair or uninstall {owner}") from error


def working_plugins() -> dict[str, EntryPoint]:
    """Plug-ins that can be imported; each broken one is named in a warning and left out."""
    working: dict[str, EntryPoint] = {}
    for name, point in plugin_points().items():
        try:
            load_plugin(name)
        except UsageError as error:
            logger.warning("%s", error)
        else:
            working[name] = point
    return working
