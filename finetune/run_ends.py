"""What ends a run early, as one line that says what is kept and how to go on."""

from __future__ import annotations

import re
import shlex
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from backbones.errors import DataError, FinetuneError
from finetune.config import RunConfig
from finetune.run_folder import RunFolder, WriteError
from finetune.stopping import InterruptedRunError, Stopped, stop_requested

_LOST_WORKER = re.compile(r"DataLoader worker .*(exited unexpectedly|is killed by signal)")
_FROM_WORKER = re.compile(r"Caught \w+ in DataLoader worker process.*?\n(?:[\w.]+\.)?(\w*Error): (?P<message>[^\n]+)\s*\Z", re.DOTALL)
_PATIENCE = 0.5  # seconds between a stop of loader processes and that of this one, when somebody sends it to all


@contextmanager
def stops_in_a_line(folder: RunFolder) -> Iterator[None]:
    """Turn Ctrl-C and SIGTERM, and whatever they broke on their way, into one line.

    Raises:
        InterruptedRunError: The process was asked to stop.
    """
    try:
        yield
    except BaseException as error:
        signum = _stop_behind(error)
        if signum is None:
            raise
        raise InterruptedRunError(stopped_line(folder), signum) from error


@contextmanager
def faults_in_a_line(folder: RunFolder, config: RunConfig) -> Iterator[None]:
    """Turn a full disk, missing memory, lost loader processes and unreadable pictures of a run that has begun into one line.

    Raises:
        FinetuneError: The disk or the memory ran out, or a loader process was killed.
        DataError: A picture turned out to be unreadable.
    """
    try:
        yield
    except Exception as error:
        if _stop_behind(error) is not None:
            raise
        line = _explain(error, folder, config)
        if line is None:
            raise
        raise (DataError if isinstance(error, DataError) else FinetuneError)(line) from error


def stopped_line(folder: RunFolder) -> str:
    """What a user who stopped a run is told."""
    if folder.record.is_file():
        return f"stopped; the run in {folder.root} is finished"
    return f"stopped; {next_step(folder)}"


def next_step(folder: RunFolder) -> str:
    """How a run goes on from what is in its folder."""
    command = f"finetune train --resume {shlex.quote(str(folder.root))}"
    if folder.last.is_file():
        return f"continue from the last finished epoch with: {command}"
    return f"start again in the same folder, no epoch was finished, with: {command}"


def _stop_behind(error: BaseException) -> int | None:
    """The signal that is the true reason of an error."""
    if stop_requested() is not None:
        return stop_requested()
    if isinstance(error, KeyboardInterrupt) or (isinstance(error, SystemExit) and isinstance(error.__context__, KeyboardInterrupt)):  # Lightning turns the one into the other
        return signal.SIGINT
    if isinstance(error, Stopped):
        return error.signum
    if isinstance(error, RuntimeError) and _LOST_WORKER.search(str(error)):
        try:
            time.sleep(_PATIENCE)
        except Stopped as stop:
            return stop.signum
    return None


def _explain(error: Exception, folder: RunFolder, config: RunConfig) -> str | None:
    """What is wrong and what to do about it; None when that is not known here."""
    if isinstance(error, WriteError):
        return f"cannot write {error.path}: {error.reason}; free some space or make the folder writable, then {next_step(folder)}"
    if isinstance(error, torch.OutOfMemoryError) or "DefaultCPUAllocator" in str(error):
        where = "the GPU" if isinstance(error, torch.OutOfMemoryError) else "this machine"
        return f"{where} ran out of memory at {config.data.batch_size} images of {config.data.input_size} a step: halve data.batch_size and double train.accumulate"
    if isinstance(error, DataError):
        found = _FROM_WORKER.search(str(error))
        return f"{found['message'] if found else error}; then {next_step(folder)}"
    if isinstance(error, RuntimeError) and _LOST_WORKER.search(str(error)):
        first = str(error).splitlines()[0].rstrip(". ")
        return (
            f"{first}: most often memory ran out, in a container also its shared memory (docker run --shm-size); "
            f"set a lower data.workers in {folder.config}, which changes no result, then {next_step(folder)}"
        )
    return None
