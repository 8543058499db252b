"""One process at a time trains in a run folder; the system lets go of the lock however the process ends."""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from backbones.errors import UsageError

LOCK_NAME = ".lock"

_NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL)  # file systems without locks
_held: set[int] = set()  # file descriptors


def _close_in_child() -> None:
    """A forked loader process that outlives a killed run must not keep its lock."""
    while _held:
        with suppress(OSError):
            os.close(_held.pop())


os.register_at_fork(after_in_child=_close_in_child)


@contextmanager
def run_lock(root: Path) -> Iterator[None]:
    """Hold the lock of a run folder.

    Args:
        root: The folder, which exists.

    Raises:
        UsageError: Another process holds it.
        OSError: No file can be made in the folder.
    """
    path = root / LOCK_NAME
    descriptor = _acquire(path)
    _held.add(descriptor)
    try:
        yield
    finally:
        if descriptor in _held:  # not in a forked child, which closed it
            with suppress(OSError):
                path.unlink(missing_ok=True)  # while it is held: nobody else can have it
            _held.discard(descriptor)
            os.close(descriptor)


def _acquire(path: Path) -> int:
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            owner = os.pread(descriptor, 32, 0).decode("ascii", "replace").strip()
            os.close(descriptor)
            if error.errno in (errno.EAGAIN, errno.EACCES):
                raise UsageError(f"another process{f' (pid {owner})' if owner else ''} trains in {path.parent}: wait for its end or stop it, then try again") from error
            if error.errno not in _NO_LOCKS:
                raise
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)  # nothing can be locked here: go on without
        if _is_at(path, descriptor):
            with suppress(OSError):  # a full disk; the number is for people only
                os.ftruncate(descriptor, 0)
                os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
            return descriptor
        os.close(descriptor)  # its last owner removed it in between


def _is_at(path: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False
