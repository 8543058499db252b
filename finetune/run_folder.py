"""The folder of a run: where each file is; every file is replaced as a whole or not at all."""

from __future__ import annotations

import json
import os
import platform
import re
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from backbones.errors import FinetuneError, UsageError
from finetune.config import RunConfig
from finetune.config_file import load_config, save_config, with_absolute_paths
from finetune.data.sources import EMBEDDED

_PACKAGES = ("finetune-light", "torch", "torchvision", "timm", "pytorch-lightning", "albumentations", "faster-coco-eval", "numpy", "opencv-python-headless", "Pillow")
_TEMPORARY = re.compile(r"\..+\.\d+\.tmp")


class WriteError(FinetuneError):
    """A file could not be written; the one it was to replace is as it was."""

    def __init__(self, path: Path, error: OSError) -> None:
        self.path, self.reason = path, error.strerror or str(error)
        super().__init__(f"cannot write {path}: {self.reason}; free some space or choose another --out")


def write_atomic(path: Path, write: Callable[[Path], object]) -> None:
    """Let ``write`` fill a file beside ``path``, force it to disk and put it in the place of ``path`` in one step.

    Raises:
        WriteError: The disk is full or the folder cannot be written; ``path`` is as it was.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        write(temporary)
        with temporary.open("rb+") as stream:
            os.fsync(stream.fileno())
        temporary.replace(path)
        _sync_folder(path.parent)
    except OSError as error:
        raise WriteError(path, error) from error
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


def _sync_folder(folder: Path) -> None:
    """The new name of a file survives a power cut as well."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        with suppress(OSError):  # some file systems cannot
            os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_json_atomic(path: Path, value: Any) -> None:
    """Write JSON in one step."""
    write_atomic(path, lambda temporary: temporary.write_text(json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n", encoding="utf-8"))


def clear_temporary(root: Path) -> list[Path]:
    """Remove what killed processes were writing below a folder: files that ``write_atomic`` makes and never leaves behind."""
    found = sorted(path for path in root.rglob(".*.tmp") if _TEMPORARY.fullmatch(path.name) and path.is_file())
    for path in found:
        path.unlink(missing_ok=True)
    return found


def package_versions() -> dict[str, str]:
    """Versions of the packages that decide what a run does."""
    found = {"python": platform.python_version()}
    for name in _PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


@dataclass(frozen=True)
class RunFolder:
    """The files of one run below ``root``."""

    root: Path

    @property
    def config(self) -> Path:
        """Settings, resolved."""
        return self.root / "config.yaml"

    @property
    def environment(self) -> Path:
        """Versions, platform and devices."""
        return self.root / "environment.json"

    @property
    def log(self) -> Path:
        """What was printed."""
        return self.root / "log.txt"

    @property
    def metrics(self) -> Path:
        """Losses, rates and figures of every epoch."""
        return self.root / "metrics.csv"

    @property
    def curves(self) -> Path:
        """The same, drawn."""
        return self.root / "curves.png"

    @property
    def last(self) -> Path:
        """State after the last finished epoch; ``--resume`` reads it."""
        return self.root / "checkpoints" / "last.ckpt"

    @property
    def best(self) -> Path:
        """State after the best epoch."""
        return self.root / "checkpoints" / "best.ckpt"

    @property
    def weights(self) -> Path:
        """The best weights, with all that prediction needs."""
        return self.root / "model.safetensors"

    @property
    def record(self) -> Path:
        """The record that reports read; written last."""
        return self.root / "record.json"

    @property
    def pictures(self) -> Path:
        """Predictions beside the truth."""
        return self.root / "pictures"

    def evaluation(self, split: str) -> Path:
        """Figures of the best weights on a split."""
        return self.root / "evaluation" / f"{split}.json"

    def relative(self, path: Path) -> str:
        """A path for the record: POSIX, relative to the run folder."""
        return path.relative_to(self.root).as_posix()

    @classmethod
    def open(cls, path: str | Path) -> RunFolder:
        """An existing run folder.

        Raises:
            UsageError: There is none.
        """
        root = Path(path).expanduser()
        try:
            is_run = (root / "config.yaml").is_file()
        except OSError as error:
            raise UsageError(f"{root} cannot be a run folder: {error.strerror or error}") from error
        if not is_run:
            raise UsageError(f"{root} is not a run folder (no config.yaml in it): give the folder that finetune train wrote")
        return cls(root)

    def load_config(self) -> RunConfig:
        """The settings of the run."""
        return load_config(self.config)

    def save_config(self, config: RunConfig) -> None:
        """Keep the settings of the run, with absolute paths."""
        write_atomic(self.config, lambda temporary: save_config(with_absolute_paths(config), temporary))


def data_name(config: RunConfig) -> str:
    """A short name of the data: the folder or file name of its root."""
    if config.data.root in EMBEDDED:
        return config.data.root
    path = Path(config.data.root).expanduser()
    return (path.resolve().name if path.name in ("", ".", "..") else path.stem if path.suffix else path.name) or "data"
