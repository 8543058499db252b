"""The one place that prints for people: to stdout, or to stderr while stdout belongs to ``--json -``."""

from __future__ import annotations

import json
import logging
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


class _ConsoleHandler(logging.Handler):
    """Prints what a package logs as lines for people."""

    def emit(self, record: logging.LogRecord) -> None:
        """Print one message."""
        console().print(record.getMessage(), markup=False)


def show_log(name: str) -> None:
    """From now on print what the logger ``name`` says, from INFO on; once is enough."""
    logger = logging.getLogger(name)
    if not any(isinstance(handler, _ConsoleHandler) for handler in logger.handlers):
        logger.addHandler(_ConsoleHandler())
        logger.setLevel(logging.INFO)


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
