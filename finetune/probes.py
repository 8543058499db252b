"""A few pictures as the network gets them: what it should answer and what it does answer, for people and for a diagnosis."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from detectors.craft.heatmaps import build_targets
from detectors.craft.model import CraftOutputs
from detectors.types import Detections, ImageMeta, Target, TextTarget

Sample = tuple[Tensor, Target, ImageMeta]


@dataclass(frozen=True, eq=False)
class Maps:
    """Region and affinity [2, h, w] f32: what was to be learnt, how far it counts [h, w], and what the network gave."""

    target: NDArray[np.float32]
    confidence: NDArray[np.float32]
    found: NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Probe:
    """One input [H, W, C] uint8 with target and detections in its pixels, and maps where the detector has such."""

    image: NDArray[np.uint8]
    target: Target
    detections: Detections
    meta: ImageMeta
    maps: Maps | None = None


@torch.no_grad()
def take_probes(detector: Any, forward: Callable[[Tensor], Any], samples: Sequence[Sample], device: torch.device) -> list[Probe]:
    """Show single pictures to a network, which is left as it was.

    Args:
        detector: It decodes.
        forward: Raw outputs of images [1, C, H, W] as the data gives them (uint8, not normalised).
        samples: Pictures with targets, whole or cut, not augmented.
        device: Where the network is.
    """
    probes = []
    with evaluating(detector):
        for image, target, meta in samples:
            outputs = forward(image[None].to(device))
            found = detector.decode(outputs, (image.shape[1], image.shape[2]))[0].to("cpu")
            maps = None
            if isinstance(outputs, CraftOutputs) and isinstance(target, TextTarget):
                given = outputs.maps[0].float().cpu()
                wanted = build_targets([target], (given.shape[1], given.shape[2]))
                maps = Maps(wanted.maps[0].numpy(), wanted.confidence[0].numpy(), given.numpy())
            probes.append(Probe(np.ascontiguousarray(image.permute(1, 2, 0).numpy()), target, found, meta, maps))
    return probes


@contextmanager
def evaluating(module: nn.Module) -> Iterator[None]:
    """A network in eval mode; afterwards each of its parts is in the mode that it had."""
    modes = [(part, part.training) for part in module.modules()]
    try:
        module.eval()
        yield
    finally:
        for part, mode in modes:
            part.training = mode
