"""The device that is measured: its name, its load, waiting for it, and its clock."""

from __future__ import annotations

import contextlib
import os
import platform
import time
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch

from backbones.errors import UsageError
from finetune.load import choose_device
from finetune.profile.settings import ProfileSettings

_DTYPES = {"bf16-mixed": torch.bfloat16, "16-mixed": torch.float16}
_DELAY_CYCLES = 50_000_000  # tens of milliseconds, in which all operators of a pass are queued behind each other


def profile_device(name: str) -> torch.device:
    """The CPU or the first GPU.

    Raises:
        UsageError: It is not there, or it is another.
    """
    device = choose_device(name)
    if device.type not in ("cpu", "cuda") or device.index not in (None, 0):
        raise UsageError(f"--device {name}: profiles are measured on cpu, or on cuda, the first GPU; for another GPU set CUDA_VISIBLE_DEVICES")
    return device


def device_name(device: torch.device) -> str:
    """The processor or GPU, as the system calls it."""
    if device.type == "cuda":
        return str(torch.cuda.get_device_name(device))
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.lower().startswith(("model name", "hardware")):
                return " ".join(line.partition(":")[2].split())
    return platform.processor() or platform.machine()


def core_count() -> int:
    """Processor cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def load_average() -> float | None:
    """Of the last minute; None where the system does not tell."""
    try:
        return os.getloadavg()[0]
    except (OSError, AttributeError):
        return None


def wait_for(device: torch.device) -> None:
    """Until the device has done everything that it was given."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


@contextlib.contextmanager
def conditions(settings: ProfileSettings, device: torch.device) -> Iterator[None]:
    """Threads and precision of a measurement, and no gradients; what was before comes back."""
    threads = torch.get_num_threads()
    if settings.threads:
        torch.set_num_threads(settings.threads)
    try:
        with torch.no_grad(), autocast(settings.precision, device):
            yield
    finally:
        torch.set_num_threads(threads)


def autocast(precision: str, device: torch.device) -> contextlib.AbstractContextManager[Any]:
    """Autocast for a precision, or nothing for 32 bits.

    Weights are cast anew for every pass, as in training; the cache of autocast would hide it only within a pass.
    """
    return torch.autocast(device.type, _DTYPES[precision]) if precision in _DTYPES else contextlib.nullcontext()


class ProcessorClock:
    """Wall-clock time of operators that have run when they return."""

    def start(self) -> None:
        """Nothing to prepare."""

    def __call__(self) -> int:
        """Now, in nanoseconds."""
        return time.perf_counter_ns()

    def milliseconds(self, marks: Sequence[int]) -> list[float]:
        """Time between neighbouring marks."""
        return [(after - before) / 1e6 for before, after in pairwise(marks)]


class GpuClock:
    """Time of operators on the GPU itself, by events in its queue.

    The GPU first waits, so that the queue is never empty while operators run: what lies between the events around an operator is then its
    own work, not the time in which Python prepared it.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device

    def start(self) -> None:
        """Keep the GPU busy while the first operators are queued."""
        wait_for(self._device)
        torch.cuda._sleep(_DELAY_CYCLES)

    def __call__(self) -> Any:
        """An event in the queue."""
        event = torch.cuda.Event(enable_timing=True)
        event.record()
        return event

    def milliseconds(self, marks: Sequence[Any]) -> list[float]:
        """Time between neighbouring events, after the GPU has passed them all."""
        wait_for(self._device)
        return [before.elapsed_time(after) for before, after in pairwise(marks)]


def create_clock(device: torch.device) -> ProcessorClock | GpuClock:
    """The clock of a device."""
    return GpuClock(device) if device.type == "cuda" else ProcessorClock()
