"""Files of an ICDAR ground truth or submission, from a zip or a folder, found again by the number or name of their picture."""

from __future__ import annotations

import re
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from backbones.errors import DataError
from finetune.data.findings import shorten

# as in the official scripts: matched at the beginning of a name, "." is any character, nothing is said about the end
TRUTH_NAME = re.compile("gt_img_([0-9]+).txt")
RESULT_NAME = re.compile("res_img_([0-9]+).txt")
_PREFIXES = ("poly_gt_", "gt_", "res_", "task1_")
_MOST_BYTES = 1 << 26


@dataclass(frozen=True)
class TextFile:
    """One file: ``name`` within its zip or folder, ``key`` of its picture, and its bytes."""

    name: str
    key: str
    content: bytes


def key_of(name: str) -> str:
    """The key of a picture by its name: the number of ``img_N`` names, else the stem without the prefixes of truth and results."""
    stem = PurePosixPath(name).stem
    for prefix in _PREFIXES:
        stem = stem.removeprefix(prefix)
    number = re.fullmatch("img_([0-9]+)", stem)
    return number[1] if number else stem


def is_official(names: Iterable[str]) -> bool:
    """Whether truth files are named as the official scripts want it (``gt_img_1.txt``)."""
    return any(TRUTH_NAME.match(name) for name in names)


def read_truth_files(path: Path) -> tuple[list[TextFile], list[str]]:
    """The ground truth in a zip or folder, and remarks.

    Official names win: other files beside them are left out, as the official scripts do. Without any, every text file counts, in
    a folder of the zip too.

    Raises:
        DataError: The zip cannot be read or holds no ground truth.
    """
    present = [(name, content) for name, content in entries(path) if not name.endswith("/")]
    if is_official(name for name, _ in present):
        files = [TextFile(name, found[1], content) for name, content in present if (found := TRUTH_NAME.match(name))]
    else:
        texts = [(name, content) for name, content in present if name.endswith(".txt") and not _is_junk(name)]
        files = [TextFile(name, key_of(name), content) for name, content in texts]
    if not files:
        seen = ", ".join(shorten(name, 40) for name, _ in present[:3]) or "nothing"
        raise DataError(f"{path} holds no ground truth (it has {seen}): name its files gt_img_1.txt and so on")
    left_out = len(present) - len(files)
    remarks = [f"{left_out} other files in {path.name} are left out"] if left_out else []
    return _last_of_each(files, remarks), remarks


def read_result_files(path: Path, keys: Mapping[str, int], official: bool, strict: bool = True) -> tuple[list[TextFile], list[str]]:
    """The result files of a method in a zip or folder, and remarks.

    A zip is taken as the official scripts take it: every entry must be named ``res_img_N.txt``, at the top. A folder may
    hold other files (pictures, masks) and names without ``res_``.

    Args:
        path: The zip or folder.
        keys: Keys of the truth's pictures.
        official: The truth has official names.
        strict: Refuse zips that the official scripts refuse.

    Raises:
        DataError: There are no results, an entry has a wrong name, or a picture is not in the truth.
    """
    files, remarks, skipped = [], [], 0
    is_zip = not path.is_dir()
    for name, content in entries(path):
        found = RESULT_NAME.match(name) if official else None
        if found:
            files.append(TextFile(name, found[1], content))
        elif is_zip and strict and (official or not name.endswith(".txt") or "/" in name):
            raise DataError(f"{path}, entry {shorten(repr(name), 80)}: {_name_fault(name, official)}")
        elif name.endswith(".txt") and not _is_junk(name) and (not is_zip or not strict or not official):
            files.append(TextFile(name, key_of(name), content))
        else:
            skipped += 1
    if not files and (skipped or not is_zip):
        raise DataError(f"{path} holds no result files: one res_img_N.txt per picture is expected")
    for file in files:
        if file.key not in keys:
            raise DataError(f"{path}, {shorten(file.name, 80)}: picture {shorten(repr(file.key), 60)} is not in the truth, which has {_some(keys)}: are these results of another set?")
    if skipped:
        remarks.append(f"{skipped} other files in {path.name} are left out")
    return _last_of_each(files, remarks), remarks


def _last_of_each(files: list[TextFile], remarks: list[str]) -> list[TextFile]:
    """One file per picture; of several the last one, as in the official scripts."""
    latest = {file.key: file for file in files}
    if len(latest) < len(files):
        remarks.append(f"{len(files) - len(latest)} files name a picture again: the last one of each counts, as in the official script")
    return list(latest.values())


def entries(path: Path) -> Iterator[tuple[str, bytes]]:
    """Names and contents, in the order of the zip, or sorted by name."""
    if path.is_dir():
        for file in sorted(child for child in path.iterdir() if child.is_file() and not child.name.startswith(".")):
            yield file.name, file.read_bytes() if file.suffix.lower() == ".txt" or ".txt" in file.name else b""
        return
    try:
        with zipfile.ZipFile(path) as archive:
            for name in archive.namelist():
                if archive.getinfo(name).file_size > _MOST_BYTES:
                    raise DataError(f"{path}, entry {shorten(repr(name), 80)} unpacks to more than {_MOST_BYTES >> 20} MB: that is no file of words")
                yield name, archive.read(name)
    except OSError as error:
        raise DataError(f"cannot read {path} ({error.strerror or error}): give a zip or a folder of text files") from error
    except (zipfile.BadZipFile, zlib.error, RuntimeError, NotImplementedError, EOFError, ValueError) as error:
        raise DataError(f"{path} is not a zip that can be read ({shorten(str(error), 100)}): pack the text files again, or give their folder") from error


def _is_junk(name: str) -> bool:
    return any(part.startswith((".", "__MACOSX")) for part in name.split("/"))


def _name_fault(name: str, official: bool) -> str:
    wanted = "res_img_N.txt" if official else "text files"
    if "__MACOSX" in name or name.rsplit("/", 1)[-1].startswith("."):
        return f"a file that the system added; the official script takes {wanted} only: pack without it (zip -X), or give the unpacked folder"
    if "/" in name:
        return f"the official script takes {wanted} at the top of the zip, not in a folder: pack the files, or give the unpacked folder instead of the zip"
    return f"the official script takes {wanted} only: rename it, take it out, or give the unpacked folder instead of the zip"


def _some(keys: Mapping[str, int]) -> str:
    shown = ", ".join(shorten(key, 40) for key in list(keys)[:4])
    return f"{len(keys)} pictures such as {shown}"
