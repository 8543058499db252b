"""Features to disk, row by row and in order, so that an interrupted making goes on where it stopped."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Sequence
from types import TracebackType
from typing import Self

import torch

from backbones.errors import UsageError
from backbones.frozen import FrozenFeatures
from finetune.features.layout import FeatureFolder, Layout
from finetune.run_folder import WriteError, write_json_atomic

_SYNC_SECONDS = 5.0


class FeatureWriter:
    """Appends to the files of a folder, which exists; what is there of the same layout is kept up to the last row that surely reached the disk.

    Args:
        folder: Where to.
        layout: What a row is.

    Attributes:
        rows: Rows written so far.
    """

    def __init__(self, folder: FeatureFolder, layout: Layout) -> None:
        self._folder, self._layout = folder, layout
        self.rows, ends = self._found()
        try:
            if not self.rows:
                for path in (folder.rows, folder.samples):
                    path.unlink(missing_ok=True)
                folder.layout.write_text(layout.to_json(), encoding="utf-8")
            self._streams = [folder.part(path).open("r+b" if self.rows else "w+b") for path in (folder.rows, folder.samples)]
            for stream, end in zip(self._streams, ends, strict=True):
                stream.truncate(end)
                stream.seek(end)
        except OSError as error:
            raise WriteError(folder.root, error) from error
        self._synced = time.monotonic()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        for stream in self._streams:
            stream.close()

    def write(self, features: FrozenFeatures, lines: Sequence[str]) -> None:
        """Append the rows of a batch with their samples.

        Raises:
            WriteError: The disk is full.
            UsageError: A value that float16 cannot hold.
        """
        rows = self._layout.to_rows(features)
        if self._layout.stored == "float16" and not bool(torch.isfinite(rows).all()):
            raise UsageError("data.feature_cache float16: the features have values beyond 65504, which it cannot hold; take float32")
        try:
            self._streams[0].write(rows.numpy().data)
            self._streams[1].write("".join(f"{line}\n" for line in lines).encode())
            self.rows += len(lines)
            if time.monotonic() - self._synced > _SYNC_SECONDS:
                self.sync()
        except OSError as error:
            raise WriteError(self._folder.root, error) from error

    def sync(self) -> None:
        """Force everything so far to disk, and write down how much that is."""
        for stream in self._streams:
            stream.flush()
            os.fsync(stream.fileno())
        write_json_atomic(self._folder.progress, {"rows": self.rows, "ends": [stream.tell() for stream in self._streams]})
        self._synced = time.monotonic()

    def finish(self) -> None:
        """Give the files their names, the rows last: where they are, everything is."""
        try:
            self.sync()
            for path in (self._folder.samples, self._folder.rows):
                self._folder.part(path).replace(path)
            self._folder.progress.unlink(missing_ok=True)
        except OSError as error:
            raise WriteError(self._folder.root, error) from error

    def _found(self) -> tuple[int, list[int]]:
        """Rows that can be kept, and where they end in both files."""
        folder = self._folder
        if folder.read_layout() != self._layout:
            return 0, [0, 0]
        try:
            progress = json.loads(folder.progress.read_text(encoding="utf-8"))
            rows, ends = int(progress["rows"]), [int(end) for end in progress["ends"]]
            whole = ends[0] == rows * self._layout.row_bytes and all(folder.part(path).stat().st_size >= end for path, end in zip((folder.rows, folder.samples), ends, strict=True))
        except (OSError, ValueError, KeyError, TypeError):
            return 0, [0, 0]
        return (rows, ends) if whole else (0, [0, 0])
