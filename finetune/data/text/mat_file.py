"""MATLAB files (version 5) of the public text sets: numbers, texts and cells, read in Python because compiled readers crash on damaged files.

The layout is that of MathWorks' "MAT-File Format": a head of 128 bytes, then elements, each a tag (type and length) and its data; a matrix is
an element of elements: flags, dimensions, name, data.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Collection, Iterator
from pathlib import Path
from struct import Struct
from typing import Any

import numpy as np

from backbones.errors import DataError
from finetune.data.file_listing import odd_start, read_bytes

_MATRIX, _COMPRESSED = 14, 15
_CELL, _CHAR = 1, 4
_NUMBERS = range(6, 16)  # classes of arrays of numbers
_COMPLEX = 0x0800
_TYPES = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8"}
_CODECS = {1: "latin-1", 2: "latin-1", 16: "utf-8"}
_DEEPEST = 16  # cells in cells
_MOST_BYTES = 1 << 32  # that one variable unpacks to


def read_mat(file: Path, names: Collection[str]) -> dict[str, Any]:
    """Variables of a .mat file.

    Numbers become arrays of their type and shape, texts arrays of one string per row, cells arrays of objects; anything else becomes None.

    Args:
        file: Of version 5 to 7, as ``save(..., '-v7')`` writes it.
        names: Those that are wanted.

    Raises:
        DataError: The file cannot be read, is of version 7.3 (HDF5), or has none of them.
    """
    content = read_bytes(file)
    if content.startswith((b"MATLAB 7.3", b"\x89HDF")):
        raise DataError(f"{file}: is a MATLAB 7.3 file, which is not read; save it with save(..., '-v7')")
    if (odd := odd_start(content[:128])) is not None:
        raise DataError(f"{file}: is {odd}")
    try:
        found = parse_mat(content, names)
    except DamagedMatError as error:
        raise DataError(f"{file}: is no MATLAB file of version 5 that can be read ({error}); copy it again, or save it with save(..., '-v7')") from error
    if not found:
        raise DataError(f"{file}: holds none of the variables {', '.join(names)}; is it the ground truth of another data set?")
    return found


def parse_mat(content: bytes, names: Collection[str]) -> dict[str, Any]:
    """The wanted variables in the bytes of a file; raise DamagedMatError where they are not as the format has them."""
    order = {b"IM": "<", b"MI": ">"}.get(content[126:128])
    if order is None:
        raise DamagedMatError("it has no such head")
    return dict(_Reader(order).variables(content, names))


class DamagedMatError(ValueError):
    """What is wrong in a file, in words."""


class _Reader:
    """Reads elements of one byte order ("<" or ">"); every length is checked before it is used."""

    def __init__(self, order: str) -> None:
        self._order = order
        self._two = Struct(f"{order}II").unpack_from
        self._types = {number: np.dtype(order + name) for number, name in _TYPES.items()}
        self._codecs = {**_CODECS, 4: "utf-16-le" if order == "<" else "utf-16-be", 17: "utf-16-le" if order == "<" else "utf-16-be"}

    def variables(self, content: bytes, names: Collection[str]) -> Iterator[tuple[str, Any]]:
        """Names and values of the wanted variables, the first of each name."""
        place, seen = 128, set[str]()
        while place + 8 <= len(content):
            kind, start, end, place = self._element(content, place, len(content))
            data = content
            if kind == _COMPRESSED:
                place = end
                data = _unpacked(content[start:end])
                kind, start, end, _ = self._element(data, 0, len(data))
            if kind != _MATRIX:
                raise DamagedMatError(f"an element of type {kind} where a variable should be")
            name = self._name(data, start, end)
            if name in names and name not in seen:
                seen.add(name)
                yield name, self._matrix(data, start, end, 0)

    def _element(self, data: bytes, place: int, end: int) -> tuple[int, int, int, int]:
        """Type, start and end of the data of the element at ``place``, and where the next one begins."""
        if place + 8 > end:
            raise DamagedMatError("it ends in the middle")
        kind, count = self._two(data, place)
        if kind >> 16:  # a short one: length, type and data in eight bytes
            count, kind = kind >> 16, kind & 0xFFFF
            if count > 4:
                raise DamagedMatError("an element is longer than its place")
            return kind, place + 4, place + 4 + count, place + 8
        start = place + 8
        if start + count > end:
            raise DamagedMatError("an element reaches beyond what it lies in")
        return kind, start, start + count, min(end, start + (count + 7 & ~7))

    def _name(self, data: bytes, start: int, end: int) -> str:
        if start == end:
            return ""
        for _ in range(2):
            *_, start = self._element(data, start, end)
        _, first, last, _ = self._element(data, start, end)
        return data[first:last].decode("latin-1")

    def _matrix(self, data: bytes, start: int, end: int, depth: int) -> Any:
        """The value of a matrix."""
        if start == end:
            return np.zeros((0, 0))
        if depth > _DEEPEST:
            raise DamagedMatError(f"cells within cells, more than {_DEEPEST} deep")
        _, first, last, place = self._element(data, start, end)
        if last - first < 8:
            raise DamagedMatError("an array without flags")
        flags = self._two(data, first)[0]
        kind, first, last, place = self._element(data, place, end)
        if kind not in (5, 6) or not 8 <= last - first <= 128:
            raise DamagedMatError("an array without dimensions")
        shape = tuple(np.frombuffer(data, self._types[5], (last - first) // 4, first).tolist())
        total = math.prod(shape)
        if min(shape) < 0:
            raise DamagedMatError("an array with negative dimensions")
        *_, place = self._element(data, place, end)
        group = flags & 0xFF
        if group == _CELL:
            return self._cells(data, place, end, shape, total, depth)
        if group == _CHAR:
            return self._text(data, place, end, shape, total)
        return None if group not in _NUMBERS or flags & _COMPLEX else self._numbers(data, place, end, shape, total)

    def _cells(self, data: bytes, place: int, end: int, shape: tuple[int, ...], total: int, depth: int) -> Any:
        if total * 8 > end - place:
            raise DamagedMatError(f"{total} cells in {end - place} bytes")
        cells = np.empty(total, object)
        for number in range(total):
            kind, first, last, place = self._element(data, place, end)
            if kind != _MATRIX:
                raise DamagedMatError(f"an element of type {kind} where a cell should be")
            cells[number] = self._matrix(data, first, last, depth + 1)
        return cells.reshape(shape, order="F")

    def _numbers(self, data: bytes, place: int, end: int, shape: tuple[int, ...], total: int) -> Any:
        kind, first, last, _ = self._element(data, place, end)
        dtype = self._types.get(kind)
        if dtype is None or last - first != total * dtype.itemsize:
            raise DamagedMatError(f"{last - first} bytes for {total} numbers of type {kind}")
        return np.frombuffer(data, dtype, total, first).reshape(shape, order="F")

    def _text(self, data: bytes, place: int, end: int, shape: tuple[int, ...], total: int) -> Any:
        if not total:
            return np.zeros(0, np.str_)
        kind, first, last, _ = self._element(data, place, end)
        if kind not in self._codecs or len(shape) != 2:
            raise DamagedMatError(f"a text of type {kind} with {len(shape)} dimensions")
        text = data[first:last].decode(self._codecs[kind], "replace")
        if shape[0] == 1:
            return np.array([text])
        if len(text) != total:
            raise DamagedMatError(f"{len(text)} letters where {total} should be")
        return np.array(["".join(text[row :: shape[0]]) for row in range(shape[0])])


def _unpacked(packed: bytes) -> bytes:
    stream = zlib.decompressobj()
    try:
        data = stream.decompress(packed, _MOST_BYTES)
    except (zlib.error, MemoryError) as error:
        raise DamagedMatError("a packed variable cannot be unpacked") from error
    if not stream.eof:
        raise DamagedMatError("a packed variable is cut, or larger than any data set")
    return data
