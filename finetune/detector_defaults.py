"""Settings that a detector starts from: they lie below every file and flag, because text wants another recipe than boxes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from finetune.settings_file import merge_settings, read_settings

_SHIPPED = {"craft": "text/craftlite", "craftlite": "text/craftlite", "craftlite-tiny": "text/craftlite"}


def with_detector_defaults(tree: Mapping[str, Any]) -> dict[str, Any]:
    """Put settings over the shipped ones of the detector that they name.

    Args:
        tree: Nested settings as in YAML; without a detector's name they are those of SSD-lite, whose defaults are the dataclasses'.

    Returns:
        Nested settings; what ``tree`` says wins.
    """
    section = tree.get("detector")
    name = section.get("name") if isinstance(section, Mapping) else None
    if isinstance(name, list) and len(name) == 1:
        name = name[0]
    if not isinstance(name, str) or name not in _SHIPPED:
        return dict(tree)
    defaults, _ = read_settings(_SHIPPED[name])
    return merge_settings({**defaults, "detector": {**defaults["detector"], "name": name}}, dict(tree))
