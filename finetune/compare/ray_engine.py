"""Jobs as tasks of a Ray cluster. Each task starts the same process as the local engine does; a lost worker's task is given to another one."""

from __future__ import annotations

import importlib.util
import logging
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

from backbones.errors import FinetuneError, UsageError
from finetune.compare.engines import Ended, describe_end, start_child
from finetune.stopping import take_signals

_RETRIES = 3  # of a task whose worker or machine was lost
_ANSWER_SECONDS = 10.0
_SLOTS = 10_000  # Ray itself keeps the tasks that wait


def check_ray() -> None:
    """Raise UsageError, saying how to install it, where Ray is not there; nothing is imported."""
    if sys.modules.get("ray", ...) is None or importlib.util.find_spec("ray") is None:
        raise UsageError("--engine ray needs a package that is not installed: pip install 'finetune-light[ray]'")


def check_address(address: str) -> None:
    """Raise UsageError where nothing answers at ``HOST:PORT``: Ray itself would try for minutes. Other forms ("auto") are Ray's to judge."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if not host or not port.isdigit():
        return
    try:
        socket.create_connection((host.strip("[]"), int(port)), _ANSWER_SECONDS).close()
    except OSError as error:
        raise _no_cluster(address, error.strerror or str(error)) from error


def _no_cluster(address: str | None, reason: str) -> UsageError:
    return UsageError(f"--ray-address {address}: no cluster there ({reason}); start one with: ray start --head")


def do_job(out: str, job: int, log: str, threads: int) -> str:
    """The task: start the job's process, wait for it, say how it ended. Ray has set CUDA_VISIBLE_DEVICES by then."""
    process = start_child(Path(out), job, Path(log), threads)
    try:
        return describe_end(process.wait(), Path(log))
    except BaseException:  # a cancelled task takes its process along
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
        raise


class RayEngine:
    """Tasks on a Ray cluster; the folder of the comparison and the data must lie where all its machines see them.

    Args:
        out: Folder of the comparison, absolute.
        address: Of the cluster; None starts one here.
        cpus: Cores of a job.
        gpus: GPUs of a job; None is one where the cluster has any.

    Raises:
        UsageError: Ray is not installed, or there is no cluster at the address.
    """

    def __init__(self, out: Path, address: str | None, cpus: int, gpus: float | None) -> None:
        check_ray()
        if address is not None:
            check_address(address)
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nothing is sent anywhere
        import ray

        logging.getLogger("ray").setLevel(logging.ERROR)  # after the import, which sets another level
        self._ray: Any = ray
        self._out, self._cpus = out, cpus
        try:  # "local": not even the cluster that RAY_ADDRESS names
            ray.init(address=address or "local", log_to_driver=False, logging_level=logging.ERROR, include_dashboard=None if address else False, configure_logging=False)
        except (ConnectionError, ValueError, RuntimeError) as error:
            raise _no_cluster(address, str(error).splitlines()[0]) from error
        take_signals()  # Ray has put its own handler of SIGTERM in place
        resources = ray.cluster_resources()
        nodes, cores = len([node for node in ray.nodes() if node["Alive"]]), int(resources.get("CPU", 0))
        if gpus is None:
            gpus = 1.0 if resources.get("GPU", 0) else 0.0
        self._task = ray.remote(num_cpus=cpus, num_gpus=gpus, max_retries=_RETRIES)(do_job)
        self._running: dict[Any, tuple[int, Path]] = {}
        self.slots = _SLOTS
        self.description = f"ray, {nodes} node{'s' * (nodes != 1)} with {cores} cores, {cpus} core{'s' * (cpus != 1)} a job" + (f", {gpus:g} GPU a job" if gpus else "")
        if cores < cpus:
            raise UsageError(f"the Ray cluster has {cores} cores and a job wants {cpus}: set a lower --job-cpus, or add machines")

    def start(self, job: int, log: Path) -> None:
        """Hand a job to the cluster."""
        self._running[self._task.remote(str(self._out), job, str(log), self._cpus)] = (job, log)

    def wait(self, seconds: float) -> list[Ended]:
        """The jobs that have ended."""
        if not self._running:
            return []
        done, _ = self._ray.wait(list(self._running), num_returns=1, timeout=seconds)
        return [self._ended(reference) for reference in done]

    def _ended(self, reference: Any) -> Ended:
        job, _ = self._running.pop(reference)
        try:
            return Ended(job, str(self._ray.get(reference)))
        except self._ray.exceptions.RayError as error:
            return Ended(job, f"Ray lost it: {next((line for line in str(error).splitlines() if line.strip()), type(error).__name__)}")
        except FinetuneError as error:
            return Ended(job, str(error))

    def stop(self) -> None:
        """Cancel all tasks and leave the cluster; one that was started here ends."""
        for reference in self._running:
            self._ray.cancel(reference, force=True)
        self._running = {}
        self._ray.shutdown()
