"""The parent's side of a trial process: start it, ask it, survive its end."""

from __future__ import annotations

import contextlib
import json
import os
import pickle
import subprocess
import sys
import tempfile
from types import TracebackType
from typing import IO, Self

from backbones.errors import FinetuneError, UsageError
from finetune.finders.batch_search import Trial


class TrialProcess:
    """Measures batch sizes in another process, which is started anew after it was killed.

    Args:
        setup: What the process builds; it is pickled.
        module: What the process runs; it calls ``finetune.finders.trial.answer``.
    """

    def __init__(self, setup: object, module: str = "finetune.finders.trial") -> None:
        self._setup = setup
        self._module = module
        self._process: subprocess.Popen[bytes] | None = None
        self._complaints: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - closed by __exit__

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._stop()
        self._complaints.close()

    def measure(self, batch: int) -> Trial | None:
        """Steps at one batch size; None where it does not fit.

        Raises:
            UsageError: The settings do not work.
            FinetuneError: The process failed for another reason than memory.
        """
        process = self._process or self._start()
        if process.stdin is None or process.stdout is None:
            raise FinetuneError("the trial process has no pipes")
        try:
            process.stdin.write(f"{batch}\n".encode())
            process.stdin.flush()
            line = process.stdout.readline()
        except BrokenPipeError:
            line = b""
        if not line:
            self._look_at_its_end(process)
            return None
        answer = json.loads(line)
        if "error" in answer:
            raise (UsageError if answer["exit_code"] == UsageError.exit_code else FinetuneError)(answer["error"])
        return None if answer["seconds"] is None else Trial(batch, **answer)

    def _start(self) -> subprocess.Popen[bytes]:
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
        self._process = subprocess.Popen([sys.executable, "-m", self._module], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._complaints, env=environment)
        if self._process.stdin is not None:
            pickle.dump(self._setup, self._process.stdin)
            self._process.stdin.flush()
        return self._process

    def _look_at_its_end(self, process: subprocess.Popen[bytes]) -> None:
        """Nothing when it was killed, which the system does where memory runs out; else its last words are an error."""
        code = process.wait()
        self._stop()
        if code < 0:
            return
        self._complaints.seek(0)
        words = self._complaints.read().decode("utf-8", "replace").strip().splitlines()
        raise FinetuneError(f"the batch-size trial failed: {words[-1] if words else f'exit code {code}'}")

    def _stop(self) -> None:
        if self._process is not None:
            self._process.kill()
            for pipe in (self._process.stdin, self._process.stdout):
                if pipe is not None:
                    with contextlib.suppress(BrokenPipeError):  # what was not sent yet
                        pipe.close()
            self._process.wait()
            self._process = None
