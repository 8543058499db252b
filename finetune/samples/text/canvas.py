"""A picture that is being drawn: what hangs where, what hides what, and what can be read in the end."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import cos, pi, sin
from random import Random

import cv2
import numpy as np
from numpy.typing import NDArray

from finetune.samples.text.colours import Rgb, mixed, paint
from finetune.samples.text.planes import Matrix, Pose, frame_in_picture, frame_of, map_quads, show
from finetune.samples.text.textures import shade
from finetune.samples.text.typesetting import FlatWord

MIN_READABLE = 8.0  # pixels: words with lower characters are "###"
MIN_VISIBLE = 0.75  # so are words of which less shows
MIN_CONTRAST = 12.0  # and words that stand out less, of 255; small ones must stand out more: by half as much again at 24 pixels, three times at 6
_FAINT_HEIGHT = 12.0
_COARSE = 4  # pixels per cell of the map of what is taken

Quad = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class PlacedWord:
    """A word in the picture: quad [4, 2] and character quads [K, 4, 2] in picture pixels."""

    text: str
    quad: Quad
    characters: Quad


@dataclass(eq=False)
class Canvas:
    """Draws into ``image`` [H, W, 3] u8; remembers where letters are, what stands before them, and where something hangs."""

    image: NDArray[np.uint8]
    words: list[PlacedWord] = field(default_factory=list)

    def __post_init__(self) -> None:
        height, width = self.image.shape[:2]
        self.inked = np.zeros((height, width), np.uint8)
        self.hidden = np.zeros((height, width), np.uint8)
        self._taken = np.zeros((height // _COARSE + 1, width // _COARSE + 1), np.uint8)

    def find_place(self, size: tuple[int, int], scale: float, poses: tuple[Pose, ...], rng: Random, calm: bool = False) -> Matrix | None:
        """A homography that hangs a sheet where nothing is yet, and marks the place as taken.

        Args:
            size: Width and height of the sheet.
            scale: Picture pixels per sheet pixel.
            poses: One is tried after the other, each at another place.
            rng: Chooses places.
            calm: Take the calmest of three places.
        """
        height, width = self.image.shape[:2]
        found: list[tuple[float, Matrix, tuple[slice, slice], NDArray[np.uint8]]] = []
        for pose in poses:
            half = [min(0.5 * most, 0.4 * side * scale) for most, side in ((width, size[0]), (height, size[1]))]  # centres nearer to the edge would not do
            centre = rng.uniform(half[0], width - half[0]), rng.uniform(half[1], height - half[1])
            matrix = pose.homography(size, scale, centre, 1.3 * max(width, height))
            corners = frame_in_picture(matrix, size)
            if corners is None:
                continue
            xs, ys = [x for x, _ in corners], [y for _, y in corners]
            slack = 0.06 * max(width, height) if rng.random() < 0.1 else 2.0
            if min(xs) < -slack or min(ys) < -slack or max(xs) > width + slack or max(ys) > height + slack:
                continue
            left, top, right, bottom = max(0, int(min(xs) / _COARSE)), max(0, int(min(ys) / _COARSE)), int(max(xs) / _COARSE) + 2, int(max(ys) / _COARSE) + 2
            room = np.s_[top:bottom, left:right]
            under = self._taken[room]
            frame = np.array(corners)
            mask = np.zeros(under.shape, np.uint8)
            cv2.fillConvexPoly(mask, np.rint((frame / _COARSE - (left, top)) * 16).astype(np.int32), 1, shift=4)
            if not mask.size or cv2.countNonZero(under & mask):
                continue
            found.append((self._unrest(frame) if calm else 0.0, matrix, room, mask))
            if len(found) == (3 if calm else 1):
                break
        if not found:
            return None
        _, matrix, room, mask = min(found, key=lambda one: one[0])
        self._taken[room] |= mask
        return matrix

    def _under(self, frame: Quad) -> NDArray[np.uint8]:
        left, top = np.maximum(frame.min(0), 0).astype(int)
        right, bottom = np.ceil(frame.max(0)).astype(int)
        return self.image[top : max(bottom, top + 1), left : max(right, left + 1)]

    def _unrest(self, frame: Quad) -> float:
        return float(cv2.meanStdDev(self._under(frame)[::2, ::2])[1].sum())

    def colour_at(self, matrix: Matrix, size: tuple[int, int]) -> Rgb:
        """The mean colour where a sheet will hang."""
        red, green, blue = cv2.mean(self._under(map_quads(matrix, frame_of(size))))[:3]
        return red, green, blue

    def hang(self, pixels: NDArray[np.uint8], matrix: Matrix, finer: int, texture: float = 0.0) -> None:
        """Blend a sheet [h, w, 4] in.

        Args:
            pixels: Colours times coverage.
            matrix: From sheet to picture pixels.
            finer: Samples per pixel and direction.
            texture: Share of what is below that shows through as light and dark: paint on a wall.
        """
        shown = show(pixels, matrix, self.image.shape[:2], finer)
        if shown is None:
            return
        part, left, top = shown
        place = np.s_[top : top + part.shape[0], left : left + part.shape[1]]
        cover = cv2.cvtColor(part[..., 3], cv2.COLOR_GRAY2RGB)
        old = np.ascontiguousarray(self.image[place])
        mixture = cv2.add(cv2.multiply(old, 255 - cover, scale=1 / 255), np.ascontiguousarray(part[..., :3]))
        if texture > 0:
            rough = cv2.subtract(old, cv2.blur(old, (15, 15)), dtype=cv2.CV_16S)
            rough = cv2.multiply(rough, cover, scale=texture / 255, dtype=cv2.CV_16S)
            mixture = cv2.add(mixture, rough, dtype=cv2.CV_8U)
        self.image[place] = mixture

    def write(self, ink: NDArray[np.uint8], words: tuple[FlatWord, ...], matrix: Matrix, finer: int) -> None:
        """Remember the words of a sheet and where their letters are."""
        letters = show(ink, matrix, self.image.shape[:2], finer)
        if letters is not None:
            part, left, top = letters
            place = self.inked[top : top + part.shape[0], left : left + part.shape[1]]
            np.maximum(place, part[..., 0], out=place)
        self.words += [PlacedWord(word.text, map_quads(matrix, word.quad), map_quads(matrix, word.characters)) for word in words]

    def stand_before(self, rng: Random) -> None:
        """Something between the camera and the words: a pole, a cable, a branch, somebody's back."""
        height, width = self.image.shape[:2]
        x, y, turn = rng.uniform(0, width), rng.uniform(0, height), rng.gauss(pi / 2, 0.15) if rng.random() < 0.6 else rng.uniform(0, pi)
        colour = paint(rng)
        kind = rng.random()
        if kind < 0.6:
            away = np.array([cos(turn), sin(turn)]) * (width + height)
            thick = rng.randint(1, 4) if rng.random() < 0.6 else rng.randint(5, max(6, width // 40))
            ends = [tuple(int(value) for value in np.array([x, y]) + sign * away) for sign in (-1, 1)]
            for target, tone in ((self.image, shade(colour, 1.0)), (self.hidden, (255,) * 3)):
                cv2.line(target, ends[0], ends[1], tone, thick, cv2.LINE_AA)
            return
        count, reach = (rng.randint(5, 40), rng.uniform(4, 14)) if kind < 0.85 else (1, rng.uniform(0.05, 0.16) * width)
        for _ in range(count):
            at = (int(x + rng.gauss(0, 3 * reach)), int(y + rng.gauss(0, 2 * reach))) if count > 1 else (int(x), height)
            axes, angle = (max(1, int(reach * rng.uniform(0.6, 1.2))), max(1, int(reach * rng.uniform(0.3, 1.8)))), rng.uniform(0, 360)
            tone = shade(mixed(colour, paint(rng), 0.2), rng.uniform(0.5, 1.0))
            for target, value in ((self.image, tone), (self.hidden, (255,) * 3)):
                cv2.ellipse(target, at, axes, angle, 0, 360, value, -1, cv2.LINE_AA)

    def readable(self, word: PlacedWord, picture: NDArray[np.uint8]) -> bool:
        """Whether a word is high enough, shows enough, and stands out in the finished ``picture``."""
        sides = word.characters if len(word.characters) else word.quad[None]
        tall = (np.linalg.norm(sides[:, 3] - sides[:, 0], axis=1) + np.linalg.norm(sides[:, 2] - sides[:, 1], axis=1)) / 2
        if tall.max() < MIN_READABLE:
            return False
        low, high = np.floor(word.quad.min(0)).astype(int), np.ceil(word.quad.max(0)).astype(int)
        (left, top), (right, bottom) = np.maximum(low, 0), np.minimum(high, picture.shape[1::-1])
        mask = np.zeros((high[1] - low[1], high[0] - low[0]), np.uint8)
        cv2.fillConvexPoly(mask, np.rint((word.quad - low - 0.5) * 16).astype(np.int32), 1, shift=4)
        seen = mask[top - low[1] : bottom - low[1], left - low[0] : right - low[0]] * (self.hidden[top:bottom, left:right] < 128)
        if cv2.countNonZero(seen) < MIN_VISIBLE * cv2.countNonZero(mask):
            return False
        part, ink = np.ascontiguousarray(picture[top:bottom, left:right]), self.inked[top:bottom, left:right]
        letters, around = seen * (ink > 110), seen * (ink < 60)
        if not letters.any() or not around.any():
            return False
        apart = np.subtract(cv2.mean(part, letters)[:3], cv2.mean(part, around)[:3])
        return bool(np.abs(apart).max() >= MIN_CONTRAST * (1 + _FAINT_HEIGHT / tall.max()))

    def visible_words(self) -> list[PlacedWord]:
        """The words of which something lies in the picture."""
        size = self.image.shape[1::-1]
        return [word for word in self.words if _area(np.clip(word.quad, 0, size)) >= 4]


def _area(quad: Quad) -> float:
    after = np.roll(quad, -1, axis=0)
    return abs(float((quad[:, 0] * after[:, 1] - after[:, 0] * quad[:, 1]).sum())) / 2
