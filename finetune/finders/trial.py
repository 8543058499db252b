"""Training steps at one batch size in a process of their own, which may run out of memory without harm."""

from __future__ import annotations

import contextlib
import json
import os
import pickle
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from backbones.errors import FinetuneError
from finetune.build import build_detector, build_task
from finetune.config import RunConfig
from finetune.finders.memory import available_bytes, data_bytes, forget_peak, peak_resident_bytes, resident_bytes
from finetune.finders.short_run import Repeated, heaviest, on_gpu, run_steps
from finetune.finders.worst_case import WorstCase

_STEPS = 3  # the first fills the optimiser's state and the allocator, the best of the others is timed


@dataclass(frozen=True, eq=False)
class TrialSetup:
    """What a trial process needs to know.

    Args:
        config: Settings of the run.
        num_classes: Classes of the data.
        worst: The sample that fills every batch.
        threads: Of torch.
        share: Of the free memory that may be taken.
    """

    config: RunConfig
    num_classes: int
    worst: WorstCase
    threads: int
    share: float


def answer(create: Callable[[Any], Callable[[int], dict[str, Any]]]) -> None:
    """Answer batch sizes on stdin with what they take on stdout: a line of JSON each.

    Args:
        create: Makes of the setup, which comes first, what measures a batch size.
    """
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # whatever else prints does not disturb
    setup = pickle.load(sys.stdin.buffer)
    torch.set_num_threads(setup.threads)
    try:
        measure = create(setup)
        for line in sys.stdin.buffer:
            answers.write(json.dumps(measure(int(line))) + "\n")
            answers.flush()
    except Exception as error:  # whatever it is, the parent tells the user
        text = str(error) if isinstance(error, FinetuneError) else f"the batch-size trial failed: {type(error).__name__}: {next(iter(str(error).splitlines()), '')}"
        answers.write(json.dumps({"error": text, "exit_code": getattr(error, "exit_code", FinetuneError.exit_code)}) + "\n")
        answers.flush()


class _Trials:
    """The task of a run without its data, built once, as it is when most of it trains."""

    def __init__(self, setup: TrialSetup) -> None:
        config = heaviest(setup.config)
        self._config = replace(config, train=replace(config.train, accumulate=1))
        self._worst = setup.worst
        self._gpu = on_gpu(setup.config)
        self._task = build_task(self._config, build_detector(self._config, setup.num_classes, weights="none"))
        limit_memory(setup.share, self._gpu)

    def measure(self, batch: int) -> dict[str, Any]:
        """Peak memory in bytes, what of it was taken before, and seconds of a step; "seconds" is None where it did not fit."""
        resting = start_of_peak(self._gpu)
        try:
            steps = run_steps(self._config, self._task, Repeated(self._worst.batch(batch), _STEPS), _STEPS)
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            self._task.zero_grad(set_to_none=True)
            return {"bytes": None, "seconds": None}
        return {"bytes": peak_bytes(self._gpu), "seconds": _best(steps.seconds), "resting": resting}


def _best(seconds: Sequence[float]) -> float:
    return min(seconds[1:])


def limit_memory(share: float, gpu: bool) -> None:
    """Let this process take a share of what is free now, and no more."""
    if gpu:
        free, total = torch.cuda.mem_get_info()
        torch.cuda.set_per_process_memory_fraction(free * share / total)
    else:
        _give_way(share)


def start_of_peak(gpu: bool) -> int:
    """Count the peak from now on; bytes that are taken already."""
    if not gpu:
        forget_peak()
        return resident_bytes() or 0
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats()
    return int(torch.cuda.memory_allocated())


def peak_bytes(gpu: bool) -> int | None:
    """Most bytes that were taken since ``start_of_peak``."""
    return int(torch.cuda.max_memory_allocated()) if gpu else peak_resident_bytes()


def is_out_of_memory(error: BaseException) -> bool:
    """CUDA has a class for it, the CPU allocator and oneDNN only words."""
    words = str(error).lower()
    return isinstance(error, torch.OutOfMemoryError | MemoryError) or "allocate memory" in words or "not enough memory" in words or "could not create a memory" in words


def _give_way(share: float) -> None:
    """Where the system must take memory back, it shall be from this process; and an allocation beyond what is free fails instead."""
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000", encoding="ascii")
    left, taken = available_bytes(), data_bytes()
    if left is None or taken is None:
        return
    import resource  # where there is /proc there is this

    limit = taken + int(left.bytes * share)
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_DATA, (limit, resource.getrlimit(resource.RLIMIT_DATA)[1]))


if __name__ == "__main__":
    answer(lambda setup: _Trials(setup).measure)
