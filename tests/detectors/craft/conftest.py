"""The official network and the golden images; tests that need them skip, saying so, where they are absent."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from backbones.errors import UsageError
from detectors.craft.weights import OFFICIAL, official_path
from detectors.registry import create_detector


@dataclass(frozen=True, eq=False)
class Golden:
    """What the official code gives for one image: maps [2, h, w] f32 (stored as float16) and quads [N, 4, 2] in cells of the maps."""

    name: str
    picture: Path
    input_hw: tuple[int, int]
    ratio: float
    mean_abs: float  # of the normalised input
    maps: Tensor
    quads: NDArray[np.float32]


@pytest.fixture(scope="session")
def golden(shared_data: Path) -> list[Golden]:
    """The four golden images."""
    folder = shared_data / "craft_golden"
    if not (folder / "golden.json").is_file():
        pytest.skip(f"no golden maps of CRAFT: {folder} is absent")
    described = json.loads((folder / "golden.json").read_text(encoding="utf-8"))
    assert (described["canvas"], described["mag_ratio"]) == (768, 1.5)
    return [_read(folder, name, entry, shared_data / "ic15" / "test_images" / f"{name}.jpg") for name, entry in sorted(described["images"].items())]


def _read(folder: Path, name: str, entry: dict[str, Any], picture: Path) -> Golden:
    stored = np.load(folder / f"{name}.npz")
    maps = torch.from_numpy(np.stack([stored["region"], stored["affinity"]]).astype(np.float32))
    quads = np.array(entry["quads_map_px_from_f16"], np.float32).reshape(-1, 4, 2)
    return Golden(name, picture, tuple(entry["input_hw"]), entry["ratio"], entry["input_mean_abs"], maps, quads)


@pytest.fixture(scope="session")
def official() -> Any:
    """CRAFT with the official weights, in eval mode."""
    try:
        official_path()
    except UsageError as error:
        pytest.skip(str(error))
    return create_detector("craft", weights=OFFICIAL).eval()
