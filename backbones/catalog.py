"""The list of known backbones, read from a generated file: no torch, no timm. ``tools/make_catalog.py`` writes it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from backbones.types import SizeRule


@dataclass(frozen=True)
class CatalogEntry:
    """What is known of one backbone with its stage taps.

    ``params`` counts the pyramid backbone alone. ``fixed`` is the one input size (height, width) taken, if there is only one;
    inputs of other networks are padded to ``pad_multiple`` by the provider. ``resizable``: another fixed size can be built.
    """

    name: str
    params: int
    strides: tuple[int, ...]
    channels: tuple[int, ...]
    licence: str
    mean: tuple[float, ...]
    std: tuple[float, ...]
    fixed: tuple[int, int] | None = None
    pad_multiple: int = 1
    resizable: bool = False
    hub: str | None = None
    url: str | None = None

    @property
    def size_rule(self) -> SizeRule:
        """Input sizes taken."""
        from backbones.types import SizeRule

        return SizeRule(fixed=self.fixed)


@cache
def read_catalog() -> dict[str, CatalogEntry]:
    """All entries by name, sorted."""
    source = files("backbones").joinpath("catalog.json")
    if not source.is_file():
        return {}
    rows: dict[str, dict[str, Any]] = json.loads(source.read_text(encoding="utf-8"))["backbones"]
    return {name: make_entry(name, row) for name, row in sorted(rows.items())}


def make_entry(name: str, row: dict[str, Any]) -> CatalogEntry:
    """The entry that a row of the file stands for."""
    values: dict[str, Any] = {key: tuple(value) if isinstance(value, list) else value for key, value in row.items()}
    return CatalogEntry(name=name, **{"licence": "unknown", **values})


def find_entry(name: str) -> CatalogEntry | None:
    """The entry of a backbone, or None."""
    return read_catalog().get(name)
