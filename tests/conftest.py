"""What every test can ask for: the real data, an embedded sample set, and the certainty that nothing goes to the network."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path

# set before torch or albumentations are imported by any test; beside other worker processes each has one thread, whatever it got from the process that reads this file first
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ["OMP_NUM_THREADS"] = "1"
os.environ.setdefault("OMP_NUM_THREADS", "2")
os.environ.setdefault("MPLBACKEND", "Agg")

import pytest

ROOT = Path(__file__).resolve().parents[1]
SLOW_TEST_SECONDS = 20.0


class NetworkUsedError(RuntimeError):
    """A test tried to reach the network."""


@pytest.fixture(scope="session")
def repo_root() -> Path:
    """Top folder of the checkout."""
    return ROOT


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder with the real data sets (bccd, coco, evaluators, ...); tests that need it skip, saying so, where it is absent."""
    given = os.environ.get("FINETUNE_TEST_DATA")
    folder = Path(given).expanduser() if given else ROOT.parent / "shared" / "data"
    if not folder.is_dir():
        where = f"FINETUNE_TEST_DATA is {given}, which is no folder" if given else "set FINETUNE_TEST_DATA to the folder with bccd, coco and evaluators"
        pytest.skip(f"no real data: {where}")
    return folder


@pytest.fixture(scope="session", autouse=True)
def _few_threads() -> None:
    """Small tensors run fastest on few threads, and runs of several test sessions do not fight for cores."""
    import torch

    torch.set_num_threads(min(int(os.environ["OMP_NUM_THREADS"]), os.cpu_count() or 1))


@pytest.fixture(autouse=True)
def _no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every test runs without a network: a connection or a look-up of a host fails it by name."""

    def refuse(*args: object, **_: object) -> None:
        raise NetworkUsedError(f"a test tried to reach the network: {args[:2]}")

    connect = socket.socket.connect

    def local_only(self: socket.socket, address: object) -> None:
        if getattr(socket, "AF_UNIX", None) == self.family or (isinstance(address, tuple) and address[0] in ("127.0.0.1", "::1", "localhost")):
            return connect(self, address)  # type: ignore[arg-type]
        return refuse("connect", address)

    monkeypatch.setattr(socket.socket, "connect", local_only)
    monkeypatch.setattr(socket, "create_connection", refuse)
    lookup = socket.getaddrinfo
    here = (None, "", "127.0.0.1", "::1", "localhost", socket.gethostname())

    def local_lookup(host: object, *rest: object, **more: object) -> object:
        return lookup(host, *rest, **more) if host in here else refuse("getaddrinfo", host)  # type: ignore[arg-type]

    monkeypatch.setattr(socket, "getaddrinfo", local_lookup)


@pytest.hookimpl(hookwrapper=True)
def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> Iterator[None]:
    """Name the tests that take longer than a default test may."""
    yield
    reports = [report for group in terminalreporter.stats.values() for report in group if isinstance(report, pytest.TestReport) and report.when == "call"]
    late = [report for report in reports if report.duration > SLOW_TEST_SECONDS and "slow" not in report.keywords]
    for report in late:
        terminalreporter.write_line(f"longer than {SLOW_TEST_SECONDS:.0f} s: {report.nodeid} ({report.duration:.1f} s); make it smaller or mark it slow", yellow=True)
