"""What words stand on: photographs of the user, or grounds drawn by our own code."""

from __future__ import annotations

from pathlib import Path
from random import Random

import cv2
import numpy as np
from numpy.typing import NDArray

from backbones.errors import DataError, UsageError
from finetune.data.file_listing import IMAGE_SUFFIXES
from finetune.data.held_out import HeldOut
from finetune.data.images import read_image
from finetune.samples.text.colours import muted
from finetune.samples.text.rooms import room
from finetune.samples.text.sheets import between, ramp, soft_noise
from finetune.samples.text.streets import SCENES, street_scene
from finetune.samples.text.textures import TEXTURES, lights

Picture = NDArray[np.uint8]


def list_photographs(folder: str) -> tuple[Path, ...]:
    """The pictures in a folder and below it, in one order on every machine.

    Raises:
        UsageError: It is no folder, or has no pictures.
    """
    root = Path(folder).expanduser()
    if not root.is_dir():
        raise UsageError(f"backgrounds {folder!r} is no folder: give one with photographs, or leave it out to have them drawn")
    found = tuple(sorted(path for path in root.rglob("*") if path.suffix.lower() in IMAGE_SUFFIXES and path.is_file()))
    if not found:
        raise UsageError(f"no picture in {folder} or below it: put {', '.join(sorted(IMAGE_SUFFIXES)[:4])} files there, or leave backgrounds out to have them drawn")
    return found


class Grounds:
    """Backgrounds of one size.

    Args:
        size_hw: Height and width.
        seed: Of the street scenes.
        folder: Photographs; None draws.
        held_out: Photographs that must not be painted on, and copies of them.

    Raises:
        UsageError: The folder has no pictures.
        DataError: All of them are held out.
    """

    def __init__(self, size_hw: tuple[int, int], seed: int, folder: str | None, held_out: HeldOut | None = None) -> None:
        self.size_hw, self._seed = size_hw, seed
        listed = () if folder is None else list_photographs(folder)
        self.photographs = listed if held_out is None else tuple(path for path, allowed in zip(listed, held_out.allow(listed), strict=True) if allowed)
        self.left_out = len(listed) - len(self.photographs)
        if listed and not self.photographs:
            raise DataError(f"backgrounds {folder}: all of its pictures are in the validation or test split; name other photographs, or leave the folder out to have backgrounds drawn")

    def draw(self, rng: Random, noise: np.random.Generator) -> Picture:
        """A background [H, W, 3] u8 RGB that may be painted on."""
        height, width = self.size_hw
        if self.photographs:
            path = rng.choice(self.photographs)
            try:
                return self._part(read_image(path), rng, rng.uniform(0.6, 1.0))
            except DataError as error:
                raise DataError(f"{error}: mend it, or take it out of the backgrounds") from error
        kind = rng.random()
        if kind < 0.32:
            return self._part(street_scene(self._seed, rng.randrange(SCENES)), rng, rng.uniform(0.4, 1.0))
        if kind < 0.66:
            picture = room((width, height), rng, noise)
        elif kind < 0.9:
            picture = _wall((width, height), rng, noise)
        else:
            picture = between(muted(rng), muted(rng), ramp(rng.uniform(-1, 1), rng.uniform(-1, 1)), (width, height))
            if rng.random() < 0.6:
                picture = cv2.addWeighted(picture, 0.5, lights((width, height), rng, noise), 0.5, 0).astype(np.uint8)
        return _uneven(picture, rng, noise)

    def _part(self, whole: Picture, rng: Random, share: float) -> Picture:
        """A part of a picture, scaled to the size."""
        height, width = self.size_hw
        scale = share * min(whole.shape[0] / height, whole.shape[1] / width)
        tall, wide = max(1, int(height * scale)), max(1, int(width * scale))
        top, left = rng.randint(0, whole.shape[0] - tall), rng.randint(0, whole.shape[1] - wide)
        part = whole[top : top + tall, left : left + wide]
        if rng.random() < 0.5:
            part = part[:, ::-1]
        return np.array(cv2.resize(np.ascontiguousarray(part), (width, height), interpolation=cv2.INTER_AREA if scale > 1 else cv2.INTER_CUBIC), np.uint8)


def _uneven(picture: Picture, rng: Random, noise: np.random.Generator) -> Picture:
    height, width = picture.shape[:2]
    factor = 128 * (1 + soft_noise((width // 4, height // 4), rng.randint(2, 20), noise) * rng.uniform(0.02, 0.15))
    layer = cv2.resize(np.clip(factor, 0, 255).astype(np.uint8), (width, height), interpolation=cv2.INTER_LINEAR)
    return np.asarray(cv2.multiply(picture, cv2.cvtColor(layer, cv2.COLOR_GRAY2RGB), scale=1 / 128), np.uint8)


def _wall(size: tuple[int, int], rng: Random, noise: np.random.Generator) -> Picture:
    """One or two surfaces, seen at an angle."""
    picture = _leaning(rng.choice(TEXTURES)(size, rng, noise), rng)
    if rng.random() < 0.6:
        other = _leaning(rng.choice(TEXTURES)(size, rng, noise), rng)
        edge = rng.uniform(0.2, 0.8)
        ends = [edge + rng.uniform(-0.15, 0.15) for _ in range(2)]
        level, upright = [(0, ends[0]), (1, ends[1]), (1, 1), (0, 1)], [(ends[0], 0), (1, 0), (1, 1), (ends[1], 1)]
        mask = np.zeros((size[1], size[0]), np.uint8)
        cv2.fillPoly(mask, [(np.array(rng.choice([level, upright])) * size).astype(np.int32)], 255)
        cv2.copyTo(other, mask, picture)
    return picture


def _leaning(picture: Picture, rng: Random) -> Picture:
    if rng.random() < 0.3:
        return picture
    height, width = picture.shape[:2]
    lean = [rng.uniform(0.0, 0.5) if rng.random() < 0.5 else 0.0 for _ in range(4)]
    if rng.random() < 0.5:
        source = [(0, lean[0] * height / 2), (width, lean[1] * height / 2), (width, height - lean[2] * height / 2), (0, height - lean[3] * height / 2)]
    else:
        source = [(lean[0] * width / 2, 0), (width - lean[1] * width / 2, 0), (width - lean[2] * width / 2, height), (lean[3] * width / 2, height)]
    target = [(0, 0), (width, 0), (width, height), (0, height)]
    matrix = cv2.getPerspectiveTransform(np.array(source, np.float32), np.array(target, np.float32))
    return np.asarray(cv2.warpPerspective(picture, matrix, (width, height), borderMode=cv2.BORDER_REFLECT), np.uint8)
