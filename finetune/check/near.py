"""Pictures that are the same, and pictures that look almost alike."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from threading import Lock

import numpy as np
from numpy.typing import NDArray

NEAREST_BITS = 10  # of 63: recompressed, resized or brightened copies differ in 6 at most, different photographs in 14 or more
ALIKE = 0.9  # correlation of the small grey pictures
_ROWS, _COLUMNS = 64, 2048  # a block of the comparison fits the cache
_MOST_TESTED = 512  # pairs of a block that are compared by their pixels, nearest hashes first


def group_equal(keys: Sequence[bytes]) -> list[list[int]]:
    """Rows with the same key, groups of two and more; empty keys are equal to nothing."""
    groups: dict[bytes, list[int]] = {}
    for row, key in enumerate(keys):
        if key:
            groups.setdefault(key, []).append(row)
    return [rows for rows in groups.values() if len(rows) > 1]


def group_alike(hashes: NDArray[np.uint64], looks: NDArray[np.uint8], threads: int = 0, advance: Callable[[int], None] = lambda count: None) -> list[list[int]]:
    """Rows that look alike, groups of two and more; alike is passed on from neighbour to neighbour.

    Every pair of hashes is compared (a hundred thousand pictures: 5 billion, seconds of work); pairs within
    ``NEAREST_BITS`` are then compared by their small pictures, so that an accident of 63 bits is no finding.

    Args:
        hashes: [N] perceptual hashes.
        looks: [N, h, w] small grey pictures.
        threads: Blocks at once; 0 is one per core.
        advance: Told how many more rows are done.
    """
    groups = _Groups(len(hashes))
    flat = looks.reshape(len(looks), int(np.prod(looks.shape[1:])))

    def block(start: int) -> int:
        rows = hashes[start : start + _ROWS, None]
        bits, counts = np.empty((len(rows), _COLUMNS), np.uint64), np.empty((len(rows), _COLUMNS), np.uint8)
        for left in range(start, len(hashes), _COLUMNS):
            columns = hashes[None, left : left + _COLUMNS]
            near = np.bitwise_count(np.bitwise_xor(rows, columns, out=bits[:, : columns.shape[1]]), out=counts[:, : columns.shape[1]])
            if left == start or near.min() <= NEAREST_BITS:
                first, second = np.nonzero(near <= NEAREST_BITS)
                groups.join_alike(first + start, second + left, near[first, second], flat)
        return len(rows)

    with ThreadPoolExecutor(threads or os.cpu_count() or 1) as pool:
        for done in pool.map(block, range(0, len(hashes), _ROWS)):
            advance(done)
    return groups.lists()


def likeness(first: NDArray[np.uint8], second: NDArray[np.uint8]) -> NDArray[np.float32]:
    """[N] correlation, -1..1, of small pictures [N, pixels] with [N, pixels] or [1, pixels]."""
    return (_standard(first) * _standard(second)).mean(1)


def _standard(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    values = pixels.astype(np.float32)
    values -= values.mean(1, keepdims=True)
    return values / (values.std(1, keepdims=True) + 1e-3)


class _Groups:
    """A partition of rows that only ever joins; ``of`` names the group of each row by its lowest member."""

    def __init__(self, count: int) -> None:
        self.of = np.arange(count)
        self._lock = Lock()

    def join_alike(self, first: NDArray[np.intp], second: NDArray[np.intp], bits: NDArray[np.uint8], looks: NDArray[np.uint8]) -> None:
        """Join the pairs that look alike; pairs that are together already are not looked at."""
        apart = (self.of[first] != self.of[second]) & (first < second)
        first, second, bits = first[apart], second[apart], bits[apart]
        if len(first) > _MOST_TESTED:
            nearest = np.argpartition(bits, _MOST_TESTED)[:_MOST_TESTED]
            first, second = first[nearest], second[nearest]
        for start in range(0, len(first), _ROWS):  # few at a time: what was joined need not be compared again
            one, two = first[start : start + _ROWS], second[start : start + _ROWS]
            apart = self.of[one] != self.of[two]
            one, two = one[apart], two[apart]
            alike = likeness(looks[one], looks[two]) >= ALIKE
            with self._lock:
                for a, b in zip(one[alike].tolist(), two[alike].tolist(), strict=True):
                    low, high = sorted((self.of[a], self.of[b]))
                    if low != high:
                        self.of[self.of == high] = low

    def lists(self) -> list[list[int]]:
        """Groups of two and more, rows rising."""
        order = np.argsort(self.of, kind="stable")
        cuts = np.flatnonzero(np.diff(self.of[order])) + 1
        return [part.tolist() for part in np.split(order, cuts) if len(part) > 1]
