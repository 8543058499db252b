"""A teacher looks at pictures once; what it says is kept for all trainings after it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch

from backbones.errors import DataError, UsageError
from detectors.types import TextDetections
from finetune.data.teacher_store import TaughtPicture, TeacherFacts, TeacherStore
from finetune.load import LoadedRun
from finetune.pictures import drawn_names, relative_names
from finetune.read_ahead import ReadImage, read_ahead


def distill(teacher: LoadedRun, name: str, paths: Sequence[Path], folder: Path, advance: Callable[[int], None] = lambda done: None) -> TeacherStore:
    """Write the maps of a teacher for pictures without labels; go on where an earlier call with the same arguments stopped.

    Args:
        teacher: A text detector in eval mode, with the preprocessing and thresholds it is to use.
        name: What to call it.
        paths: Pictures.
        folder: The store; made where it does not exist.
        advance: Is told how many pictures are done after each.

    Returns:
        The complete store; pictures that could not be read are in it with their fault.

    Raises:
        UsageError: The teacher finds boxes, or the folder holds something else.
        DataError: None of the pictures can be read.
        WriteError: The disk is full; the same call goes on where it stopped.
    """
    if not teacher.finds_words:
        raise UsageError(f"{name} finds boxes: only detectors of scene text can teach so far; give craft_mlt_25k, or a run of craftlite")
    facts = TeacherFacts(name, weights_fingerprint(teacher.detector), "maps", teacher.preprocess.to_dict(), 2, len(paths))
    store = TeacherStore.begin(folder, facts)
    known = {taught.picture for taught in store.done}
    names = [Path(drawn).stem for drawn in drawn_names(relative_names(paths))]
    todo = [row for row, path in enumerate(paths) if str(path.absolute()) not in known]
    advance(len(store.done))
    for (image,) in read_ahead([paths[row] for row in todo], teacher.preprocess.channels, 1):
        row = todo[image.number]
        store.add(*_teach(teacher, image, str(paths[row].absolute()), f"{names[row]}.npy"))
        advance(len(store.done))
    if not any(taught.maps for taught in store.done):
        raise DataError(f"none of the {len(paths)} pictures can be read; the first: {store.done[0].fault}")
    return store


def weights_fingerprint(detector: torch.nn.Module) -> str:
    """Equal for equal weights."""
    digest = hashlib.sha256()
    for name, value in detector.state_dict().items():
        digest.update(name.encode())
        digest.update(value.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy().tobytes() if value.numel() else b"")
    return digest.hexdigest()[:16]


def _teach(teacher: LoadedRun, image: ReadImage, path: str, file: str) -> tuple[TaughtPicture, Any]:
    """One picture: its line and its maps."""
    if image.pixels is None:
        return TaughtPicture(path, fault=image.fault), None
    outputs, metas = teacher.look([image.pixels])
    with torch.inference_mode():
        (found,) = teacher.map_back(teacher.detector.decode(outputs, metas[0].input_hw), metas)
    words = cast(TextDetections, found)
    maps = outputs.maps[0].float().clamp(0, 1).cpu().numpy().astype(np.float16)
    quads = [[round(value, 1) for value in quad] for quad in words.quads.reshape(-1, 8).tolist()]
    return TaughtPicture(path, (image.pixels.shape[0], image.pixels.shape[1]), file, metas[0].affine[0], quads), maps
