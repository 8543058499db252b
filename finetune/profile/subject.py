"""What is measured: a detector with its settings, from a run, from published weights, or built from settings alone."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from backbones.errors import UsageError
from detectors.registry import TEXT_DETECTORS
from finetune.build import build_detector, build_preprocess
from finetune.config import RunConfig
from finetune.data.images import read_image
from finetune.load import load_run

NOISE = "noise"
_NOISE_SEED = 0


@dataclass(frozen=True, eq=False)
class ProfileSubject:
    """A detector to measure.

    Args:
        name: For people; a comparison takes the name of its candidate.
        config: Settings that build the same network again, in the processes that measure memory.
        num_classes: Classes that it tells apart.
        detector: The network on the CPU, in eval mode.
        is_trained: Whether its weights are those of a run.
        image: [1, C, H, W] float32 on the CPU, normalised: what the network looks at.
        picture: "noise", or the file name of the picture.
    """

    name: str
    config: RunConfig
    num_classes: int
    detector: Any
    is_trained: bool
    image: Tensor
    picture: str = NOISE

    @property
    def input_hw(self) -> tuple[int, int]:
        """Height and width of the input in pixels."""
        return int(self.image.shape[-2]), int(self.image.shape[-1])

    @property
    def backbone(self) -> str:
        """Name of the backbone; "" for a detector with its own."""
        return "" if self.config.detector.name == "craft" else self.config.backbone.name


def subject_from_config(config: RunConfig, num_classes: int, name: str = "", picture: str | None = None) -> ProfileSubject:
    """A detector with random weights, which cost what trained ones cost, but for the decoding.

    Args:
        config: Its settings; ``data.input_size`` is the input.
        num_classes: Classes; a text detector has one.
        name: For people; default: backbone and detector.
        picture: File to look at instead of noise.

    Raises:
        UsageError: Settings that do not work.
        DataError: A picture that cannot be read.
    """
    num_classes = 1 if config.detector.name in TEXT_DETECTORS else num_classes
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        detector = build_detector(config, num_classes, weights="none").eval()
    own = config.detector.name if config.detector.name == "craft" else f"{config.detector.name} {config.backbone.name}"
    image, seen = _look(detector, build_preprocess(config), config, picture)
    return ProfileSubject(name or own, config, num_classes, detector, False, image, seen)


def subject_from_run(run: str, name: str = "", picture: str | None = None, input_hw: tuple[int, int] | None = None) -> ProfileSubject:
    """The detector of a run with its best weights.

    Args:
        run: Run folder, .safetensors file, or the name of published weights (craft_mlt_25k).
        name: For people; default: the name of the folder.
        picture: File to look at instead of noise.
        input_hw: Height and width of the input in pixels, if not those of the run.

    Raises:
        UsageError: No such run, or an input size that the network does not take.
        DataError: A picture that cannot be read.
    """
    loaded = load_run(run)
    config = with_input(loaded.config, input_hw)
    preprocess = loaded.preprocess if input_hw is None else build_preprocess(config)
    loaded.detector.backbone.size_rule.check(config.data.input_size, config.backbone.name)
    image, seen = _look(loaded.detector, preprocess, config, picture)
    return ProfileSubject(name or Path(run).name, config, len(loaded.class_names), loaded.detector, True, image, seen)


def with_input(config: RunConfig, input_hw: tuple[int, int] | None) -> RunConfig:
    """Settings with another input size; None leaves them."""
    return config if input_hw is None else replace(config, data=replace(config.data, input_size=input_hw))


def check_names(subjects: list[ProfileSubject]) -> list[ProfileSubject]:
    """The same subjects with names that differ: a second "demo" becomes "demo (2)"."""
    seen: dict[str, int] = {}
    named = []
    for subject in subjects:
        seen[subject.name] = seen.get(subject.name, 0) + 1
        named.append(subject if seen[subject.name] == 1 else replace(subject, name=f"{subject.name} ({seen[subject.name]})"))
    return named


def _look(detector: Any, preprocess: Any, config: RunConfig, picture: str | None) -> tuple[Tensor, str]:
    """The input [1, C, H, W], normalised, and what it shows."""
    if picture is None:
        noise = torch.rand(1, config.data.channels, *config.data.input_size, generator=torch.Generator().manual_seed(_NOISE_SEED))
        return detector.image_stats.normalize(noise), NOISE
    if not Path(picture).is_file():
        raise UsageError(f"--picture {picture}: there is no such file; give one picture, or leave it out for noise")
    prepared, _ = preprocess.apply(read_image(Path(picture), config.data.channels))
    return detector.image_stats.normalize(prepared[None]), Path(picture).name
