"""Decoded pictures kept between epochs, in memory or on disk: sized, checked and told before training, shared by workers and processes."""

from __future__ import annotations

import contextlib
import hashlib
import os
import platform
import shutil
import tempfile
import weakref
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol

import cv2
import numpy as np
import PIL
from numpy.typing import NDArray

from backbones.errors import UsageError
from finetune.config import DataConfig
from finetune.data.slots import SlotFile, file_bytes, lay_out
from finetune.finders.memory import available_bytes, gibibytes
from finetune.samples.generate import cache_folder

_MEMORY_SHARE = 0.8  # of what is free: the network needs the rest
_LEAST_LEFT = 2**30  # bytes of the disk, for checkpoints and all others
_SUFFIX = ".pictures"


class Keepable(Protocol):
    """Pictures that can be kept: ``slot_sizes`` are the bytes of each array, ``slot_facts`` what decides them beside the files."""

    slots: SlotFile | None

    @property
    def slot_paths(self) -> Sequence[Path]:
        """The files."""
        ...

    def slot_sizes(self) -> NDArray[np.int64]:
        """[S] bytes."""
        ...

    def slot_facts(self) -> tuple[object, ...]:
        """Plain values."""
        ...


@dataclass(eq=False)
class ImageCache:
    """Where the pictures of a run are kept; files of the same pictures, read in the same way, are found again.

    A file on disk stays for later runs. Memory is that of the first process that asks; others on the machine that train on the same
    pictures map it while it lives.

    Args:
        kind: "ram" or "disk".
        folder: Of files on disk; default: ``images`` in the cache folder.
    """

    kind: Literal["ram", "disk"]
    folder: Path = field(default_factory=lambda: cache_folder() / "images")
    _open: dict[str, SlotFile] = field(default_factory=dict)

    def plan(self, sets: Sequence[Keepable]) -> list[str]:
        """See that the pictures of some sets fit; nothing is written.

        Returns:
            Lines for the user.

        Raises:
            UsageError: They do not fit.
        """
        sized = {key_of(one): one.slot_sizes() for one in sets}
        there = {key: slots for key, sizes in sized.items() if (slots := self._find(key, sizes)) is not None}
        total, missing = (sum(file_bytes(sizes) for key, sizes in sized.items() if key not in known) for known in ((), there))
        free, where, instead = self._room()
        if missing > free:
            raise UsageError(f"data.cache {self.kind} needs {gibibytes(missing)}, but only {gibibytes(free)} of {where} may be taken for it: choose {instead}")
        count = sum(int(np.count_nonzero(sizes)) for sizes in sized.values())
        filled = sum(one.filled for one in there.values())
        line = f"cache: {gibibytes(total)} in {where} for {count:,} decoded pictures and inputs, {'each kept when it is first read' if not filled else f'{filled:,} of them are there'}"
        return [line, *self._older(sized)]

    def attach(self, one: Keepable) -> None:
        """Let a set keep its pictures from now on: to be called before its loader starts workers.

        Raises:
            UsageError: The file cannot be made.
        """
        key = key_of(one)
        if key not in self._open:
            try:
                self._open[key] = self._make(key, one.slot_sizes())
            except OSError as error:
                raise UsageError(f"data.cache {self.kind}: cannot make the cache in {self.folder if self.kind == 'disk' else 'memory'}: {error.strerror or error}; choose data.cache none") from error
        one.slots = self._open[key]

    def _room(self) -> tuple[int, str, str]:
        """Bytes that may be taken, of what, and what else to choose."""
        if self.kind == "ram":
            available = available_bytes()
            free = int(_MEMORY_SHARE * available.bytes) if available is not None else 2**62
            return free, f"memory ({gibibytes(available.bytes)} of {available.source} are free)" if available is not None else "memory", "data.cache disk or none"
        existing = next(parent for parent in (self.folder.absolute(), *self.folder.absolute().parents) if parent.exists())
        free = shutil.disk_usage(existing).free
        return max(0, free - _LEAST_LEFT), f"{self.folder} ({gibibytes(free)} are free)", "another data.cache_folder, or data.cache none"

    def _older(self, keys: Any) -> list[str]:
        """A line about files on disk that this run does not use."""
        if self.kind == "ram" or not self.folder.is_dir():
            return []
        others = [path.stat() for path in self.folder.glob(f"*{_SUFFIX}") if path.name.removesuffix(_SUFFIX) not in keys]
        taken = sum(512 * stat.st_blocks for stat in others)
        return [f"  {len(others)} files of other pictures or sizes in that folder take {gibibytes(taken)}: delete those that you no longer need"] if others else []

    def _find(self, key: str, sizes: NDArray[np.int64]) -> SlotFile | None:
        """The file of a set, where there is one."""
        if key in self._open:
            return self._open[key]
        with contextlib.suppress(OSError):
            return SlotFile(str(self._file(key)) if self.kind == "disk" else self._notice(key).read_text(encoding="utf-8"), sizes, key)
        return None

    def _make(self, key: str, sizes: NDArray[np.int64]) -> SlotFile:
        """The file of a set, which another process may have made first."""
        with self._alone(key):
            return self._find(key, sizes) or SlotFile((self._in_memory if self.kind == "ram" else self._on_disk)(key, sizes), sizes, key)

    def _file(self, key: str) -> Path:
        return self.folder / f"{key}{_SUFFIX}"

    def _notice(self, key: str) -> Path:
        """What tells other processes on this machine where a set is in memory."""
        return self.folder / f".{key}.{platform.node()}.ram"

    def _on_disk(self, key: str, sizes: NDArray[np.int64]) -> str:
        """Make the file of a set; its path."""
        for left_behind in self.folder.glob(f".{key}.*.tmp"):  # by a process that was killed: this one is alone
            left_behind.unlink(missing_ok=True)
        temporary = self.folder / f".{key}.{os.getpid()}.tmp"
        try:
            with temporary.open("xb") as stream:
                lay_out(stream.fileno(), sizes, key, reserve=True)
            temporary.replace(self._file(key))
        finally:
            temporary.unlink(missing_ok=True)
        return str(self._file(key))

    def _in_memory(self, key: str, sizes: NDArray[np.int64]) -> str:
        """Take memory for a set; the path by which processes of this user reach it."""
        if hasattr(os, "memfd_create"):
            descriptor = os.memfd_create("finetune-pictures")
            path = f"/proc/{os.getpid()}/fd/{descriptor}"
        else:  # no such thing outside Linux: a file, which the system keeps in memory while there is room
            descriptor, path = tempfile.mkstemp(_SUFFIX)
            weakref.finalize(self, os.unlink, path)
        weakref.finalize(self, os.close, descriptor)  # open until then: other processes come in through it
        lay_out(descriptor, sizes, key, reserve=False)
        with contextlib.suppress(OSError):  # a folder that cannot be written: every process keeps its own
            self._notice(key).write_text(path, encoding="utf-8")
        return path

    @contextlib.contextmanager
    def _alone(self, key: str) -> Iterator[None]:
        """One process at a time, where the system has locks."""
        with contextlib.ExitStack() as stack:
            with contextlib.suppress(ImportError, OSError):
                import fcntl  # Unix only

                self.folder.mkdir(parents=True, exist_ok=True)
                fcntl.flock(stack.enter_context((self.folder / f".{key}.lock").open("w")), fcntl.LOCK_EX)
            yield


def build_cache(config: DataConfig) -> ImageCache | None:
    """The cache that the settings ask for; a test of the set-up has so few pictures that it needs none."""
    if config.cache == "none" or config.overfit:
        return None
    return ImageCache(config.cache, Path(config.cache_folder).expanduser()) if config.cache_folder else ImageCache(config.cache)


def keepable(samples: Any) -> list[Keepable]:
    """The sets of pictures among some samples, those of all sources where they are mixed."""
    if hasattr(samples, "sources"):
        return [one for source in samples.sources for one in keepable(source.samples)]
    pictures = getattr(samples, "pictures", samples)
    return [pictures] if hasattr(pictures, "slot_sizes") else []


def key_of(one: Keepable) -> str:
    """Equal for the same files, unchanged, read in the same way by the same libraries."""
    digest = hashlib.sha256(repr((one.slot_facts(), cv2.__version__, PIL.__version__)).encode())
    digest.update(np.ascontiguousarray(one.slot_sizes()).tobytes())
    for path in one.slot_paths:
        stat = path.stat()
        digest.update(f"{path.absolute()}\0{stat.st_size}\0{stat.st_mtime_ns}\0".encode("utf-8", "surrogateescape"))
    return digest.hexdigest()[:32]
