"""Many small strings in two flat arrays: forked workers share their pages instead of copying them one reference count at a time."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


class PackedStrings:
    """An immutable list of strings."""

    def __init__(self, values: Sequence[str]) -> None:
        encoded = [value.encode("utf-8", "surrogateescape") for value in values]
        self._offsets = np.cumsum([0, *map(len, encoded)], dtype=np.int64)
        self._bytes = np.frombuffer(b"".join(encoded), np.uint8)

    def __len__(self) -> int:
        return len(self._offsets) - 1

    def __getitem__(self, index: int) -> str:
        start, end = self._offsets[index], self._offsets[index + 1]
        return self._bytes[start:end].tobytes().decode("utf-8", "surrogateescape")
