"""What decoders in C only say on stderr: OpenCV decodes a JPEG with a hole in it, and just prints that data are missing."""

from __future__ import annotations

import io
import os
import re
import sys
import tempfile
from types import TracebackType
from typing import IO, Any

_LOST = re.compile(r"premature end|bad Huffman|found marker|Inconsistent progression", re.IGNORECASE)
_ODD = re.compile(r"extraneous bytes", re.IGNORECASE)


class DecoderMessages:
    """While it is open, what is written to the process's stderr file goes to a hidden one, and Python's own stderr stays what it was."""

    def __init__(self) -> None:
        self._saved: int | None = None
        self._python: IO[str] | None = None
        self._replaced: Any = None
        self._hidden: Any = None

    def __enter__(self) -> DecoderMessages:
        try:
            saved = os.dup(2)
        except OSError:  # a process without stderr
            return self
        sys.stderr.flush()
        self._saved, self._hidden = saved, tempfile.TemporaryFile()
        if _descriptor(sys.stderr) == 2:
            self._replaced, self._python = sys.stderr, os.fdopen(os.dup(saved), "w", buffering=1, encoding="utf-8", errors="replace")
            sys.stderr = self._python
        os.dup2(self._hidden.fileno(), 2)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._saved is None:
            return
        os.dup2(self._saved, 2)
        os.close(self._saved)
        self._hidden.close()
        if self._python is not None:
            sys.stderr = self._replaced
            self._python.close()

    def take(self) -> list[str]:
        """The lines that came since the last call."""
        if self._hidden is None:
            return []
        end = self._hidden.seek(0, os.SEEK_END)
        if not end:
            return []
        self._hidden.seek(0)
        text = self._hidden.read().decode("utf-8", "replace")
        self._hidden.truncate(0)
        self._hidden.seek(0)
        return [line.strip() for line in text.splitlines() if line.strip()]


def lost_data(lines: list[str]) -> str:
    """The first message that says that a part of a picture is lost, or ""."""
    return next((line for line in lines if _LOST.search(line)), "")


def odd_bytes(lines: list[str]) -> str:
    """The first message about bytes that do not belong to the picture, or ""."""
    return next((line for line in lines if _ODD.search(line)), "")


def _descriptor(stream: Any) -> int | None:
    try:
        return int(stream.fileno())
    except (AttributeError, ValueError, io.UnsupportedOperation):
        return None
