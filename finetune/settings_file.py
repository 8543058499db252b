"""YAML settings with the line of every key, so that a fault can be found where it was written."""

from __future__ import annotations

from typing import Any

import yaml

from backbones.errors import UsageError
from finetune.shipped import find_config


def read_settings(name: str) -> tuple[dict[str, Any], dict[str, str]]:
    """Read a YAML file or a shipped config.

    Args:
        name: What ``--config`` was given; see ``find_config``.

    Returns:
        The nested settings, and for each dotted key where it stands ("my.yaml line 3").

    Raises:
        UsageError: No such file, not YAML, or a key given twice.
    """
    file = find_config(name)
    try:
        text = file.read_text(encoding="utf-8")
        root = yaml.compose(text, Loader=yaml.SafeLoader)
        tree = yaml.safe_load(text)
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"--config {name}: cannot be read: {error}") from error
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = f" line {mark.line + 1}" if mark else ""
        raise UsageError(f"{name}{place}: not valid YAML: {getattr(error, 'problem', None) or error}") from error
    if root is None:
        return {}, {}
    if not isinstance(root, yaml.MappingNode):
        raise UsageError(f"--config {name}: holds no settings; expected keys such as data, backbone and train with values below them")
    sources: dict[str, str] = {}
    _collect(root, "", str(name), sources)
    # an empty section ("train:" with nothing below) means its defaults
    return {str(key): {} if value is None else value for key, value in tree.items()}, sources


def _collect(node: yaml.MappingNode, prefix: str, name: str, sources: dict[str, str]) -> None:
    for key_node, value_node in node.value:
        key = f"{prefix}{key_node.value}"
        place = f"{name} line {key_node.start_mark.line + 1}"
        if key in sources:
            raise UsageError(f"{key} is given twice: {sources[key]} and {place}; keep one")
        sources[key] = place
        if isinstance(value_node, yaml.MappingNode):
            _collect(value_node, f"{key}.", name, sources)


def merge_settings(tree: dict[str, Any], later: dict[str, Any]) -> dict[str, Any]:
    """Return ``tree`` with the values of ``later`` over it, section by section."""
    merged = dict(tree)
    for key, value in later.items():
        both = isinstance(value, dict) and isinstance(merged.get(key), dict)
        merged[key] = merge_settings(merged[key], value) if both else value
    return merged
