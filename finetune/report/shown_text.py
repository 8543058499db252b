"""Text that may leave the machine: paths are cut to their last name, numbers are written for people."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

_PATH = re.compile(r"(?:(?<![\w.:/])(?:~|[A-Za-z]:)?[/\\]+|\\\\)(?:[^\s/\\'\",;:()]+[/\\]+)+")
_ADDRESS = re.compile(r"\b[a-z][a-z0-9+.-]*://[^\s/'\",;]+")


def without_paths(value: Any) -> Any:
    """JSON values with absolute paths cut to their last name, and hosts of addresses left out."""
    if isinstance(value, str):
        return _PATH.sub("", _ADDRESS.sub("(address)", value))
    if isinstance(value, Mapping):
        return {without_paths(key) if isinstance(key, str) else key: without_paths(item) for key, item in value.items()}
    return [without_paths(item) for item in value] if isinstance(value, list | tuple) else value


def say_share(share: float) -> str:
    """A share of draws, which are too few to call anything certain."""
    return "more than 99%" if share > 0.995 else "less than 1%" if share < 0.005 else f"{share:.0%}"


def say_bytes(value: float | None) -> str:
    """Mebibytes or gibibytes."""
    if value is None:
        return ""
    return f"{value / 2**30:.2f} GiB" if value >= 2**30 else f"{value / 2**20:.0f} MiB"


def say_seconds(value: float | None) -> str:
    """Seconds, minutes or hours."""
    if value is None:
        return ""
    return f"{value:.0f} s" if value < 100 else f"{value / 60:.0f} min" if value < 6000 else f"{value / 3600:.1f} h"


def say_millions(value: float | None, scale: float, unit: str) -> str:
    """Parameters or MACs."""
    return "" if value is None else f"{value / scale:.3g}{unit}"
