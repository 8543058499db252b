"""One value of YAML or of the command line, turned into the type of its setting; a ValueError says what is wrong with it."""

from __future__ import annotations

import math
import re
import types
from collections.abc import Mapping
from typing import Any, Literal, Union, get_args, get_origin

import yaml

from finetune.nearest import did_you_mean

_WORDS = {"true": True, "yes": True, "on": True, "1": True, "false": False, "no": False, "off": False, "0": False}


def convert(value: Any, hint: Any) -> Any:
    """Return ``value`` as the type ``hint`` wants it.

    Args:
        value: From YAML, from Python, or text from the command line (a list of texts where several were given).
        hint: bool, int, float, str, Literal, tuple, dict, an optional one of these, or Annotated with rules that
            answer ``in`` and describe themselves by ``str``.

    Raises:
        ValueError: With the words to show after the name of the setting.
    """
    if hasattr(hint, "__metadata__"):
        result = convert(value, get_args(hint)[0])
        for rule in hint.__metadata__:
            if result not in rule:
                raise ValueError(f"{_show(value)} is not allowed, it must be {rule}")
        return result
    origin = get_origin(hint)
    if origin in (Union, types.UnionType):
        lone = value[0] if isinstance(value, list) and len(value) == 1 else value
        if lone is None or (isinstance(lone, str) and lone.casefold() in ("none", "null", "~")):
            return None
        return convert(value, next(part for part in get_args(hint) if part is not type(None)))
    if value is None:
        raise ValueError("has no value; write one, or leave the setting out for its default")
    if origin is tuple:
        return _convert_tuple(value, get_args(hint))
    if origin is dict:
        return _convert_dict(value, get_args(hint)[1])
    if origin is Literal:
        return _convert_choice(value, get_args(hint))
    return _SCALARS[hint](value)


def _convert_choice(value: Any, choices: tuple[Any, ...]) -> Any:
    for choice in choices:
        if (value == choice and not isinstance(value, bool)) or (isinstance(value, str) and value.casefold() == str(choice)):
            return choice
    raise ValueError(f"{_show(value)} is not one of {', '.join(map(str, choices))}{did_you_mean(str(value), map(str, choices)).rstrip('.')}")


def _convert_tuple(value: Any, parts: tuple[Any, ...]) -> tuple[Any, ...]:
    items = _items(value, text_items=str in parts or get_origin(parts[0]) is Literal)
    if len(parts) == 2 and parts[1] is Ellipsis:
        return tuple(convert(item, parts[0]) for item in items)
    if len(items) == 1 and len(set(map(str, parts))) == 1:
        items = items * len(parts)
    if len(items) != len(parts):
        raise ValueError(f"{_show(value)} has {len(items)} values, it must have {len(parts)}, for example {' '.join(['320', '480', '3', '4'][: len(parts)])}")
    return tuple(convert(item, part) for item, part in zip(items, parts, strict=True))


def _items(value: Any, text_items: bool) -> list[Any]:
    """The members of a list that may have been written as [a, b], a b, and for numbers also a,b or 320x480."""
    if isinstance(value, Mapping):
        raise ValueError(f"{_show(value)} is not a list")
    items = list(value) if isinstance(value, (list, tuple)) else [value]
    if all(isinstance(item, str) for item in items):
        joined = " ".join(items).strip()
        if joined.startswith("["):
            read = _flow(joined)
            if not isinstance(read, list):
                raise ValueError(f"{_show(joined)} is not a list")
            return read
        if not text_items:
            return [part for part in re.split(r"[\s,x]+", joined) if part]
    return items


def _convert_dict(value: Any, part: Any) -> dict[str, Any]:
    if isinstance(value, str):
        value = [value]
    if isinstance(value, (list, tuple)) and all(isinstance(item, str) for item in value):
        joined = " ".join(value).strip()
        if joined.startswith("{"):
            value = _flow(joined)
        elif all("=" in item for item in value):
            value = dict(item.split("=", 1) for item in value)
    if not isinstance(value, Mapping):
        raise ValueError(f"{_show(value)} does not pair names with values; write name=value, or name: value in YAML")
    return {str(name): convert(item, part) for name, item in value.items()}


def _flow(text: str) -> Any:
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError:
        raise ValueError(f"{_show(text)} cannot be read; write [a, b] or {{name: value}}") from None


def _to_bool(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and value.casefold() in _WORDS:
        return _WORDS[value.casefold()]
    raise ValueError(f"{_show(value)} is neither true nor false")


def _to_int(value: Any) -> int:
    number = _number(value, "a whole number")
    if not number.is_integer():
        raise ValueError(f"{_show(value)} is not a whole number")
    return int(value) if isinstance(value, int) else int(number)


def _to_float(value: Any) -> float:
    return _number(value, "a number")


def _number(value: Any, kind: str) -> float:
    if isinstance(value, (int, float, str)) and not isinstance(value, bool):
        try:
            number = float(value)
        except (ValueError, OverflowError):
            number = math.nan
        if math.isfinite(number):
            return number
    raise ValueError(f"{_show(value)} is not {kind}")


def _to_str(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return str(value)
    if isinstance(value, (list, tuple)):
        raise ValueError(f"{_show(value)} are {len(value)} values, one is wanted")
    raise ValueError(f"{_show(value)} is not text; put it between quotes")


_SCALARS = {bool: _to_bool, int: _to_int, float: _to_float, str: _to_str}


def _show(value: Any) -> str:
    """A value as the user wrote it, shortened."""
    if isinstance(value, (list, tuple)):
        text = " ".join(map(str, value)) if value and all(isinstance(item, str) for item in value) else str(list(value))
    else:
        text = repr(value) if isinstance(value, str) else {True: "true", False: "false"}[value] if isinstance(value, bool) else str(value)
    return text if len(text) <= 60 else text[:57] + "..."
