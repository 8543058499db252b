"""Backbones by name: a small table of providers, tried in order."""

from __future__ import annotations

from typing import cast

from backbones.errors import UsageError
from backbones.types import Backbone


def create_backbone(name: str, *, weights: str = "imagenet", taps: str = "stage", in_channels: int = 3, input_size: tuple[int, int] | None = None) -> Backbone:
    """Create a pretrained backbone.

    Args:
        name: timm name, "torchvision:NAME", "package.module:factory", or the name of a plug-in.
        weights: "imagenet", "none", a file (.pth, .safetensors), or a tag of the provider.
        taps: "stage" (stage outputs) or "ssd" (the two taps of the SSD-lite papers).
        in_channels: Channels of the images; the first convolution is adapted.
        input_size: (height, width) in pixels that it will get; only networks that are built for one size look at it.

    Returns:
        A module that meets ``backbones.types.Backbone``.

    Raises:
        UsageError: Unknown name, weights or taps; the message names what is near.
    """
    from backbones.timm_provider import create_timm_backbone

    if taps not in ("stage", "ssd"):
        raise UsageError(f"taps {taps!r}: 'stage' or 'ssd' is wanted")
    return cast(Backbone, create_timm_backbone(name, weights=weights, taps=taps, in_channels=in_channels, input_size=input_size))

