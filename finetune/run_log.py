"""Lines for the user that a run also keeps in its log.txt."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from finetune.console import console


class RunLog:
    """Prints lines and keeps them; those said before there is a file are written when it comes.

    Args:
        quiet: Keep, do not print (processes other than the first).
    """

    def __init__(self, quiet: bool = False) -> None:
        self._quiet = quiet
        self._waiting: list[str] = []
        self._file: Path | None = None

    def say(self, *lines: str) -> None:
        """Print and keep lines."""
        for line in lines:
            if not self._quiet:
                console().print(line, markup=False)
        self._waiting += lines
        self._write()

    def keep_in(self, file: Path) -> None:
        """From now on append to ``file``, what was said so far first."""
        self._file = file
        self._write()

    def _write(self) -> None:
        if self._file is None or not self._waiting:
            return
        with suppress(OSError), self._file.open("a", encoding="utf-8") as stream:  # a full disk is told by what matters more than the log
            stream.write("".join(f"{line}\n" for line in self._waiting))
        self._waiting = []
