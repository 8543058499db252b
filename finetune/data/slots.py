"""Numbered arrays of bytes in one file that processes share: whoever needs an array first writes it, all others map it."""

from __future__ import annotations

import mmap
import os
import weakref
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import numpy as np
from numpy.typing import NDArray

_PAGE = 4096
_ALIGN = 64  # bytes
_MAGIC = b"finetune slots 1\n"
_ROW = np.dtype([("shape", "<i4", 3), ("unused", "<i4"), ("total", "<u8")])  # what a slot holds; a height of 0 is nothing


class SlotFile:
    """A file of slots, each empty or filled with one [a, b, c] uint8 array.

    A slot counts as filled only with the check sum that belongs to it, which is tested once by every process: one that a killed process
    or a power cut left half written is written again. Forked loader workers share the map; pickled ones open the file again.

    Args:
        path: An existing file that ``lay_out`` prepared.
        sizes: [S] the most bytes that each slot can hold.
        key: What the file is for.

    Raises:
        OSError: It cannot be opened, or is a file for something else.
    """

    def __init__(self, path: str, sizes: NDArray[np.int64], key: str) -> None:
        self.path, self.key, self._sizes = path, key, sizes
        self._offsets = _offsets(sizes)
        self._open()

    def get(self, slot: int, make: Callable[[], NDArray[np.uint8]]) -> NDArray[np.uint8]:
        """The array of a slot: read-only where it was there, else what ``make`` gives, which is kept if it fits."""
        if self._is_known[slot] or self._is_whole(slot):
            shape = self._rows["shape"][slot].tolist()
            return np.frombuffer(self._map, np.uint8, shape[0] * shape[1] * shape[2], int(self._offsets[slot])).reshape(shape)
        made = make()
        if made.ndim == 3 and 0 < made.nbytes <= self._sizes[slot]:
            with suppress(OSError):  # a full disk: the array is right all the same
                self._write(slot, np.ascontiguousarray(made))
        return made

    @property
    def filled(self) -> int:
        """Slots that hold something."""
        return int(np.count_nonzero(self._rows["shape"][:, 0]))

    def __getstate__(self) -> dict[str, Any]:
        return {"path": self.path, "key": self.key, "_sizes": self._sizes, "_offsets": self._offsets}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._open()

    def _open(self) -> None:
        length = file_bytes(self._sizes)
        descriptor = os.open(self.path, os.O_RDWR | getattr(os, "O_CLOEXEC", 0))
        try:
            if os.fstat(descriptor).st_size != length or os.pread(descriptor, _PAGE, 0).rstrip(b"\0") != _MAGIC + self.key.encode():
                raise OSError(f"{self.path} is not what it was laid out for")
            self._map = mmap.mmap(descriptor, length, access=mmap.ACCESS_READ)
        except OSError:
            os.close(descriptor)
            raise
        self._descriptor = descriptor
        weakref.finalize(self, os.close, descriptor)
        self._rows = np.frombuffer(self._map, _ROW, len(self._sizes), _PAGE)
        self._is_known = np.zeros(len(self._sizes), np.bool_)

    def _is_whole(self, slot: int) -> bool:
        row = self._rows[slot].copy()
        if not row["shape"][0] or int(np.prod(row["shape"], dtype=np.int64)) > self._sizes[slot]:
            return False
        self._is_known[slot] = self._total(slot) == row["total"]
        return bool(self._is_known[slot])

    def _total(self, slot: int) -> np.uint64:
        return np.frombuffer(self._map, "<u8", _aligned(self._sizes[slot : slot + 1])[0] // 8, int(self._offsets[slot])).sum(dtype=np.uint64)

    def _write(self, slot: int, array: NDArray[np.uint8]) -> None:
        words = np.zeros(-(-array.nbytes // 8), "<u8")
        words.view(np.uint8)[: array.nbytes] = array.reshape(-1)
        row = np.zeros(1, _ROW)
        row["shape"], row["total"] = array.shape, words.sum(dtype=np.uint64)
        if os.pwrite(self._descriptor, words.view(np.uint8)[: array.nbytes].data, int(self._offsets[slot])) == array.nbytes:
            os.pwrite(self._descriptor, row.tobytes(), _PAGE + slot * _ROW.itemsize)


def file_bytes(sizes: NDArray[np.int64]) -> int:
    """Length of the file for slots of the given sizes [S]."""
    return int(_offsets(sizes)[-1])


def lay_out(descriptor: int, sizes: NDArray[np.int64], key: str, reserve: bool) -> None:
    """Make an empty file one of empty slots.

    Args:
        descriptor: Of the file, open for writing.
        sizes: [S] the most bytes that each slot can hold.
        key: What the file is for.
        reserve: Take all its space from the disk now, so that it cannot run out later.

    Raises:
        OSError: The disk is full.
    """
    length = file_bytes(sizes)
    if reserve and hasattr(os, "posix_fallocate"):
        os.posix_fallocate(descriptor, 0, length)
    else:
        os.ftruncate(descriptor, length)
    os.pwrite(descriptor, _MAGIC + key.encode(), 0)


def _aligned(sizes: NDArray[np.int64]) -> NDArray[np.int64]:
    return -(-sizes // _ALIGN) * _ALIGN


def _offsets(sizes: NDArray[np.int64]) -> NDArray[np.int64]:
    """Where each slot begins, and the length of the file."""
    start = -(-(_PAGE + len(sizes) * _ROW.itemsize) // _PAGE) * _PAGE
    return start + np.cumsum([0, *_aligned(sizes).tolist()], dtype=np.int64)
