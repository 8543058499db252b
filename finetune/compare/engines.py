"""Who runs the jobs: child processes of this machine, or tasks of a Ray cluster. Both start the same command, so both give the same results."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from finetune.compare.job_run import PARENT, STARTED

_PATIENCE = 30.0  # seconds for jobs to end by themselves
_PAUSE = 0.2


@dataclass(frozen=True)
class Ended:
    """A process that has ended.

    Args:
        job: Number of its job.
        reason: What the engine knows of its end, for a job that left no outcome.
    """

    job: int
    reason: str


class Engine(Protocol):
    """Runs jobs, several at once."""

    description: str
    slots: int

    def start(self, job: int, log: Path) -> None:
        """Start a job; its lines go to ``log``."""
        ...

    def wait(self, seconds: float) -> list[Ended]:
        """The jobs that have ended, at the latest after so many seconds."""
        ...

    def stop(self) -> None:
        """End all jobs; they can go on later."""
        ...


def start_child(out: Path, job: int, log: Path, threads: int, gpu: str | None = None) -> subprocess.Popen[bytes]:
    """Start the process of one job, in a session of its own: Ctrl-C reaches it through its parent alone."""
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(dict.fromkeys(path for path in sys.path if path)),
        "OMP_NUM_THREADS": str(threads),
        PARENT: str(os.getpid()),
        STARTED: f"{time.time():.3f}",
    }
    if gpu is not None:
        environment["CUDA_VISIBLE_DEVICES"] = gpu
    command = [sys.executable, "-m", "finetune", "compare", "--out", str(out), "--only-job", str(job)]
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as stream:
        return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=stream, stderr=stream, env=environment, start_new_session=True)


def describe_end(code: int, log: Path) -> str:
    """Why a process ended, from its exit code and its last words."""
    if code < 0:
        name = signal.Signals(-code).name if -code in {int(s) for s in signal.Signals} else f"signal {-code}"
        return f"its process was killed ({name}): most often memory ran out"
    try:
        words = [line for line in log.read_text(encoding="utf-8", errors="replace").splitlines() if line.strip()]
    except OSError:
        words = []
    return words[-1].removeprefix("error: ") if words else f"its process ended with code {code}"


class LocalEngine:
    """Child processes on this machine.

    Args:
        out: Folder of the comparison.
        slots: Jobs at once.
        threads: Threads of each job on the CPU.
        gpus: GPUs that jobs may take, in turn; empty leaves the choice to them.
    """

    def __init__(self, out: Path, slots: int, threads: int, gpus: Sequence[str] = ()) -> None:
        self.slots, self._out, self._threads, self._gpus = slots, out, threads, tuple(gpus)
        self.description = f"local, {slots} job{'s' * (slots != 1)} at once, {threads} thread{'s' * (threads != 1)} each" + (f", {len(gpus)} GPUs" if gpus else "")
        self._running: dict[int, tuple[subprocess.Popen[bytes], Path, int]] = {}

    def start(self, job: int, log: Path) -> None:
        """Start a job."""
        taken = {slot for _, _, slot in self._running.values()}
        slot = next(number for number in range(len(taken) + 1) if number not in taken)
        gpu = self._gpus[slot % len(self._gpus)] if self._gpus else None
        self._running[job] = (start_child(self._out, job, log, self._threads, gpu), log, slot)

    def wait(self, seconds: float) -> list[Ended]:
        """The jobs that have ended."""
        end = time.monotonic() + seconds
        while True:
            done = [(job, code, log) for job, (process, log, _) in self._running.items() if (code := process.poll()) is not None]
            for job, _, _ in done:
                del self._running[job]
            if done or time.monotonic() >= end:
                return [Ended(job, describe_end(code, log)) for job, code, log in done]
            time.sleep(_PAUSE)

    def stop(self) -> None:
        """Ask all jobs to stop, then end those that do not."""
        for process, _, _ in self._running.values():
            process.terminate()
        end = time.monotonic() + _PATIENCE
        for process, _, _ in self._running.values():
            try:
                process.wait(max(0.1, end - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self._running = {}


def visible_gpus(accelerator: str) -> list[str]:
    """GPUs that jobs may share out among them, by what CUDA_VISIBLE_DEVICES takes; none with one GPU or less."""
    if accelerator not in ("auto", "gpu", "cuda"):
        return []
    import torch

    count = torch.cuda.device_count()
    given = [name.strip() for name in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if name.strip()]
    names = given[:count] if given else [str(number) for number in range(count)]
    return names if count > 1 else []
