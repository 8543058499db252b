"""A new run folder: checked before any data are read, held by one process, and taken away again when the run never began."""

from __future__ import annotations

import os
import platform
import re
import shlex
import shutil
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from backbones.errors import UsageError
from finetune.config import RunConfig
from finetune.run_folder import RunFolder, WriteError, data_name, package_versions, write_json_atomic
from finetune.run_lock import LOCK_NAME, run_lock
from finetune.stopping import InterruptedRunError

_FOLDERS = ("checkpoints", "evaluation", "pictures")
_FILES = ("config.yaml", "log.txt", "environment.json", "command.txt", LOCK_NAME)
_LEAST_FILES = 64  # inodes: a run makes about thirty files


@dataclass
class NewRun:
    """A run that is being prepared; set ``began`` when its folder holds anything worth keeping."""

    folder: RunFolder
    began: bool = False


@contextmanager
def new_run(out: str | Path | None, config: RunConfig, environment: Mapping[str, Any], needed_bytes: int = 0) -> Iterator[NewRun]:
    """Make a run folder, hold its lock, and write down what is known before training.

    An error before ``began`` takes the folder away again. A stop or a kill leaves it, so that it can be resumed.

    Args:
        out: Folder to create; None takes the next free runs/<data>-<backbone>-<n>.
        config: Settings of the run.
        environment: Devices and the like, beside versions and platform.
        needed_bytes: Space that the run will take, as far as is known.

    Raises:
        UsageError: The folder exists, cannot be written, or the disk is too full.
    """
    root, made = _make(out, config, needed_bytes)
    run = NewRun(RunFolder(root))
    with ExitStack() as stack:
        try:
            stack.enter_context(run_lock(root))
            _fill(run.folder, config, environment)
        except (OSError, WriteError) as error:
            _take_away(root, made)
            raise _cannot_create(root, error) from error
        try:
            yield run
        except InterruptedRunError:
            raise
        except Exception:
            if not run.began:
                _take_away(root, made)
            raise


def _make(out: str | Path | None, config: RunConfig, needed_bytes: int) -> tuple[Path, list[Path]]:
    """The folder, and every folder that had to be made for it, innermost first."""
    while True:
        root = free_folder(config) if out is None else Path(out).expanduser()
        try:
            check_place(root)
            check_space(root, needed_bytes)
            made = [folder for folder in (root, *root.parents) if not folder.exists()]
            root.mkdir(parents=True, exist_ok=out is not None)
            return root, made
        except FileExistsError as error:
            if out is not None:
                raise _cannot_create(root, error) from error  # else another process took this number
        except OSError as error:
            raise _cannot_create(root, error) from error


def _fill(folder: RunFolder, config: RunConfig, environment: Mapping[str, Any]) -> None:
    for name in _FOLDERS:
        (folder.root / name).mkdir(exist_ok=True)
    folder.log.touch()
    facts = {"versions": package_versions(), "platform": platform.platform(), "machine": platform.machine(), "cores": os.cpu_count(), **environment}
    write_json_atomic(folder.environment, facts)
    (folder.root / "command.txt").write_text(shlex.join([Path(sys.argv[0]).name, *sys.argv[1:]]) + "\n", encoding="utf-8")
    folder.save_config(config)  # the last: with it the folder is a run


def _take_away(root: Path, made: list[Path]) -> None:
    """Remove what ``new_run`` made, and nothing else."""
    with suppress(OSError):
        for name in _FILES:
            (root / name).unlink(missing_ok=True)
        for name in _FOLDERS:
            (root / name).rmdir()
        for folder in made:
            folder.rmdir()


def _cannot_create(root: Path, error: Exception) -> UsageError:
    reason = error.reason if isinstance(error, WriteError) else getattr(error, "strerror", None) or str(error)
    return UsageError(f"cannot create the run folder {root}: {reason}; choose another --out")


def check_place(root: Path) -> None:
    """See that nothing is where a run folder shall be.

    Raises:
        UsageError: Something is there; what a start that was killed left behind does not count.
        OSError: The path cannot be looked at.
    """
    if not root.exists():
        return
    if not root.is_dir():
        raise UsageError(f"{root} is a file and is never overwritten: choose another --out")
    names = {path.name for path in root.iterdir()}
    if "config.yaml" in names:
        raise UsageError(f"{root} exists and is never overwritten: choose another --out, or continue that run with: finetune train --resume {shlex.quote(str(root))}")
    begun = {name for name in names if name in (*_FILES, *_FOLDERS) or re.fullmatch(r"\.(config\.yaml|environment\.json)\.\d+\.tmp", name)}
    if names and not (LOCK_NAME in names and names == begun):
        raise UsageError(f"{root} exists, with files that are no run, and is never overwritten: choose another --out")


def check_space(root: Path, needed_bytes: int) -> None:
    """See that the disk below a folder, which need not exist, has room for a run.

    Raises:
        UsageError: It has not.
    """
    existing = next(parent for parent in (root.absolute(), *root.absolute().parents) if parent.exists())
    free = shutil.disk_usage(existing).free
    if free < needed_bytes:
        raise UsageError(f"the run needs about {needed_bytes / 2**20:,.0f} MiB in {root}, but only {free / 2**20:,.0f} MiB are free: free some space or choose another --out")
    disk = os.statvfs(existing)
    if disk.f_files > 0 and disk.f_favail < _LEAST_FILES:  # some file systems count none
        raise UsageError(f"the disk of {root} has room for only {disk.f_favail} more files (inodes): remove some files or choose another --out")


def free_folder(config: RunConfig) -> Path:
    """The next free runs/<data>-<backbone>-<n>."""
    backbone = re.sub(r"[^A-Za-z0-9_.-]+", "-", Path(config.backbone.name.split(":")[-1]).name)
    stem = re.sub(r"[^A-Za-z0-9_.-]+", "-", f"{data_name(config)}-{backbone}")
    number = 1
    while (Path("runs") / f"{stem}-{number}").exists():
        number += 1
    return Path("runs") / f"{stem}-{number}"
