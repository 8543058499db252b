"""Where the pictures are that annotation files name: as named, else by their name alone in the folders that may hold them."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Iterable
from pathlib import Path, PureWindowsPath
from urllib.parse import unquote

from finetune.data.file_listing import IMAGE_SUFFIXES, file_names, walk_files
from finetune.data.findings import Findings
from finetune.data.kinds import PICTURE_ELSEWHERE

_MOST_FILES = 500_000  # are looked through for names that are not where they should be


class PictureFinder:
    """Finds pictures in a list of folders. Folders are listed once: 100,000 names cost less than a second, also on network disks.

    Args:
        image_dirs: Folders, most likely first.
        findings: Told when a picture is found under another spelling or in another folder than named.
    """

    def __init__(self, image_dirs: tuple[Path, ...], findings: Findings) -> None:
        self.dirs = tuple(dict.fromkeys(image_dirs))
        self._order = [str(folder) for folder in self.dirs]
        self._findings = findings
        self._listed: dict[str, frozenset[str]] = {}
        self._index: dict[str, list[str]] | None = None

    def find(self, file_name: str, annotation_file: Path) -> Path | None:
        """The picture called ``file_name``, which may be a path of another system, a URL, or spelt a little differently; None where there is none."""
        if (path := self._exact(file_name)) is not None:
            return path
        posix = PureWindowsPath(file_name).as_posix()
        plain = unquote(posix.rpartition("/")[2].partition("?")[0])
        for name in dict.fromkeys((posix, posix.rpartition("/")[2], plain)):
            if (path := self._exact(name)) is not None:
                return path
        return self._elsewhere(posix, self._all().get(_key(plain), []), annotation_file, file_name)

    def find_stem(self, stem: str, annotation_file: Path) -> Path | None:
        """A picture whose name without suffix is ``stem``, in the folders or below; for formats that do not say the suffix."""
        name = stem.replace("\\", "/").rpartition("/")[2]
        found = [path for suffix in IMAGE_SUFFIXES for path in self._all().get(_key(name + suffix), [])]
        return self._elsewhere(stem, found, annotation_file, stem)

    def _exact(self, name: str) -> Path | None:
        parent, _, base = name.rpartition("/")
        if not base:
            return None
        for place, folder in enumerate(self._order):
            inside = os.path.join(folder, parent or name[:-len(base)])  # noqa: PTH118  (a Path for each of 100,000 names costs a second)
            if base in self._names(inside):
                if place:  # the folder that had the last one is asked first
                    self._order.insert(0, self._order.pop(place))
                return Path(inside, base)
        return None

    def _names(self, folder: str) -> frozenset[str]:
        names = self._listed.get(folder)
        if names is None:
            names = self._listed[folder] = frozenset(file_names(folder, hidden=True))
        return names

    def _all(self) -> dict[str, list[str]]:
        """Every file in the folders and below, by its name in one spelling; made when the first picture is not where it should be."""
        if self._index is None:
            self._index = {}
            seen: set[str] = set()
            for folder in self.dirs:
                for path in walk_files(folder, _MOST_FILES):
                    if path not in seen:
                        seen.add(path)
                        self._index.setdefault(_key(path.rpartition(os.sep)[2]), []).append(path)
        return self._index

    def _elsewhere(self, named: str, candidates: Iterable[str], annotation_file: Path, as_written: str) -> Path | None:
        """The candidate that shares the most folders with the name, unless two share as many."""
        wanted = [_key(part) for part in named.split("/")][-2::-1]
        scored = sorted(((_shared([_key(part) for part in Path(path).parts][-2::-1], wanted), path) for path in candidates), reverse=True)
        if not scored or (len(scored) > 1 and scored[0][0] == scored[1][0]):
            return None
        path = Path(scored[0][1])
        self._findings.add(PICTURE_ELSEWHERE, annotation_file, value=f"{as_written!r} is {path}", image=path)
        return path


def _key(name: str) -> str:
    """One spelling for names that differ in case or in how accents are stored (macOS takes letters and accents apart)."""
    return unicodedata.normalize("NFC", name).casefold()


def _shared(one: list[str], two: list[str]) -> int:
    count = 0
    for first, second in zip(one, two, strict=False):
        if first != second:
            break
        count += 1
    return count
