"""Class names, their order, and their way from the annotation files to the network's labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches

from backbones.errors import UsageError


@dataclass(frozen=True)
class ClassMap:
    """Which class of the files becomes which label.

    ``label_of`` maps names of the files to labels 0..C-1; a name that is not in it is left out.
    """

    class_names: tuple[str, ...]
    category_ids: tuple[int, ...]
    label_of: Mapping[str, int]
    renumbered: bool = False  # ids of the files could not be kept, because two names share one

    def lines(self) -> list[str]:
        """The map for people: one line per class, category id -> label -> name, with merged names."""
        rows = []
        for label, (number, name) in enumerate(zip(self.category_ids, self.class_names, strict=True)):
            old = [source for source, target in self.label_of.items() if target == label and source != name]
            rows.append(f"id {number} -> {label} {name}" + (f" (from {', '.join(old)})" if old else ""))
        return rows


def build_class_map(categories: Sequence[Mapping[str, int]], include: Sequence[str] = (), rename: Mapping[str, str] | None = None) -> ClassMap:
    """Merge the categories of all files and apply the settings.

    Without ids (VOC) classes are sorted by name and get the ids 1..C; with ids (COCO) they are sorted by id.

    Args:
        categories: Per file: class name to category id, 0 for formats without ids.
        include: Names to keep, after renaming, in this order; empty keeps all.
        rename: Old name to new name; equal new names are merged and take the lowest id.

    Raises:
        UsageError: A name in ``include`` or ``rename`` is not in the data.
    """
    rename = dict(rename or {})
    ids: dict[str, int] = {}
    for names in categories:
        for name, number in names.items():
            ids.setdefault(name, number)
    for old in rename:
        _known(old, ids, "data.rename", {})
    groups: dict[str, list[str]] = {}
    for name in ids:
        groups.setdefault(rename.get(name, name), []).append(name)
    with_ids = any(number for number in ids.values())
    numbers = {new: ids[new] if new in olds else min(ids[old] for old in olds) for new, olds in groups.items()}
    order = sorted(groups, key=(lambda new: (numbers[new], new)) if with_ids else str)
    clash = len(set(numbers.values())) < len(numbers)
    if not with_ids or clash:
        numbers = {name: position for position, name in enumerate(order, start=1)}
    for name in include:
        _known(name, groups, "data.include", rename)
    if len(set(include)) < len(include):
        raise UsageError(f"data.include names a class twice: {', '.join(include)}")
    kept = tuple(include) or tuple(order)
    label_of = {old: label for label, new in enumerate(kept) for old in groups[new]}
    return ClassMap(kept, tuple(numbers[name] for name in kept), label_of, renumbered=with_ids and clash)


def _known(name: str, names: Mapping[str, object], setting: str, rename: Mapping[str, str]) -> None:
    if name in names:
        return
    if name in rename:
        raise UsageError(f"{setting}: {name!r} is renamed to {rename[name]!r} by data.rename; use the new name")
    lower = {known.lower(): known for known in names}
    near = [lower[match] for match in get_close_matches(name.lower(), list(lower), n=3, cutoff=0.5)]
    shown = ", ".join(sorted(names)[:20]) + (" ..." if len(names) > 20 else "")
    raise UsageError(f"{setting}: no class {name!r} in the data; " + (f"nearest: {', '.join(near)}; " if near else "") + f"classes are {shown}")
