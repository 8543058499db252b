"""Words of the command line, turned into a tree of settings. Nothing is judged here: that is the validator's task."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, get_origin

from backbones.errors import UsageError
from finetune.validate import find_hint, plain_type

_SWITCHES = ("true", "false", "yes", "no", "on", "off")


@dataclass
class Words:
    """A command line after its verb.

    Args:
        tree: Settings by flags, nested; values are text, or lists of text where several were given.
        sources: The flag that set each dotted key.
        configs: What ``--config`` was given, in order.
        flags: Flags that stand alone (``help``, ``print_config``).
        positionals: Words that belong to no flag.
    """

    tree: dict[str, Any] = field(default_factory=dict)
    sources: dict[str, str] = field(default_factory=dict)
    configs: list[str] = field(default_factory=list)
    flags: set[str] = field(default_factory=set)
    positionals: list[str] = field(default_factory=list)


def read_words(words: Sequence[str], settings: Sequence[type], short_forms: Mapping[str, str]) -> Words:
    """Split the words after a verb.

    Args:
        words: As the shell gives them.
        settings: Dataclasses whose dotted keys are flags; they say how many values a flag takes.
        short_forms: Short flag to dotted key.

    Raises:
        UsageError: A flag without its value.
    """
    read = Words()
    rest = list(words)
    while rest:
        word = rest.pop(0)
        if word == "--":
            read.positionals += rest
            break
        if not _is_flag(word):
            read.positionals.append(word)
            continue
        name, _, attached = word.partition("=")
        key = "help" if name in ("-h", "--help") else name.lstrip("-").replace("-", "_")
        if key in ("help", "print_config"):
            read.flags.add(key)
            continue
        key = short_forms.get(key, key)
        hint = next((hint for kind in settings if (hint := find_hint(kind, key)) is not None), None)
        values = [attached] if "=" in word else _take(rest, plain_type(hint))
        if key == "config":
            read.configs += _need(values, name)
            continue
        if plain_type(hint) is bool and not values:
            values = ["true"]
        set_value(read, key, values if len(_need(values, name)) > 1 or is_many(hint) else values[0], name)
    return read


def _take(rest: list[str], hint: Any) -> list[str]:
    """Remove and return the values that follow a flag."""
    if hint is bool:
        return [rest.pop(0)] if rest and rest[0].casefold() in _SWITCHES else []
    many = is_many(hint)
    values: list[str] = []
    while rest and not _is_flag(rest[0]) and (many or not values):
        values.append(rest.pop(0))
    return values


def set_value(read: Words, key: str, value: Any, flag: str) -> None:
    """Put a value at a dotted key, and note the flag or word that gave it."""
    *sections, leaf = key.split(".")
    tree = read.tree
    for section in sections:
        inner = tree.setdefault(section, {})
        if not isinstance(inner, dict):
            raise UsageError(f"{flag}: {section} was already given as a single value")
        tree = inner
    if isinstance(tree.get(leaf), dict):
        raise UsageError(f"{flag}: {key} is a section; give its settings one by one")
    tree[leaf] = value
    read.sources[key] = flag


def _need(values: list[str], flag: str) -> list[str]:
    if not values:
        raise UsageError(f"{flag} needs a value after it")
    return values


def is_many(hint: Any) -> bool:
    """Whether a setting of this type takes several words."""
    return get_origin(plain_type(hint)) in (tuple, dict)


def _is_flag(word: str) -> bool:
    """Whether a word starts a flag; ``-1``, ``-0.5`` and ``-`` are values."""
    return word.startswith("-") and word != "-" and not re.fullmatch(r"-\.?\d.*", word)
