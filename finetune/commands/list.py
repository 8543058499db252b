"""``finetune list``: what there is to choose from, read from generated files: no torch, no timm, under a second."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fnmatch import fnmatchcase
from typing import Any

from backbones.catalog import CatalogEntry, read_catalog
from backbones.errors import UsageError
from backbones.names import nearest
from backbones.plugins import plugin_points
from backbones.weight_cache import cached_file
from backbones.weight_packages import WEIGHT_PACKAGES, find_weight_package
from finetune.console import console, write_json
from finetune.options import ListOptions


def run(options: ListOptions) -> int:
    """Print the names that match, and what is known of each."""
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
    rows: list[dict[str, Any]] = []
    for name in _matching(sorted({*catalog, *plugins}), pattern, "backbones"):
        if name in plugins:
            point = plugins[name]
            rows.append({"name": name, "plugin": point.dist.name if point.dist else point.value})
        else:
            rows.append(_row(catalog[name]))
    return rows


def _row(entry: CatalogEntry) -> dict[str, Any]:
    return {
        "name": entry.name,
        "params": entry.params,
        "strides": list(entry.strides),
        "channels": list(entry.channels),
        "input_size": _size_rule(entry),
        "licence": _licence(entry),
        "weights": _weights(entry),
    }


def _size_rule(entry: CatalogEntry) -> str:
    if entry.fixed is None:
        return "any" if entry.pad_multiple == 1 else f"any, padded to {entry.pad_multiple}n"
    return "any one, set when built" if entry.resizable else f"{entry.fixed[0]}x{entry.fixed[1]}"


def _licence(entry: CatalogEntry) -> str:
    found = find_weight_package(entry.name)
    return found[0].licence if found else entry.licence


def _weights(entry: CatalogEntry) -> str:
    """Where ImageNet weights are: "installed" with a package, "cached" by an earlier download, "pip PACKAGE", "download", or "none" published."""
    if find_weight_package(entry.name):
        return "installed"
    if cached_file(entry.hub, entry.url):
        return "cached"
    package = next((package.package for package in WEIGHT_PACKAGES if entry.name in package.backbones), None)
    if package:
        return f"pip {package}"
    return "download" if entry.hub or entry.url else "none"


def _print_backbones(rows: list[dict[str, Any]]) -> None:
    cells = [("name", "params", "strides", "channels", "input size", "weight licence", "weights")]
    for row in rows:
        if "plugin" in row:
            cells.append((row["name"], "", "", "", "", "", f"plug-in of {row['plugin']}"))
        else:
            params = f"{row['params'] / 1e6:.2f}M"
            cells.append((row["name"], params, _joined(row["strides"]), _joined(row["channels"]), row["input_size"], row["licence"], row["weights"]))
    _print_columns(cells)
    kinds = [row.get("weights") for row in rows]
    here = sum(kind in ("installed", "cached") for kind in kinds)
    console().print(f"{len(rows)} backbone{'s' * (len(rows) != 1)}, {here} with weights on this machine. Parameters are those of the pyramid alone, without a classifier.", markup=False)


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
