"""The folder of a run: where each file is, made once, never overwritten; every file is replaced as a whole or not at all."""

from __future__ import annotations

import json
import os
import platform
import re
import shlex
import shutil
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from backbones.errors import FinetuneError, UsageError
from finetune.config import RunConfig
from finetune.config_file import load_config, save_config, with_absolute_paths

_PACKAGES = ("finetune-light", "torch", "torchvision", "timm", "pytorch-lightning", "albumentations", "faster-coco-eval", "numpy", "opencv-python-headless", "Pillow")


def write_atomic(path: Path, write: Callable[[Path], object]) -> None:
    """Let ``write`` fill a file beside ``path``, force it to disk and put it in the place of ``path`` in one step.

    Raises:
        FinetuneError: The disk is full or the folder cannot be written; ``path`` is as it was.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        write(temporary)
        with temporary.open("rb+") as stream:
            os.fsync(stream.fileno())
        temporary.replace(path)
    except OSError as error:
        raise FinetuneError(f"cannot write {path}: {error.strerror or error}; free some space or choose another --out") from error
    finally:
        temporary.unlink(missing_ok=True)


def write_json_atomic(path: Path, value: Any) -> None:
    """Write JSON in one step."""
    write_atomic(path, lambda temporary: temporary.write_text(json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n", encoding="utf-8"))


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
    def create(cls, out: str | Path | None, config: RunConfig, environment: Mapping[str, Any], needed_bytes: int = 0) -> RunFolder:
        """Make the folder and write down what is known before training.

        Args:
            out: Folder to create; None takes the next free runs/<data>-<backbone>-<n>.
            config: Settings of the run.
            environment: Devices and the like, beside versions and platform.
            needed_bytes: Space that the run will take.

        Raises:
            UsageError: The folder exists, cannot be written, or the disk is too full.
        """
        root = free_folder(config) if out is None else Path(out).expanduser()
        cls.check_free(root)
        try:
            free = shutil.disk_usage(next(parent for parent in (root.resolve(), *root.resolve().parents) if parent.exists())).free
            if free < needed_bytes:
                raise UsageError(f"the run needs about {needed_bytes / 2**20:,.0f} MiB in {root}, but only {free / 2**20:,.0f} MiB are free: free some space or choose another --out")
            for name in ("checkpoints", "evaluation", "pictures"):
                (root / name).mkdir(parents=True)
            folder = cls(root)
            save_config(with_absolute_paths(config), folder.config)
            folder.log.touch()
            facts = {"versions": package_versions(), "platform": platform.platform(), "machine": platform.machine(), "cores": os.cpu_count(), **environment}
            write_json_atomic(root / "environment.json", facts)
            (root / "command.txt").write_text(shlex.join([Path(sys.argv[0]).name, *sys.argv[1:]]) + "\n", encoding="utf-8")
        except OSError as error:
            raise UsageError(f"cannot create the run folder {root}: {error.strerror or error}; choose another --out") from error
        return folder

    @staticmethod
    def check_free(root: Path) -> None:
        """Raise UsageError when something is where a run folder shall be."""
        root = root.expanduser()
        if root.exists() and (not root.is_dir() or any(root.iterdir())):
            raise UsageError(f"{root} exists and is never overwritten: choose another --out, or continue that run with --resume {shlex.quote(str(root))}")

    @classmethod
    def open(cls, path: str | Path) -> RunFolder:
        """An existing run folder.

        Raises:
            UsageError: There is none.
        """
        root = Path(path).expanduser()
        if not (root / "config.yaml").is_file():
            raise UsageError(f"{root} is not a run folder (no config.yaml in it): give the folder that finetune train wrote")
        return cls(root)

    def load_config(self) -> RunConfig:
        """The settings of the run."""
        return load_config(self.config)


def data_name(config: RunConfig) -> str:
    """A short name of the data: the folder or file name of its root."""
    if config.data.root == "signs":
        return "signs"
    path = Path(config.data.root).expanduser()
    return (path.resolve().name if path.name in ("", ".", "..") else path.stem if path.suffix else path.name) or "data"


def free_folder(config: RunConfig) -> Path:
    """The next free runs/<data>-<backbone>-<n>."""
    backbone = re.sub(r"[^A-Za-z0-9_.-]+", "-", Path(config.backbone.name.split(":")[-1]).name)
    stem = re.sub(r"[^A-Za-z0-9_.-]+", "-", f"{data_name(config)}-{backbone}")
    number = 1
    while (Path("runs") / f"{stem}-{number}").exists():
        number += 1
    return Path("runs") / f"{stem}-{number}"
