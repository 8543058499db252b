"""Pictures that must not teach, known by their path and by their content."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

from finetune.data.file_listing import real_paths


class HeldOut:
    """Pictures of validation and test splits, by whatever path they are named, and copies of them.

    Args:
        paths: The pictures.
    """

    def __init__(self, paths: Sequence[Path]) -> None:
        self._paths = {*real_paths(paths)}
        self._by_size: dict[int, list[Path]] = {}
        self._digests: dict[Path, bytes] = {}
        for path in paths:
            self._by_size.setdefault(_size(path), []).append(path)
        self._by_size.pop(-1, None)

    def allow(self, paths: Sequence[Path]) -> list[bool]:
        """Which pictures may teach. Contents are compared only where sizes are equal."""
        return [real not in self._paths and not self._is_copy(path) for path, real in zip(paths, real_paths(paths), strict=True)]

    def _is_copy(self, path: Path) -> bool:
        return any(self._digest(other) == self._digest(path) for other in self._by_size.get(_size(path), ()))

    def _digest(self, path: Path) -> bytes:
        if path not in self._digests:
            self._digests[path] = hashlib.sha256(path.read_bytes()).digest()
        return self._digests[path]


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return -1
