"""Training augmentation in four strengths: one geometric step, then colour on the small image. The only file that imports albumentations."""

from __future__ import annotations

import os
import random
from typing import Any

import numpy as np
from numpy.typing import NDArray

os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")  # the import asks PyPI for the newest version otherwise

import albumentations as A

from backbones.errors import UsageError
from finetune.data.geometry import GeometryLimits, random_placement, visible
from finetune.data.preprocess import Affine, Preprocess, map_boxes

LEVELS = ("none", "light", "medium", "strong")

_GEOMETRY = {
    "light": GeometryLimits(zoom=(0.8, 1.3), zoom_chance=0.7, stretch=1.1),
    "medium": GeometryLimits(zoom=(0.6, 1.6), zoom_chance=0.8, stretch=1.25),
    "strong": GeometryLimits(zoom=(0.35, 1.6), zoom_chance=0.8, stretch=1.35, iou_crop=0.4),
}


class Transform:
    """An augmentation level for one kind of input.

    Calling it draws a picture into the input and changes its colours. Boxes, in float precision, follow exactly; those
    that keep less than ``min_visibility`` of their area are dropped, ignored ones are only clipped.
    """

    def __init__(self, geometry: GeometryLimits, colour: A.Compose, preprocess: Preprocess) -> None:
        self.geometry = geometry
        self.colour = colour
        self.preprocess = preprocess

    def __call__(
        self, image: NDArray[np.uint8], boxes: NDArray[np.float64], ignore: NDArray[np.bool_], seed: tuple[int, int, int, int]
    ) -> tuple[NDArray[np.uint8], NDArray[np.float64], NDArray[np.intp], Affine]:
        """Augment one sample.

        Args:
            image: [H, W, C] uint8.
            boxes: [N, 4] xyxy in picture pixels.
            ignore: [N] crowd or difficult.
            seed: Run seed, epoch, rank, index; equal seeds give equal samples in every process.

        Returns:
            [input_h, input_w, C] uint8; [K, 4] boxes in input pixels; the rows [K] of ``boxes`` that are left; the affine.
        """
        rng = np.random.default_rng(seed)
        drawn, moved, rows, affine = self.draw(rng, image, boxes, ignore)
        return self.recolour(rng, drawn), moved, rows, affine

    def draw(
        self, rng: np.random.Generator, image: NDArray[np.uint8], boxes: NDArray[np.float64], ignore: NDArray[np.bool_]
    ) -> tuple[NDArray[np.uint8], NDArray[np.float64], NDArray[np.intp], Affine]:
        """The geometric step alone; returns as in a call."""
        placement = random_placement(rng, self.geometry, self.preprocess, (image.shape[0], image.shape[1]), boxes[~ignore])
        affine = placement.affine(self.preprocess.input_hw)
        moved, keep = visible(map_boxes(boxes, affine), self.preprocess.input_hw, self.geometry.min_visibility, ignore)
        rows = np.flatnonzero(keep)
        return np.ascontiguousarray(self.preprocess.place(image, placement)), moved[rows], rows, affine

    def recolour(self, rng: np.random.Generator, drawn: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """The colour steps alone."""
        return recolour(self.colour, rng, drawn)


def recolour(colour: A.Compose, rng: np.random.Generator, drawn: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Change the colours of [H, W, C] uint8 by the steps of ``build_colour``."""
    # one generator for all steps: set_random_seed would give every step the same stream, so that a step with p=0.5
    # would be taken exactly when the others are
    colour.set_random_state(rng, random.Random(int(rng.integers(2**63))))
    recoloured: NDArray[np.uint8] = colour(image=drawn)["image"]
    return recoloured


def build_colour(level: str, grey: bool) -> A.Compose:
    """The colour steps of a level other than "none"."""
    if level not in _GEOMETRY:
        raise UsageError(f"augment {level!r} is none of {', '.join(LEVELS)}")
    return A.Compose(_colour_steps(level, grey))


def build_transform(level: str, preprocess: Preprocess) -> Transform:
    """The transform of a level other than "none" (which is ``preprocess.apply``)."""
    colour = build_colour(level, grey=preprocess.channels == 1)
    return Transform(_GEOMETRY[level], colour, preprocess)


def _colour_steps(level: str, grey: bool) -> list[Any]:
    light = [A.RandomBrightnessContrast(brightness_limit=0.15, contrast_limit=0.15, ensure_safe_range=True, p=0.5)]
    if level == "light":
        return light if grey else [*light, A.HueSaturationValue(hue_shift_limit=5, sat_shift_limit=20, val_shift_limit=0, p=0.3)]
    strong = level == "strong"
    amount = 0.35 if strong else 0.25
    steps: list[Any] = [A.RandomBrightnessContrast(brightness_limit=amount, contrast_limit=amount, ensure_safe_range=True, p=0.7)]
    if not grey:
        steps.append(A.HueSaturationValue(hue_shift_limit=15 if strong else 9, sat_shift_limit=45 if strong else 30, val_shift_limit=0, p=0.5))
        steps.append(A.ToGray(p=0.03))
        if strong:
            steps.append(A.ChannelShuffle(p=0.05))
    steps.append(A.OneOf([A.GaussianBlur(blur_limit=(3, 5), p=1), A.GaussNoise(std_range=(0.01, 0.05), p=1)], p=0.2 if strong else 0.1))
    return steps
