"""CRAFT and CRAFT-lite from plain settings."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

from backbones.cut import cut_above
from backbones.errors import UsageError
from backbones.pyramid import FeaturePyramid
from backbones.types import Backbone
from detectors.craft.decode import DecodeSettings
from detectors.craft.lite import SlimMerge, lite_head
from detectors.craft.loss import CraftLoss, Mining
from detectors.craft.merge import CraftMerge, craft_head
from detectors.craft.model import Craft
from detectors.craft.trunk import VggTrunk
from detectors.craft.weights import load_craft_weights

DEFAULT_BACKBONE = "mobilenetv2_100"
# cut at stride 16, where most parameters of light backbones are saved; a light level of its own widens the view again
TINY_SETTINGS: dict[str, Any] = {"widths": (32, 64, 96, 96), "coarsest_stride": 16, "extra_levels": 1}


def build_craft(
    backbone: Backbone | None = None,
    *,
    weights: str = "none",
    mining: Mining = "image",
    negatives: float = 3.0,
    least_negatives: float = 0.01,
    affinity_weight: float = 1.0,
    text_threshold: float = 0.7,
    link_threshold: float = 0.4,
    low_text: float = 0.4,
    min_area: int = 10,
    polygons: bool = False,
) -> Craft:
    """Build the published CRAFT, 20,770,466 parameters.

    Args:
        backbone: None, or a ``VggTrunk``: this network has no other.
        weights: "none", "craft_mlt_25k" (the official weights) or the file of a checkpoint of this network.
        mining: Where hard negatives are mined: in each "image" or over the "batch".
        negatives: Mined cells for each positive one.
        least_negatives: Share of an image's cells that are mined at least.
        affinity_weight: Weight of the affinity map in the loss; the region map has 1.
        text_threshold: A word's region map must reach this somewhere.
        link_threshold: Cells whose affinity is greater join characters into a word.
        low_text: Cells whose region is greater belong to characters.
        min_area: Least size of a word in cells of the maps.
        polygons: Also give an outline for each word.

    Returns:
        The detector.

    Raises:
        UsageError: A value that is not allowed, or weights that cannot be had or do not fit.
    """
    if backbone is not None and not isinstance(backbone, VggTrunk):
        raise UsageError(f"craft has its own trunk and takes no backbone, {getattr(backbone, 'name', type(backbone).__name__)} was given; use craftlite for other backbones")
    decoding = DecodeSettings(text_threshold, link_threshold, low_text, min_area, polygons)
    trunk = cast(Backbone, backbone or VggTrunk())
    pyramid = FeaturePyramid(trunk, CraftMerge(trunk.specs))
    detector = Craft(pyramid, craft_head(pyramid.specs[0].channels), CraftLoss(mining, negatives, least_negatives, affinity_weight), decoding)
    if weights != "none":
        load_craft_weights(detector, weights)
    return detector


def build_craftlite(
    backbone: Backbone | None = None,
    *,
    widths: Sequence[int] = (32, 64, 96, 128),
    head_width: int = 32,
    depthwise: bool = False,
    coarsest_stride: int = 32,
    extra_levels: int = 0,
    mining: Mining = "image",
    negatives: float = 3.0,
    least_negatives: float = 0.01,
    affinity_weight: float = 1.0,
    text_threshold: float = 0.7,
    link_threshold: float = 0.4,
    low_text: float = 0.4,
    min_area: int = 10,
    polygons: bool = False,
) -> Craft:
    """Build CRAFT-lite over any backbone; the settings of loss and decoding are those of ``build_craft``.

    Args:
        backbone: Where features come from; None is mobilenetv2_100 with its ImageNet weights, for 2.21M parameters in all.
        widths: Channels of the merge blocks at strides 2, 4, 8, ...; coarser ones take the last number.
        head_width: Channels of the head.
        depthwise: Depthwise-separable 3x3 convolutions in all merge blocks and the head.
        coarsest_stride: Maps of the backbone beyond this stride, and the stages that only they need, are deleted.
        extra_levels: Levels above the backbone's coarsest map.
        mining: Where hard negatives are mined.
        negatives: Mined cells for each positive one.
        least_negatives: Share of an image's cells that are mined at least.
        affinity_weight: Weight of the affinity map in the loss.
        text_threshold: A word's region map must reach this somewhere.
        link_threshold: Cells whose affinity is greater join characters into a word.
        low_text: Cells whose region is greater belong to characters.
        min_area: Least size of a word in cells of the maps.
        polygons: Also give an outline for each word.

    Returns:
        The detector.

    Raises:
        UsageError: A value that is not allowed.
    """
    if head_width < 1:
        raise UsageError(f"craftlite.head_width is {head_width}; a positive number of channels is wanted")
    decoding = DecodeSettings(text_threshold, link_threshold, low_text, min_area, polygons)
    if backbone is None:
        from backbones import create_backbone

        backbone = create_backbone(DEFAULT_BACKBONE)
    backbone = cut_above(backbone, coarsest_stride)
    pyramid = FeaturePyramid(backbone, SlimMerge(backbone.specs, widths, depthwise, extra_levels))
    head = lite_head(pyramid.specs[0].channels, head_width, depthwise)
    return Craft(pyramid, head, CraftLoss(mining, negatives, least_negatives, affinity_weight), decoding)


def build_craftlite_tiny(backbone: Backbone | None = None, **settings: Any) -> Craft:
    """CRAFT-lite with ``TINY_SETTINGS``, 0.83M parameters over mobilenetv2_100.

    Args:
        backbone: As for ``build_craftlite``.
        **settings: Arguments of ``build_craftlite``, which take the place of the tiny ones.
    """
    return build_craftlite(backbone, **{**TINY_SETTINGS, **settings})
