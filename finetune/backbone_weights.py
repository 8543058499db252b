"""A backbone that another detector trained: its weights without the pyramid and the head, for a new detector of any kind."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open

from backbones.errors import UsageError
from finetune.weights_file import DESCRIPTION, load_weights

_PREFIX = "pyramid.backbone."


def is_detector(weights: str) -> bool:
    """Whether ``weights`` is a run folder, or a weights file that a run wrote, and not a file of a bare backbone."""
    path = Path(weights).expanduser()
    if (path / "config.yaml").is_file():
        return True
    if path.suffix != ".safetensors" or not path.is_file():
        return False
    try:
        with safe_open(path, framework="pt", device="cpu") as stream:
            return DESCRIPTION in (stream.metadata() or {})
    except (SafetensorError, OSError):
        return False  # who reads it next says what is wrong


def fill_backbone(detector: Any, weights: str, name: str, in_channels: int) -> None:
    """Give the backbone of a new detector the weights and image statistics of the one in a trained detector.

    The trained one may have more stages (craftlite gives to craftlite-tiny), never fewer.

    Args:
        detector: The tensors of its backbone are replaced.
        weights: Run folder or .safetensors file of a run.
        name: What the settings call the backbone.
        in_channels: Channels of the images.

    Raises:
        UsageError: The trained detector has another backbone.
    """
    state, info = load_weights(weights)
    theirs, channels = info.config.backbone.name, info.config.data.channels
    if (theirs, channels) != (name, in_channels):
        raise UsageError(f"backbone.weights {weights} holds {theirs} for images of {channels} channels, not {name} for {in_channels}: choose --backbone {theirs}, or weights of {name}")
    backbone = detector.pyramid.backbone
    own, source = backbone.state_dict(), {key.removeprefix(_PREFIX): tensor for key, tensor in state.items() if key.startswith(_PREFIX)}
    differ = [key for key, tensor in own.items() if key not in source or source[key].shape != tensor.shape]
    if differ:
        raise UsageError(f"backbone.weights {weights} lacks {len(differ)} of the {len(own)} tensors ({differ[0]}, ...): its detector has fewer stages or other taps; start from 'imagenet'")
    backbone.load_state_dict({key: source[key] for key in own})
    backbone.image_stats = detector.image_stats = info.image_stats
