"""Real processes are stopped, killed and starved of disk space in every phase, and resumed; minutes long."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from finetune.run_folder import RunFolder
from tools.forked_run import EVALUATING, FINISHING, READING, SAVING, SCORING, TRAINING
from tools.kill_and_resume import write_setup
from tools.same_run import differences

pytestmark = pytest.mark.slow
Start = Callable[..., "Remote"]


class Remote:
    """A ``finetune`` command that a fork server started."""

    def __init__(self, server: subprocess.Popen[str], words: list[str], output: Path) -> None:
        self._server, self.output = server, output
        self.pid = int(self._ask({"words": words, "output": str(output)})["pid"])

    def _ask(self, request: dict[str, Any]) -> dict[str, Any]:
        assert self._server.stdin is not None
        assert self._server.stdout is not None
        self._server.stdin.write(json.dumps(request) + "\n")
        self._server.stdin.flush()
        return json.loads(self._server.stdout.readline())

    def look(self) -> dict[str, Any]:
        """Exit code, phase, steps."""
        return self._ask({"poll": self.pid})

    def send(self, signum: int) -> None:
        """Send a signal to everything that the command runs."""
        if self.look()["code"] is None:
            os.killpg(self.pid, signum)

    def until(self, phase: str, steps: int = 0) -> None:
        """Wait for a phase, after some training steps."""
        deadline = time.monotonic() + 300
        while (now := self.look())["phase"] != phase or now["steps"] < steps:
            assert now["code"] is None, f"it ended before:\n{self.output.read_text()}"
            assert time.monotonic() < deadline
            time.sleep(0.001)

    def end(self, seconds: float = 300) -> int:
        """Wait for the exit code."""
        deadline = time.monotonic() + seconds
        while (code := self.look()["code"]) is None:
            assert time.monotonic() < deadline, f"it still runs:\n{self.output.read_text()}"
            time.sleep(0.01)
        return code

    def nothing_runs(self) -> bool:
        """Whether the process and all that it started are gone."""
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            try:
                os.killpg(self.pid, 0)
            except ProcessLookupError:
                return True
            time.sleep(0.05)
        return False


@pytest.fixture(scope="module")
def start(repo_root: Path) -> Iterator[Start]:
    command = [sys.executable, "-m", "tools.forked_run"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=repo_root) as server:
        yield lambda words, output: Remote(server, words, output)
        assert server.stdin is not None
        server.stdin.close()


@pytest.fixture(scope="module")
def wholes(start: Start, tmp_path_factory: pytest.TempPathFactory) -> Callable[[int], tuple[Path, RunFolder]]:
    """Settings and the uninterrupted run for a number of loader processes."""
    made: dict[int, tuple[Path, RunFolder]] = {}

    def make(workers: int) -> tuple[Path, RunFolder]:
        if workers not in made:
            root = tmp_path_factory.mktemp(f"workers{workers}")
            settings = write_setup(root, None, 0, workers, 3)
            run = start(["train", "--config", str(settings), "--out", str(root / "whole")], root / "whole.txt")
            assert run.end() == 0, run.output.read_text()
            made[workers] = settings, RunFolder(root / "whole")
        return made[workers]

    return make


def _resume_as_told(start: Start, run: Remote, folder: RunFolder) -> None:
    """Run the command of the last line."""
    words = shlex.split(run.output.read_text().splitlines()[-1].split(" with: ")[1])
    assert words[:3] == ["finetune", "train", "--resume"]
    again = start(words[1:], folder.root.with_suffix(".again.txt"))
    assert again.end() == 0, again.output.read_text()


@pytest.mark.parametrize("workers", [0, 1])
@pytest.mark.parametrize(
    ("signum", "phase", "steps"),
    [
        (signal.SIGINT, READING, 0),
        (signal.SIGTERM, TRAINING, 2),
        (signal.SIGINT, TRAINING, 5),
        (signal.SIGTERM, EVALUATING, 6),
        (signal.SIGINT, SCORING, 3),
        (signal.SIGTERM, SAVING, 6),
        (signal.SIGINT, FINISHING, 0),
    ],
)
def test_a_stop_ends_in_one_line_and_its_command_gives_the_same_run(
    signum: int, phase: str, steps: int, workers: int, start: Start, wholes: Callable[[int], tuple[Path, RunFolder]], tmp_path: Path
) -> None:
    settings, whole = wholes(workers)
    folder = RunFolder(tmp_path / "run")
    run = start(["train", "--config", str(settings), "--out", str(folder.root)], tmp_path / "run.txt")
    run.until(phase, steps)
    run.send(signum)  # as a terminal does, loader processes included
    assert run.end() == 128 + signum, run.output.read_text()
    assert run.nothing_runs()
    said = run.output.read_text()
    assert "Traceback" not in said
    assert "Exception" not in said
    last = said.splitlines()[-1]
    assert re.fullmatch(r"error: stopped; (continue from the last finished epoch|start again in the same folder, no epoch was finished,) with: finetune train --resume .*run", last), said
    assert ("last finished" in last) == folder.last.is_file()
    assert not [path for path in folder.root.rglob(".*")], "no lock and no temporary files"
    _resume_as_told(start, run, folder)
    assert differences(whole, folder, 1e-6 if workers else 0.0) == []


def test_a_stop_while_the_program_starts_is_one_line(tmp_path: Path, repo_root: Path) -> None:
    command = [sys.executable, "-c", "import sys; from finetune.cli import run; sys.argv[0] = 'finetune'; print('here', flush=True); run()", "train", "--out", str(tmp_path / "run")]
    for delay in (0.0, 1.0, 2.0):
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=repo_root) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == "here\n"
            time.sleep(0.4 + delay)
            process.send_signal(signal.SIGTERM)
            _, err = process.communicate(timeout=120)
        assert process.returncode in (143, -signal.SIGTERM), err  # the latter: before the command took the signals
        assert "Traceback" not in err
        if process.returncode == 143:
            assert re.search(r"error: stopped[;:] .*\n\Z", err), err
            assert ("--resume" in err) == (tmp_path / "run" / "config.yaml").exists()
        shutil.rmtree(tmp_path / "run", ignore_errors=True)


def test_the_second_ctrl_c_ends_at_once(start: Start, wholes: Callable[[int], tuple[Path, RunFolder]], tmp_path: Path) -> None:
    settings, whole = wholes(1)
    folder = RunFolder(tmp_path / "run")
    run = start(["train", "--config", str(settings), "--out", str(folder.root)], tmp_path / "run.txt")
    run.until(TRAINING, 4)
    run.send(signal.SIGSTOP)
    run.send(signal.SIGINT)
    run.send(signal.SIGCONT)
    while run.look()["code"] is None:  # cleaning up takes longer than the echo of the first is waited for, or it is over
        time.sleep(0.35)
        run.send(signal.SIGINT)
    assert run.end() == 130
    assert run.nothing_runs()
    again = start(["train", "--resume", str(folder.root)], tmp_path / "again.txt")
    assert again.end() == 0, again.output.read_text()
    assert differences(whole, folder, 1e-6) == []


def test_a_run_in_progress_is_not_resumed_and_a_killed_one_is(start: Start, wholes: Callable[[int], tuple[Path, RunFolder]], tmp_path: Path) -> None:
    settings, whole = wholes(1)
    folder = RunFolder(tmp_path / "run")
    run = start(["train", "--config", str(settings), "--out", str(folder.root)], tmp_path / "run.txt")
    run.until(TRAINING, 4)
    second = start(["train", "--resume", str(folder.root)], tmp_path / "second.txt")
    assert second.end() == 2
    assert second.output.read_text().splitlines()[-1] == f"error: another process (pid {run.pid}) trains in {folder.root}: wait for its end or stop it, then try again"
    os.kill(run.pid, signal.SIGKILL)  # its loader process lives on for some seconds
    assert run.end() == -signal.SIGKILL
    third = start(["train", "--resume", str(folder.root)], tmp_path / "third.txt")
    assert third.end() == 0, third.output.read_text()
    assert differences(whole, folder, 1e-6) == []


def test_a_disk_that_fills_up_for_real(start: Start, wholes: Callable[[int], tuple[Path, RunFolder]], tmp_path: Path) -> None:
    settings, whole = wholes(0)
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=48m", "tmpfs", str(disk)], capture_output=True, check=False).returncode:
        pytest.skip("no file system can be mounted here")
    try:
        folder = RunFolder(disk / "run")
        run = start(["train", "--config", str(settings), "--out", str(folder.root)], tmp_path / "run.txt")
        run.until(TRAINING, 4)
        (disk / "filler").write_bytes(b"\0" * (shutil.disk_usage(disk).free - 4096 * 3))
        assert run.end() == 1
        said = run.output.read_text()
        assert re.fullmatch(r"error: cannot write .*: No space left on device; free some space .*, then continue from the last finished epoch with: .*run", said.splitlines()[-1]), said
        assert "Traceback" not in said
        assert not [path for path in folder.root.rglob(".*")]
        full = start(["train", "--resume", str(folder.root)], tmp_path / "full.txt")
        assert full.end() == 1
        assert "No space left on device" in full.output.read_text().splitlines()[-1]
        (disk / "filler").unlink()
        _resume_as_told(start, run, folder)
        assert differences(whole, folder) == []
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=False)


TOOL = "import sys; sys.path.insert(0, sys.argv[1]); from tools.kill_and_resume import main\nFAULT\nsys.exit(main(sys.argv[2:]))"
FORGETS = """
from finetune.callbacks.averaging import WeightAveraging
load = WeightAveraging.load_state_dict
WeightAveraging.load_state_dict = lambda self, state: load(self, {**state, "updates": 0})
"""


def _kill_and_resume(repo_root: Path, fault: str, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", TOOL.replace("FAULT", fault), str(repo_root), *words], capture_output=True, text=True, timeout=1500, check=False)


@pytest.mark.parametrize("workers", ["0", "1"])
def test_killed_at_random_moments_it_ends_as_the_uninterrupted_run(workers: str, repo_root: Path) -> None:
    done = _kill_and_resume(repo_root, "", "--times", "6", "--epochs", "4", "--workers", workers)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.splitlines()[-1].startswith("6 of 6 equal")


def test_the_tool_sees_a_state_that_is_lost(repo_root: Path) -> None:
    done = _kill_and_resume(repo_root, FORGETS, "--times", "2", "--epochs", "4", "--seed", "3")
    assert done.returncode == 1, done.stdout + done.stderr
    assert "differs by" in done.stdout
