"""Detector weights as one safetensors file that holds everything prediction needs: settings, classes, preprocessing, statistics."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from backbones.errors import UsageError
from backbones.types import ImageStats
from finetune.config import RunConfig
from finetune.config_file import config_from_dict, config_to_dict
from finetune.data.preprocess import Preprocess
from finetune.data.text_preprocess import TextPreprocess
from finetune.run_folder import RunFolder, write_atomic

WEIGHTS_SCHEMA = 1
DESCRIPTION = "finetune"  # key of the metadata


@dataclass(frozen=True)
class WeightsInfo:
    """What travels with the weights.

    Args:
        config: Settings of the run that made them.
        class_names: Classes in label order.
        category_ids: Ids to write in COCO results, per class.
        image_stats: Mean and standard deviation that the weights expect.
        preprocess: How pictures reach the network, input size included.
        epoch: Epoch (from 1) after which they were taken; None if unknown.
    """

    config: RunConfig
    class_names: tuple[str, ...]
    category_ids: tuple[int, ...]
    image_stats: ImageStats
    preprocess: Preprocess | TextPreprocess
    epoch: int | None = None


def save_weights(path: Path, state: Mapping[str, Tensor], info: WeightsInfo, dtype: torch.dtype = torch.float32) -> None:
    """Write a detector's state and its description, in one step.

    Args:
        path: File to write.
        state: State dict of the detector.
        info: What prediction needs to know.
        dtype: What floating point is stored as; float16 halves the file, and is float32 again in the network that it is loaded into.
    """
    tensors = {name: (t.detach().to("cpu", dtype) if t.is_floating_point() else t.detach().cpu()).clone(memory_format=torch.contiguous_format) for name, t in state.items()}
    facts = {"schema": WEIGHTS_SCHEMA, **asdict(info), "config": config_to_dict(info.config), "preprocess": info.preprocess.to_dict()}
    write_atomic(path, lambda temporary: temporary.write_bytes(save(tensors, {DESCRIPTION: json.dumps(facts), "format": "pt"})))


def find_weights(path: str | Path) -> Path:
    """The weights file of a run folder, or the file itself.

    Raises:
        UsageError: There is none.
    """
    given = Path(path).expanduser()
    if given.is_dir():
        weights = RunFolder.open(given).weights
        if not weights.is_file():
            raise UsageError(f"{given} has no model.safetensors yet: the run has not finished an evaluation; continue it with finetune train --resume {given}")
        return weights
    if not given.is_file():
        raise UsageError(f"no run folder or weights file {given}: give the folder that finetune train wrote, or a .safetensors file of it")
    return given


def load_weights(path: str | Path) -> tuple[dict[str, Tensor], WeightsInfo]:
    """Read what ``save_weights`` wrote.

    Args:
        path: Run folder or .safetensors file.

    Returns:
        The state dict (CPU) and its description.

    Raises:
        UsageError: Not such a file, or of a later schema.
    """
    file = find_weights(path)
    try:
        with safe_open(file, framework="pt", device="cpu") as stream:
            metadata = stream.metadata() or {}
            state = {name: stream.get_tensor(name) for name in stream.keys()}  # noqa: SIM118 - not a mapping
    except (SafetensorError, OSError) as error:
        raise UsageError(f"{file} is not a readable .safetensors file ({error}): give a run folder, or model.safetensors of one") from error
    return state, _parse(metadata, file)


def _parse(metadata: Mapping[str, str], file: Path) -> WeightsInfo:
    try:
        facts: dict[str, Any] = json.loads(metadata.get(DESCRIPTION, ""))
    except ValueError as error:
        raise UsageError(f"{file} holds weights, but no description of a detector: only files written by finetune train can be loaded") from error
    if facts.pop("schema", None) != WEIGHTS_SCHEMA:
        raise UsageError(f"{file} was written by another version of this program: this one reads schema {WEIGHTS_SCHEMA}; use the version that wrote it")
    try:
        return WeightsInfo(
            config=config_from_dict(facts["config"], str(file)),
            class_names=tuple(facts["class_names"]),
            category_ids=tuple(facts["category_ids"]),
            image_stats=ImageStats(tuple(facts["image_stats"]["mean"]), tuple(facts["image_stats"]["std"])),
            preprocess=(TextPreprocess if "canvas" in facts["preprocess"] else Preprocess).from_dict(facts["preprocess"]),
            epoch=facts["epoch"],
        )
    except (KeyError, TypeError, IndexError) as error:
        raise UsageError(f"{file} has an incomplete description ({error!r}): write it again with finetune train") from error
