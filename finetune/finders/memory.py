"""How much memory this process has taken at most, and how much there is to take: container limits counted, nothing installed for it."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path

_UNLIMITED = 1 << 60  # bytes: cgroup v1 writes "no limit" as a number near 2 ** 63


@dataclass(frozen=True)
class Available:
    """Memory that could still be taken.

    Args:
        bytes: How much.
        source: What limits it, for people: "this machine" or "the container's limit of 4.0 GiB".
    """

    bytes: int
    source: str


def peak_resident_bytes(root: Path = Path("/")) -> int | None:
    """Most memory that this process has held so far, shared libraries counted; None where the system does not tell.

    Args:
        root: Of the file system, for tests.
    """
    found = _status(root, "VmHWM")
    if found is not None:
        return found
    try:
        import resource  # Unix only
    except ImportError:
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return int(peak if sys.platform == "darwin" else peak * 1024)


def resident_bytes(root: Path = Path("/")) -> int | None:
    """Memory that this process holds now; None where the system does not tell."""
    return _status(root, "VmRSS")


def data_bytes(root: Path = Path("/")) -> int | None:
    """Writable memory that this process has reserved, used or not; None where the system does not tell."""
    return _status(root, "VmData")


def forget_peak() -> bool:
    """Let the next ``peak_resident_bytes`` count from now on; False where the system cannot."""
    try:
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    except OSError:
        return False
    return True


def available_bytes(root: Path = Path("/")) -> Available | None:
    """Memory that could still be taken: the least of what the machine and every enclosing control group have left.

    File caches that the system gives up on demand count as available.

    Args:
        root: Of the file system, for tests.

    Returns:
        None where the system does not tell.
    """
    found = [*_machine(root), *_groups_v2(root), *_groups_v1(root)]
    return min(found, key=lambda each: each.bytes, default=None)


def gibibytes(count: float) -> str:
    """Bytes for people: "850 MiB", "12.3 GiB"."""
    return f"{count / 2**20:,.0f} MiB" if count < 2**30 else f"{count / 2**30:,.1f} GiB"


def _status(root: Path, name: str) -> int | None:
    for line in _read(root / "proc/self/status").splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) * 1024
    return None


def _machine(root: Path) -> list[Available]:
    for line in _read(root / "proc/meminfo").splitlines():
        if line.startswith("MemAvailable:"):
            return [Available(int(line.split()[1]) * 1024, "this machine")]
    try:  # systems without /proc tell the whole, not what is left: half of it is a careful guess
        return [Available(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2, "half of this machine")] if root == Path("/") else []
    except (AttributeError, ValueError, OSError):
        return []


def _groups_v2(root: Path) -> list[Available]:
    """Every level from the group of this process up to the top."""
    path = next((line[3:] for line in _read(root / "proc/self/cgroup").splitlines() if line.startswith("0::")), None)
    found = []
    for folder in _levels(root / "sys/fs/cgroup", path) if path is not None else ():
        limits = [number for name in ("memory.max", "memory.high") if (number := _number(folder / name)) is not None]
        found += _left(limits, _number(folder / "memory.current"), folder / "memory.stat", "inactive_file")
    return found


def _groups_v1(root: Path) -> list[Available]:
    lines = (line.split(":", 2) for line in _read(root / "proc/self/cgroup").splitlines())
    path = next((parts[2] for parts in lines if len(parts) == 3 and "memory" in parts[1].split(",")), None)
    found = []
    for folder in _levels(root / "sys/fs/cgroup/memory", path) if path is not None else ():
        limit = _number(folder / "memory.limit_in_bytes")
        found += _left([limit] if limit is not None else [], _number(folder / "memory.usage_in_bytes"), folder / "memory.stat", "total_inactive_file")
    return found


def _levels(mount: Path, path: str) -> list[Path]:
    """The group's folder and those above it; inside a container the path may be that of the host, then only the top is seen."""
    folder = mount / path.strip("/")
    if not folder.is_dir():
        folder = mount
    return [each for each in (folder, *folder.parents) if each == mount or mount in each.parents]


def _left(limits: list[int], used: int | None, stat: Path, cache: str) -> list[Available]:
    limits = [limit for limit in limits if limit < _UNLIMITED]
    if not limits or used is None:
        return []
    given_up = next((int(line.split()[1]) for line in _read(stat).splitlines() if line.split()[:1] == [cache]), 0)
    return [Available(max(0, min(limits) - max(0, used - given_up)), f"the container's limit of {gibibytes(min(limits))}")]


def _number(path: Path) -> int | None:
    text = _read(path).strip()
    return int(text) if text.isdigit() else None


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError:
        return ""
