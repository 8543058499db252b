"""Pictures of words, drawn when they are asked for: by number, the same in every process."""

from __future__ import annotations

from dataclasses import dataclass
from math import pi
from random import Random

import cv2
import numpy as np
from numpy.typing import NDArray

from backbones.errors import DataError, UsageError
from finetune.data.held_out import HeldOut
from finetune.samples.text.blocks import Typist, paint_block
from finetune.samples.text.canvas import Canvas
from finetune.samples.text.corpus import drawable, name_dropped, read_corpus
from finetune.samples.text.distractors import distractor
from finetune.samples.text.fonts import FontSet
from finetune.samples.text.glyphs import GlyphStore
from finetune.samples.text.grounds import Grounds
from finetune.samples.text.lens import Lens, cast_light, take
from finetune.samples.text.planes import Pose

SIDES = (64, 4096)
_AREA = 640 * 640  # pixels that the numbers of things below are for
_TRIES = 10


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

    @property
    def word_heights(self) -> NDArray[np.float64]:
        """[N]: mean length of the two sides that run down."""
        downs = np.linalg.norm(self.quads[:, [3, 2]] - self.quads[:, [0, 1]], axis=2)
        return np.asarray(downs.mean(axis=1), np.float64)


class WordPictures:
    """Draws pictures of words. ``draw(index)`` depends on the arguments and the index alone, not on what was drawn before.

    Args:
        size_hw: Height and width of every picture.
        seed: The same seed draws the same pictures.
        corpus: Text file (UTF-8); None is the embedded list of words.
        fonts: "matplotlib", "system", or a folder.
        backgrounds: Folder of photographs without text; None draws them.
        heights: Lowest and highest capitals in pixels.
        held_out: Photographs of ``backgrounds`` that must not be used.

    Raises:
        UsageError, DataError: Something of it cannot be used.
    """

    def __init__(
        self, size_hw: tuple[int, int] = (640, 640), seed: int = 0, corpus: str | None = None, fonts: str = "matplotlib", backgrounds: str | None = None,
        heights: tuple[float, float] = (6.0, 120.0), held_out: HeldOut | None = None,
    ) -> None:  # fmt: skip
        if not all(SIDES[0] <= side <= SIDES[1] for side in size_hw):
            raise UsageError(f"pictures have sides of {SIDES[0]} to {SIDES[1]} pixels, not {size_hw[0]} x {size_hw[1]}")
        self.size_hw, self.seed, self.heights = size_hw, seed, heights
        read = read_corpus(corpus)
        self.fonts = FontSet(fonts, read.characters)
        self.corpus, self.dropped = read.keep(drawable(self.fonts.missing))
        if not self.corpus.lines:
            raise DataError(f"no font of {fonts} draws a word of {read.source} ({name_dropped(self.dropped)}): give --fonts a folder with a font of its script")
        self._typist = Typist(self.corpus, self.fonts, GlyphStore())
        self.grounds = Grounds(size_hw, seed, backgrounds, held_out)

    def draw(self, index: int) -> WordPicture:
        """Picture ``index`` as a reader of its JPEG file gets it."""
        picture, encoded = self.develop(index)
        image = np.asarray(cv2.imdecode(np.frombuffer(encoded, np.uint8), cv2.IMREAD_COLOR_RGB), np.uint8)
        return WordPicture(image, picture.quads, picture.ignore, picture.texts, picture.char_quads, picture.char_words)

    def develop(self, index: int) -> tuple[WordPicture, bytes]:
        """Picture ``index`` before it is compressed, and its JPEG file."""
        rng = Random(f"words {self.seed} {index}")
        noise = np.random.default_rng([self.seed, index, 7])
        canvas = Canvas(self.grounds.draw(rng, noise))
        base = Pose(rng.gauss(0, 0.38), rng.gauss(0, 0.12), rng.gauss(0, 0.06))
        much = self.size_hw[0] * self.size_hw[1] / _AREA
        for _ in range(_some(rng.uniform(0, 6) * much, rng)):
            self._distract(canvas, base, rng, noise)
        if rng.random() > 0.04:
            for tall in sorted((self._height(rng) for _ in range(max(1, _some(rng.uniform(8, 23) * much, rng)))), reverse=True):
                self._hang(canvas, tall, base, rng, noise)
        for _ in range(_some(rng.uniform(0, 2.2) * much, rng) if rng.random() < 0.6 else 0):
            canvas.stand_before(rng)
        lens = Lens.choose(rng)
        image = take(cast_light(canvas.image, rng), lens, noise)
        encoded = cv2.imencode(".jpg", cv2.cvtColor(image, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, lens.quality])[1].tobytes()
        return _read(canvas, image), encoded

    def _height(self, rng: Random) -> float:
        low, high = self.heights
        return float(min(high, max(low, 20.0 * np.exp(rng.gauss(0, 0.62)))))

    def _hang(self, canvas: Canvas, tall: float, base: Pose, rng: Random, noise: np.random.Generator) -> None:
        height, width = self.size_hw
        layout = self._typist.plan(rng, tall, (width * 0.96, height * 0.9))
        if layout is None:
            return
        plated = rng.random() < 0.55
        matrix = canvas.find_place(layout.size, layout.scale, tuple(_near(base, rng) for _ in range(_TRIES)), rng, calm=not plated)
        if matrix is None:
            return
        block = paint_block(layout, None if plated else canvas.colour_at(matrix, layout.size), rng, noise)
        canvas.hang(block.pixels, matrix, layout.finer, 0.0 if plated else rng.uniform(0, 0.8))
        canvas.write(block.ink, block.words, matrix, layout.finer)

    def _distract(self, canvas: Canvas, base: Pose, rng: Random, noise: np.random.Generator) -> None:
        tall = rng.uniform(10, 120)
        size = (int(min(self.size_hw[1] * 0.8, tall * rng.choice([1.0, 1.0, rng.uniform(1, 6)]))) + 8, int(min(tall, self.size_hw[0] * 0.8)) + 8)
        matrix = canvas.find_place(size, 1.0, tuple(_near(base, rng) for _ in range(3)), rng)
        if matrix is not None:
            canvas.hang(distractor(size, rng, noise), matrix, 1)


