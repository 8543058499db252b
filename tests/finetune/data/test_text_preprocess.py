"""Preprocessing of scene text: the published rule, the way back, batches of different sizes."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from backbones.errors import UsageError
from detectors.types import ImageMeta, TextDetections
from finetune.data.text_preprocess import TextPreprocess, stack_padded, to_original_text


def picture(height: int, width: int, channels: int = 3) -> np.ndarray:
    return np.random.default_rng(0).integers(1, 256, (height, width, channels), dtype=np.uint8)


@pytest.mark.parametrize(
    ("size", "canvas", "mag", "resized", "padded"),
    [
        ((720, 1280), 1280, 1.5, (720, 1280), (736, 1280)),
        ((720, 1280), 768, 1.5, (432, 768), (448, 768)),
        ((100, 200), 1280, 1.5, (150, 300), (160, 320)),
        ((333, 77), 1280, 1.0, (333, 77), (352, 96)),
        ((3000, 2), 1280, 1.5, (1280, 1), (1280, 32)),
    ],
)
def test_sizes(size: tuple[int, int], canvas: int, mag: float, resized: tuple[int, int], padded: tuple[int, int]) -> None:
    preprocess = TextPreprocess(canvas, mag)
    assert preprocess.sizes(size) == (resized, padded)
    tensor, affine = preprocess.apply(picture(*size))
    assert tensor.dtype == torch.uint8
    assert tuple(tensor.shape) == (3, *padded)
    ratio = min(mag * max(size), canvas) / max(size)
    assert affine == (ratio, 0.0, 0.0, 0.0, ratio, 0.0)
    assert (tensor[:, resized[0] :] == 0).all()
    assert (tensor[:, :, resized[1] :] == 0).all()
    assert tensor[:, : resized[0], : resized[1]].float().mean() > 50


def test_at_ratio_one_pixels_stay_as_they_are() -> None:
    image = picture(64, 96)
    tensor, _ = TextPreprocess(1280, 1.0).apply(image)
    assert np.array_equal(tensor.numpy().transpose(1, 2, 0), image)


def test_grey_pictures() -> None:
    assert TextPreprocess(320, 1.0, channels=1).apply(picture(50, 60, 1))[0].shape == (1, 64, 64)


def test_words_go_back_to_the_picture() -> None:
    preprocess = TextPreprocess(768, 1.5)
    tensor, affine = preprocess.apply(picture(720, 1280))
    meta = ImageMeta("a", "", (720, 1280), (tensor.shape[1], tensor.shape[2]), affine)
    original = torch.tensor([[[-5.0, 10], [100, 10], [100, 60], [-5, 60]]])
    found = TextDetections(original * 0.6, torch.tensor([0.9]), torch.tensor([0]), (original[0, :3] * 0.6,))
    back = to_original_text(found, meta)
    assert torch.allclose(back.quads, original, atol=1e-4)
    assert torch.allclose(back.polygons[0], original[0, :3], atol=1e-4)
    turned = ImageMeta("a", "", (9, 9), (9, 9), (0.0, -2.0, 7.0, 2.0, 0.0, 1.0))
    x, y = original[..., 0], original[..., 1]
    there = torch.stack([-2 * y + 7, 2 * x + 1], -1)
    assert torch.allclose(to_original_text(TextDetections(there, found.scores, found.labels), turned).quads, original, atol=1e-4)
    empty = TextDetections(torch.zeros(0, 4, 2), torch.zeros(0), torch.zeros(0, dtype=torch.int64))
    assert to_original_text(empty, meta).quads.shape == (0, 4, 2)


def test_a_batch_of_different_sizes_is_black_outside() -> None:
    inputs = [TextPreprocess(320, 1.0).apply(picture(*size))[0] for size in ((64, 96), (100, 50))]
    batch = stack_padded(inputs)
    assert tuple(batch.shape) == (2, 3, 128, 96)
    assert torch.equal(batch[0, :, :64, :96], inputs[0])
    assert batch[0, :, 64:].sum() == 0
    assert torch.equal(stack_padded(inputs[:1])[0], inputs[0])


def test_settings_survive_as_primitives_and_wrong_ones_are_refused() -> None:
    preprocess = TextPreprocess(1536, 2.0)
    assert TextPreprocess.from_dict(preprocess.to_dict()) == preprocess
    for wrong in ({"canvas": 8}, {"mag_ratio": 0.0}, {"mag_ratio": math.nan}):
        with pytest.raises(UsageError):
            TextPreprocess(**wrong)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="uint8"):
        preprocess.apply(picture(10, 10).astype(np.float32))  # type: ignore[arg-type]
