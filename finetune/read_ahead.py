"""Pictures decoded by a few threads ahead of the network, in order, with a progress bar."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from backbones.errors import DataError
from finetune.data.images import read_image


class ReadImage(NamedTuple):
    """A picture that was read, [H, W, C] uint8, or why it was not."""

    number: int
    pixels: NDArray[np.uint8] | None
    fault: str = ""


def read_ahead(paths: Sequence[Path], channels: int, batch_size: int, sizes: NDArray[np.int32] | None = None, threads: int = 3) -> Iterator[list[ReadImage]]:
    """Read pictures in order, one batch being decoded while the last is worked on.

    Args:
        paths: Files.
        channels: 3 (RGB) or 1 (grey).
        batch_size: Pictures per batch.
        sizes: [N, 2] height and width that annotations declare (see ``read_image``).
        threads: Decoding threads.

    Yields:
        Up to ``batch_size`` pictures; an unreadable one comes as a fault.
    """

    def read(index: int) -> ReadImage:
        frame = None if sizes is None else (int(sizes[index][0]), int(sizes[index][1]))
        try:
            return ReadImage(index, read_image(paths[index], channels, frame))
        except DataError as error:
            return ReadImage(index, None, str(error))

    pool = ThreadPoolExecutor(threads)
    waiting: deque[Future[ReadImage]] = deque()
    todo = iter(range(len(paths)))
    try:
        for index in todo:
            waiting.append(pool.submit(read, index))
            if len(waiting) == batch_size + threads:
                break
        while waiting:
            batch = [waiting.popleft().result() for _ in range(min(batch_size, len(waiting)))]
            for _ in batch:
                following = next(todo, None)
                if following is not None:
                    waiting.append(pool.submit(read, following))
            yield batch
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def progress_bar() -> Progress:
    """A bar on stderr with count, elapsed and remaining time."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TextColumn("ETA"), TimeRemainingColumn())
    return Progress(*columns, console=Console(stderr=True))
