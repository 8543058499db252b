"""What one row of a feature file is, and where its files are."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from backbones.frozen import FrozenFeatures

Stored = Literal["float32", "float16"]


@dataclass(frozen=True)
class Layout:
    """A row holds the features of one view of one picture, map by map, each with its channels last; rows stand view by view, picture by picture.

    Args:
        fingerprint: Of everything that the features depend on.
        images: Pictures of the training split.
        views: Views of each.
        stages: Leading stages that are frozen.
        input_hw: Height and width of the inputs in pixels.
        shapes: Of each map for one picture, [C, h, w]; [0] for one that nobody reads.
        value: The same of what the next stage reads, where that is none of the maps.
        stored: Type of the numbers on disk.
        computed: Type in which the network gave each part, and gets it again.
    """

    fingerprint: str
    images: int
    views: int
    stages: int
    input_hw: tuple[int, int]
    shapes: tuple[tuple[int, ...], ...]
    value: tuple[int, ...] | None
    stored: Stored
    computed: tuple[str, ...]

    @classmethod
    def of(cls, features: FrozenFeatures, fingerprint: str, images: int, views: int, stored: Stored) -> Layout:
        """The layout of features like these."""
        shapes = tuple(tuple(m.shape[1:]) for m in features.maps)
        value = None if features.value is None else tuple(features.value.shape[1:])
        computed = tuple(str(tensor.dtype).removeprefix("torch.") for tensor in (*features.maps, features.value) if tensor is not None)
        return cls(fingerprint, images, views, features.stages, features.input_hw, shapes, value, stored, computed)

    @property
    def rows(self) -> int:
        """Rows of the whole file."""
        return self.images * self.views

    @property
    def parts(self) -> tuple[tuple[int, ...], ...]:
        """Shapes of everything in a row, in order."""
        return (*self.shapes, *(() if self.value is None else (self.value,)))

    @property
    def row_values(self) -> int:
        """Numbers of a row."""
        return sum(math.prod(shape) for shape in self.parts)

    @property
    def row_bytes(self) -> int:
        """Bytes of a row."""
        return self.row_values * (4 if self.stored == "float32" else 2)

    @property
    def size(self) -> int:
        """Bytes of the whole file."""
        return self.rows * self.row_bytes

    def to_rows(self, features: FrozenFeatures) -> Tensor:
        """[B, row_values] on the CPU, in the stored type."""
        parts = [*features.maps, *(() if features.value is None else (features.value,))]
        stored = getattr(torch, self.stored)
        return torch.cat([(part.permute(0, 2, 3, 1) if part.ndim == 4 else part).flatten(1).to("cpu", stored) for part in parts], dim=1)

    def from_parts(self, parts: list[Tensor]) -> FrozenFeatures:
        """Features from one [B, values] tensor for each part of a row."""
        tensors = []
        for flat, shape, computed in zip(parts, self.parts, self.computed, strict=True):
            typed = flat.to(getattr(torch, computed))
            tensors.append(typed.view(len(flat), shape[1], shape[2], shape[0]).permute(0, 3, 1, 2) if len(shape) == 3 else typed.view(len(flat), *shape))
        maps, value = tensors[: len(self.shapes)], tensors[-1] if self.value is not None else None
        return FrozenFeatures(tuple(maps), value, self.stages, self.input_hw)

    def to_json(self) -> str:
        """One object of JSON."""
        return json.dumps({"schema": 1, **asdict(self)}, indent=2) + "\n"

    @classmethod
    def from_json(cls, text: str) -> Layout:
        """The inverse of ``to_json``; raises ValueError, KeyError or TypeError for anything else."""
        content: Mapping[str, Any] = json.loads(text)
        if content["schema"] != 1:
            raise ValueError("another schema")
        fields = {name: _tuples(value) for name, value in content.items() if name != "schema"}
        return cls(**fields)


@dataclass(frozen=True)
class FeatureFolder:
    """The files of one set of features below ``root``."""

    root: Path

    @property
    def layout(self) -> Path:
        """What a row is; written first."""
        return self.root / "layout.json"

    @property
    def rows(self) -> Path:
        """All rows; it is there when the making has ended."""
        return self.root / "features.bin"

    @property
    def samples(self) -> Path:
        """One line of target and affine for each row."""
        return self.root / "samples.jsonl"

    @property
    def progress(self) -> Path:
        """While it is made: how much is on disk for sure."""
        return self.root / "progress.json"

    @staticmethod
    def part(path: Path) -> Path:
        """The name of a file while it is made."""
        return path.with_name(path.name + ".part")

    def read_layout(self) -> Layout | None:
        """The layout; None where there is none that can be read."""
        try:
            return Layout.from_json(self.layout.read_text(encoding="utf-8"))
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def is_complete(self, layout: Layout) -> bool:
        """Whether everything of this layout is there."""
        try:
            return self.read_layout() == layout and self.rows.stat().st_size == layout.size and self.samples.is_file()
        except OSError:
            return False


def _tuples(value: Any) -> Any:
    return tuple(_tuples(item) for item in value) if isinstance(value, list) else value
