"""The one place that prints for people: to stdout, or to stderr while stdout belongs to ``--json -``."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from rich.console import Console

_console = Console(highlight=False, soft_wrap=True)


def console() -> Console:
    """The console of this process; ask for it at each use, because ``use_stderr`` replaces it."""
    return _console


def use_stderr(stderr: bool) -> None:
    """Send everything for people to stderr (``--json -``) or back to stdout."""
    global _console
    _console = Console(stderr=stderr, highlight=False, soft_wrap=True)


def write_json(target: str | None, value: dict[str, Any]) -> None:
    """Write ``value`` to the file ``target``, to stdout for "-", nowhere for None."""
    if target is None:
        return
    text = json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    if target == "-":
        sys.stdout.write(text)
        sys.stdout.flush()
    else:
        Path(target).write_text(text, encoding="utf-8")
