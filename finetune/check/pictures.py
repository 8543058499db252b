"""Every picture decoded once, by several threads: can it be read, is it whole, what does it look like."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from backbones.errors import DataError
from finetune.check.decoder_messages import DecoderMessages, lost_data, odd_bytes
from finetune.data.images import ImageHeader, read_image, try_header

LOOK_SIDE = 32
_PLAIN = 4.0  # grey levels: a picture that varies less shows nothing to compare
_CHUNK = 32  # pictures per thread between two looks at what the decoders said
_JPEG = (b"\xff\xd8\xff",)


class Picture(NamedTuple):
    """What is known of one picture after it was decoded.

    Args:
        header: Size and orientation; None where there is no picture.
        fault: Why it cannot be used, or "".
        damage: What its decoder said of lost parts, or "".
        remark: What its decoder found odd, or "".
        digest: Of its pixels, upright: equal for equal pictures, whatever the file.
        look: [32, 32] uint8, small and grey.
        hash: 63 bits: the signs of its low frequencies.
        plain: Too even to be compared by its look.
    """

    header: ImageHeader | None
    fault: str = ""
    damage: str = ""
    remark: str = ""
    digest: bytes = b""
    look: NDArray[np.uint8] | None = None
    hash: int = 0
    plain: bool = True


@dataclass(frozen=True, eq=False)
class PictureTable:
    """Pictures in the order in which they were asked for; a path is there once."""

    paths: tuple[Path, ...]
    pictures: tuple[Picture, ...]

    def __len__(self) -> int:
        return len(self.paths)

    def by_path(self) -> dict[Path, Picture]:
        """Path to what is known of it."""
        return dict(zip(self.paths, self.pictures, strict=True))


def scan_pictures(paths: Sequence[Path], threads: int = 0, advance: Callable[[int], None] = lambda count: None) -> PictureTable:
    """Decode pictures.

    Args:
        paths: Files; each is read once, however often it is named.
        threads: Pictures decoded at once; 0 is one per core.
        advance: Told how many more are done.
    """
    unique = tuple(dict.fromkeys(paths))
    threads = threads or (len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1)
    seen: list[Picture] = []
    inner, step = cv2.getNumThreads(), _CHUNK * threads
    cv2.setNumThreads(1)  # pictures are the parallelism
    try:
        with DecoderMessages() as messages, ThreadPoolExecutor(threads) as pool:
            for start in range(0, len(unique), step):
                chunk = unique[start : start + step]
                found = list(pool.map(examine_picture, chunk))
                if messages.take():
                    found = [_with_messages(path, picture, messages) for path, picture in zip(chunk, found, strict=True)]
                seen += found
                advance(len(chunk))
    finally:
        cv2.setNumThreads(inner)
    return PictureTable(unique, tuple(seen))


def examine_picture(path: Path) -> Picture:
    """Decode one picture; whatever is wrong with it is in the result."""
    header = try_header(path)
    if isinstance(header, str):
        return Picture(None, fault=header)
    try:
        pixels = read_image(path)
    except DataError as error:
        return Picture(header, fault=str(error))
    digest = hashlib.blake2b(repr(pixels.shape).encode(), digest_size=16)
    digest.update(pixels.data)
    grey = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)
    look = np.asarray(cv2.resize(grey, (LOOK_SIDE, LOOK_SIDE), interpolation=cv2.INTER_AREA), np.uint8)
    return Picture(header, digest=digest.digest(), look=look, hash=perceptual_hash(look), plain=bool(look.std() < _PLAIN))


def perceptual_hash(look: NDArray[np.uint8]) -> int:
    """63 bits of a small grey picture: which of its 8 x 8 lowest frequencies, without the mean, are above their median."""
    low = cv2.dct(look.astype(np.float32))[:8, :8].ravel()[1:]
    bits = np.concatenate([[False], low > np.median(low)])
    return int.from_bytes(np.packbits(bits).tobytes(), "big")


def _with_messages(path: Path, picture: Picture, messages: DecoderMessages) -> Picture:
    """Decode a JPEG once more, alone, to know whether the messages were about it."""
    if picture.fault:
        return picture
    content = path.read_bytes()
    if not content.startswith(_JPEG):
        return picture
    cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)
    lines = messages.take()
    if lost := lost_data(lines):
        return picture._replace(damage=lost, digest=b"", plain=True)
    return picture._replace(remark=odd_bytes(lines))
