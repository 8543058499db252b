"""``finetune list``: what there is to choose from, read from generated files: no torch, no timm, under a second."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict
from fnmatch import fnmatchcase
from typing import Any

from backbones.catalog import CatalogEntry, read_catalog
from backbones.errors import UsageError
from backbones.names import nearest
from backbones.plugins import plugin_points
from backbones.weight_packages import find_weight_package
from backbones.zoo import GROUPS, AbsentFamily, ZooEntry, plain_names, read_zoo, weights_place
from finetune.console import console, write_json
from finetune.options import ListOptions


def run(options: ListOptions) -> int:
    """Print the names that match, and what is known of each."""
    if options.family is not None:
        return _zoo(options)
    makers: dict[str, Callable[[str | None], list[dict[str, Any]]]] = {"backbones": _backbones, "detectors": _detectors, "configs": _configs}
    rows = makers[options.what](options.pattern)
    printers = {"backbones": _print_backbones, "detectors": _print_detectors, "configs": _print_configs}
    printers[options.what](rows)
    write_json(options.json, {options.what: rows})
    return 0


def _matching(names: Sequence[str], pattern: str | None, what: str) -> list[str]:
    """Names that match a glob; a pattern without wildcards that is no name itself means names that contain it."""
    if pattern is None:
        return list(names)
    glob = pattern if any(sign in pattern for sign in "*?[") or pattern in names else f"*{pattern}*"
    found = [name for name in names if fnmatchcase(name.lower(), glob.lower())]
    if not found:
        near = nearest(pattern.strip("*?"), names)
        raise UsageError(f"list {what}: no name matches {pattern!r}{near or f'; without a pattern all {len(names)} are shown'}")
    return found


def _backbones(pattern: str | None) -> list[dict[str, Any]]:
    catalog, plugins = read_catalog(), plugin_points()
    plain = {name: found.backbone for name, found in plain_names().items() if name not in catalog}
    rows: list[dict[str, Any]] = []
    for name in _matching(sorted({*catalog, *plain, *plugins}), pattern, "backbones"):
        if name in plugins:
            point = plugins[name]
            rows.append({"name": name, "plugin": point.dist.name if point.dist else point.value})
        elif plain.get(name, name) in catalog:
            rows.append(_row(name, catalog[plain.get(name, name)]))
    return rows


def _row(name: str, entry: CatalogEntry) -> dict[str, Any]:
    return {
        "name": name,
        "backbone": entry.name,
        "params": entry.params,
        "strides": list(entry.strides),
        "channels": list(entry.channels),
        "input_size": _size_rule(entry),
        "licence": _licence(entry),
        "weights": weights_place(entry.name),
    }


def _size_rule(entry: CatalogEntry) -> str:
    if entry.fixed is None:
        return "any" if entry.pad_multiple == 1 else f"any, padded to {entry.pad_multiple}n"
    return "any one, set when built" if entry.resizable else f"{entry.fixed[0]}x{entry.fixed[1]}"


def _licence(entry: CatalogEntry) -> str:
    found = find_weight_package(entry.name)
    return found[0].licence if found else entry.licence


def _print_backbones(rows: list[dict[str, Any]]) -> None:
    cells = [("name", "params", "strides", "channels", "input size", "weight licence", "weights")]
    for row in rows:
        if "plugin" in row:
            cells.append((row["name"], "", "", "", "", "", f"plug-in of {row['plugin']}"))
        else:
            params = f"{row['params'] / 1e6:.2f}M"
            name = row["name"] if row["name"] == row["backbone"] else f"{row['name']} = {row['backbone']}"
            cells.append((name, params, _joined(row["strides"]), _joined(row["channels"]), row["input_size"], row["licence"], row["weights"]))
    _print_columns(cells)
    kinds = [row.get("weights") for row in rows]
    here = sum(kind in ("installed", "cached") for kind in kinds)
    console().print(f"{len(rows)} backbone{'s' * (len(rows) != 1)}, {here} with weights on this machine. Parameters are those of the pyramid alone, without a classifier.", markup=False)


def _zoo(options: ListOptions) -> int:
    """The families of the comparison: published figures, licence and place of the weights, what is absent and why."""
    zoo, family = read_zoo(), str(options.family)
    if options.what != "backbones":
        raise UsageError(f"list {options.what}: --family is for backbones only")
    absent = [other for other in zoo.absent if family.casefold() in ("all", other.group, other.family.casefold())]
    entries = zoo.of(family)
    if not entries and not absent:
        known = (*GROUPS, "all", *zoo.families)
        raise UsageError(f"list backbones: no family is called {family!r}{nearest(family, known) or '; there are light, heavy, teaching, all, and the families that these show'}")
    if options.pattern is not None:
        names = {name for entry in entries for name in (entry.name, *entry.aliases, entry.backbone)}
        found = set(_matching(sorted(names), options.pattern, "backbones"))
        entries, absent = tuple(entry for entry in entries if found & {entry.name, *entry.aliases, entry.backbone}), []
    _print_zoo(entries, absent)
    write_json(options.json, {"backbones": [_zoo_row(entry) for entry in entries], "absent": [asdict(other) for other in absent]})
    return 0


def _zoo_row(entry: ZooEntry) -> dict[str, Any]:
    said = {what: None if figure is None else figure.value for what, figure in (("params", entry.params), ("macs", entry.macs))}
    return {
        "name": entry.name,
        "aliases": list(entry.aliases),
        "family": entry.family,
        "group": entry.group,
        "paper": entry.paper,
        "backbone": entry.backbone,
        "published": {**said, "input": entry.input, "top1": entry.top1, "top1_input": entry.test if entry.top1 is not None else None, "source": entry.source},
        "counted": {"params": entry.counted_params, "macs": entry.counted_macs},
        "licence": entry.licence or None,
        "weights_from": entry.weights_from,
        "weights": entry.weights,
        "note": entry.note,
    }


def _print_zoo(entries: Sequence[ZooEntry], absent: Sequence[AbsentFamily]) -> None:
    cells = [("name", "family", "params", "MACs", "at", "top-1", "at", "weight licence", "weights from", "here")]
    for entry in entries:
        top1 = ("-", "") if entry.top1 is None else (f"{entry.top1:.2f}", str(entry.test))
        place = entry.weights if entry.weights in ("installed", "cached") else "no"
        cells.append((entry.name, entry.family, *_figures(entry), str(entry.input), *top1, entry.licence or "-", entry.weights_from, place))
    _print_columns(cells)
    for other in absent:
        console().print(f"absent: {other.family} ({other.paper}): {other.reason}", markup=False)
    here = sum(entry.weights in ("installed", "cached") for entry in entries)
    about = "Parameters and MACs (multiply-adds) of the whole network with its classifier, as published, for one image of the side named; ~ marks our own count where nothing was published."
    console().print(f"{len(entries)} networks, {here} with weights on this machine. {about} Top-1: ImageNet, percent. Sources: docs/backbones.md.", markup=False)


def _figures(entry: ZooEntry) -> tuple[str, str]:
    params = f"{entry.params.value / 1e6:.2f}M" if entry.params else f"~{(entry.counted_params or 0) / 1e6:.2f}M"
    macs = f"{entry.macs.value / 1e9:.2f}G" if entry.macs else f"~{(entry.counted_macs or 0) / 1e9:.2f}G"
    return params, macs


def _detectors(pattern: str | None) -> list[dict[str, Any]]:
    from detectors.registry import DETECTOR_NAMES

    return [{"name": name} for name in _matching(DETECTOR_NAMES, pattern, "detectors")]


def _print_detectors(rows: list[dict[str, Any]]) -> None:
    _print_columns([(row["name"],) for row in rows])


def _configs(pattern: str | None) -> list[dict[str, Any]]:
    from finetune.shipped import describe_config, list_configs

    return [{"name": name, "about": describe_config(name)} for name in _matching(list_configs(), pattern, "configs")]


def _print_configs(rows: list[dict[str, Any]]) -> None:
    _print_columns([(row["name"], row["about"]) for row in rows])


def _joined(values: Sequence[int]) -> str:
    return " ".join(map(str, values))


def _print_columns(cells: Sequence[Sequence[str]]) -> None:
    widths = [max(len(row[column]) for row in cells) for column in range(len(cells[0]))]
    lines = ["  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip() for row in cells]
    console().print("\n".join(lines), markup=False, highlight=False)
