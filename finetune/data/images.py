"""Pictures from files: one reader for all formats and modes, and a fast check of many."""

from __future__ import annotations

import io
import os
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from backbones.errors import DataError
from finetune.data.findings import name_some

Image.init()
_ORIENTATION = 0x0112
_JPEG = b"\xff\xd8\xff"
_CHUNK, _THREADED_CHUNKS = 128, 32  # pictures whose headers are read in a row
_WAITING = 3  # times as long as the work itself: the disk is waited for
_TRANSPOSED = (5, 6, 7, 8)
_SHRUNK = {
    1: (cv2.IMREAD_COLOR_RGB, cv2.IMREAD_GRAYSCALE),
    2: (cv2.IMREAD_REDUCED_COLOR_2, cv2.IMREAD_REDUCED_GRAYSCALE_2),
    4: (cv2.IMREAD_REDUCED_COLOR_4, cv2.IMREAD_REDUCED_GRAYSCALE_4),
}


@dataclass(frozen=True)
class ImageHeader:
    """Size of the stored picture (height, width) and its EXIF orientation, 1 to 8."""

    stored_hw: tuple[int, int]
    orientation: int

    @property
    def upright_hw(self) -> tuple[int, int]:
        """Height and width after EXIF rotation."""
        return self.stored_hw[::-1] if self.orientation in _TRANSPOSED else self.stored_hw

    def frame_hw(self, declared_hw: tuple[int, int]) -> tuple[int, int]:
        """The frame that annotations live in: upright, unless the size that they declare fits only the stored picture."""
        return self.stored_hw if self._is_stored(declared_hw) else self.upright_hw

    def _is_stored(self, frame_hw: tuple[int, int] | None) -> bool:
        return frame_hw is not None and tuple(frame_hw) == self.stored_hw != self.upright_hw


def read_image(path: Path | str, channels: int = 3, frame_hw: tuple[int, int] | None = None, shrink: int = 1) -> NDArray[np.uint8]:
    """Read a picture as 8-bit RGB or grey.

    EXIF rotation is applied. Palettes are resolved, CMYK is converted, alpha is dropped, 16-bit values are divided by 257.

    Args:
        path: JPEG, PNG, WebP, TIFF, BMP, or anything else that Pillow opens; the first frame of several.
        channels: 3 for RGB, 1 for grey (ITU-R 601 luma).
        frame_hw: Height and width that annotations declare; where only the picture before EXIF rotation has this size, it is not rotated.
        shrink: 2 or 4 gives a picture of H // shrink by W // shrink. A JPEG whose sides are multiples of it is decoded at this size, in a
            third of the time; areas of others are averaged.

    Returns:
        [H, W, channels] uint8, contiguous.

    Raises:
        DataError: The file is missing, truncated or no picture.
    """
    try:
        content = Path(path).read_bytes()
        with Image.open(io.BytesIO(content), formats=_formats(content)) as picture:
            header = _header(picture)
            rotate = header.orientation if not header._is_stored(frame_hw) else 1
            pixels = _decode_fast(content, picture, shrink) if picture.format in ("JPEG", "MPO") else None
            if pixels is None:
                pixels = _pixels(picture, channels)
    except DataError:
        raise
    except Exception as error:
        raise DataError(_unreadable(path, error)) from error
    if pixels.shape[2] != channels:
        pixels = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)[:, :, None] if channels == 1 else np.repeat(pixels, 3, axis=2)  # type: ignore[assignment]
    return np.ascontiguousarray(_upright(_shrunk(pixels, header.stored_hw, shrink), rotate))


def check_images(paths: Sequence[Path]) -> list[ImageHeader]:
    """Read the header of every picture, and see that its data are complete.

    JPEG, PNG and WebP files are complete when their end marker or length is right; where it is not, and for all other
    formats, the picture is decoded. A file that is damaged in the middle, but has its end, is found only when it is read.

    Raises:
        DataError: Pictures are missing, empty, truncated or no pictures; the first few are named.
    """
    results = _headers(paths)
    faults = [result for result in results if isinstance(result, str)]
    if faults:
        count = f"{len(faults)} of {len(paths)} pictures cannot be read: " if len(faults) > 1 else ""
        raise DataError(f"{count}{name_some(faults)}; replace {'it' if len(faults) == 1 else 'them'}, or take {'its' if len(faults) == 1 else 'their'} annotations out")
    return [result for result in results if isinstance(result, ImageHeader)]


def _headers(paths: Sequence[Path]) -> list[ImageHeader | str]:
    """Headers, or what is wrong, in order. Threads help only where files are waited for: with files in memory they fight for the interpreter and take twice as long."""
    results: list[ImageHeader | str] = []
    threaded = 0  # chunks until waiting is measured again
    with ThreadPoolExecutor(min(8, 2 * (os.cpu_count() or 1))) as pool:
        for start in range(0, len(paths), _CHUNK):
            chunk = paths[start : start + _CHUNK]
            if threaded:
                results += pool.map(try_header, chunk)
                threaded -= 1
                continue
            wall, work = time.perf_counter(), time.thread_time()
            results += map(try_header, chunk)
            if time.perf_counter() - wall > _WAITING * (time.thread_time() - work):
                threaded = _THREADED_CHUNKS
    return results


