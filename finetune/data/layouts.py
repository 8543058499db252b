"""How train, val and test are found in a folder. The table in docs/data.md says the same in words."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from backbones.errors import DataError
from finetune.data import coco_layouts, voc_layouts
from finetune.data.file_listing import expand, file_names, folders_in, is_dir, is_file, list_pictures
from finetune.data.findings import name_some
from finetune.data.sources import Source

Rule = Callable[[Path, Path | None], Mapping[str, tuple[Source, ...]]]

# format, name in docs/data.md, rule; the first that finds something is taken
RULES: tuple[tuple[str, str, Rule], ...] = (
    ("coco", "COCO", coco_layouts.named_files),
    ("coco", "COCO split folders", coco_layouts.split_folders),
    ("voc", "VOC ImageSets", voc_layouts.image_sets),
    ("voc", "VOC split folders", voc_layouts.split_folders),
    ("coco", "one COCO file", coco_layouts.only_file),
    ("voc", "VOC plain folder", voc_layouts.plain_folder),
)

# suffix of files that hold annotations in formats that are not read
_OTHER_FORMATS = {
    ".csv": "CSV tables",
    ".jsonl": "JSON lines",
    ".ndjson": "JSON lines",
    ".parquet": "Parquet tables",
    ".tfrecord": "TFRecords",
    ".tfrecords": "TFRecords",
    ".mat": "MATLAB files",
    ".zip": "archives",
    ".tar": "archives",
    ".gz": "archives",
    ".7z": "archives",
    ".rar": "archives",
}


class NothingFoundError(DataError):
    """A folder that is there holds nothing that is read."""


@dataclass(frozen=True)
class Layout:
    """A recognised layout: its name in docs/data.md, and the sources of each split that is there."""

    name: str
    sources: Mapping[str, tuple[Source, ...]] = field(default_factory=dict)


def find_layout(root: Path, kind: str = "auto", images: Path | None = None) -> Layout:
    """Recognise the layout of ``root``.

    Args:
        root: A folder, or one COCO file.
        kind: "coco" or "voc" looks only at that format; "auto" at both.
        images: Picture folder that is looked at before all others.

    Raises:
        DataError: Nothing fits; the message says what was looked for and what is there.
    """
    if is_file(root):
        return Layout("one COCO file", {"train": (coco_layouts.single_file(root, images),)})
    if not is_dir(root):
        raise DataError(f"{root} does not exist (looked at {root.absolute()}); set data.root to a COCO or VOC folder or annotation file, or to 'signs' for the sample set")
    try:
        next(root.iterdir(), None)
    except OSError as error:
        raise DataError(f"{root}: cannot be listed ({error.strerror or error}); set data.root to a folder that you may read") from error
    layout = _match(root, kind, images)
    if layout is not None:
        return layout
    inside = [(child, found) for child in folders_in(root) if (found := _match(child, kind, images))]
    if len(inside) == 1:
        return inside[0][1]
    if inside:
        raise DataError(f"{root} holds several data sets ({name_some([child.name for child, _ in inside], most=6)}); set data.root to one of them")
    raise NothingFoundError(_nothing_found(root, kind))


def named_source(root: Path, name: str, kind: str, images: Path | None) -> Source | None:
    """The source of an explicit setting: a file, a folder, or the name of a split such as "trainval" or "train2017"."""
    folder = root if is_dir(root) else root.parent
    for path in (folder / name, expand(name)):
        if is_file(path) and path.suffix.lower() == ".txt":
            return voc_layouts.source_of_set(path.absolute(), images)
        if is_file(path):
            return coco_layouts.single_file(path, images)
    if kind != "voc":
        for file in (folder / place / f"{prefix}{name}.json" for place in ("annotations", "") for prefix in ("instances_", "")):
            if is_file(file):
                return coco_layouts.single_file(file, images)
    if kind != "coco":
        for base in voc_layouts.devkits(folder):
            if file_ := voc_layouts.set_file(base, name):
                return voc_layouts.source_of_set(file_, images)
    for path in (folder / name, expand(name)):
        if is_dir(path) and (found := coco_layouts.folder_file(path, images) or voc_layouts.folder_files(path, images)):
            return found
    return None


def _match(root: Path, kind: str, images: Path | None) -> Layout | None:
    for rule_kind, name, find in RULES:
        if kind in ("auto", rule_kind):
            sources = find(root, images)
            if "train" in sources or len(sources) > 1:  # a lone val or test is more likely a piece of something else
                return Layout(name, sources)
    return None


def _nothing_found(root: Path, kind: str) -> str:
    folders, names = folders_in(root), file_names(root)
    here = sorted([*names, *(f"{folder.name}/" for folder in folders)])
    coco = "annotations/instances_train*.json, train/_annotations.coco.json, a single .json"
    voc = "ImageSets/Main/train.txt with Annotations/ and JPEGImages/, train/*.xml, *.xml"
    looked = {"coco": coco, "voc": voc}.get(kind, f"{coco}; {voc}")
    pictures = len(list_pictures((root,)))
    found = (name_some(here, most=8) or "an empty folder") + (f" ({pictures} pictures without annotations)" if pictures else "")
    return f"no COCO or VOC data in {root}; looked for {looked}; found {found}; {_remedy(root, names, folders)} (layouts: docs/data.md)"


def _remedy(root: Path, names: list[str], folders: list[Path]) -> str:
    """What to do with data of another format, where it can be told which."""
    if any(next(root.glob(pattern), None) for pattern in ("data.yaml", "data.yml", "labels/*.txt", "*/labels/*.txt", "labels/*/*.txt")):
        return "this looks like YOLO labels: export the data as COCO or VOC"
    names = [*names, *(name for folder in folders for name in file_names(folder))]
    for suffix, what in _OTHER_FORMATS.items():
        if any(name.lower().endswith(suffix) for name in names):
            if suffix == ".mat":
                return "of MATLAB files (.mat) only SynthText's gt.mat and TotalText's poly_gt_NAME.mat are read: convert others to COCO or VOC"
            return f"{what} ({suffix}) are not read: convert or export the data as COCO or VOC"
    return "set data.root, or data.train to an annotation file"
