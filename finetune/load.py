"""A trained detector with all that prediction needs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from backbones.errors import UsageError
from backbones.types import ImageStats
from detectors.types import Detections, ImageMeta
from finetune.build import build_detector, build_preprocess
from finetune.config import DetectorConfig, EvaluateConfig, RunConfig
from finetune.data.original import map_back
from finetune.data.preprocess import Preprocess
from finetune.data.text_preprocess import TextPreprocess, stack_padded
from finetune.record import RunRecord, load_record
from finetune.run_folder import RunFolder
from finetune.start_weights import CRAFT_OFFICIAL, load_start_weights
from finetune.weights_file import WeightsInfo, load_weights

PUBLISHED = {CRAFT_OFFICIAL: RunConfig(detector=DetectorConfig("craft", CRAFT_OFFICIAL), evaluate=EvaluateConfig(("icdar2015-iou",)))}


@dataclass(frozen=True, eq=False)
class LoadedRun:
    """A detector in eval mode, its classes and its preprocessing.

    Args:
        detector: The network, on ``device``.
        class_names: Classes in label order.
        category_ids: Ids to write in COCO results, per class.
        preprocess: How pictures reach the network.
        image_stats: Mean and standard deviation that the weights expect.
        config: Settings of the run; of a run folder those with absolute paths.
        record: The record of a finished run folder, else None.
        device: Where it computes.
    """

    detector: Any
    class_names: tuple[str, ...]
    category_ids: tuple[int, ...]
    preprocess: Preprocess | TextPreprocess
    image_stats: ImageStats
    config: RunConfig
    record: RunRecord | None
    device: torch.device

    @property
    def finds_words(self) -> bool:
        """Whether it detects scene text (TextDetections) rather than objects (BoxDetections)."""
        return isinstance(self.preprocess, TextPreprocess)

    def predict(self, images: Sequence[NDArray[np.uint8]]) -> list[Any]:
        """Find objects, or words, in pictures, in one batch.

        Args:
            images: [H, W, C] uint8 RGB (or [H, W, 1]) pictures of any size.

        Returns:
            BoxDetections or TextDetections per picture on the CPU, in pixels of that picture, score descending.
        """
        if not images:
            return []
        outputs, metas = self.look(images)
        with torch.inference_mode():
            found = self.detector.decode(outputs, metas[0].input_hw)
        return self.map_back(found, metas)

    def look(self, images: Sequence[NDArray[np.uint8]]) -> tuple[Any, list[ImageMeta]]:
        """Raw outputs of pictures in one batch, and their metas; text inputs of several sizes are filled up with black."""
        prepared = [self.preprocess.apply(image) for image in images]
        batch = stack_padded([tensor for tensor, _ in prepared]).to(self.device)
        size = (int(batch.shape[-2]), int(batch.shape[-1]))
        metas = [ImageMeta(index, "", (image.shape[0], image.shape[1]), size, affine) for index, (image, (_, affine)) in enumerate(zip(images, prepared, strict=True))]
        with torch.inference_mode():
            return self.detector(self.image_stats.normalize(batch)), metas

    @staticmethod
    def map_back(found: Sequence[Detections], metas: Sequence[ImageMeta]) -> list[Any]:
        """Detections in input pixels to pixels of their pictures, on the CPU."""
        return [map_back(detections.to("cpu"), meta) for detections, meta in zip(found, metas, strict=True)]


def load_run(path: str | Path, device: str = "cpu") -> LoadedRun:
    """Load the best weights of a run.

    Args:
        path: Run folder, a .safetensors file of one, or the name of published detector weights: "craft_mlt_25k".
        device: "cpu", "cuda", ... or "auto" (a GPU where there is one).

    Returns:
        The detector, ready to predict.

    Raises:
        UsageError: No such run, no readable weights, or no such device.
    """
    target = choose_device(device)
    if str(path) in PUBLISHED and not Path(path).exists():
        return _load_published(PUBLISHED[str(path)], target)
    state, info = load_weights(path)
    detector = detector_from(state, info, str(path))
    root = Path(path).expanduser()
    folder = RunFolder.open(root) if root.is_dir() else None
    return LoadedRun(
        detector=detector.to(target).eval(),
        class_names=info.class_names,
        category_ids=info.category_ids,
        preprocess=info.preprocess,
        image_stats=info.image_stats,
        config=folder.load_config() if folder else info.config,
        record=load_record(folder.record) if folder and folder.record.is_file() else None,
        device=target,
    )


def load_detector(name: str, weights: str | None, device: str = "cpu") -> LoadedRun:
    """A detector with the weights that its authors published, with their preprocessing and thresholds.

    Args:
        name: Of the detector: "craft" is the only one whose weights come without a run.
        weights: "craft_mlt_25k", or a checkpoint file of the same network.
        device: As for ``load_run``.

    Raises:
        UsageError: No such detector or weights.
    """
    if name != "craft":
        raise UsageError(f"--detector {name}: only craft has published weights (craft_mlt_25k); give the run folder of any other")
    config = replace(PUBLISHED[CRAFT_OFFICIAL], detector=DetectorConfig("craft", weights or CRAFT_OFFICIAL))
    return _load_published(config, choose_device(device))


def _load_published(config: RunConfig, device: torch.device) -> LoadedRun:
    detector = build_detector(config, 1, weights="none")
    load_start_weights(detector, config.detector.weights or CRAFT_OFFICIAL, ("text",), keep_classes=False)
    return LoadedRun(
        detector=detector.to(device).eval(),
        class_names=("text",),
        category_ids=(1,),
        preprocess=build_preprocess(config),
        image_stats=detector.image_stats,
        config=config,
        record=None,
        device=device,
    )


def detector_from(state: dict[str, torch.Tensor], info: WeightsInfo, where: str) -> Any:
    """Build the network that a weights file describes and fill it."""
    detector = build_detector(info.config, len(info.class_names), weights="none")
    try:
        detector.load_state_dict(state)
    except RuntimeError as error:
        reason = str(error).splitlines()[1].strip() if "\n" in str(error) else str(error)
        raise UsageError(f"the weights in {where} do not fit the network that they describe ({reason}): load them with the package versions of their run, see environment.json") from error
    detector.image_stats = info.image_stats
    return detector


def choose_device(device: str) -> torch.device:
    """A device by name; "auto" is a GPU where there is one.

    Raises:
        UsageError: It is not there.
    """
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        chosen = torch.device(device)
        torch.zeros(1, device=chosen)
    except (RuntimeError, AssertionError) as error:
        raise UsageError(f"device {device!r} cannot be used here ({str(error).splitlines()[0]}): give cpu, or auto") from error
    return chosen
