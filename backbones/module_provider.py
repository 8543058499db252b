"""Backbones from one's own code: ``package.module:factory``, or a plug-in that another package registers."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable
from typing import Any

from torch import nn

from backbones.errors import FinetuneError, UsageError
from backbones.testing import check_attributes


def create_module_backbone(name: str, *, weights: str, taps: str, in_channels: int, input_size: tuple[int, int] | None) -> nn.Module:
    """Call ``package.module:factory``; arguments as in ``backbones.create_backbone``."""
    module_name, _, attribute = name.partition(":")
    try:
        module = importlib.import_module(module_name)
    except ImportError as error:
        raise UsageError(f"backbone {name}: cannot import {module_name} ({error}); it must be installed, or its folder be on PYTHONPATH") from error
    factory = getattr(module, attribute, None)
    if not callable(factory):
        raise UsageError(f"backbone {name}: {module_name} has no function or class {attribute!r}")
    return call_factory(name, factory, weights=weights, taps=taps, in_channels=in_channels, input_size=input_size)


def call_factory(name: str, factory: Callable[..., Any], **settings: Any) -> nn.Module:
    """Call a factory with those settings that it has parameters for, and look whether the result is a backbone.

    Raises:
        UsageError: A setting other than the default that the factory does not take, or a result that is no backbone.
    """
    defaults = {"weights": "imagenet", "taps": "stage", "in_channels": 3, "input_size": None}
    parameters = inspect.signature(factory).parameters
    takes_any = any(parameter.kind is inspect.Parameter.VAR_KEYWORD for parameter in parameters.values())
    taken = {key: value for key, value in settings.items() if takes_any or key in parameters}
    # input_size is only a hint, and weights none is the same as a factory that knows no weights.
    refused = [key for key, value in settings.items() if key not in taken and value != defaults[key] and key != "input_size" and (key, value) != ("weights", "none")]
    if refused:
        raise UsageError(f"backbone {name}: its factory takes no {', '.join(refused)}; give it such a parameter or leave the setting at its default")
    try:
        backbone = factory(**taken)
    except FinetuneError:
        raise
    except Exception as error:
        raise UsageError(f"backbone {name}: its factory failed with {type(error).__name__}: {' '.join(str(error).split())[:200]}") from error
    check_attributes(backbone, name)
    return backbone
