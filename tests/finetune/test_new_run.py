"""A new run folder is checked first, made once, held by one process, and taken away when nothing came of it."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections import namedtuple
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from backbones.errors import DataError, UsageError
from finetune.config import BackboneConfig, DataConfig, RunConfig
from finetune.new_run import free_folder, new_run
from finetune.run_lock import LOCK_NAME, run_lock
from finetune.stopping import InterruptedRunError

CONFIG = RunConfig(data=DataConfig(root="some/bccd"), backbone=BackboneConfig("torchvision:mobilenet_v2"))
Mount = Callable[..., Path]


@pytest.fixture
def mount(tmp_path: Path) -> Iterator[Mount]:
    """Mounts a small file system of its own; skips where that is not allowed."""
    mounted: list[Path] = []

    def make(options: str) -> Path:
        point = tmp_path / f"disk{len(mounted)}"
        point.mkdir()
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(point)], capture_output=True, text=True, check=False)
        if done.returncode:
            pytest.skip(f"no file system can be mounted here: {done.stderr.strip()}")
        mounted.append(point)
        return point

    yield make
    for point in mounted:
        subprocess.run(["umount", "-l", str(point)], check=False)


def _refused(out: Path, words: str, needed: int = 0) -> None:
    with pytest.raises(UsageError, match=words) as caught, new_run(out, CONFIG, {}, needed):
        pytest.fail("a run folder was made")
    assert "\n" not in str(caught.value)


def test_the_folder_is_a_run_from_the_start(tmp_path: Path) -> None:
    with new_run(tmp_path / "a" / "run", CONFIG, {"devices": ["cpu"]}) as run:
        run.began = True
        assert (run.folder.root / LOCK_NAME).read_text() == f"{os.getpid()}\n"
    assert sorted(path.name for path in run.folder.root.iterdir()) == ["checkpoints", "command.txt", "config.yaml", "environment.json", "evaluation", "log.txt", "pictures"]
    text = run.folder.environment.read_text()
    assert json.loads(text)["versions"]["torch"]
    assert json.loads(text)["devices"] == ["cpu"]
    host = socket.gethostname()
    assert len(host) < 3 or host not in text


def test_default_names_count_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with new_run(None, CONFIG, {}) as run:
        run.began = True
    assert run.folder.root.as_posix() == "runs/bccd-mobilenet_v2-1"
    assert free_folder(CONFIG).as_posix() == "runs/bccd-mobilenet_v2-2"
    assert free_folder(replace(CONFIG, data=DataConfig(), backbone=BackboneConfig("a.b:c"))).as_posix() == "runs/signs-c-1"


def test_what_is_there_is_never_overwritten(tmp_path: Path) -> None:
    kept = tmp_path / "mine" / "log.txt"
    kept.parent.mkdir()
    kept.write_text("mine")
    _refused(kept.parent, "never overwritten: choose another --out$")
    assert kept.read_text() == "mine"
    (tmp_path / "file").write_text("")
    _refused(tmp_path / "file", "is a file and is never overwritten")
    with new_run(tmp_path / "run", CONFIG, {}) as run:
        run.began = True
    _refused(tmp_path / "run", r"never overwritten: choose another --out, or continue that run with: finetune train --resume .*run$")


@pytest.mark.parametrize("error", [DataError("no pictures"), ValueError("a fault of ours")])
def test_a_run_that_never_began_leaves_nothing(error: Exception, tmp_path: Path) -> None:
    with pytest.raises(type(error)), new_run(tmp_path / "a" / "b", CONFIG, {}):
        raise error
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(type(error)), new_run(tmp_path / "a", CONFIG, {}) as run:  # noqa: PT012
        run.began = True
        raise error
    assert run.folder.config.is_file(), "once it began, it is kept"


def test_a_run_that_never_began_does_not_take_the_users_files_with_it(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    with pytest.raises(DataError), new_run(tmp_path / "a" / "run", CONFIG, {}) as run:  # noqa: PT012
        (run.folder.root / "notes.txt").write_text("mine")
        raise DataError("no pictures")
    assert [path.name for path in (tmp_path / "a" / "run").rglob("*") if path.is_file()] == ["notes.txt"]


def test_a_stop_while_data_are_read_leaves_a_run_to_resume(tmp_path: Path) -> None:
    with pytest.raises(InterruptedRunError), new_run(tmp_path / "run", CONFIG, {}) as run:
        raise InterruptedRunError("stopped")
    assert run.folder.config.is_file()
    assert not (run.folder.root / LOCK_NAME).exists()


def test_a_start_that_was_killed_before_it_was_a_run_can_be_made_again(tmp_path: Path) -> None:
    root = tmp_path / "run"
    (root / "checkpoints").mkdir(parents=True)
    for name in (LOCK_NAME, "log.txt", ".config.yaml.77.tmp"):
        (root / name).touch()
    with new_run(root, CONFIG, {}) as run:
        assert run.folder.load_config().backbone == CONFIG.backbone


def test_places_that_cannot_be_written_are_one_line(tmp_path: Path, mount: Mount) -> None:
    (tmp_path / "file").write_text("")
    _refused(tmp_path / "file" / "run", "cannot create the run folder .*: Not a directory; choose another --out")
    _refused(tmp_path / ("x" * 300) / "run", "cannot create the run folder .*: File name too long")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    _refused(tmp_path / "loop" / "run", "cannot create the run folder")
    _refused(Path("/proc/run"), "cannot create the run folder")
    read_only = mount("size=1m,ro")
    _refused(read_only / "run", "cannot create the run folder .*: Read-only file system")
    _refused(read_only, "cannot create the run folder .*: Read-only file system")


def test_a_folder_without_write_permission_is_one_line(tmp_path: Path) -> None:
    if os.geteuid() == 0:
        pytest.skip("root may write everywhere")
    tmp_path.chmod(0o500)
    try:
        _refused(tmp_path / "run", "Permission denied")
    finally:
        tmp_path.chmod(0o700)


def test_a_full_disk_is_said_before_anything_is_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = namedtuple("usage", "total used free")
    with monkeypatch.context() as patch:
        patch.setattr("shutil.disk_usage", lambda path: usage(2**30, 2**30, 2**20))
        _refused(tmp_path / "run", r"needs about 64 MiB .* only 1 MiB are free: free some space or choose another --out", 64 * 2**20)
    assert not (tmp_path / "run").exists()


def test_small_and_full_disks_for_real(mount: Mount) -> None:
    small = mount("size=1m")
    _refused(small / "run", r"needs about 8 MiB .* only 1 MiB are free", 8 * 2**20)
    (small / "filler").write_bytes(b"x" * 2**20)
    _refused(small / "run", "cannot create the run folder .*: No space left on device")
    assert [path.name for path in small.iterdir()] == ["filler"]
    no_inodes = mount("size=1m,nr_inodes=40")
    _refused(no_inodes / "run", r"has room for only \d+ more files \(inodes\)")
    assert list(no_inodes.iterdir()) == []


HOLD = """
import sys, time
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from finetune.run_lock import run_lock
with run_lock(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


def test_one_process_at_a_time_and_a_killed_one_lets_go(tmp_path: Path, repo_root: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path), str(repo_root)], stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "held\n"
        with pytest.raises(UsageError, match=rf"another process \(pid {other.pid}\) trains in"), run_lock(tmp_path):
            pytest.fail("two hold it")
        other.kill()
    assert (tmp_path / LOCK_NAME).exists(), "what a killed process leaves"
    with run_lock(tmp_path):
        with pytest.raises(UsageError, match=f"pid {os.getpid()}"), run_lock(tmp_path):
            pytest.fail("one process holds it twice")
        assert (tmp_path / LOCK_NAME).exists(), "the refused one leaves the lock of the other alone"
    assert not (tmp_path / LOCK_NAME).exists()


def test_a_forked_child_does_not_keep_the_lock(tmp_path: Path) -> None:
    read, write = os.pipe()
    with run_lock(tmp_path):
        child = os.fork()
        if child == 0:  # as a loader process that outlives a killed run
            os.close(write)
            os.read(read, 1)
            os._exit(0)
    try:
        with run_lock(tmp_path):
            pass
    finally:
        os.close(write)
        os.waitpid(child, 0)
