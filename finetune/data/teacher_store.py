"""What a teacher said about pictures without labels, on disk: made once by ``finetune distill``, read by every training after it.

A folder holds ``teacher.json`` (which teacher, at which input size, how many pictures), ``pictures.jsonl`` (a line for each picture that is
done, appended when its maps are on disk) and ``maps/*.npy`` (float16). A line is the seam for other detectors: maps are a file of their own
because they are large and read in part; what a teacher detected (words here, boxes elsewhere) stands in the line itself.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backbones.errors import DataError, UsageError
from finetune.run_folder import WriteError, clear_temporary, write_atomic, write_json_atomic

_FACTS, _LINES, _MAPS = "teacher.json", "pictures.jsonl", "maps"
_FORMAT = 1


@dataclass(frozen=True)
class TeacherFacts:
    """What all pictures of a store have in common.

    Args:
        teacher: Its name, or that of its run.
        fingerprint: Of its weights.
        kind: What it teaches: "maps" of scene text.
        preprocess: Its ``TextPreprocess`` as a dict.
        stride: Input pixels per cell of its maps.
        pictures: How many pictures the store has when it is complete.
    """

    teacher: str
    fingerprint: str
    kind: str
    preprocess: Mapping[str, Any]
    stride: int
    pictures: int


@dataclass(frozen=True)
class TaughtPicture:
    """One picture and what the teacher made of it.

    Args:
        picture: Its path; absolute in memory, relative to the store on disk.
        hw: Its height and width in pixels, upright.
        maps: Name of the file with its maps, [2, h, w] float16 in 0..1; "" where it could not be read.
        ratio: Input pixels of the teacher per pixel of the picture.
        quads: [N][8] words that the teacher found, in pixels of the picture.
        fault: Why there are no maps.
    """

    picture: str
    hw: tuple[int, int] = (0, 0)
    maps: str = ""
    ratio: float = 1.0
    quads: Sequence[Sequence[float]] = field(default_factory=tuple)
    fault: str = ""


class TeacherStore:
    """A folder of a teacher's maps.

    Args:
        folder: Where it is.
        facts: Of ``teacher.json``.
        done: Pictures that are finished, in the order of their lines.
    """

    def __init__(self, folder: Path, facts: TeacherFacts, done: Sequence[TaughtPicture] = ()) -> None:
        self.folder, self.facts, self.done = folder, facts, list(done)

    @staticmethod
    def is_one(folder: Path) -> bool:
        """Whether a folder is a store, finished or not."""
        return (folder / _FACTS).is_file()

    @classmethod
    def open(cls, folder: Path, complete: bool = True) -> TeacherStore:
        """Read a store.

        Args:
            folder: Where it is.
            complete: Refuse one that is not finished.

        Raises:
            DataError: No store, or not a finished one.
        """
        try:
            content = json.loads((folder / _FACTS).read_text(encoding="utf-8"))
            if content.pop("format") != _FORMAT:
                raise ValueError("made by another version")
            facts = TeacherFacts(**content)
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise DataError(f"{folder / _FACTS} cannot be used ({error}): make the store again with finetune distill") from error
        store = cls(folder, facts, [_absolute(line, folder) for line in _read_lines(folder / _LINES)])
        if complete and len(store.done) < facts.pictures:
            raise DataError(f"{folder}: {len(store.done)} of {facts.pictures} pictures are done; run the same finetune distill again, it goes on where it stopped")
        return store

    @classmethod
    def begin(cls, folder: Path, facts: TeacherFacts) -> TeacherStore:
        """Make a folder, or go on with the one of a run that was interrupted.

        Raises:
            UsageError: The folder holds something else, or what another teacher said, or cannot be written.
        """
        if cls.is_one(folder):
            store = cls.open(folder, complete=False)
            if store.facts != facts:
                names = [name for name, value in asdict(facts).items() if asdict(store.facts)[name] != value]
                raise UsageError(f"{folder} was begun with another {' and '.join(names)}: choose another --out, or the settings of then")
            clear_temporary(folder)
            _cut_torn_line(folder / _LINES)
            return store
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise UsageError(f"{folder} exists and is no store of a teacher: it is never overwritten; choose another --out")
        try:
            (folder / _MAPS).mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UsageError(f"cannot write in {folder} ({error.strerror or error}): choose another --out") from error
        write_json_atomic(folder / _FACTS, {"format": _FORMAT, **asdict(facts)})
        return cls(folder, facts)

    def add(self, taught: TaughtPicture, maps: NDArray[np.float16] | None = None) -> None:
        """Put a picture in: its maps first, then its line.

        Raises:
            WriteError: The disk is full; nothing of the picture counts then.
        """
        if maps is not None:
            write_atomic(self.folder / _MAPS / taught.maps, partial(_save, maps=maps))
        line = asdict(taught) | {"picture": os.path.relpath(taught.picture, self.folder)}
        try:
            with (self.folder / _LINES).open("a", encoding="utf-8") as lines:
                lines.write(json.dumps(line, ensure_ascii=False) + "\n")
        except OSError as error:
            raise WriteError(self.folder / _LINES, error) from error
        self.done.append(taught)

    def maps_of(self, taught: TaughtPicture) -> NDArray[np.float16]:
        """The maps of a picture, [2, h, w], mapped into memory: only what is looked at is read.

        Raises:
            DataError: The file is gone or damaged.
        """
        path = self.folder / _MAPS / taught.maps
        try:
            maps = np.load(path, mmap_mode="r", allow_pickle=False)
        except (OSError, ValueError) as error:
            raise DataError(f"{path} cannot be read ({error}): delete {self.folder} and make it again with finetune distill") from error
        if maps.ndim != 3 or maps.shape[0] != 2:
            raise DataError(f"{path} holds an array of shape {list(maps.shape)}, no maps: delete {self.folder} and make it again with finetune distill")
        return maps


def _save(temporary: Path, maps: NDArray[np.float16]) -> None:
    with temporary.open("wb") as stream:  # given a name, np.save would add a suffix to it
        np.save(stream, maps, allow_pickle=False)


def _read_lines(path: Path) -> list[TaughtPicture]:
    """All whole lines; the torn last one of a killed process is left out."""
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return []
    lines = content[: content.rfind(b"\n") + 1].splitlines()
    try:
        return [TaughtPicture(**{**entry, "hw": tuple(entry["hw"])}) for entry in map(json.loads, lines)]
    except (ValueError, TypeError, KeyError) as error:
        raise DataError(f"{path} is damaged ({error}): delete its folder and make it again with finetune distill") from error


def _cut_torn_line(path: Path) -> None:
    if path.is_file():
        content = path.read_bytes()
        whole = content.rfind(b"\n") + 1
        if whole < len(content):
            with path.open("rb+") as stream:
                stream.truncate(whole)


def _absolute(taught: TaughtPicture, folder: Path) -> TaughtPicture:
    return TaughtPicture(**{**asdict(taught), "picture": os.path.normpath(folder.absolute() / taught.picture)})
