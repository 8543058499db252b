"""Whether two run folders hold the same run: weights, optimiser, averages, figures, tables, record; and nothing that should be gone."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open

from finetune.run_folder import RunFolder

_CLOCK = {"seconds", "images_per_second"}  # the only things that may differ


def differences(whole: RunFolder, other: RunFolder, tolerance: float = 0.0) -> list[str]:
    """Compare an uninterrupted run with another one.

    Args:
        whole: The uninterrupted run.
        other: The run to compare.
        tolerance: Largest difference of two numbers, of a size above 1 relative to it; 0 compares bit by bit.

    Returns:
        What differs, tensors first, because figures follow from them: "metrics.csv.3.val/loss: 0.51 is not 0.53"; empty for the same run.
    """
    found = []
    for name, read in (
        ("checkpoints/last.ckpt", _checkpoint),
        ("checkpoints/best.ckpt", _checkpoint),
        ("model.safetensors", _weights),
        ("metrics.csv", _table),
        ("evaluation/val.json", _json),
        ("record.json", _json),
    ):
        paths = [folder.root / name for folder in (whole, other)]
        missing = [str(path) for path in paths if not path.is_file()]
        found += [f"{path} is missing" for path in missing] or list(_compare(read(paths[0]), read(paths[1]), name, tolerance))
    pictures = [{path.name: path.read_bytes() for path in folder.pictures.iterdir()} for folder in (whole, other)]
    if pictures[0].keys() != pictures[1].keys() or (not tolerance and pictures[0] != pictures[1]):
        found.append("pictures differ")
    files = [sorted(path.relative_to(folder.root).as_posix() for path in folder.root.rglob("*")) for folder in (whole, other)]
    found += [f"{name} is in one folder only" for name in sorted(set(files[0]) ^ set(files[1]))]
    return sorted(found, key=lambda line: " differs" not in line)


def _checkpoint(path: Path) -> Any:
    return torch.load(path, map_location="cpu", weights_only=True)


def _weights(path: Path) -> Any:
    with safe_open(path, framework="pt") as stream:
        return {"metadata": stream.metadata(), **{name: stream.get_tensor(name) for name in stream.keys()}}  # noqa: SIM118 - not a mapping


def _table(path: Path) -> Any:
    with path.open(encoding="utf-8", newline="") as stream:
        return [{name: _number(text) for name, text in row.items()} for row in csv.DictReader(stream)]


def _number(text: str) -> float | str:
    try:
        return float(text)
    except ValueError:
        return text


def _json(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def _compare(a: Any, b: Any, where: str, tolerance: float) -> Iterator[str]:
    if isinstance(a, torch.Tensor) and isinstance(b, torch.Tensor):
        same = a.shape == b.shape and (torch.equal(a, b) if not tolerance else torch.allclose(a.double(), b.double(), rtol=tolerance, atol=tolerance))
        if not same:
            yield f"{where} differs" + (f" by {float((a.double() - b.double()).abs().max()):.2g}" if a.shape == b.shape else "")
    elif isinstance(a, dict) and isinstance(b, dict):
        for key in sorted(a.keys() | b.keys(), key=str):
            if key not in a or key not in b:
                yield f"{where}.{key} is in one run only"
            elif key not in _CLOCK:
                yield from _compare(a[key], b[key], f"{where}.{key}", tolerance)
    elif isinstance(a, list | tuple) and isinstance(b, list | tuple) and len(a) == len(b):
        for index, (x, y) in enumerate(zip(a, b, strict=True)):
            yield from _compare(x, y, f"{where}.{index}", tolerance)
    elif a != b and not (tolerance and isinstance(a, float) and isinstance(b, float) and math.isclose(a, b, rel_tol=tolerance, abs_tol=tolerance)):
        yield f"{where}: {_short(a)} is not {_short(b)}"


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) < 40 else f"{text[:40]}..."
