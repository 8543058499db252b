"""Pictures of words, drawn when they are asked for: by number, the same in every process."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import pi
from random import Random

import cv2
import numpy as np
from numpy.typing import NDArray

from backbones.errors import DataError, UsageError
from finetune.samples.text.blocks import Typist, paint_block
from finetune.samples.text.corpus import drawable, name_dropped, read_corpus
from finetune.samples.text.fonts import FontSet
from finetune.samples.text.glyphs import GlyphStore
from finetune.samples.text.grounds import Grounds
from finetune.samples.text.lens import Lens, take
from finetune.samples.text.planes import Pose, frame_of, map_quads, show

MIN_READABLE = 8.0  # pixels: words with lower characters are "###"
MIN_VISIBLE = 0.75  # so are words of which less shows
MIN_CONTRAST = 14.0  # and words that stand out less, of 255
SIDES = (64, 4096)


@dataclass(frozen=True, eq=False)
class WordPicture:
    """One picture with its truth.

    Attributes:
        image: [H, W, 3] u8 RGB.
        quads: [N, 4, 2] f64 words, in picture pixels (pixel-edge coordinates), clockwise from the top-left corner of the text.
        ignore: [N] bool: too small, hidden, cut or faint to be read.
        texts: N words.
        char_quads: [K, 4, 2] f64 characters, in reading order within a word; none of scripts whose letters join.
        char_words: [K] i64 the word of each character.
    """

    image: NDArray[np.uint8]
    quads: NDArray[np.float64]
    ignore: NDArray[np.bool_]
    texts: tuple[str, ...]
    char_quads: NDArray[np.float64]
    char_words: NDArray[np.int64]

    @property
    def char_offsets(self) -> NDArray[np.int64]:
        """[N + 1]: word i owns characters ``char_offsets[i]:char_offsets[i + 1]``."""
        return np.searchsorted(self.char_words, np.arange(len(self.texts) + 1)).astype(np.int64)


@dataclass(eq=False)
class _Canvas:
    """A picture that is being drawn."""

    image: NDArray[np.uint8]
    inked: NDArray[np.uint8]  # [H, W] where letters are
    hidden: NDArray[np.uint8]  # [H, W] what stands before them
    taken: NDArray[np.uint8]  # [H / 4, W / 4] where something hangs
    words: list[tuple[str, NDArray[np.float64], NDArray[np.float64]]]


class WordPictures:
    """Draws pictures of words. ``draw(index)`` depends on the arguments and the index alone, not on what was drawn before.

    Args:
        size_hw: Height and width of every picture.
        seed: The same seed draws the same pictures.
        corpus: Text file (UTF-8); None is the embedded list of words.
        fonts: "matplotlib", "system", or a folder.
        backgrounds: Folder of photographs without text; None draws them.
        heights: Lowest and highest capitals in pixels.

    Raises:
        UsageError, DataError: Something of it cannot be used.
    """

    def __init__(
        self, size_hw: tuple[int, int] = (640, 640), seed: int = 0, corpus: str | None = None, fonts: str = "matplotlib", backgrounds: str | None = None, heights: tuple[float, float] = (6.0, 120.0)
    ) -> None:
        if not all(SIDES[0] <= side <= SIDES[1] for side in size_hw):
            raise UsageError(f"pictures have sides of {SIDES[0]} to {SIDES[1]} pixels, not {size_hw[0]} x {size_hw[1]}")
        self.size_hw, self.seed, self.heights = size_hw, seed, heights
        read = read_corpus(corpus)
        self.fonts = FontSet(fonts, read.characters)
        kept, self.dropped = read.keep(drawable(self.fonts.missing))
        if not kept.lines:
            raise DataError(f"no font of {fonts} draws a word of {read.source} ({name_dropped(self.dropped)}): give --fonts a folder with a font of its script")
        self.corpus = kept
        self._typist = Typist(kept, self.fonts, GlyphStore())
        self._grounds = Grounds(size_hw, seed, backgrounds)

    def draw(self, index: int) -> WordPicture:
        """Picture ``index``."""
        rng = Random(f"words {self.seed} {index}")
        noise = np.random.default_rng([self.seed, index, 7])
        height, width = self.size_hw
        image = self._grounds.draw(rng, noise)
        canvas = _Canvas(image, np.zeros((height, width), np.uint8), np.zeros((height, width), np.uint8), np.zeros((height // 4 + 1, width // 4 + 1), np.uint8), [])
        base = Pose(rng.gauss(0, 0.35), rng.gauss(0, 0.12), rng.gauss(0, 0.05))
        for _ in range(rng.randint(8, 16)):
            self._hang(canvas, base, rng, noise)
        finished = take(canvas.image, Lens.choose(rng), noise)
        return _read(canvas, finished)

    def _height(self, rng: Random) -> float:
        low, high = self.heights
        return float(min(high, max(low, 17.0 * np.exp(rng.gauss(0, 0.62)))))

    def _hang(self, canvas: _Canvas, base: Pose, rng: Random, noise: np.random.Generator) -> None:
        height, width = self.size_hw
        layout = self._typist.plan(rng, self._height(rng), (width * 0.96, height * 0.9))
        if layout is None:
            return
        matrix = find_place(canvas.taken, (layout.size, layout.scale), self.size_hw, base, rng)
        if matrix is None:
            return
        block = paint_block(layout, _mean(canvas.image, matrix, layout.size), rng, noise)
        paste(canvas, block.pixels, block.ink, matrix, layout.finer)
        for word in block.words:
            canvas.words.append((word.text, map_quads(matrix, word.quad), map_quads(matrix, word.characters)))


def find_place(taken: NDArray[np.uint8], sheet: tuple[tuple[int, int], float], size_hw: tuple[int, int], base: Pose, rng: Random) -> NDArray[np.float64] | None:
    """A homography that hangs a sheet (its size and scale) where nothing is yet, and marks the place as taken."""
    (size, scale), (height, width) = sheet, size_hw
    for _ in range(8):
        pose = near_pose(base, rng)
        matrix = pose.homography(size, scale, (rng.uniform(0, width), rng.uniform(0, height)), 1.3 * max(size_hw))
        depth = frame_of(size) @ matrix[2, :2] + matrix[2, 2]
        if depth.min() < 0.35:
            continue
        frame = map_quads(matrix, frame_of(size))
        slack = 0.05 * max(size_hw) if rng.random() < 0.1 else 2.0
        if (frame.min(0) < -slack).any() or (frame.max(0) > np.array([width, height]) + slack).any():
            continue
        low = np.maximum(frame.min(0) / 4, 0).astype(int)
        high = np.minimum(np.ceil(frame.max(0) / 4) + 1, taken.shape[::-1]).astype(int)
        room = taken[low[1] : high[1], low[0] : high[0]]
        mask = np.zeros(room.shape, np.uint8)
        cv2.fillConvexPoly(mask, np.rint((frame / 4 - low) * 16).astype(np.int32), 1, shift=4)
        if (room & mask).any():
            continue
        room |= mask
        return matrix
    return None


def near_pose(base: Pose, rng: Random) -> Pose:
    """Mostly like the other sheets of the picture, sometimes turned in its own way."""
    if rng.random() < 0.75:
        yaw, pitch, roll = base.yaw + rng.gauss(0, 0.08), base.pitch + rng.gauss(0, 0.05), base.roll + rng.gauss(0, 0.03)
    else:
        yaw, pitch, roll = rng.gauss(0, 0.5), rng.gauss(0, 0.2), rng.gauss(0, 0.16) if rng.random() < 0.7 else rng.choice([-pi / 2, pi / 2, rng.uniform(-1.0, 1.0)])
    stretch = 2 ** rng.gauss(0, 0.25)
    return Pose(max(-1.15, min(1.15, yaw)), max(-0.7, min(0.7, pitch)), roll, rng.gauss(0, 0.18) if rng.random() < 0.15 else 0.0, max(0.6, min(1.6, stretch)))


def paste(canvas: _Canvas, pixels: NDArray[np.uint8], ink: NDArray[np.uint8] | None, matrix: NDArray[np.float64], finer: int) -> None:
    """Hang a sheet into the picture."""
    shown = show(pixels, matrix, canvas.image.shape[:2], finer)
    if shown is None:
        return
    part, left, top = shown
    place = np.s_[top : top + part.shape[0], left : left + part.shape[1]]
    cover = cv2.cvtColor(255 - part[..., 3], cv2.COLOR_GRAY2RGB)
    canvas.image[place] = cv2.add(cv2.multiply(canvas.image[place], cover, scale=1 / 255), np.ascontiguousarray(part[..., :3]))
    if ink is not None and (letters := show(ink, matrix, canvas.image.shape[:2], finer)) is not None:
        canvas.inked[place] = np.maximum(canvas.inked[place], letters[0][..., 0])


def _mean(image: NDArray[np.uint8], matrix: NDArray[np.float64], size: tuple[int, int]) -> tuple[float, float, float]:
    frame = map_quads(matrix, frame_of(size))
    left, top = np.maximum(frame.min(0), 0).astype(int)
    right, bottom = np.ceil(frame.max(0)).astype(int)
    red, green, blue = cv2.mean(image[top : max(bottom, top + 1), left : max(right, left + 1)])[:3]
    return red, green, blue


def _read(canvas: _Canvas, image: NDArray[np.uint8]) -> WordPicture:
    """What can be read in the end."""
    height, width = image.shape[:2]
    kept = [word for word in canvas.words if (word[1].max(0) > 0).all() and (word[1].min(0) < (width, height)).all()]
    quads = np.array([quad for _, quad, _ in kept]).reshape(-1, 4, 2)
    counts = [len(characters) for _, _, characters in kept]
    ignore = np.array([not _readable(canvas, image, quad, characters) for _, quad, characters in kept], bool)
    char_quads = np.concatenate([characters for _, _, characters in kept]) if kept else np.zeros((0, 4, 2))
    return WordPicture(image, quads, ignore, tuple(text for text, _, _ in kept), char_quads, np.repeat(np.arange(len(kept)), counts).astype(np.int64))


def _readable(canvas: _Canvas, image: NDArray[np.uint8], quad: NDArray[np.float64], characters: NDArray[np.float64]) -> bool:
    sides = (quad if not len(characters) else characters).reshape(-1, 4, 2)
    tall = (np.linalg.norm(sides[:, 3] - sides[:, 0], axis=1) + np.linalg.norm(sides[:, 2] - sides[:, 1], axis=1)) / 2
    if np.max(tall) < MIN_READABLE:
        return False
    low, high = np.floor(quad.min(0)).astype(int), np.ceil(quad.max(0)).astype(int)
    left, top = np.maximum(low, 0)
    right, bottom = np.minimum(high, image.shape[1::-1])
    mask = np.zeros((high[1] - low[1], high[0] - low[0]), np.uint8)
    cv2.fillConvexPoly(mask, np.rint((quad - low - 0.5) * 16).astype(np.int32), 1, shift=4)
    inside = mask[top - low[1] : bottom - low[1], left - low[0] : right - low[0]]
    seen = inside.astype(bool) & (canvas.hidden[top:bottom, left:right] == 0)
    if seen.sum() < MIN_VISIBLE * mask.sum():
        return False
    part, ink = image[top:bottom, left:right], canvas.inked[top:bottom, left:right]
    letters, around = seen & (ink > 127), seen & (ink < 40)
    if not letters.any():
        letters = seen & (ink > 40)
    if not letters.any() or not around.any():
        return False
    apart = np.array(cv2.mean(part, letters.astype(np.uint8))[:3]) - np.array(cv2.mean(part, around.astype(np.uint8))[:3])
    return bool(np.abs(apart).max() >= MIN_CONTRAST)


def name_readable(pictures: Sequence[WordPicture]) -> tuple[int, int]:
    """How many words can be read, and how many cannot."""
    readable = sum(int((~picture.ignore).sum()) for picture in pictures)
    return readable, sum(len(picture.texts) for picture in pictures) - readable
