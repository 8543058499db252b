"""Damage to any file: what disks, transfers, editors and converters do to bytes."""

from __future__ import annotations

import random
from collections.abc import Callable

Damage = Callable[[random.Random, bytes], bytes]


def _flip(rng: random.Random, content: bytes) -> bytes:
    changed = bytearray(content)
    for _ in range(rng.choice((1, 1, 2, 5, 40))):
        if changed:
            changed[rng.randrange(len(changed))] ^= 1 << rng.randrange(8)
    return bytes(changed)


def _overwrite(rng: random.Random, content: bytes) -> bytes:
    place, length = _span(rng, content)
    return content[:place] + rng.randbytes(length) + content[place + length :]


def _truncate(rng: random.Random, content: bytes) -> bytes:
    return content[: rng.randrange(len(content) + 1)]


def _cut(rng: random.Random, content: bytes) -> bytes:
    place, length = _span(rng, content)
    return content[:place] + content[place + length :]


def _double(rng: random.Random, content: bytes) -> bytes:
    place, length = _span(rng, content)
    return content[:place] + content[place : place + length] * rng.choice((2, 2, 3, 50)) + content[place + length :]


def _insert(rng: random.Random, content: bytes) -> bytes:
    place, _ = _span(rng, content)
    piece = rng.choice((
        b"\0", b"\0" * 512, b"\xff", b"\xef\xbb\xbf", b"\r\n", b"\n" * 3, b"\x1b[31m", b"\xed\xa0\x80", b"\xc3", b"\x1a", b"\\", b'"', b"<", b"&", b"]", b"}", b"[", b"{",
        b"\xe2\x80\xa8",
    ))
    return content[:place] + piece + content[place:]


def _zero(rng: random.Random, content: bytes) -> bytes:
    place, length = _span(rng, content, most=4096)
    return content[:place] + b"\0" * length + content[place + length :]


def _recode(rng: random.Random, content: bytes) -> bytes:
    text = content.decode("utf-8", "replace")
    codec = rng.choice(("utf-16", "utf-16-le", "utf-16-be", "utf-32", "latin-1", "cp1252", "utf-8-sig", "gbk", "utf-7", "cp500", "shift_jis"))
    return text.encode(codec, "replace")


def _endings(rng: random.Random, content: bytes) -> bytes:
    return content.replace(b"\n", rng.choice((b"\r\n", b"\r", b"\n\n", b"\x0b", b"\xc2\x85")))


def _replace_all(rng: random.Random, content: bytes) -> bytes:
    return rng.choice((
        b"", b" ", b"\n", b"\0" * 100, b"null", b"[]", b"{}", b"0", b'""', b"<a/>", b"<annotation/>", b"PK\x03\x04", b"\x1f\x8b\x08",
        b"version https://git-lfs.github.com/spec/v1\n", b"<!DOCTYPE html><html></html>", rng.randbytes(200),
    ))


def _append(rng: random.Random, content: bytes) -> bytes:
    return content + rng.choice((content, b"garbage", b"\0" * 1000, b",", b"]", b"\n{}", b"<annotation/>", b"\n\n"))


def _span(rng: random.Random, content: bytes, most: int = 200) -> tuple[int, int]:
    place = rng.randrange(len(content) + 1)
    return place, rng.randint(1, min(most, max(1, len(content) - place)))


DAMAGE: dict[str, Damage] = {
    "bytes: flipped": _flip,
    "bytes: overwritten": _overwrite,
    "bytes: truncated": _truncate,
    "bytes: cut out": _cut,
    "bytes: doubled": _double,
    "bytes: inserted": _insert,
    "bytes: zeroed": _zero,
    "bytes: other encoding": _recode,
    "bytes: line ends": _endings,
    "bytes: other content": _replace_all,
    "bytes: appended": _append,
}
