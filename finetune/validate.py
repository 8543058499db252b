"""Every fault of a tree of settings at once, found from the types of the dataclasses, before anything is built or read."""

from __future__ import annotations

import types
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from typing import Any, Union, cast, get_args, get_origin, get_type_hints

from finetune.config import RunConfig
from finetune.convert import convert
from finetune.nearest import nearest_key
from finetune.rules import cross_faults


@dataclass
class Checked:
    """What a check found.

    Args:
        tree: The settings that are right, converted to their types (tuples as tuples); the others are left out.
        faults: One line per fault: key, value, what is allowed, where it was written.
    """

    tree: dict[str, Any] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)


def check_config(tree: Mapping[str, Any], sources: Mapping[str, str] | str = "") -> list[str]:
    """Return every fault of the settings of a run, one line each; an empty list is a good config.

    Args:
        tree: Nested settings as in YAML (``{"train": {"lr": 0.1}}``) or as ``dataclasses.asdict(run_config)`` gives them;
            what is left out has its default.
        sources: Where each dotted key was written ("my.yaml line 3", "--train.lr"), or one text for all.
    """
    return check_run(tree, sources).faults


def check_run(tree: Mapping[str, Any], sources: Mapping[str, str] | str = "", also: tuple[str, ...] = ()) -> Checked:
    """Check the settings of a run and convert them; arguments as in ``check_config`` and ``check_settings``."""
    checked = check_settings(RunConfig, tree, sources, also)
    checked.faults += [_line(key, text, sources) for key, text in cross_faults(checked.tree, sources if isinstance(sources, Mapping) else {})]
    return checked


def check_settings(settings: type, tree: Mapping[str, Any], sources: Mapping[str, str] | str = "", also: tuple[str, ...] = ()) -> Checked:
    """Check and convert a tree of values against a dataclass: keys, types, choices and ranges.

    Args:
        settings: A dataclass, its sections dataclasses too; ranges stand in its types as ``Annotated``.
        tree: Nested values.
        sources: As in ``check_config``.
        also: Other names that an unknown key may have meant.
    """
    checked = Checked()
    _walk(settings, tree, "", checked.tree, checked.faults, sources, (*list_keys(settings), *also))
    return checked


def list_keys(settings: type, prefix: str = "") -> tuple[str, ...]:
    """All dotted keys of a dataclass in order, sections before their members."""
    keys: list[str] = []
    for name, hint in hints_of(settings).items():
        keys.append(prefix + name)
        if is_dataclass(hint):
            keys += list_keys(cast(type, hint), f"{prefix}{name}.")
    return tuple(keys)


def hints_of(settings: type) -> dict[str, Any]:
    """Types of the fields of a dataclass, ``Annotated`` kept."""
    hints = get_type_hints(settings, include_extras=True)
    return {item.name: hints[item.name] for item in fields(settings)}


def find_hint(settings: type, key: str) -> Any:
    """The type behind a dotted key, or None where there is no such key."""
    hint: Any = settings
    for part in key.split("."):
        if not is_dataclass(hint):
            return None
        hint = hints_of(cast(type, hint)).get(part)
    return hint


def plain_type(hint: Any) -> Any:
    """A type without ``Annotated`` and without the None of an optional one."""
    if hasattr(hint, "__metadata__"):
        return plain_type(get_args(hint)[0])
    if get_origin(hint) in (Union, types.UnionType):
        return plain_type(next(part for part in get_args(hint) if part is not type(None)))
    return hint


def _walk(settings: type, tree: Mapping[str, Any], prefix: str, good: dict[str, Any], faults: list[str], sources: Mapping[str, str] | str, known: tuple[str, ...]) -> None:
    hints = hints_of(settings)
    for name, value in tree.items():
        key = f"{prefix}{name}"
        if name not in hints:
            faults.append(_line(key, f"there is no such setting; {nearest_key(key, known)}", sources))
        elif is_dataclass(hints[name]):
            if isinstance(value, Mapping):
                _walk(cast(type, hints[name]), value, f"{key}.", good.setdefault(name, {}), faults, sources, known)
            else:
                faults.append(_line(key, f"this is a section with the settings {', '.join(hints_of(cast(type, hints[name])))}; a value ({value!r}) cannot stand for it", sources))
        else:
            try:
                good[name] = convert(value, hints[name])
            except ValueError as error:
                faults.append(_line(key, str(error), sources))


def _line(key: str, text: str, sources: Mapping[str, str] | str) -> str:
    source = sources if isinstance(sources, str) else sources.get(key, "")
    if source.startswith("-"):
        return f"{source}: {text}"
    return f"{key}: {text}" + (f" [{source}]" if source else "")
