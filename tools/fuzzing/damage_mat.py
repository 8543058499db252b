"""Damage to MATLAB files and zips that leaves them readable: cells of other types, shapes and counts, entries of other names."""

from __future__ import annotations

import io
import random
import warnings
import zipfile
from collections.abc import Callable
from typing import Any

import numpy as np

from finetune.data.text.mat_file import DamagedMatError, parse_mat
from fuzzing.damage_lines import LINE_DAMAGE
from fuzzing.text_templates import column, mat_bytes

Damage = Callable[[random.Random, bytes], bytes]
_NAMES = ("imnames", "wordBB", "charBB", "txt", "polygt", "gt", "x")


def _values(rng: random.Random) -> Any:
    """Something that a cell may hold and none of the readers expects."""
    return rng.choice((
        0, -1, 1.5, np.nan, np.inf, 1e300, 2**40, True, "", "word", "x" * 70000, "#", "a\0b", "\x1b[31m", "../../../etc/passwd", "/etc/passwd", "8/pic_0.png", "8", ".",
        np.zeros((0, 0)), np.zeros((2, 4, 0)), np.zeros((2, 4)), np.zeros((4, 2)), np.zeros((3, 4, 2)), np.zeros(7), np.full((2, 4, 3), np.nan), np.full((2, 4, 3), 1e300),
        np.zeros((2, 4, 3), complex),        np.array(["a", "bb"]), np.array([["a"], ["b c"]]), column([1, 2]), column([column(["a"])]), {"a": 1}, np.zeros((1, 50000)),
        np.arange(8).reshape(2, 4), np.array([[1, 2, 3]], np.uint8),
        np.ones((2, 2), bool),
    ))  # fmt: skip


def _cells(content: bytes) -> dict[str, Any] | None:
    try:  # not with scipy, which crashes at what was damaged before
        return {name: _own(value) for name, value in parse_mat(content, _NAMES).items()}
    except DamagedMatError:
        return None


def _own(value: Any) -> Any:
    """A copy that may be changed; what the reader does not read is empty in it."""
    array = np.zeros((0, 0)) if value is None else np.array(value)
    for place in np.ndindex(array.shape) if array.dtype == object else ():
        array[place] = _own(array[place])
    return array


def _tree(change: Callable[[random.Random, dict[str, Any]], None]) -> Damage:
    def apply(rng: random.Random, content: bytes) -> bytes:
        found = _cells(content)
        if not found:
            return content
        change(rng, found)
        try:
            return mat_bytes(found, packed=rng.random() < 0.3)
        except Exception:
            return content

    return apply


def _cell(rng: random.Random, found: dict[str, Any]) -> None:
    for _ in range(rng.choice((1, 1, 2, 5))):
        table = found[rng.choice(sorted(found))]
        if isinstance(table, np.ndarray) and table.dtype == object and table.size:
            table.reshape(-1)[rng.randrange(table.size)] = _values(rng)


def _number(rng: random.Random, found: dict[str, Any]) -> None:
    for _ in range(rng.choice((1, 1, 2, 5))):
        table = found[rng.choice(sorted(found))]
        cells = [cell for cell in table.reshape(-1) if isinstance(cell, np.ndarray) and cell.size and cell.dtype.kind in "iufd"] if isinstance(table, np.ndarray) and table.dtype == object else []
        if cells:
            cell = rng.choice(cells).reshape(-1)
            value = rng.choice((0, -5, 39, 41, 255, 1e6, 1e9, 1e300, np.nan, np.inf, -np.inf))
            cell[rng.randrange(cell.size)] = value if cell.dtype.kind == "f" else int(np.nan_to_num(value, posinf=200, neginf=0)) % 100


def _variable(rng: random.Random, found: dict[str, Any]) -> None:
    name = rng.choice(sorted(found))
    action = rng.randrange(5)
    if action == 0:
        found.pop(name)
    elif action == 1:
        found[rng.choice(_NAMES)] = found.pop(name)
    elif action == 2:
        found[name] = _values(rng)
    elif action == 3:
        table = np.asarray(found[name])
        found[name] = rng.choice((table.T, table[:, :1], table[:1], table.reshape(-1), np.concatenate([table, table]), np.concatenate([table, table], axis=1), table[:0]))
    else:
        found[rng.choice(_NAMES)] = found[name]


def _packed(rng: random.Random, content: bytes) -> bytes:
    """The same variables compressed, then damaged, or with the head of another version."""
    found = _cells(content)
    packed = bytearray(mat_bytes(found, packed=True) if found else content)
    if len(packed) > 200 and rng.random() < 0.5:
        packed[rng.randrange(128, len(packed))] ^= 1 << rng.randrange(8)
        return bytes(packed)
    head = rng.choice((b"MATLAB 7.3 MAT-file, Platform: GLNXA64", b"MATLAB 5.0 MAT-file", b"\x89HDF\r\n\x1a\n", b"\0\0\0\0"))
    packed[: len(head)] = head
    if len(packed) > 128 and rng.random() < 0.5:
        packed[124:126] = rng.choice((b"\x00\x02", b"\x00\x01", b"\x01\x00", b"\xff\xff"))
    return bytes(packed)


MAT_DAMAGE: dict[str, Damage] = {"mat: cells": _tree(_cell), "mat: numbers": _tree(_number), "mat: variables": _tree(_variable), "mat: head and packing": _packed}


def _entries(rng: random.Random, content: bytes) -> bytes:
    """Entries of a zip: other names, lines, folders, passwords claimed."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            files = [(name, archive.read(name)) for name in archive.namelist()]
    except Exception:
        return content
    place = rng.randrange(len(files)) if files else 0
    action = rng.randrange(6)
    if action == 0 and files:
        files.pop(place)
    elif action == 1 and files:
        name = rng.choice((
            "gt_img_1.txt", "res_img_1.txt", "res_img_999.txt", "res_.txt", "a/res_img_1.txt", "__MACOSX/._res_img_1.txt",
            "x.jpg", "", "res_img_1.txt.bak", "\x1b[31m.txt", "../res_img_1.txt", "é.txt",
        ))
        files[place] = (name, files[place][1])
    elif action == 2:
        files.append((rng.choice(("res_img_1.txt", "gt_img_7.txt", "folder/", "note.txt")), rng.choice((b"", b"1,2,3,4", b"x"))))
    elif files:
        files[place] = (files[place][0], LINE_DAMAGE[rng.choice(sorted(LINE_DAMAGE))](rng, files[place][1]))
    stream = io.BytesIO()
    with warnings.catch_warnings(action="ignore"), zipfile.ZipFile(stream, "w", rng.choice((zipfile.ZIP_DEFLATED, zipfile.ZIP_STORED))) as archive:
        for name, data in files:
            archive.writestr(zipfile.ZipInfo(name or "x", (2020, 1, 1, 0, 0, 0)), data)
    changed = bytearray(stream.getvalue())
    if action == 5 and len(changed) > 60:
        changed[6] |= 1  # says that it is encrypted
    return bytes(changed)


ZIP_DAMAGE: dict[str, Damage] = {"zip: entries": _entries}
