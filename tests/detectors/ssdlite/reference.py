"""torchvision's SSD-lite with statistics that make its outputs mean something, and ours with the same weights."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torchvision.models.detection import ssdlite320_mobilenet_v3_large
from torchvision.models.detection.image_list import ImageList

from backbones import create_backbone
from detectors.ssdlite.build import build_ssdlite
from detectors.ssdlite.model import SSDLite
from detectors.ssdlite.torchvision_weights import rename_entries
from detectors.types import BoxTarget

SIZE = (320, 320)
BACKBONE = "torchvision:mobilenet_v3_large?reduced_tail&bn_eps=0.001&bn_momentum=0.03"
REFERENCE: dict[str, Any] = {
    "pyramid": {"kind": "ssd"},
    "head_depth": 0,
    "shared_head": False,
    "anchors": "ssd",
    "matcher": "iou",
    "class_loss": "softmax-mining",
    "box_loss": "smooth-l1",
    "min_negatives": 0,
    "score_threshold": 0.001,
    "nms_iou": 0.55,
    "candidates_per_class": 300,
    "max_detections": 300,
    "norm": "reference",
}


def build_theirs(seed: int = 0) -> Any:
    """torchvision's detector: random weights, random affine values, BatchNorm statistics of what really flows through it.

    A freshly built one has weights so small that every output is 1e-14, whatever the picture.
    """
    torch.manual_seed(seed)
    model = ssdlite320_mobilenet_v3_large(weights=None, weights_backbone=None)
    norms = [module for module in model.modules() if isinstance(module, nn.BatchNorm2d)]
    for norm in norms:
        nn.init.uniform_(norm.weight, 0.5, 1.5)
        nn.init.normal_(norm.bias, std=0.3)
        norm.momentum = None  # the plain average over the batches below
    for head in (model.head.classification_head, model.head.regression_head):
        for block in head.module_list:
            nn.init.normal_(block[1].weight, std=0.04)
            nn.init.normal_(block[1].bias, std=0.3)
    model.train()
    with torch.no_grad():
        for _ in range(2):
            theirs_raw(model, random_images(6))
    for norm in norms:
        norm.momentum = 0.03
    return model.eval()


def build_ours(theirs: Any, **changes: Any) -> SSDLite:
    """Our detector in the reference settings, with the weights of ``theirs``."""
    backbone = create_backbone(BACKBONE, weights="none", taps="ssd")
    ours = build_ssdlite(backbone, num_classes=90, input_size=SIZE, **{**REFERENCE, **changes})
    ours.load_state_dict(rename_entries(ours, theirs.state_dict()))
    return ours.eval()


def random_images(count: int, seed: int | None = None) -> Tensor:
    """Normalised pictures [count, 3, 320, 320] with structure of every size, unlike each other."""
    generator = torch.Generator().manual_seed(seed) if seed is not None else None
    images = torch.zeros(count, 3, *SIZE)
    for cells in (2, 5, 20, 80, 320):
        coarse = torch.randn(count, 3, cells, cells, generator=generator)
        images += nn.functional.interpolate(coarse, size=SIZE, mode="bilinear", align_corners=False)
    return images / 2


def theirs_raw(model: Any, images: Tensor) -> tuple[Tensor, Tensor, list[Tensor]]:
    """Logits, deltas and anchors of torchvision's detector for normalised images, its own resizing and normalising left out."""
    maps = list(model.backbone(images).values())
    outputs = model.head(maps)
    anchors = model.anchor_generator(ImageList(images, [SIZE] * len(images)), maps)
    return outputs["cls_logits"], outputs["bbox_regression"], anchors


def theirs_losses(model: Any, images: Tensor, targets: list[BoxTarget]) -> dict[str, Tensor]:
    """Losses of torchvision's detector for normalised images: the lines of its ``forward`` after the resizing."""
    logits, deltas, anchors = theirs_raw(model, images)
    return theirs_losses_of(model, logits, deltas, anchors, targets)


def theirs_losses_of(model: Any, logits: Tensor, deltas: Tensor, anchors: list[Tensor], targets: list[BoxTarget]) -> dict[str, Tensor]:
    """Losses of torchvision's detector from raw outputs."""
    from torchvision.ops import box_iou

    matched = [
        model.proposal_matcher(box_iou(target.boxes, own)) if len(target.boxes) else torch.full((len(own),), -1, dtype=torch.int64)
        for own, target in zip(anchors, targets, strict=True)
    ]
    their_targets = [{"boxes": target.boxes, "labels": target.labels + 1} for target in targets]  # background is their label 0
    return model.compute_loss(their_targets, {"cls_logits": logits, "bbox_regression": deltas}, anchors, matched)


def random_boxes(count: int, size: tuple[int, int] = SIZE, smallest: float = 4.0, generator: torch.Generator | None = None) -> Tensor:
    """Boxes [count, 4] f32 xyxy inside (height, width), of every scale and shape, sides at least ``smallest``."""
    limit = torch.tensor([size[1], size[0]], dtype=torch.float32)
    share = torch.rand(count, 2, generator=generator) ** 2 * 0.9
    sides = smallest + share * (limit - smallest)
    corner = torch.rand(count, 2, generator=generator) * (limit - sides)
    return torch.cat([corner, corner + sides], dim=1)


def random_target(count: int, classes: int = 90, size: tuple[int, int] = SIZE, smallest: float = 4.0, generator: torch.Generator | None = None) -> BoxTarget:
    """A target of one image with random boxes, none ignored."""
    labels = torch.randint(0, classes, (count,), generator=generator)
    return BoxTarget(random_boxes(count, size, smallest, generator), labels, torch.zeros(count, dtype=torch.bool))
