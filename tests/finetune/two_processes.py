"""Two processes with a gloo group, for tests: started by a fork server that has imported torch once, so that a pair takes a second, not ten."""

from __future__ import annotations

import multiprocessing
import os
import pickle
import socket
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

WORLD = 2
_PRELOAD = ("finetune.training", "finetune.data.transforms", "finetune.data.coco", "finetune.evaluation.coco")  # what takes seconds to import
_LIMIT = 240.0  # seconds; processes that wait for one another would wait for ever


def run_two(function: Callable[..., Any], folder: Path, *arguments: Any) -> list[Any]:
    """What ``function(rank, *arguments)`` returns in each of two processes, which stand to one another as a launcher's.

    Args:
        function: Of a module, so that the processes find it by its name.
        folder: For the answers.
        arguments: Picklable.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([*_PRELOAD, function.__module__])
    answers = [folder / f"answer{rank}.pickle" for rank in range(WORLD)]
    processes = [context.Process(target=_run, args=(rank, port, answers[rank], function, arguments)) for rank in range(WORLD)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(_LIMIT)
    stuck = [process for process in processes if process.is_alive()]
    for process in stuck:
        process.kill()
    found = [pickle.loads(answer.read_bytes()) if answer.is_file() else (False, "no answer") for answer in answers]
    for answer in answers:
        answer.unlink(missing_ok=True)
    faults = [f"process {rank}: {value}" for rank, (good, value) in enumerate(found) if not good]
    if faults or stuck:
        raise RuntimeError("\n".join([*faults, *(["processes waited for one another"] if stuck else [])]))
    return [value for _, value in found]


def _run(rank: int, port: int, answer: Path, function: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
    import torch

    torch.set_num_threads(1)
    os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port), WORLD_SIZE=str(WORLD), NODE_RANK="0", LOCAL_RANK=str(rank), OMP_NUM_THREADS="1")
    try:
        value = (True, function(rank, *arguments))
    except BaseException:
        value = (False, traceback.format_exc())
    answer.write_bytes(pickle.dumps(value))
