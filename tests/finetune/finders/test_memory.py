"""Memory read from planted /proc and control-group files, and from this very process."""

from __future__ import annotations

import mmap
import sys
from pathlib import Path

import pytest

from finetune.finders import memory
from finetune.finders.memory import available_bytes, forget_peak, gibibytes, peak_resident_bytes, resident_bytes

MIB = 1 << 20
V1_NO_LIMIT = "9223372036854771712\n"


def write_files(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


def meminfo(mib: int) -> str:
    return f"MemTotal:  99999999 kB\nMemFree:  1 kB\nMemAvailable:  {mib * 1024} kB\n"


def test_a_bare_machine_has_what_meminfo_says(tmp_path: Path) -> None:
    root = write_files(tmp_path, {"proc/meminfo": meminfo(4000), "proc/self/cgroup": "0::/\n"})
    found = available_bytes(root)
    assert found is not None
    assert (found.bytes, found.source) == (4000 * MIB, "this machine")


@pytest.mark.parametrize("inside", [True, False])
def test_the_tightest_of_all_enclosing_groups_counts(tmp_path: Path, inside: bool) -> None:
    """The job may take 3 GiB, the slice around it only 1 GiB; of what is used, idle file cache can be taken back."""
    group = "sys/fs/cgroup" if inside else "sys/fs/cgroup/slice/job"
    files = {
        "proc/meminfo": meminfo(9000),
        "proc/self/cgroup": "0::/\n" if inside else "0::/slice/job\n",
        f"{group}/memory.max": f"{3072 * MIB}\n",
        f"{group}/memory.current": f"{600 * MIB}\n",
        f"{group}/memory.stat": f"anon 5\ninactive_file {200 * MIB}\n",
    }
    if not inside:
        files |= {"sys/fs/cgroup/slice/memory.max": f"{1024 * MIB}\n", "sys/fs/cgroup/slice/memory.current": f"{700 * MIB}\n", "sys/fs/cgroup/slice/memory.stat": ""}
    found = available_bytes(write_files(tmp_path, files))
    assert found is not None
    assert found.bytes == (3072 - 600 + 200) * MIB if inside else (1024 - 700) * MIB
    assert found.source == f"the container's limit of {'3.0' if inside else '1.0'} GiB"


def test_no_limit_in_words_or_in_numbers(tmp_path: Path) -> None:
    files = {
        "proc/meminfo": meminfo(100),
        "proc/self/cgroup": "4:memory:/job\n0::/\n",
        "sys/fs/cgroup/memory.max": "max\n",
        "sys/fs/cgroup/memory.current": "5\n",
        "sys/fs/cgroup/memory/job/memory.limit_in_bytes": V1_NO_LIMIT,
        "sys/fs/cgroup/memory/job/memory.usage_in_bytes": "5\n",
    }
    found = available_bytes(write_files(tmp_path, files))
    assert found is not None
    assert (found.bytes, found.source) == (100 * MIB, "this machine")


@pytest.mark.parametrize("path", ["/job", "/docker/0123/of/the/host"])
def test_groups_of_the_first_version(tmp_path: Path, path: str) -> None:
    """Inside a container the path is that of the host, and the mount itself is the group."""
    group = "sys/fs/cgroup/memory/job" if path == "/job" else "sys/fs/cgroup/memory"
    files = {
        "proc/meminfo": meminfo(9000),
        "proc/self/cgroup": f"9:name=systemd:/\n4:cpu,memory:{path}\n",
        f"{group}/memory.limit_in_bytes": f"{2048 * MIB}\n",
        f"{group}/memory.usage_in_bytes": f"{1000 * MIB}\n",
        f"{group}/memory.stat": f"total_inactive_file {100 * MIB}\n",
    }
    found = available_bytes(write_files(tmp_path, files))
    assert found is not None
    assert found.bytes == (2048 - 1000 + 100) * MIB


def test_a_system_that_tells_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "resource", None)  # as on Windows: the import fails
    assert available_bytes(tmp_path) is None
    assert peak_resident_bytes(tmp_path) is None
    assert resident_bytes(tmp_path) is None


def test_without_proc_the_peak_comes_from_the_resource_module(tmp_path: Path) -> None:
    resource = pytest.importorskip("resource")
    factor = 1 if sys.platform == "darwin" else 1024
    assert peak_resident_bytes(tmp_path) == resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * factor


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="the peak can be forgotten on Linux only")
def test_the_peak_is_that_since_it_was_forgotten() -> None:
    assert forget_peak()
    before = peak_resident_bytes()
    block = mmap.mmap(-1, 256 * MIB)  # from the system itself, whatever the allocator keeps; much, beside what other tests leave behind to be given back
    for page in range(0, 256 * MIB, 4096):
        block[page] = 1
    during = peak_resident_bytes()
    block.close()
    after = peak_resident_bytes()
    assert before is not None
    assert during is not None
    assert after is not None
    assert 230 * MIB < during - before < 290 * MIB
    assert after > during - MIB  # the kernel counts in batches of pages
    forget_peak()
    assert (peak_resident_bytes() or 0) < during - 200 * MIB


def test_bytes_in_words() -> None:
    assert [gibibytes(n) for n in (850 * MIB, 1024 * MIB, 12.34 * 1024 * MIB)] == ["850 MiB", "1.0 GiB", "12.3 GiB"]
    assert memory.data_bytes() is None or memory.data_bytes() > 0  # type: ignore[operator]