def try_header(path: Path) -> ImageHeader | str:
    """The header of one picture, or why there is none; quick checks as in ``check_images``."""
    try:
        with Path(path).open("rb") as stream, Image.open(stream, formats=_formats(stream.peek(3))) as picture:
            header = _header(picture)
            if not _is_complete(stream, picture.format):
                stream.seek(0)
                with Image.open(stream) as whole:
                    whole.load()
            return header
    except Exception as error:  # Pillow's plug-ins raise almost anything on broken files
        return _unreadable(path, error)


def _formats(head: bytes) -> tuple[str] | None:
    """What Pillow has to try: most of its forty plug-ins come before the one for JPEG otherwise."""
    return ("JPEG",) if head.startswith(_JPEG) else None


def _is_complete(stream: io.BufferedReader, kind: str | None) -> bool:
    size = stream.seek(0, os.SEEK_END)
    stream.seek(max(0, size - 64))
    tail = stream.read()
    if kind in ("JPEG", "MPO"):
        return tail.rstrip(b"\0\r\n ").endswith(b"\xff\xd9")
    if kind == "PNG":
        return b"IEND" in tail
    if kind == "WEBP":
        stream.seek(4)
        return int.from_bytes(stream.read(4), "little") + 8 <= size
    return False


def _header(picture: Image.Image) -> ImageHeader:
    width, height = picture.size
    if picture.format == "TIFF":  # Pillow rotates TIFF by itself: size and pixels are upright
        return ImageHeader((height, width), 1)
    if picture.format in ("JPEG", "MPO", "WEBP"):
        orientation = picture.getexif().get(_ORIENTATION, 1)
    elif "exif" in picture.info:
        exif = Image.Exif()
        exif.load(picture.info["exif"])
        orientation = exif.get(_ORIENTATION, 1)
    else:
        orientation = 1
    return ImageHeader((height, width), orientation if orientation in range(1, 9) else 1)


def _decode_fast(content: bytes, picture: Image.Image, shrink: int) -> NDArray[np.uint8] | None:
    """Decode a complete RGB or grey JPEG by OpenCV, with Pillow's result in half the time; None for all others."""
    if picture.mode not in ("RGB", "L") or not content.rstrip(b"\0\r\n ").endswith(b"\xff\xd9"):
        return None
    if picture.height % shrink or picture.width % shrink or shrink not in _SHRUNK:
        shrink = 1
    colour, grey = _SHRUNK[shrink]
    pixels = cv2.imdecode(np.frombuffer(content, np.uint8), (colour if picture.mode == "RGB" else grey) | cv2.IMREAD_IGNORE_ORIENTATION)
    if pixels is None or pixels.shape[:2] != (picture.height // shrink, picture.width // shrink):
        return None
    if picture.mode == "RGB" and shrink > 1:
        pixels = cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB)
    return pixels if pixels.ndim == 3 else pixels[:, :, None]  # type: ignore[return-value]


def _pixels(picture: Image.Image, channels: int) -> NDArray[np.uint8]:
    if picture.mode.startswith("I") or picture.mode == "F":
        values = np.asarray(picture, dtype=np.float64)
        unit = 1 / 257 if picture.mode != "F" else 255 if values.size and values.max() <= 1 else 1
        return np.clip(np.rint(np.nan_to_num(values * unit)), 0, 255).astype(np.uint8)[:, :, None]
    pixels = np.asarray(picture.convert("L" if channels == 1 else "RGB"))
    return pixels if pixels.ndim == 3 else pixels[:, :, None]


def _shrunk(pixels: NDArray[np.uint8], stored_hw: tuple[int, int], shrink: int) -> NDArray[np.uint8]:
    """[H // shrink, W // shrink, C], which pixels that were decoded small are already."""
    small_hw = shrunk_hw(stored_hw, shrink)
    return pixels if pixels.shape[:2] == small_hw else cv2.resize(pixels, small_hw[::-1], interpolation=cv2.INTER_AREA).reshape(*small_hw, pixels.shape[2])  # type: ignore[return-value]


def shrunk_hw(picture_hw: tuple[int, int], shrink: int) -> tuple[int, int]:
    """Height and width of a picture that is read with ``shrink``."""
    return max(1, picture_hw[0] // shrink), max(1, picture_hw[1] // shrink)


def _upright(pixels: NDArray[np.uint8], orientation: int) -> NDArray[np.uint8]:
    """Undo an EXIF orientation (TIFF/EP tag 0x0112) on [H, W, C]."""
    if orientation in _TRANSPOSED:
        pixels = pixels.transpose(1, 0, 2)
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    return pixels


def _unreadable(path: Path | str, error: Exception) -> str:
    if isinstance(error, FileNotFoundError):
        return f"{path} does not exist"
    if isinstance(error, Image.UnidentifiedImageError):
        empty = Path(path).stat().st_size == 0
        return f"{path} {'is empty' if empty else 'is no picture that can be read'}"
    return f"{path} cannot be read ({error})"
