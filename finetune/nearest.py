"""The nearest allowed name to a wrong one."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from difflib import get_close_matches


def nearest_name(wrong: str, names: Iterable[str], cutoff: float = 0.65) -> str | None:
    """The name that ``wrong`` most likely stands for, upper and lower case alike; None where nothing is near.

    Besides small differences in spelling, initials count: ``learning_rate`` is near ``lr``, ``bs`` is near ``batch_size``.

    Args:
        wrong: What was given.
        names: What is allowed.
        cutoff: Likeness in 0..1 that a name must have.
    """
    by_fold = {name.casefold(): name for name in names}
    fold = wrong.casefold().replace("-", "_")
    if not fold:
        return None
    for candidate in (wrong.casefold(), fold):
        if candidate in by_fold:
            return by_fold[candidate]
    close = get_close_matches(fold, by_fold, n=1, cutoff=cutoff)
    if close:
        return by_fold[close[0]]
    by_initials = [name for low, name in by_fold.items() if low == _initials(fold) or _initials(low) == fold]
    inside = [name for low, name in by_fold.items() if len(low) > 3 and (low in fold.split("_") or fold in low.split("_"))]
    return next(iter(by_initials + inside), None)


def nearest_key(wrong: str, keys: Sequence[str]) -> str:
    """A hint for an unknown dotted key: the same name elsewhere, a near one beside it, a near one anywhere, or what there is."""
    section, _, leaf = wrong.rpartition(".")
    same = [key for key in keys if key.rpartition(".")[2] == leaf]
    if same:
        return f"did you mean {' or '.join(same)}?"
    beside = [key for key in keys if key.rpartition(".")[0] == section]
    leaves = {key.rpartition(".")[2]: key for key in reversed(keys)}
    near = nearest_name(leaf, [key.rpartition(".")[2] for key in beside])
    if near:
        return f"did you mean {section + '.' if section else ''}{near}?"
    elsewhere = nearest_name(leaf, leaves, cutoff=0.75)
    if elsewhere:
        return f"did you mean {leaves[elsewhere]}?"
    whole = get_close_matches(wrong, keys, n=1, cutoff=0.6) if section not in keys else []
    if whole:
        return f"did you mean {whole[0]}?"
    there = beside or [key for key in keys if "." not in key]
    return f"{'in ' + section + ' ' if section and beside else ''}there are {', '.join(key.rpartition('.')[2] for key in there)}"


def did_you_mean(wrong: str, names: Iterable[str]) -> str:
    """The words "; did you mean X?" to end a sentence, or a full stop."""
    near = nearest_name(wrong, names)
    return f"; did you mean {near}?" if near else "."


def _initials(name: str) -> str:
    return "".join(part[0] for part in name.split("_") if part) if "_" in name else ""
