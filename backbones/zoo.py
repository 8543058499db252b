"""The zoo: families of backbones with plain names, published figures and where they come from. Read from zoo.yaml and zoo_counts.json: no torch, no timm."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

import yaml

from backbones.catalog import find_entry
from backbones.weight_cache import cached_file
from backbones.weight_packages import WEIGHT_PACKAGES, find_weight_package

GROUPS = ("light", "heavy", "teaching")
_UNITS = {"": 1.0, "M": 1e6, "G": 1e9}


@dataclass(frozen=True)
class Figure:
    """A published number with its digits, such as "3.50M".

    ``step`` is one unit of its last digit.
    """

    text: str

    @property
    def value(self) -> float:
        """The number."""
        return float(self.text.rstrip("MG")) * self._unit

    @property
    def step(self) -> float:
        """One unit of the last digit."""
        return float(10.0 ** -len(self.text.rstrip("MG").partition(".")[2]) * self._unit)

    @property
    def _unit(self) -> float:
        return _UNITS[re.sub(r"[\d.]", "", self.text)]

    def agrees(self, counted: float, share: float = 0.02) -> bool:
        """Whether a count is within a share of it, or rounds to its digits."""
        return abs(counted - self.value) <= max(share * self.value, 0.501 * self.step)


@dataclass(frozen=True)
class ZooEntry:
    """One network of the comparison. Figures are of the whole network with its classifier; what no source gives is None.

    Attributes:
        name: Plain name; ``create_backbone`` takes it.
        aliases: Further plain names.
        family: Family that it belongs to.
        group: "light", "heavy" or "teaching".
        paper: Where the family was published.
        backbone: Name of the network at its provider.
        params: Learnable weights.
        macs: Multiply-adds of one image of ``input`` x ``input`` pixels.
        input: Side of the image in pixels.
        top1: ImageNet top-1 of the weights that ``weights imagenet`` loads, percent, at ``test`` pixels a side.
        test: See ``top1``.
        source: Where the figures stand.
        note: What else must be said.
        counted_params: Our count.
        counted_macs: Our count, convolutions and linear layers.
        normalised: Numbers that normalisation layers give.
        counting: How many operations the source counts for each of these, least and most.
    """

    name: str
    aliases: tuple[str, ...]
    family: str
    group: str
    paper: str
    backbone: str
    params: Figure | None
    macs: Figure | None
    input: int
    top1: float | None
    test: int
    source: str
    note: str
    counted_params: int | None
    counted_macs: int | None
    normalised: int
    counting: tuple[float, float]

    def macs_agree(self) -> bool:
        """Whether the published MACs are those counted, by the rule of their source."""
        if self.macs is None or self.counted_macs is None:
            return False
        least, most = (self.counted_macs + operations * self.normalised for operations in self.counting)
        return least <= self.macs.value <= most or self.macs.agrees(least) or self.macs.agrees(most)

    @property
    def own(self) -> bool:
        """Whether the network is defined here, without published weights."""
        return self.backbone.startswith("backbones.")

    @property
    def provider(self) -> str:
        """Whose definition and weights these are: "timm", "torchvision", "pytorchcv" or "own"."""
        return "own" if self.own else self.backbone.partition(":")[0] if ":" in self.backbone else "timm"

    @property
    def licence(self) -> str:
        """Licence of the weights, "" where there are none."""
        found, entry = find_weight_package(self.backbone), find_entry(self.backbone)
        return found[0].licence if found else entry.licence if entry and not self.own else ""

    @property
    def licences(self) -> str:
        """Licences of all that ``weights_from`` names, whatever is on this machine."""
        entry = find_entry(self.backbone)
        licences = [*(package.licence for package in WEIGHT_PACKAGES if self.backbone in package.backbones), *([entry.licence] if entry and not self.own else [])]
        return " or ".join({licence.casefold(): licence for licence in reversed(licences)}[key] for key in dict.fromkeys(licence.casefold() for licence in licences))

    @property
    def weights(self) -> str:
        """Where ImageNet weights are: "installed" with a package, "cached" by an earlier download, "pip PACKAGE", "download", or "none" published."""
        return weights_place(self.backbone)

    @property
    def weights_from(self) -> str:
        """Where ImageNet weights come from, whatever is on this machine."""
        packages = [package.package for package in WEIGHT_PACKAGES if self.backbone in package.backbones]
        return "none" if self.own else " or ".join([*(f"pip {package}" for package in packages), self.provider])


@dataclass(frozen=True)
class AbsentFamily:
    """A family of the comparison that no provider has, and why."""

    family: str
    group: str
    paper: str
    reason: str


@dataclass(frozen=True)
class Zoo:
    """All of it: networks in the order of the file, families that are absent, and sources with what is special about their counts."""

    entries: tuple[ZooEntry, ...]
    absent: tuple[AbsentFamily, ...]
    sources: dict[str, str]

    @property
    def families(self) -> tuple[str, ...]:
        """Families that have networks, in the order of the file."""
        return tuple(dict.fromkeys(entry.family for entry in self.entries))

    def of(self, family: str) -> tuple[ZooEntry, ...]:
        """Networks of a group ("light", "heavy", "teaching"), of a family, or "all"; case does not matter."""
        wanted = family.casefold()
        return tuple(entry for entry in self.entries if wanted in ("all", entry.group, entry.family.casefold()))


@cache
def read_zoo() -> Zoo:
    """The zoo as it is shipped."""
    tree: dict[str, Any] = yaml.load(_read("zoo.yaml"), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    counts: dict[str, dict[str, int]] = json.loads(_read("zoo_counts.json"))
    entries = [_entry(family, row, tree["sources"], counts.get(row["name"], {})) for family in tree["families"] for row in family["networks"]]
    return Zoo(tuple(entries), tuple(AbsentFamily(**row) for row in tree["absent"]), {source["where"]: source.get("counts", "") for source in tree["sources"].values()})


@cache
def plain_names() -> dict[str, ZooEntry]:
    """Networks by plain name, aliases included."""
    return {name: entry for entry in read_zoo().entries for name in (entry.name, *entry.aliases)}


def find_zoo_entry(name: str) -> ZooEntry | None:
    """The network with this plain name, alias, or name at its provider (a tag taken off), or None."""
    entry = plain_names().get(name)
    plain = name.partition(".")[0] if ":" not in name else name
    return entry or next((other for other in read_zoo().entries if other.backbone in (name, plain)), None)


def provider_name(name: str) -> str:
    """What a plain name stands for at its provider; any other name comes back as it is."""
    entry = plain_names().get(name)
    return entry.backbone if entry else name


def weights_place(backbone: str) -> str:
    """Where ImageNet weights of a provider's network are; see ``ZooEntry.weights``."""
    entry = find_entry(backbone)
    if find_weight_package(backbone):
        return "installed"
    if entry and cached_file(entry.hub, entry.url):
        return "cached"
    package = next((package.package for package in WEIGHT_PACKAGES if backbone in package.backbones), None)
    return f"pip {package}" if package else "download" if entry and (entry.hub or entry.url) else "none"


def _entry(family: dict[str, Any], row: dict[str, Any], sources: dict[str, Any], counted: dict[str, int]) -> ZooEntry:
    side = row.get("input", 224)
    return ZooEntry(
        name=row["name"],
        aliases=tuple(row.get("aliases", ())),
        family=family["family"],
        group=family["group"],
        paper=family["paper"],
        backbone=row["backbone"],
        params=Figure(row["params"]) if "params" in row else None,
        macs=Figure(row["macs"]) if "macs" in row else None,
        input=side,
        top1=row.get("top1"),
        test=row.get("test", side),
        source=sources[row["source"]]["where"],
        note=row.get("note", ""),
        counted_params=counted.get("params"),
        counted_macs=counted.get("macs"),
        normalised=counted.get("normalised", 0),
        counting=tuple(sources[row["source"]].get("normalisation", (0, 0))),
    )


def _read(name: str) -> str:
    return files("backbones").joinpath(name).read_text(encoding="utf-8")
