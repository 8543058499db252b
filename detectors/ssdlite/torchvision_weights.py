"""torchvision's SSD-lite weights, trained on COCO, as a starting point: ``weights: torchvision-coco``."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn
from torchvision.models.detection import SSDLite320_MobileNet_V3_Large_Weights

from backbones.errors import UsageError
from backbones.types import ImageStats
from backbones.weights import match_by_order, read_entries
from detectors.ssdlite.model import SSDLite

logger = logging.getLogger("detectors")

IMAGE_STATS = ImageStats((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
NORM_EPS = 0.001  # of every BatchNorm there; no state dict carries it
_WEIGHTS = SSDLite320_MobileNet_V3_Large_Weights.COCO_V1
_CATEGORIES: tuple[str, ...] = tuple(_WEIGHTS.meta["categories"])
_CODER_WEIGHTS = (10.0, 10.0, 5.0, 5.0)
_REMEDY = "use configs/detection/ssdlite_torchvision.yaml: backbone torchvision:mobilenet_v3_large?reduced_tail with taps ssd, the ssdlite_reference settings and ssdlite.norm reference"


def class_names() -> tuple[str, ...]:
    """The 90 classes of these weights in label order, without background; ids that COCO does not use are called "N/A"."""
    return _CATEGORIES[1:]


def load(detector: SSDLite, path: str | Path | None = None) -> tuple[dict[str, Tensor], tuple[str, ...], ImageStats]:
    """Read torchvision's weights under the names of a detector.

    Args:
        detector: SSD-lite over torchvision's MobileNetV3-Large with the reduced tail, in the reference settings, for any number of classes.
        path: The .pth file; none looks in torch's cache and downloads, announced, what is not there.

    Returns:
        State dict for ``detector``, but for the rows of its class layers, which are those of the 91 columns here; class names
        without background; image statistics.

    Raises:
        UsageError: The detector is another network, or the file cannot be had.
    """
    check_detector(detector)
    return rename_entries(detector, read_entries(Path(path) if path else _checkpoint())), class_names(), IMAGE_STATS


def check_detector(detector: SSDLite) -> None:
    """Raise UsageError where a detector of the same shapes would compute something else with these weights."""
    faults = []
    if not detector.has_background:
        faults.append("ssdlite.class_loss must be softmax-mining")
    if detector.coder.weights != _CODER_WEIGHTS:
        faults.append("ssdlite.box_loss must be smooth-l1")
    eps = {norm.eps for norm in detector.modules() if isinstance(norm, nn.BatchNorm2d)}
    if eps != {NORM_EPS}:
        faults.append(f"every BatchNorm must have eps {NORM_EPS}, not {sorted(eps)}")
    if faults:
        raise UsageError(f"detector.weights torchvision-coco do not fit: {'; '.join(faults)}; {_REMEDY}")


def rename_entries(detector: SSDLite, source: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Give the entries of torchvision's state dict, in their order, the names that a detector has for them.

    Raises:
        UsageError: A shape differs, class rows aside: the detector is another network.
    """
    layers = {id(layer) for layer in detector.head.class_layers()}
    columns = detector.head.class_columns
    rows = {f"{name}.{part}" for name, module in detector.named_modules() if id(module) in layers for part in ("weight", "bias")}
    expected = {name: tensor.shape for name, tensor in detector.state_dict().items()}
    for name in rows:
        count, *rest = expected[name]
        expected[name] = torch.Size([count // columns * len(_CATEGORIES), *rest])
    try:
        return match_by_order(source, expected, "torchvision-coco")
    except UsageError as error:
        raise UsageError(f"detector.weights torchvision-coco belong to another network ({str(error).partition(';')[0]}); {_REMEDY}") from error


def _checkpoint() -> Path:
    """The checkpoint in torch's cache, downloaded if need be."""
    folder = Path(torch.hub.get_dir()) / "checkpoints"
    target = folder / _WEIGHTS.url.rpartition("/")[2]
    if target.is_file():
        return target
    logger.warning("torchvision-coco: downloading %s (13 MB)", _WEIGHTS.url)
    try:
        torch.hub.load_state_dict_from_url(_WEIGHTS.url, map_location="cpu", progress=False, check_hash=True, weights_only=True)
    except Exception as error:
        first = (str(error).strip().splitlines() or [type(error).__name__])[0][:160]
        raise UsageError(f"torchvision-coco could not be downloaded ({first}); fetch {_WEIGHTS.url} on a machine with internet and copy it to {target}, or leave detector.weights out") from error
    return target
