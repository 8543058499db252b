"""``finetune`` commands in processes of their own, without the seconds of imports: forked from a process that has imported everything.

What runs is the command line as users start it. Around a few of its functions marks are set in shared memory, in the forked
process only, so that the parent knows in which phase it kills.
"""

from __future__ import annotations

import json
import mmap
import os
import signal
import struct
import sys
import time
from collections.abc import Callable, Sequence
from functools import wraps
from importlib import import_module
from pathlib import Path
from typing import Any

START, READING, RUNNING, TRAINING, EVALUATING, SCORING, SAVING, SAVED, FINISHING = PHASES = (
    "before the data",
    "while data are read",
    "between the steps",
    "in a training step",
    "in an evaluation step",
    "while scoring",
    "while last.ckpt is saved",
    "between last.ckpt and the files that follow it",
    "while the run is finished",
)
_MARKED = (
    ("finetune.training", "prepare", READING),
    ("finetune.task", "DetectionTask.training_step", TRAINING),
    ("finetune.task", "DetectionTask.validation_step", EVALUATING),
    ("finetune.callbacks.evaluation", "Evaluation.on_validation_epoch_end", SCORING),
    ("finetune.callbacks.checkpoints", "WholeFiles.save_checkpoint", SAVING),
    ("finetune.callbacks.checkpoints", "Checkpoints._save_best", SAVED),
    ("finetune.training", "finish_run", FINISHING),
)
_BOARD = struct.Struct("=ii")  # phase, training steps


def preload() -> None:
    """Import all that a run needs; nothing is computed, so that no thread is lost in a fork, and one thread will: others add up in another order."""
    for name in ("finetune.cli", "finetune.commands.train", "finetune.training", "finetune.drawing", "finetune.data.transforms", "finetune.evaluation.coco", "matplotlib.figure"):
        import_module(name)
    import_module("matplotlib.backends.backend_agg")
    import_module("timm.models")
    import_module("torch").set_num_threads(1)


class ForkedRun:
    """One ``finetune`` command in a forked process and process group.

    Args:
        words: What follows ``finetune``.
        output: File for what it prints.
    """

    def __init__(self, words: Sequence[str], output: Path) -> None:
        self._board = mmap.mmap(-1, _BOARD.size)
        self.code: int | None = None
        self.pid = os.fork()
        if self.pid == 0:
            code = 70
            try:
                code = _child(list(words), output, self._board)
            finally:
                os._exit(code)

    @property
    def phase(self) -> str:
        """Where it is."""
        return PHASES[_BOARD.unpack_from(self._board)[0]]

    @property
    def steps(self) -> int:
        """Training steps that it began."""
        return _BOARD.unpack_from(self._board)[1]

    def poll(self) -> int | None:
        """Exit code (minus the signal when a signal ended it), None while it runs."""
        if self.code is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.code = os.waitstatus_to_exitcode(status)
        return self.code

    def send(self, signum: int) -> None:
        """Send a signal to the process, not to its children."""
        if self.poll() is None:
            os.kill(self.pid, signum)

    def wait(self, seconds: float = 600.0) -> int:
        """Wait for the end; a process that does not end is killed and raises."""
        if not self.wait_for(lambda: False, seconds):
            self.send(signal.SIGKILL)
            raise TimeoutError(f"finetune still ran after {seconds:.0f} s")
        return self.code if self.code is not None else 0

    def wait_for(self, condition: Callable[[], bool], seconds: float = 600.0, pause: float = 0.002) -> bool:
        """Wait until ``condition`` holds or the process ends; False when neither came in time."""
        end = time.monotonic() + seconds
        while self.poll() is None and not condition():
            if time.monotonic() > end:
                return False
            if pause:
                time.sleep(pause)
        return True


def _child(words: list[str], output: Path, board: mmap.mmap) -> int:
    os.setsid()
    stream = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for number in (1, 2):
        os.dup2(stream, number)
    for module, name, phase in _MARKED:
        _mark(import_module(module), name, phase, board)
    sys.argv = ["finetune", *words]
    try:
        import_module("finetune.cli").run()
    except SystemExit as end:
        return int(end.code or 0)
    finally:
        sys.stdout.flush()
    return 0


def _mark(owner: Any, name: str, phase: str, board: mmap.mmap) -> None:
    *outer, last = name.split(".")
    for part in outer:
        owner = getattr(owner, part)
    original, number = getattr(owner, last), PHASES.index(phase)

    @wraps(original)
    def marked(*args: Any, **settings: Any) -> Any:
        _, steps = _BOARD.unpack_from(board)
        _BOARD.pack_into(board, 0, number, steps + (phase == TRAINING))
        result = original(*args, **settings)
        _BOARD.pack_into(board, 0, PHASES.index(RUNNING), _BOARD.unpack_from(board)[1])
        return result

    setattr(owner, last, marked)


def serve() -> None:
    """Start commands for a parent process that cannot fork itself: lines of JSON in, lines of JSON out.

    {"words": [...], "output": FILE} answers {"pid": N}; {"poll": N} answers {"code": C or null, "phase": ..., "steps": ...}.
    """
    preload()
    runs: dict[int, ForkedRun] = {}
    for line in sys.stdin:
        request = json.loads(line)
        if "words" in request:
            run = ForkedRun(request["words"], Path(request["output"]))
            runs[run.pid] = run
            answer: dict[str, Any] = {"pid": run.pid}
        else:
            run = runs[request["poll"]]
            answer = {"code": run.poll(), "phase": run.phase, "steps": run.steps}
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    serve()
