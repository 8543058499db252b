"""Settings of the detectors: pyramid, head, assignment, loss, decoding. No torch here either."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from finetune.ranges import AT_LEAST_0, AT_LEAST_1, INNER_SHARE, POSITIVE, RISING, SHARE, SHARE_BELOW_1, Range


@dataclass(frozen=True)
class PyramidConfig:
    """How backbone maps become the maps that the head sees.

    Args:
        kind: "ssd" (raw maps plus extra maps), "fpn" (top-down) or "pan" (fpn plus bottom-up).
        levels: Levels of fpn and pan: level n has stride 2 ** n.
        width: Channels of every fpn or pan map.
        depthwise: Depthwise-separable instead of full 3x3 convolutions in fpn and pan.
    """

    kind: Literal["ssd", "fpn", "pan"] = "fpn"
    levels: Annotated[tuple[Annotated[int, Range(low=1, high=9)], ...], RISING] = (3, 4, 5)
    width: Annotated[int, AT_LEAST_1] = 96
    depthwise: bool = True


@dataclass(frozen=True)
class DetectorConfig:
    """Which detector is built.

    Args:
        name: Registered detector name.
        weights: Detector weights to start from: "torchvision-coco", a run folder or a .safetensors file; none starts from the backbone.
        keep_classes: Keep the class rows of those weights for classes with the same name.
    """

    name: str = "ssdlite"
    weights: str | None = None
    keep_classes: bool = False


@dataclass(frozen=True)
class SSDLiteConfig:
    """Head, assignment, loss and decoding of SSD-lite.

    Args:
        head_depth: Depthwise-separable blocks before the prediction layers; 0 is the reference head.
        shared_head: One head for all levels (fpn, pan), or one per level (the reference).
        anchors: "ssd" (reference, six per cell), "ssd-a3" (three on the first map) or "square" (one per cell and level).
        matcher: How anchors find their boxes: "iou" (reference), "atss" or "tal" (task-aligned).
        class_loss: "softmax-mining" (reference), "focal", "quality-focal", or "quality-bce" (the score learns the quality of its box).
        box_loss: "smooth-l1" (reference), "giou" or "ciou".
        min_negatives: "softmax-mining" only: least negatives mined in each image, so that empty images teach; 0 mines as the reference does.
        score_threshold: Detections must score more.
        nms_iou: Boxes of one class that overlap more are one object.
        candidates_per_class: Highest-scoring boxes of each class that enter the suppression.
        max_detections: Detections kept per image.
        norm: BatchNorm of pyramid and head: "default" (torch's eps and momentum) or "reference" (torchvision's SSD-lite: 0.001 and 0.03).
    """

    head_depth: Annotated[int, AT_LEAST_0] = 2
    shared_head: bool = True
    anchors: Literal["ssd", "ssd-a3", "square"] = "square"
    matcher: Literal["iou", "atss", "tal"] = "atss"
    class_loss: Literal["softmax-mining", "focal", "quality-focal", "quality-bce"] = "softmax-mining"
    box_loss: Literal["smooth-l1", "giou", "ciou"] = "giou"
    min_negatives: Annotated[int, AT_LEAST_0] = 16
    score_threshold: Annotated[float, SHARE_BELOW_1] = 0.02
    nms_iou: Annotated[float, SHARE] = 0.6
    candidates_per_class: Annotated[int, AT_LEAST_1] = 300
    max_detections: Annotated[int, AT_LEAST_1] = 300
    norm: Literal["default", "reference"] = "default"


@dataclass(frozen=True)
class CraftConfig:
    """Upper half, loss, input and decoding of CRAFT-lite ("craftlite", "craftlite-tiny"), and input and decoding of CRAFT.

    Args:
        widths: Channels of the merge blocks at strides 2, 4, 8, ...; coarser ones take the last number; empty: those of the detector.
        head_width: Channels of the head; 0: those of the detector.
        depthwise: Depthwise-separable 3x3 convolutions in all merge blocks and the head.
        mining: Hard negatives are mined in each "image" or over the "batch".
        negatives: Mined cells for each cell of text.
        least_negatives: Share of an image's cells that are mined at least.
        affinity_weight: Weight of the affinity map's loss; the region map's is 1.
        pseudo_every: Epochs between two times that the network itself finds the characters of words whose data have none (docs/text.md); 0 is off: such words are divided equally.
        pseudo_start: When first: below 1 a share of the budget, from 1 on an epoch as the log counts them; 0 or 1 where training starts from weights that know text.
        pseudo_height: Height in pixels at which upright words are shown for that.
        text_threshold: A word's region map must reach this somewhere.
        link_threshold: Cells whose affinity is greater join characters into a word.
        low_text: Cells whose region is greater belong to characters; lower gives larger quads.
        min_area: Least size of a word in cells of the maps.
        polygons: Also give an outline for each word.
        canvas: Greatest length of the longer side of a picture that is evaluated or predicted, in pixels.
        mag_ratio: Enlargement of pictures that stay within the canvas.
    """

    widths: tuple[Annotated[int, AT_LEAST_1], ...] = ()
    head_width: Annotated[int, AT_LEAST_0] = 0
    depthwise: bool = False
    mining: Literal["image", "batch"] = "image"
    negatives: Annotated[float, AT_LEAST_0] = 3.0
    least_negatives: Annotated[float, Range(low=0, high=1, open_low=True)] = 0.01
    affinity_weight: Annotated[float, AT_LEAST_0] = 1.0
    pseudo_every: Annotated[int, AT_LEAST_0] = 0
    pseudo_start: Annotated[float, AT_LEAST_0] = 0.2
    pseudo_height: Annotated[int, Range(low=16, high=512)] = 64
    text_threshold: Annotated[float, INNER_SHARE] = 0.7
    link_threshold: Annotated[float, INNER_SHARE] = 0.4
    low_text: Annotated[float, INNER_SHARE] = 0.4
    min_area: Annotated[int, AT_LEAST_1] = 10
    polygons: bool = False
    canvas: Annotated[int, Range(low=32)] = 1280
    mag_ratio: Annotated[float, POSITIVE] = 1.5
