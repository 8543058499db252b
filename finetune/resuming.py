"""What an interrupted run left behind, and whether it can go on from there."""

from __future__ import annotations

import json
import pickle
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from backbones.errors import DataError, FinetuneError, UsageError
from finetune.config import RunConfig
from finetune.data import DataSplits
from finetune.run_folder import RunFolder, clear_temporary, package_versions
from finetune.run_lock import run_lock

if TYPE_CHECKING:
    from finetune.data.text.mix import Source

_STATE = "Checkpoints"  # where the callback's state stands in a checkpoint


def data_facts(splits: DataSplits, sources: Sequence[Source] = ()) -> dict[str, Any]:
    """What must not change under a run: classes in label order, and the fingerprints of the training split and of the sources of ``data.mix``."""
    return {"classes": list(splits.class_names), "fingerprint": splits.fingerprint, "sources": {source.name: source.fingerprint for source in sources}}


@contextmanager
def held_again(folder: RunFolder, first: bool) -> Iterator[None]:
    """Hold a run folder and clear away what killed processes were writing; processes other than the first have nothing to do.

    Raises:
        UsageError: Another process trains in it, or it cannot be written.
    """
    with ExitStack() as stack:
        if first:
            try:
                stack.enter_context(run_lock(folder.root))
                clear_temporary(folder.root)
            except OSError as error:
                raise UsageError(f"cannot write in {folder.root}: {error.strerror or error}; make the folder writable, then resume again") from error
        yield


@dataclass(frozen=True)
class SavedState:
    """What ``last.ckpt`` tells before it is loaded.

    Args:
        checkpoint: Where it is; None when no epoch was finished.
        finished: Epochs that were.
        data: ``data_facts`` of the run.
    """

    checkpoint: Path | None = None
    finished: int = 0
    data: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def read(cls, folder: RunFolder) -> SavedState:
        """Look into a run folder.

        Raises:
            FinetuneError: Its checkpoint is damaged.
        """
        if not folder.last.is_file():
            return cls()
        try:
            state = torch.load(folder.last, map_location="cpu", weights_only=True, mmap=True)["callbacks"][_STATE]
            return cls(folder.last, state["finished"], state.get("data", {}))
        except (OSError, RuntimeError, EOFError, KeyError, TypeError, ValueError, pickle.UnpicklingError) as error:
            reason = next(iter(str(error).splitlines()), type(error).__name__)
            raise FinetuneError(f"{folder.last} cannot be read ({reason}): put {folder.best.name} in its place to continue after the best epoch, or start a new run") from error

    def lines(self, folder: RunFolder, config: RunConfig) -> list[str]:
        """How the run goes on, and what is not as it was."""
        if self.checkpoint is None:
            start = f"no epoch of {folder.root} was finished: it starts again from the beginning, in the same folder"
        else:
            start = f"resuming {folder.root} after epoch {self.finished} of {config.train.epochs}"
        return [start, *changed_versions(folder)]

    def check_data(self, splits: DataSplits, sources: Sequence[Source] = ()) -> list[str]:
        """Compare the data with those of the run.

        Returns:
            Lines where images, boxes or words have changed.

        Raises:
            DataError: The classes have changed.
        """
        if not self.data:
            return []
        now, before = data_facts(splits, sources), self.data
        if now["classes"] != before["classes"]:
            raise DataError(
                f"the classes of {splits.name} have changed since the run began ({', '.join(before['classes'])} -> {', '.join(now['classes'])}): put the data back as they were, or start a new run"
            )
        changed = now["fingerprint"] != before["fingerprint"]
        lines = ["the training images or boxes have changed since the run began: it goes on with those that are there now"] if changed else []
        others = [name for name, fingerprint in now["sources"].items() if before.get("sources", {}).get(name, fingerprint) != fingerprint]
        return [*lines, *(f"data.mix: the samples of {name} have changed since the run began: it goes on with those that are there now" for name in others)]


def changed_versions(folder: RunFolder) -> list[str]:
    """A line when packages have other versions than at the start of the run."""
    try:
        before = json.loads(folder.environment.read_text(encoding="utf-8"))["versions"]
    except (OSError, ValueError, KeyError, TypeError):
        return []
    changed = [f"{name} {before[name]} -> {number}" for name, number in package_versions().items() if before.get(name, number) != number]
    return [f"versions have changed since the run began, so that its figures may differ a little: {', '.join(changed)}"] if changed else []
