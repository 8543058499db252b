"""The usual places of COCO files."""

from __future__ import annotations

import re
from pathlib import Path

from backbones.errors import DataError
from finetune.data.coco_json import look_at
from finetune.data.file_listing import files_with, is_file
from finetune.data.sources import WORDS, CocoSource, picture_dirs, split_dirs

_OTHER_TASKS = ("captions", "keypoints", "panoptic", "stuff", "info")
_ROBOFLOW = "_annotations.coco.json"


def named_files(root: Path, images: Path | None) -> dict[str, tuple[CocoSource, ...]]:
    """annotations/instances_train2017.json and all file names that hold the word of one split; instances_ goes before others."""
    for folder in (root / "annotations", root / "Annotations", root):
        found: dict[str, tuple[CocoSource, ...]] = {}
        for file in sorted(files_with(folder, ".json"), key=lambda path: (not path.stem.startswith("instances_"), len(path.stem), path.stem)):
            split = split_of(file.stem)
            if split is not None and split not in found and (file.stem.startswith("instances_") or look_at(file) != "other"):
                found[split] = (CocoSource(file, _dirs_of(root, file.stem, images)),)
        if "train" in found or len(found) > 1:
            return found
    return {}


def split_folders(root: Path, images: Path | None) -> dict[str, tuple[CocoSource, ...]]:
    """train/_annotations.coco.json (Roboflow), or another COCO file alone in train/."""
    found: dict[str, tuple[CocoSource, ...]] = {}
    for split, folder in split_dirs(root):
        source = folder_file(folder, images)
        if source is not None:
            found.setdefault(split, (source,))
    return found


def only_file(root: Path, images: Path | None) -> dict[str, tuple[CocoSource, ...]]:
    """The only COCO file of a folder."""
    for folder in (root, root / "annotations", root / "Annotations"):
        files = _coco_files(folder)
        if len(files) == 1:
            return {"train": (CocoSource(files[0], (*_dirs_of(root, files[0].stem, images), folder)),)}
    return {}


def folder_file(folder: Path, images: Path | None) -> CocoSource | None:
    """The COCO file of a folder that is one split."""
    files = [folder / _ROBOFLOW] if is_file(folder / _ROBOFLOW) else _coco_files(folder)
    return CocoSource(files[0], picture_dirs(folder, images)) if len(files) == 1 else None


def single_file(file: Path, images: Path | None) -> CocoSource:
    """The source of a COCO file given by its own path."""
    if file.suffix.lower() != ".json":
        archive = file.suffix.lower() in (".zip", ".tar", ".gz", ".tgz", ".7z", ".rar")
        remedy = "unpack it, and give the folder" if archive else "give a COCO .json file, or the folder of a VOC data set"
        raise DataError(f"{file} is no annotation file that can be read alone; {remedy}")
    return CocoSource(file, _dirs_of(file.parent, file.stem, images))


def split_of(stem: str) -> str | None:
    """The split that a file name speaks of, if it is exactly one: "instances_val2017" is val, "captions_val2017" none."""
    words = _words(stem)
    if any(word in _OTHER_TASKS for word in words):
        return None
    splits = [split for split, names in WORDS.items() if any(name in words for name in names)]
    return splits[0] if len(splits) == 1 else None


def _words(stem: str) -> list[str]:
    """The words of a file name, years left out."""
    return [re.sub(r"\d+$", "", word) for word in re.split(r"[\W_]+", stem.lower())]


def _coco_files(folder: Path) -> list[Path]:
    """COCO files of a folder; a file that is alone, or broken while no other is COCO, is taken, so that its fault is shown."""
    files = files_with(folder, ".json")
    files = [file for file in files if not any(word in _OTHER_TASKS for word in _words(file.stem))] or files
    if len(files) < 2:
        return files
    kinds = {file: look_at(file) for file in files}
    return [file for file in files if kinds[file] == "coco"] or [file for file in files if kinds[file] == "broken"]


def _dirs_of(root: Path, stem: str, images: Path | None) -> tuple[Path, ...]:
    """Where the pictures of an annotation file called ``stem`` may be, most likely first."""
    split = split_of(stem)
    words = dict.fromkeys((stem.removeprefix("instances_"), *(WORDS[split] if split else ())))
    bases = [root, *([root.parent] if root.name.lower() in ("annotations", "labels") else [])]
    dirs = [path for word in words for base in bases for path in picture_dirs(base, None, word)]
    dirs += [path for base in bases for path in picture_dirs(base, None)]
    return (*([images] if images else []), *dict.fromkeys(dirs))
