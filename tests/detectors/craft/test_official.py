"""CRAFT against the official network and its post-processing: parameters, multiply-adds, maps, quads."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch.utils.flop_counter import FlopCounterMode

from detectors.craft.decode import DecodeSettings, decode_maps
from detectors.registry import create_detector
from finetune.data.images import read_image
from finetune.data.text_preprocess import TextPreprocess
from tests.detectors.craft.conftest import Golden

MAPS_TOLERANCE = 2e-3  # the golden maps are float16
PREPROCESS = TextPreprocess(canvas=768, mag_ratio=1.5)


def quad_distance(found: NDArray[np.float32], wanted: NDArray[np.float32]) -> float:
    """The greatest distance of a corner from its place, quads paired by nearness; infinite where their numbers differ."""
    if len(found) != len(wanted):
        return np.inf
    distances = np.abs(wanted[:, None] - found[None]).max((2, 3))
    pairs = distances.argmin(1)
    return float(distances.min(1).max()) if len(set(pairs)) == len(wanted) else np.inf


def test_the_published_number_of_parameters_and_multiply_adds() -> None:
    with torch.device("meta"):
        detector = create_detector("craft").eval()
    assert sum(p.numel() for p in detector.parameters()) == 20_770_466
    counter = FlopCounterMode(display=False)
    with torch.no_grad(), counter:
        detector(torch.zeros(1, 3, 256, 256, device="meta"))
    assert round(counter.get_total_flops() / 2 / 1e9, 2) == 23.31


def test_pictures_reach_the_network_as_in_the_official_code(golden: list[Golden]) -> None:
    for image in golden:
        picture = read_image(image.picture)
        tensor, affine = PREPROCESS.apply(picture)
        assert tuple(tensor.shape) == (3, *image.input_hw)
        assert affine == (image.ratio, 0.0, 0.0, 0.0, image.ratio, 0.0)
        normalised = create_detector("craft").image_stats.normalize(tensor[None])
        assert normalised.abs().mean().item() == pytest.approx(image.mean_abs, abs=1e-6)


def test_maps_equal_those_of_the_official_network(official: Any, golden: list[Golden]) -> None:
    for image in golden[3:]:
        tensor, _ = PREPROCESS.apply(read_image(image.picture))
        with torch.no_grad():
            outputs = official(official.image_stats.normalize(tensor[None]))
        assert (outputs.maps[0] - image.maps).abs().max() < MAPS_TOLERANCE, image.name
        found = official.decode(outputs, image.input_hw)[0]
        assert quad_distance(found.quads.numpy() / 2, image.quads) < 1, image.name


@pytest.mark.slow
def test_maps_of_all_golden_images(official: Any, golden: list[Golden]) -> None:
    for image in golden:
        test_maps_equal_those_of_the_official_network(official, [image] * 4)


def test_quads_of_the_golden_maps(golden: list[Golden]) -> None:
    assert sum(len(image.quads) for image in golden) == 28
    for image in golden:
        found = decode_maps(image.maps[None], DecodeSettings())[0]
        assert quad_distance(found.quads.numpy() / 2, image.quads) < 0.01, image.name
