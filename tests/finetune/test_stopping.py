"""Ctrl-C and SIGTERM in real processes: one line, the right exit code, nothing left running; a second one ends at once."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from finetune.stopping import InterruptedRunError, Stopped, stop_requested, stop_signals

WORK = """
import multiprocessing, os, signal, sys, time
sys.path.insert(0, sys.argv[1])
from finetune.stopping import Stopped, raise_if_stopped, stop_requested, stop_signals

def sleep(): time.sleep(60)

try:
    with stop_signals(keep=True):
        with stop_signals():  # the outer one decides
            child = multiprocessing.get_context("fork").Process(target=sleep)
            child.start()
            os.kill(child.pid, signal.SIGINT)  # a terminal sends Ctrl-C to all: the child leaves it to its parent
            time.sleep(0.2)
            assert child.is_alive()
            print("child", child.pid, flush=True)
            BODY
except Stopped as stop:
    print("stopped by", stop, "still known" if stop_requested() else "forgotten", type(stop.__cause__).__name__, flush=True)
    child.terminate()
    child.join(5)
    print("child ended with", child.exitcode, flush=True)
    sys.exit(128 + stop.signum)
"""
PLAIN = "time.sleep(60)"
BREAKS = "\n            try: time.sleep(60)\n            except BaseException: raise ImportError('a module that was interrupted')"
LOST = "\n            try: time.sleep(60)\n            except BaseException: pass\n            raise_if_stopped()"
STUCK = "\n            try: time.sleep(60)\n            except BaseException: print('cleaning up', flush=True); time.sleep(60)"


def _start(body: str, repo_root: Path) -> tuple[subprocess.Popen[str], int]:
    process = subprocess.Popen([sys.executable, "-c", WORK.replace("BODY", body), str(repo_root)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    child = int(process.stdout.readline().split()[1])
    time.sleep(0.5)  # the line comes just before the body begins
    return process, child


@pytest.mark.parametrize(("signum", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
@pytest.mark.parametrize(("body", "cause"), [(PLAIN, "NoneType"), (BREAKS, "ImportError"), (LOST, "NoneType")])
def test_the_first_request_raises_in_the_main_thread(signum: int, code: int, body: str, cause: str, repo_root: Path) -> None:
    process, _ = _start(body, repo_root)
    process.send_signal(signum)
    process.send_signal(signum)  # `timeout`, `make` and terminals deliver one request twice
    out, err = process.communicate(timeout=30)
    assert process.returncode == code, err
    assert out.splitlines() == [f"stopped by {signal.Signals(signum).name} still known {cause}", f"child ended with -{int(signal.SIGTERM)}"]
    assert err == ""


def _stop_and_say(late: Exception) -> None:
    """A run that is stopped, and an error of a loader process that ends while the line for the user is on its way."""
    try:
        signal.raise_signal(signal.SIGTERM)
    except Stopped as stop:
        try:
            raise InterruptedRunError("stopped; continue with: finetune train --resume run", stop.signum) from stop
        finally:
            raise late


def test_an_error_that_comes_late_does_not_replace_the_line_for_the_user() -> None:
    late = RuntimeError("DataLoader worker (pid 7) is killed by signal: Terminated.")
    with pytest.raises(InterruptedRunError, match="continue with") as told, stop_signals():
        _stop_and_say(late)
    assert told.value.exit_code == 128 + signal.SIGTERM
    assert told.value.__cause__ is late
    assert stop_requested() is None


def test_the_second_request_ends_the_process_and_its_children_at_once(repo_root: Path) -> None:
    process, child = _start(STUCK, repo_root)
    assert process.stdout is not None
    process.send_signal(signal.SIGINT)
    assert process.stdout.readline() == "cleaning up\n"
    time.sleep(0.5)
    started = time.monotonic()
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=30)
    assert time.monotonic() - started < 10
    assert (process.returncode, out, err) == (130, "", "\nstopped at once\n")
    deadline = time.monotonic() + 10
    while _runs(child) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not _runs(child)


def _runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_handlers_are_put_back() -> None:
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    with stop_signals():
        assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] != before
        assert stop_requested() is None
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before
