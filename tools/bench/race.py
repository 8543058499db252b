"""Sides of a comparison, each in a process of its own, timed in turns."""

from __future__ import annotations

import importlib
import json
import os
import resource
import select
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

ROOT = Path(__file__).resolve().parents[2]
# what keep_freed_memory() does from within a process, for one that does not know it
SAME_ALLOCATOR = {"MALLOC_MMAP_MAX_": "0", "MALLOC_TRIM_THRESHOLD_": str(2**62)}


class Side(Protocol):
    """One side of a comparison."""

    def time(self) -> float:
        """Do the work once; seconds of the part that counts."""
        ...

    def result(self) -> list[float]:
        """Numbers that must be equal on all sides."""
        ...


@dataclass(frozen=True)
class Plan:
    """What a side is made of: ``module.build(side, settings)`` in a process with extra ``environment``."""

    module: str
    side: str
    settings: Mapping[str, Any]
    environment: Mapping[str, str]


@dataclass(frozen=True)
class Times:
    """Seconds of each round, and the peak resident memory of the process in MiB."""

    seconds: tuple[float, ...]
    peak_mib: float

    @property
    def median(self) -> float:
        """Median of the rounds."""
        return statistics.median(self.seconds)


class DifferentResultsError(RuntimeError):
    """The sides do not compute the same."""


class TooSlowError(RuntimeError):
    """A side was not ready in time."""


def race(plans: Mapping[str, Plan], rounds: int, tolerance: float | None, warmup: int = 2, minutes: float | None = None) -> dict[str, Times]:
    """Time sides in turns, after a check that they compute the same.

    Args:
        plans: Sides by name; the first one is the reference of the check.
        rounds: Timed rounds of each side; the order changes from round to round.
        tolerance: Largest difference of results, relative from 1 on, absolute below; None compares nothing.
        warmup: Rounds before, not counted.
        minutes: Time that each side has to get ready, one after the other; None lets all get ready at once, however long that takes.

    Raises:
        DifferentResultsError: Results differ by more.
        TooSlowError: A side was not ready within ``minutes``.
    """
    workers: dict[str, _Worker] = {}
    try:
        for name, plan in plans.items():
            workers[name] = _Worker(plan)
            if minutes is not None:
                seconds_taken = workers[name].wait_ready(name, minutes)
                print(f"{name}: ready after {seconds_taken:.0f} s", file=sys.stderr, flush=True)
        results = {name: worker.ask("result") for name, worker in workers.items()}
        if tolerance is not None:
            _check(results, tolerance)
        seconds: dict[str, list[float]] = {name: [] for name in plans}
        order = list(workers)
        for number in range(warmup + rounds):
            for name in order if number % 2 else reversed(order):
                value = workers[name].ask("time")
                if number >= warmup:
                    seconds[name].append(value)
        return {name: Times(tuple(seconds[name]), worker.ask("peak")) for name, worker in workers.items()}
    finally:
        for worker in workers.values():
            worker.stop()


def ratio(slow: Times, fast: Times) -> float:
    """Median over the rounds of how much longer one side took than the other in the same round."""
    return statistics.median(a / b for a, b in zip(slow.seconds, fast.seconds, strict=True))


def _check(results: Mapping[str, Sequence[float]], tolerance: float) -> None:
    (first, expected), *others = results.items()
    for name, values in others:
        if len(values) != len(expected):
            raise DifferentResultsError(f"{first} gives {len(expected)} numbers, {name} {len(values)}")
        for a, b in zip(expected, values, strict=True):
            if not abs(a - b) <= tolerance * max(1.0, abs(a)):
                raise DifferentResultsError(f"{first} gives {a}, {name} {b}")


class _Worker:
    """A side in a process: words go in, JSON comes out."""

    def __init__(self, plan: Plan) -> None:
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join((str(ROOT / "tools"), str(ROOT))), **plan.environment}
        words = [sys.executable, "-c", "from bench.race import serve; serve()", json.dumps([plan.module, plan.side, dict(plan.settings)])]
        self._process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment, start_new_session=True)

    def wait_ready(self, name: str, minutes: float) -> float:
        """Seconds until the side is built.

        Raises:
            TooSlowError: It took longer; its process and what that started (compilers) are ended.
        """
        started = time.monotonic()
        if self._process.stdin is None or self._process.stdout is None:
            raise RuntimeError("no pipes")
        self._process.stdin.write("peak\n")
        self._process.stdin.flush()
        if not select.select([self._process.stdout], [], [], 60 * minutes)[0]:
            os.killpg(self._process.pid, signal.SIGKILL)
            raise TooSlowError(f"{name} not ready within {minutes:g} minutes")
        if not self._process.stdout.readline():
            raise RuntimeError(f"a side ended with code {self._process.wait()}; see its message above")
        return time.monotonic() - started

    def ask(self, word: str) -> Any:
        """Send a word, wait for the answer."""
        if self._process.stdin is None or self._process.stdout is None:
            raise RuntimeError("no pipes")
        self._process.stdin.write(word + "\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        if not answer:
            raise RuntimeError(f"a side ended with code {self._process.wait()}; see its message above")
        return json.loads(answer)

    def stop(self) -> None:
        """End the process."""
        if self._process.stdin is not None:
            self._process.stdin.close()
        self._process.wait()


def serve() -> None:
    """The process of a side: what is printed meanwhile goes to stderr."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    module, name, settings = json.loads(sys.argv[1])
    side: Side = importlib.import_module(module).build(name, settings)
    for line in sys.stdin:
        word = line.strip()
        value = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024 if word == "peak" else getattr(side, word)()
        answers.write(json.dumps(value) + "\n")
        answers.flush()
