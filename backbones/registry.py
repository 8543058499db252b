"""Backbones by name: a small table of providers, the first that knows a name builds it."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from importlib import import_module
from typing import TYPE_CHECKING, Any, cast

from backbones.catalog import read_catalog
from backbones.errors import UsageError
from backbones.names import nearest
from backbones.plugins import load_plugin, plugin_points
from backbones.zoo import plain_names, provider_name

if TYPE_CHECKING:  # the command line lists names without torch
    from backbones.types import Backbone


@dataclass(frozen=True)
class _Provider:
    knows: Callable[[str], bool]
    create: Callable[..., Any]


def _from(module: str, function: str) -> Callable[..., Any]:
    """A function that is imported when it is first called: nobody pays for providers that are not used."""
    return lambda name, **settings: getattr(import_module(module), function)(name, **settings)


def _create_plugin(name: str, **settings: Any) -> Any:
    return getattr(import_module("backbones.module_provider"), "call_factory")(name, load_plugin(name), **settings)  # noqa: B009


_PROVIDERS = (
    _Provider(lambda name: name in plugin_points(), _create_plugin),
    _Provider(lambda name: name.startswith("torchvision:"), _from("backbones.torchvision_provider", "create_torchvision_backbone")),
    _Provider(lambda name: name.startswith("pytorchcv:"), _from("backbones.pytorchcv_provider", "create_pytorchcv_backbone")),
    _Provider(lambda name: re.fullmatch(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*", name) is not None, _from("backbones.module_provider", "create_module_backbone")),
    _Provider(lambda name: _timm_knows(name), _from("backbones.timm_provider", "create_timm_backbone")),
)


def _timm_knows(name: str) -> bool:
    return name in read_catalog() or name in import_module("backbones.timm_provider").timm_names()


def create_backbone(name: str, *, weights: str = "imagenet", taps: str = "stage", in_channels: int = 3, input_size: tuple[int, int] | None = None) -> Backbone:
    """Create a pretrained backbone.

    Args:
        name: plain name of the zoo (docs/backbones.md), timm name, "torchvision:NAME", "pytorchcv:NAME", "package.module:factory", or the name of a plug-in.
        weights: "imagenet", "none", a file (.pth, .safetensors), or a tag of the provider.
        taps: "stage" (stage outputs) or "ssd" (the two taps of the SSD-lite papers).
        in_channels: Channels of the images; the first convolution is adapted.
        input_size: (height, width) in pixels that it will get; only networks that are built for one size look at it.

    Returns:
        A module that meets ``backbones.types.Backbone``.

    Raises:
        UsageError: Unknown name, weights or taps, or a size that does not fit; the message names what is near.
    """
    if taps not in ("stage", "ssd"):
        raise UsageError(f"taps {taps!r}: 'stage' or 'ssd' is wanted")
    if in_channels < 1:
        raise UsageError(f"in_channels {in_channels}: at least 1 is wanted")
    if name not in plugin_points():
        name = provider_name(name)
    plain, _, tag = name.partition(".") if ":" not in name else (name, "", "")
    if tag and weights == "imagenet" and name not in plugin_points():
        name, weights = plain, tag
    for provider in _PROVIDERS:
        if provider.knows(name):
            size = (int(input_size[0]), int(input_size[1])) if input_size is not None else None
            return cast("Backbone", provider.create(name, weights=weights, taps=taps, in_channels=in_channels, input_size=size))
    raise UsageError(f"no backbone is called {name!r}{nearest(name, list_backbones()) or '; `finetune list backbones` shows all'}")


def list_backbones(pattern: str = "*") -> tuple[str, ...]:
    """Sorted names of known backbones (plain names, timm, torchvision, pytorchcv, plug-ins) that match a glob such as "mobilenet*"."""
    return tuple(sorted(name for name in {*read_catalog(), *plain_names(), *plugin_points()} if fnmatchcase(name, pattern)))
