"""Targets and the way back to the picture as lines of text, exactly: what a sample has beside its features."""

from __future__ import annotations

import json
from dataclasses import fields
from typing import Any

import torch
from torch import Tensor

from detectors.types import BoxTarget, ImageMeta, Target, TextTarget

_KINDS = {kind.__name__: kind for kind in (BoxTarget, TextTarget)}


def sample_line(target: Target, meta: ImageMeta) -> str:
    """One line of JSON; float32 values come back bit for bit."""
    values = {f.name: _plain(getattr(target, f.name)) for f in fields(target)}
    return json.dumps({"kind": type(target).__name__, "affine": list(meta.affine), "target": values}, ensure_ascii=False, separators=(",", ":"))


def read_sample_line(line: bytes) -> tuple[Target, tuple[float, float, float, float, float, float]]:
    """Target and affine of a line that ``sample_line`` gave."""
    content = json.loads(line)
    values = {name: _restored(value) for name, value in content["target"].items()}
    a, b, tx, c, d, ty = content["affine"]
    return _KINDS[content["kind"]](**values), (a, b, tx, c, d, ty)


def _plain(value: Tensor | tuple[str, ...] | None) -> Any:
    if isinstance(value, Tensor):
        return {"type": str(value.dtype).removeprefix("torch."), "shape": list(value.shape), "values": value.flatten().tolist()}
    return value if value is None else list(value)


def _restored(value: Any) -> Any:
    if isinstance(value, dict):
        return torch.tensor(value["values"], dtype=getattr(torch, value["type"])).reshape(value["shape"])
    return tuple(value) if isinstance(value, list) else value
