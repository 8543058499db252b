"""Small sets written, read and told about in a line, for tests of what files may hold."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from backbones.errors import DataError
from finetune.config import DataConfig
from finetune.data import load_splits
from tests.finetune.data.makers import write_picture


def load(root: Path, **more: Any) -> tuple[list[str], list[list[float]], str]:
    """Names of all pictures, all boxes, and what was said."""
    splits = load_splits(DataConfig(root=str(root), **more))
    there = [split for split in (splits.train, splits.val, splits.test) if split is not None]
    return sorted(path.name for split in there for path in split.paths), [box for split in there for box in split.boxes.tolist()], "\n".join(splits.summary)


def save(root: Path, content: Any, names: tuple[str, ...] = ("a.png", "b.png")) -> Path:
    for name in names:
        write_picture(root / name)
    (root / "all.json").write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return root


def message(root: Path, **more: Any) -> str:
    with pytest.raises(DataError) as caught:
        load_splits(DataConfig(root=str(root), **more))
    assert "\n" not in str(caught.value)
    return str(caught.value)
