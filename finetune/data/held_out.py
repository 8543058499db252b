"""Pictures that must not teach, known by their path and by their content."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

from finetune.data.file_listing import real_paths


class HeldOut:
    """Pictures of validation and test splits; ``path in held_out`` is true for each of them, by whatever path it is named, and for copies.

    Args:
        paths: The pictures.
    """

    def __init__(self, paths: Sequence[Path]) -> None:
        self._paths = {*real_paths(paths)}
        self._by_size: dict[int, list[Path]] = {}
        self._digests: dict[Path, bytes] = {}
        for path in paths:
            if path.is_file():
                self._by_size.setdefault(path.stat().st_size, []).append(path)

    def __contains__(self, path: Path) -> bool:
        if real_paths([path])[0] in self._paths:
            return True
        alike = self._by_size.get(path.stat().st_size, ()) if path.is_file() else ()
        return any(self._digest(other) == self._digest(path) for other in alike)

    def _digest(self, path: Path) -> bytes:
        if path not in self._digests:
            self._digests[path] = hashlib.sha256(path.read_bytes()).digest()
        return self._digests[path]
