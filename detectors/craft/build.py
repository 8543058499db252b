"""CRAFT and CRAFT-lite from plain settings."""

from __future__ import annotations

from typing import cast

from backbones.errors import UsageError
from backbones.pyramid import FeaturePyramid
from backbones.types import Backbone
from detectors.craft.decode import DecodeSettings
from detectors.craft.merge import CraftMerge, craft_head
from detectors.craft.model import Craft
from detectors.craft.trunk import VggTrunk
from detectors.craft.weights import load_craft_weights

try:
    from detectors.craft.loss import CraftLoss
except ImportError:  # until the loss is there
    CraftLoss = lambda: None  # noqa: E731


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
