"""Ctrl-C and SIGTERM end a command cleanly: the first asks it to stop, a second ends the process at once. No torch here."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from types import FrameType

from backbones.errors import FinetuneError

_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_ECHO = 0.3  # seconds: `timeout`, `make` and terminals deliver one request twice
_SHOW_CURSOR = "\x1b[?25h"
_STDERR = 2


class Stopped(BaseException):
    """The process was asked to stop. Not an Exception: nothing that goes on after errors may take it."""

    def __init__(self, signum: int) -> None:
        super().__init__(signal.Signals(signum).name)
        self.signum = signum


class InterruptedRunError(FinetuneError):
    """A command that was stopped; exit code 130 for Ctrl-C and 143 for SIGTERM."""

    exit_code = 130

    def __init__(self, message: str, signum: int = signal.SIGINT) -> None:
        super().__init__(message)
        self.exit_code = 128 + signum


@dataclass
class _Request:
    """What was asked of the process that ``owner`` numbers."""

    owner: int = 0
    signum: int | None = None
    when: float = 0.0


_request = _Request()


def stop_requested() -> int | None:
    """The signal that asked this process to stop, if one did."""
    return _request.signum if _request.owner == os.getpid() else None


def raise_if_stopped() -> None:
    """Raise again what got lost on its way, in a destructor or a callback of a library.

    Raises:
        Stopped: A stop was requested and the process still runs.
    """
    signum = stop_requested()
    if signum is not None:
        raise Stopped(signum)


@contextmanager
def stop_signals(keep: bool = False) -> Iterator[None]:
    """Inside, Ctrl-C and SIGTERM raise Stopped in the main thread; a second one ends the process at once.

    Whatever a stop breaks on its way comes out as Stopped. The outermost of several decides; other threads than the main
    one, where Python allows no handlers, are left as they are.

    Args:
        keep: After a stop leave the handlers in place, for a process that ends then: the echo of a request does not disturb
            its last words.
    """
    if threading.current_thread() is not threading.main_thread() or _request.owner == os.getpid():
        yield
        return
    before = {signum: signal.getsignal(signum) for signum in _SIGNALS}
    _request.owner, _request.signum = os.getpid(), None
    take_signals()
    try:
        yield
    except (Stopped, InterruptedRunError):
        raise
    except BaseException as error:
        if _request.signum is not None:
            raise _said(error) or Stopped(_request.signum) from error
        raise
    finally:
        if not (keep and _request.signum is not None):
            _request.owner, _request.signum = 0, None
            for signum, handler in before.items():
                if handler is not None:  # None: not set from Python
                    signal.signal(signum, handler)


def _said(error: BaseException) -> InterruptedRunError | None:
    """The line for the user that was on its way when another error broke in: torch raises wherever the program is when a loader process ends, and some end late."""
    while error.__context__ is not None:
        error = error.__context__
        if isinstance(error, InterruptedRunError):
            return error
    return None


def take_signals() -> None:
    """Put the handlers back in place, after a library has set its own; without effect outside ``stop_signals``."""
    if _request.owner == os.getpid() and threading.current_thread() is threading.main_thread():
        for signum in _SIGNALS:
            signal.signal(signum, _on_signal)


def _on_signal(signum: int, frame: FrameType | None) -> None:
    if _request.owner != os.getpid():  # a forked process, which the first one ends; a terminal sends Ctrl-C to all
        if signum == signal.SIGTERM:
            signal.signal(signum, signal.SIG_DFL)
            os.kill(os.getpid(), signum)
        return
    if _request.signum is None:
        _request.signum, _request.when = signum, time.monotonic()
        raise Stopped(signum)
    if time.monotonic() - _request.when > _ECHO:
        _end_at_once(signum)


def _end_at_once(signum: int) -> None:
    """No clean-up but of the terminal; a resumed run finds everything as after a kill."""
    for child in multiprocessing.active_children():
        child.kill()
    with suppress(OSError):
        os.write(_STDERR, f"{_SHOW_CURSOR if os.isatty(_STDERR) else ''}\nstopped at once\n".encode())  # sys.stderr may be in the middle of a write
    os._exit(128 + signum)
