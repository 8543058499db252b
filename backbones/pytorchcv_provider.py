"""Backbones from pytorchcv, an optional package, by graph nodes: strides and channels are measured. The one file that imports it.

Only its definitions of networks are used. Its weights are fetched, checked and read here, as tensors and plain values, and only when a user asks for them.
"""

from __future__ import annotations

import csv
import hashlib
import zipfile
from functools import cache
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from backbones.body import ProviderBackbone
from backbones.errors import UsageError
from backbones.graph import ends_by_stride, graph_backbone, widen_first_convolution
from backbones.names import nearest
from backbones.types import ImageStats
from backbones.weight_cache import cached_file, torch_folder
from backbones.weights import choose_weights, download, read_entries

PREFIX = "pytorchcv:"
_SITE = "https://github.com/osmr/imgclsmob/releases/download"
# containers that run their parts one after the other; its other subclasses of Sequential run them side by side
_CHAINS = ("Sequential", "DualPathSequential")
# the README: "All pretrained models require the same ordinary normalization"
_STATS = ImageStats()


def create_pytorchcv_backbone(name: str, *, weights: str, taps: str, in_channels: int, input_size: tuple[int, int] | None) -> ProviderBackbone:
    """Build an ImageNet classification model of pytorchcv as a backbone; arguments as in ``backbones.create_backbone``."""
    if taps == "ssd":
        raise UsageError(f"{name} has no taps of the SSD-lite papers; use taps stage")
    whole = pytorchcv_network_on_meta(name)
    units = _units(whole)
    ends = ends_by_stride(name, whole, units, "take another one of `finetune list backbones 'pytorchcv:*'`")
    network, stats = _build(name, whole, weights)
    widen_first_convolution(network, in_channels)
    return graph_backbone(name, network, whole, units, ends, ends, stats, input_size)


def pytorchcv_network_on_meta(name: str) -> nn.Module:
    """The whole network, classifier included, without memory."""
    with torch.device("meta"):
        return _create(name)


def pytorchcv_record(name: str) -> dict[str, Any]:
    """Licence and address of the weights: the package and the releases that hold them are under the MIT licence."""
    row = _rows().get(name.removeprefix(PREFIX))
    return {"license": "mit", "url": f"{_SITE}/{row['repo_release_tag']}/{_file_name(row)}.zip"} if row and row["error_value"] != "NA" else {}


def _create(name: str) -> nn.Module:
    if find_spec("pytorchcv") is None:
        raise UsageError(f"{name}: the package pytorchcv is not installed; pip install 'finetune-light[pytorchcv]', or pip install --no-deps pytorchcv==0.0.74")
    from pytorchcv.model_provider import get_model

    short = name.removeprefix(PREFIX)
    if short not in _rows():
        raise UsageError(f"{name}: pytorchcv has no such ImageNet model{nearest(short, _rows(), prefix=PREFIX)}")
    return get_model(short, pretrained=False).eval()


@cache
def _rows() -> dict[str, dict[str, str]]:
    """What the package says of each of its ImageNet models: checksum, release, origin."""
    table = files("pytorchcv.models.common").joinpath("model_metainfos.csv").read_text(encoding="utf-8")
    return {row["model_name"]: row for row in csv.DictReader(table.splitlines()) if row["test_dataset"] == "in1k"}


def _file_name(row: dict[str, str]) -> str:
    return f"{row['model_name']}-{row['error_value']}-{row['checksum'][:8]}.pth"


def _units(network: nn.Module) -> list[str]:
    """Names of the parts of which stages are made: units of stages, and the layers of a stem."""

    def opened(name: str, part: nn.Module) -> list[str]:
        if type(part).__name__ in _CHAINS or name.endswith("init_block"):
            return [unit for inner, child in part.named_children() for unit in opened(f"{name}.{inner}", child)]
        return [name]

    return [unit for name, part in network.named_children() for unit in opened(name, part)]


def _build(name: str, whole: nn.Module, weights: str) -> tuple[nn.Module, ImageStats]:
    choice = choose_weights(weights, name, {key: value.shape for key, value in whole.state_dict().items()})
    if choice.tag is not None:
        raise UsageError(f"weights {choice.tag!r}: {name} has one set of weights, called 'imagenet'; or give a file, or 'none'")
    entries = _fetch(name) if choice.download else choice.entries
    network = _create(name)
    if entries is not None:
        try:
            network.load_state_dict(entries, strict=False)
        except RuntimeError as error:
            raise UsageError(f"weights {weights}: do not fit {name}: {' '.join(str(error).split())[:300]}") from error
    return network, choice.image_stats or _STATS


def _fetch(name: str) -> dict[str, Tensor]:
    """The published weights: from where torch keeps downloads, else from the site, said first; the file must have the checksum that the package knows."""
    address = pytorchcv_record(name).get("url")
    if address is None:
        raise UsageError(f"{name}: pytorchcv has no pretrained weights for it; use weights none or a file")
    row = _rows()[name.removeprefix(PREFIX)]
    cached = cached_file(None, address)
    target = cached or torch_folder() / _file_name(row)
    return download(lambda: _read_checked(target, row, address, cached is not None), name, address, f"{_file_name(row)}.zip", cached is not None)


def _read_checked(target: Path, row: dict[str, str], address: str, cached: bool) -> dict[str, Tensor]:
    if not cached:
        target.parent.mkdir(parents=True, exist_ok=True)
        archive = target.with_suffix(".zip.part")
        try:
            torch.hub.download_url_to_file(address, str(archive))
            with zipfile.ZipFile(archive) as content:
                target.write_bytes(content.read(target.name))
        finally:
            archive.unlink(missing_ok=True)
    found = hashlib.sha1(target.read_bytes(), usedforsecurity=False).hexdigest()
    if found != row["checksum"]:
        raise UsageError(f"{target}: its SHA-1 is {found}, pytorchcv names {row['checksum']}; delete the file and load it again")
    return read_entries(target)