def _some(mean: float, rng: Random) -> int:
    """A whole number, ``mean`` on average."""
    return int(mean + rng.random())


def _near(base: Pose, rng: Random) -> Pose:
    """Mostly like the other sheets of the picture, sometimes turned in its own way."""
    if rng.random() < 0.75:
        yaw, pitch, roll = base.yaw + rng.gauss(0, 0.08), base.pitch + rng.gauss(0, 0.05), base.roll + rng.gauss(0, 0.03)
    else:
        yaw, pitch, roll = rng.gauss(0, 0.5), rng.gauss(0, 0.2), rng.gauss(0, 0.16) if rng.random() < 0.7 else rng.choice([-pi / 2, pi / 2, rng.uniform(-1.0, 1.0)])
    slant = rng.gauss(0, 0.18) if rng.random() < 0.15 else 0.0
    return Pose(max(-1.15, min(1.15, yaw)), max(-0.7, min(0.7, pitch)), roll, slant, max(0.6, min(1.6, 2 ** rng.gauss(0, 0.25))))


def _read(canvas: Canvas, image: NDArray[np.uint8]) -> WordPicture:
    """What can be read in the end."""
    words = canvas.visible_words()
    ignore = np.array([not canvas.readable(word, image) for word in words], bool)
    quads = np.array([word.quad for word in words]).reshape(-1, 4, 2)
    characters = np.concatenate([word.characters for word in words]) if words else np.zeros((0, 4, 2))
    owners = np.repeat(np.arange(len(words)), [len(word.characters) for word in words]).astype(np.int64)
    return WordPicture(image, quads, ignore, tuple(word.text for word in words), characters, owners)
