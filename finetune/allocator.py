"""Memory that tensors give up stays with the process, for the next ones."""

from __future__ import annotations

import ctypes
import os
import sys

_TRIM_THRESHOLD, _MMAP_MAX = -1, -4  # of mallopt(3)
_NEVER = -1


def keep_freed_memory() -> bool:
    """Tell glibc to keep what is freed instead of giving it back to the kernel.

    By default large blocks, as feature maps are, go back when they are freed, and the kernel clears every page of them anew when the next
    step asks for the same: a tenth of the time of a training step on a CPU, or more, measured by
    ``python tools/bench_ssdlite.py --only allocator`` (docs/performance.md). The process does not shrink any more before it ends. Left alone where the user chose
    something else (``MALLOC_...`` variables, a preloaded allocator) and on other systems.

    Returns:
        Whether it is in force.
    """
    if not sys.platform.startswith("linux") or os.environ.get("LD_PRELOAD") or any(name.startswith("MALLOC_") for name in os.environ):
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):  # another C library
        return False
    return bool(mallopt(_MMAP_MAX, 0)) and bool(mallopt(_TRIM_THRESHOLD, _NEVER))
