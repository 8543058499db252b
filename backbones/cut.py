"""A backbone without its coarsest maps, and without the stages that only they need."""

from __future__ import annotations

from backbones.body import ChainBody, ProviderBackbone
from backbones.errors import UsageError
from backbones.types import Backbone


def cut_above(backbone: Backbone, stride: int) -> Backbone:
    """Delete the stages of a backbone above its last map of at most ``stride``; weights and modules of the others are shared.

    Args:
        backbone: Any; one that is not a chain of stages cannot be cut and comes back as it is.
        stride: Greatest stride that is kept.

    Returns:
        The shorter backbone.

    Raises:
        UsageError: Every map is coarser.
    """
    kept = sum(spec.stride <= stride for spec in backbone.specs)
    if not kept:
        raise UsageError(f"the backbone has no map of stride {stride} or less (its maps have {', '.join(str(spec.stride) for spec in backbone.specs)}): raise coarsest_stride")
    if kept == len(backbone.specs) or not isinstance(backbone, ProviderBackbone) or not isinstance(backbone.body, ChainBody):
        return backbone
    body = backbone.body
    last = [index for index, tapped in enumerate(body.tapped) if tapped][kept - 1]
    names = [[(name, layer) for name, layer in part.named_children()] for part in body.parts]
    shorter = ChainBody([dict(layers) for layers in names[: last + 1]], body.tapped[: last + 1], channels_last=body.channels_last, concatenate=body.concatenate)
    return ProviderBackbone(backbone.name, shorter, backbone.specs[:kept], backbone.image_stats, backbone.size_rule, shorter.stage_names(), backbone.pad_multiple, backbone.pad_to)
