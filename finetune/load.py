"""A trained detector with all that prediction needs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from backbones.errors import UsageError
from backbones.types import ImageStats
from detectors.types import BoxDetections, ImageMeta
from finetune.build import build_detector
from finetune.config import RunConfig
from finetune.data import to_original
from finetune.data.preprocess import Preprocess
from finetune.record import RunRecord, load_record
from finetune.run_folder import RunFolder
from finetune.weights_file import WeightsInfo, load_weights


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
    preprocess: Preprocess
    image_stats: ImageStats
    config: RunConfig
    record: RunRecord | None
    device: torch.device

    def predict(self, images: Sequence[NDArray[np.uint8]]) -> list[BoxDetections]:
        """Find objects in pictures, in one batch.

        Args:
            images: [H, W, C] uint8 RGB (or [H, W, 1]) pictures of any size.

        Returns:
            Detections per picture on the CPU, in pixels of that picture, score descending.
        """
        if not images:
            return []
        prepared = [self.preprocess.apply(image) for image in images]
        batch = torch.stack([tensor for tensor, _ in prepared]).to(self.device)
        size = (int(batch.shape[-2]), int(batch.shape[-1]))
        with torch.inference_mode():
            found = self.detector.decode(self.detector(self.image_stats.normalize(batch)), size)
        metas = [ImageMeta(index, "", (image.shape[0], image.shape[1]), size, affine) for index, (image, (_, affine)) in enumerate(zip(images, prepared, strict=True))]
        return [to_original(detections.to("cpu"), meta) for detections, meta in zip(found, metas, strict=True)]


def load_run(path: str | Path, device: str = "cpu") -> LoadedRun:
    """Load the best weights of a run.

    Args:
        path: Run folder, or a .safetensors file of one.
        device: "cpu", "cuda", ... or "auto" (a GPU where there is one).

    Returns:
        The detector, ready to predict.

    Raises:
        UsageError: No such run, no readable weights, or no such device.
    """
    state, info = load_weights(path)
    target = choose_device(device)
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
