"""Processes that run cases, watched from outside: a case that hangs in C code is ended and named, and the next one runs."""

from __future__ import annotations

import multiprocessing
import resource
import signal
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from pathlib import Path
from types import FrameType
from typing import Any

from fuzzing.case import Outcome, run_case
from fuzzing.templates import Template

SOFT_SECONDS = 10  # of processor time: a signal ends Python code
HARD_SECONDS = 60  # by the clock: the process is ended
MORE_ADDRESS_SPACE = 3 * 2**30  # bytes that a process may ask for beyond what it has when it starts
MOST_MEGABYTES = 300  # by which a case may raise the peak of a process
REPORT_EVERY = 100


class CaseTimeoutError(BaseException):
    """The case takes too long; no ``except Exception`` on the way may catch this."""


@dataclass
class Tally:
    """Counts of outcomes.

    Args:
        cases: How many were run.
        results: By entry point and result.
        by_damage: By kind of damage and overall result of the case.
        by_template: By data set and overall result.
        failed: Outcomes with faults, the first of every kind of fault.
        slowest: Seconds and case.
    """

    cases: int = 0
    results: Counter[tuple[str, str]] = field(default_factory=Counter)
    by_damage: Counter[tuple[str, str]] = field(default_factory=Counter)
    by_template: Counter[tuple[str, str]] = field(default_factory=Counter)
    failed: list[Outcome] = field(default_factory=list)
    faults: int = 0
    slowest: tuple[float, int] = (0.0, -1)

    def add(self, outcome: Outcome, seconds: float) -> None:
        """Count one case."""
        self.cases += 1
        self.results.update(outcome.results.items())
        overall = "fault" if outcome.faults else "works" if outcome.results.get("load_splits") == "works" else "refused"
        self.by_damage.update((kind, overall) for kind in set(outcome.damage))
        self.by_template[outcome.template, overall] += 1
        self.slowest = max(self.slowest, (seconds, outcome.case))
        if outcome.faults:
            self.faults += 1
            self.failed.append(outcome)

    def join(self, other: Tally) -> None:
        """Add the counts of another process."""
        self.cases += other.cases
        self.results += other.results
        self.by_damage += other.by_damage
        self.by_template += other.by_template
        self.failed += other.failed
        self.faults += other.faults
        self.slowest = max(self.slowest, other.slowest)


def run_watched(seed: int, case: int, templates: list[Template], root: Path, store: Path, keep: bool = False) -> tuple[Outcome, float]:
    """Run one case in this process with a time limit; returns its outcome and seconds."""

    def late(number: int, frame: FrameType | None) -> None:
        raise CaseTimeoutError

    before, start = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.monotonic()
    previous = signal.signal(signal.SIGPROF, late)
    signal.setitimer(signal.ITIMER_PROF, SOFT_SECONDS)
    try:
        outcome = run_case(seed, case, templates, root, store, keep)
    except CaseTimeoutError:
        outcome = _lost(case, f"longer than {SOFT_SECONDS} s")
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, previous)
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024
    if grown > MOST_MEGABYTES:
        outcome = Outcome(case, outcome.template, outcome.damage, outcome.results, (*outcome.faults, f"memory grew by {grown} MB"), outcome.messages)
    return outcome, time.monotonic() - start


def _lost(case: int, fault: str) -> Outcome:
    return Outcome(case, "?", (), {}, (fault,), ())


def run_cases(seed: int, cases: range, jobs: int, templates: list[Template], place: Path, store: Path, progress: Callable[[Tally], Any]) -> Tally:
    """Run many cases in ``jobs`` processes; ``progress`` is called with the counts so far about once a second. An interrupt ends it early, with what was counted."""
    total = Tally()
    workers = [_Worker(seed, cases[job::jobs], templates, place / str(job), store) for job in range(jobs)]
    try:
        while any(not worker.done for worker in workers):
            pipes = {worker.pipe: worker for worker in workers if not worker.done}
            for pipe in wait(list(pipes), timeout=1):
                pipes[pipe].receive(total)  # type: ignore[index]
            for worker in pipes.values():
                worker.watch(total)
            progress(total)
    except KeyboardInterrupt:  # what was counted so far is told
        pass
    finally:
        for worker in workers:
            worker.stop()
    return total


class _Worker:
    """One process, started anew after a case that it did not survive; what it had counted but not told by then is run again."""

    def __init__(self, seed: int, cases: range, templates: list[Template], root: Path, store: Path) -> None:
        self._arguments = (seed, templates, root, store)
        self._cases = list(cases)
        self._context = multiprocessing.get_context("fork")
        self._position = self._context.Value("q", 0)
        self._since = self._context.Value("d", 0.0)
        self.done = False
        self._start()

    def _start(self) -> None:
        self._position.value, self._since.value, self._told = 0, time.monotonic(), 0
        self.pipe, theirs = self._context.Pipe(duplex=False)
        self._process = self._context.Process(target=_work, args=(self._arguments, self._cases, self._position, self._since, theirs), daemon=True)
        self._process.start()
        theirs.close()

    def receive(self, total: Tally) -> None:
        try:
            tally = self.pipe.recv()
        except (EOFError, OSError):
            self._ended(total, "the process died")
            return
        self._told += tally.cases
        total.join(tally)

    def watch(self, total: Tally) -> None:
        if not self.done and time.monotonic() - self._since.value > HARD_SECONDS:
            self._process.kill()
            self._process.join(5)
            while not self.done and self.pipe.poll():
                self.receive(total)  # at its end, that of the process

    def _ended(self, total: Tally, fault: str) -> None:
        self._process.join(5)
        self.pipe.close()
        place, seconds = self._position.value, time.monotonic() - self._since.value
        if place < len(self._cases):
            fault = f"longer than {HARD_SECONDS} s, in code that no signal ends" if seconds > HARD_SECONDS else fault
            total.add(_lost(self._cases[place], fault), seconds)
            self._cases = self._cases[self._told : place] + self._cases[place + 1 :]
        else:
            self._cases = []
        self.done = not self._cases
        if not self.done:
            self._start()

    def stop(self) -> None:
        self._process.kill()
        self._process.join(5)


def _address_space() -> int:
    """Bytes of address space of this process, as far as the system tells."""
    try:
        return int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    except OSError:
        return 5 * 2**30


def _work(arguments: tuple[int, list[Template], Path, Path], cases: list[int], position: Any, since: Any, pipe: Connection) -> None:
    seed, templates, root, store = arguments
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the first process ends the others
    limit = _address_space() + MORE_ADDRESS_SPACE
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    tally = Tally()
    sent = time.monotonic()
    for place, case in enumerate(cases):
        position.value, since.value = place, time.monotonic()
        outcome, seconds = run_watched(seed, case, templates, root / str(case), store)
        tally.add(outcome, seconds)
        if tally.cases >= REPORT_EVERY or tally.faults or time.monotonic() - sent > 1:
            pipe.send(tally)
            tally, sent = Tally(), time.monotonic()
    if tally.cases:
        pipe.send(tally)
    position.value = len(cases)
    pipe.close()
