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
from detectors.craft.merge import CraftMerge, craft_head
from detectors.craft.model import Craft
from detectors.craft.trunk import VggTrunk
from detectors.craft.weights import load_craft_weights

try:
    from detectors.craft.loss import CraftLoss
except ImportError:  # until the loss is there
    CraftLoss = lambda: None  # noqa: E731

DEFAULT_BACKBONE = "mobilenetv2_100"


def build_craft(
    backbone: Backbone | None = None,
    *,
    weights: str = "none",
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
    trunk = cast(Backbone, backbone or VggTrunk())
    pyramid = FeaturePyramid(trunk, CraftMerge(trunk.specs))
    detector = Craft(pyramid, craft_head(pyramid.specs[0].channels), CraftLoss(), DecodeSettings(text_threshold, link_threshold, low_text, min_area, polygons))
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
    text_threshold: float = 0.7,
    link_threshold: float = 0.4,
    low_text: float = 0.4,
    min_area: int = 10,
    polygons: bool = False,
) -> Craft:
    """Build CRAFT-lite over any backbone.

    Args:
        backbone: Where features come from; None is mobilenetv2_100 with its ImageNet weights.
        widths: Channels of the merge blocks at strides 2, 4, 8, ...; coarser ones take the last number.
        head_width: Channels of the head.
        depthwise: Depthwise-separable 3x3 convolutions in all merge blocks and the head.
        coarsest_stride: Maps of the backbone beyond this stride, and the stages that only they need, are deleted.
        extra_levels: Levels above the backbone's coarsest map.
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
    return Craft(pyramid, lite_head(pyramid.specs[0].channels, head_width, depthwise), CraftLoss(), decoding)


TINY_SETTINGS: dict[str, Any] = {"widths": (24, 48, 64, 64), "head_width": 24, "coarsest_stride": 16, "extra_levels": 1}


def build_craftlite_tiny(backbone: Backbone | None = None, **settings: Any) -> Craft:
    """CRAFT-lite without the stages above stride 16, which hold most of the parameters; a light level of its own widens the view again.

    Args:
        backbone: As for ``build_craftlite``.
        **settings: Arguments of ``build_craftlite``; those not given are ``TINY_SETTINGS``.
    """
    return build_craftlite(backbone, **{**TINY_SETTINGS, **settings})
