"""How train, val and test are found in a folder. The table in docs/data.md says the same in words."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from backbones.errors import DataError
from finetune.data.findings import name_some
from finetune.data.voc import list_pictures

SPLITS = ("train", "val", "test")
_WORDS = {"train": ("train", "training"), "val": ("val", "valid", "validation"), "test": ("test", "testing")}
_COCO_NAME = re.compile(r"^(?:instances_)?(train|val|valid|validation|test)(\d{4})?$")
_PICTURE_FOLDERS = ("", "images", "JPEGImages", "Images", "imgs", "data")


@dataclass(frozen=True)
class CocoSource:
    """One COCO file and the folders in which its pictures are looked for."""

    file: Path
    image_dirs: tuple[Path, ...]


@dataclass(frozen=True)
class VocSource:
    """A folder of VOC XML files, the folders of their pictures, and the list of names (none: every XML file)."""

    xml_dir: Path
    image_dirs: tuple[Path, ...]
    set_file: Path | None = None


Source = CocoSource | VocSource


@dataclass(frozen=True)
class Layout:
    """A recognised layout: its name in docs/data.md, and the sources of each split that is there."""

    name: str
    sources: dict[str, tuple[Source, ...]] = field(default_factory=dict)


def find_layout(root: Path, kind: str = "auto", images: Path | None = None) -> Layout:
    """Recognise the layout of ``root``.

    Args:
        root: A folder, or one annotation file.
        kind: "coco" or "voc" looks only at that format; "auto" at COCO first.
        images: Picture folder that is looked at before all others.

    Raises:
        DataError: Nothing fits; the message says what was looked for and what is there.
    """
    if not root.exists():
        raise DataError(f"{root} does not exist (looked at {root.absolute()}); set data.root to a COCO or VOC folder or annotation file, or to 'signs' for the sample set")
    if root.is_file():
        return Layout("one COCO file", {"train": (single_file(root, images),)})
    layout = _match(root, kind, images)
    if layout is not None:
        return layout
    inside = [(child, found) for child in sorted(root.iterdir()) if child.is_dir() and not child.name.startswith(".") and (found := _match(child, kind, images))]
    if len(inside) == 1:
        return inside[0][1]
    if inside:
        raise DataError(f"{root} holds several data sets ({name_some([child.name for child, _ in inside], most=6)}); set data.root to one of them")
    raise DataError(_nothing_found(root, kind))


def single_file(file: Path, images: Path | None) -> CocoSource:
    """The source of a COCO file given by its own path."""
    if file.suffix.lower() != ".json":
        raise DataError(f"{file} is no annotation file that can be read alone; give a COCO .json file, or the folder of a VOC data set")
    return CocoSource(file, _picture_dirs(file.parent, file.stem, images))


def folder_source(folder: Path, images: Path | None) -> Source | None:
    """The source of a folder that is one split: Roboflow's file inside, or XML files beside pictures."""
    roboflow = folder / "_annotations.coco.json"
    if roboflow.is_file():
        return CocoSource(roboflow, (*_given(images), folder))
    for xml_dir in (folder, folder / "Annotations", folder / "annotations", folder / "labels"):
        if next(xml_dir.glob("*.xml"), None) is not None:
            return VocSource(xml_dir, (*_given(images), *(folder / name for name in _PICTURE_FOLDERS if (folder / name).is_dir())))
    return None


def named_source(root: Path, name: str, kind: str, images: Path | None) -> Source | None:
    """The source of an explicit setting: a file, a folder, or the name of a split such as "trainval" or "train2017"."""
    for base in (root if root.is_dir() else root.parent, Path()):
        path = base / name
        if path.is_file() and path.suffix.lower() == ".txt":
            return _voc_of_set(path, images)
        if path.is_file():
            return single_file(path, images)
        if path.is_dir() and (found := folder_source(path, images)):
            return found
    if kind != "voc":
        for file in (root / "annotations" / f"instances_{name}.json", root / "annotations" / f"{name}.json", root / f"instances_{name}.json", root / f"{name}.json"):
            if file.is_file():
                return single_file(file, images)
    if kind != "coco":
        for base in _devkits(root):
            for file in (base / "ImageSets" / "Main" / f"{name}.txt", base / "ImageSets" / f"{name}.txt"):
                if file.is_file():
                    return _voc_of_set(file, images)
    return None


def _match(root: Path, kind: str, images: Path | None) -> Layout | None:
    rules: list[tuple[str, str, Callable[[Path, Path | None], dict[str, tuple[Source, ...]]]]] = [
        ("coco", "COCO", _coco_named),
        ("coco", "Roboflow COCO", _roboflow),
        ("voc", "VOC ImageSets", _voc_sets),
        ("voc", "VOC split folders", _voc_folders),
        ("coco", "one COCO file", _coco_single),
        ("voc", "VOC plain folder", _voc_plain),
    ]
    for rule_kind, name, find in rules:
        if kind in ("auto", rule_kind) and (sources := find(root, images)):
            if "train" not in sources and len(sources) == 1 and "test" not in sources:
                continue
            return Layout(name, sources)
    return None


def _coco_named(root: Path, images: Path | None) -> dict[str, tuple[Source, ...]]:
    found: dict[str, tuple[Source, ...]] = {}
    for folder in (root / "annotations", root / "Annotations", root):
        for file in sorted(folder.glob("*.json")):
            match = _COCO_NAME.match(file.stem)
            if match:
                split = _split_of(match[1])
                found.setdefault(split, (CocoSource(file, _picture_dirs(root, file.stem, images)),))
        if "train" in found:
            return found
    return found


def _roboflow(root: Path, images: Path | None) -> dict[str, tuple[Source, ...]]:
    found: dict[str, tuple[Source, ...]] = {}
    for split, words in _WORDS.items():
        for word in words:
            file = root / word / "_annotations.coco.json"
            if file.is_file():
                found.setdefault(split, (CocoSource(file, (*_given(images), root / word)),))
    return found


def _coco_single(root: Path, images: Path | None) -> dict[str, tuple[Source, ...]]:
    for folder in (root, root / "annotations", root / "Annotations"):
        files = sorted(folder.glob("*.json"))
        if len(files) == 1:
            return {"train": (CocoSource(files[0], (*_picture_dirs(root, files[0].stem, images), folder)),)}
    return {}


def _voc_sets(root: Path, images: Path | None) -> dict[str, tuple[Source, ...]]:
    found: dict[str, tuple[Source, ...]] = {}
    for base in _devkits(root):
        sets = next((folder for folder in (base / "ImageSets" / "Main", base / "ImageSets") if next(folder.glob("*.txt"), None)), None)
        if sets is None:
            continue
        for split, words in _WORDS.items():
            file = next((sets / f"{word}.txt" for word in (*words, "trainval") if (sets / f"{word}.txt").is_file() and (word != "trainval" or split == "train")), None)
            if file is not None:
                found[split] = (*found.get(split, ()), _voc_of_set(file, images))
    return found


def _voc_folders(root: Path, images: Path | None) -> dict[str, tuple[Source, ...]]:
    found: dict[str, tuple[Source, ...]] = {}
    for split, words in _WORDS.items():
        for word in words:
            source = folder_source(root / word, images) or _parallel_folders(root, word, images)
            if isinstance(source, VocSource):
                found.setdefault(split, (source,))
    return found


def _parallel_folders(root: Path, word: str, images: Path | None) -> VocSource | None:
    """annotations/train beside images/train."""
    for name in ("Annotations", "annotations", "labels"):
        xml_dir = root / name / word
        if next(xml_dir.glob("*.xml"), None) is not None:
            return VocSource(xml_dir, (*_given(images), *(root / folder / word for folder in _PICTURE_FOLDERS if (root / folder / word).is_dir())))
    return None


def _voc_plain(root: Path, images: Path | None) -> dict[str, tuple[Source, ...]]:
    source = folder_source(root, images)
    return {"train": (source,)} if isinstance(source, VocSource) else {}


def _voc_of_set(file: Path, images: Path | None) -> VocSource:
    base = next((parent for parent in file.parents if (parent / "Annotations").is_dir() or (parent / "annotations").is_dir()), file.parent)
    xml_dir = base / "Annotations" if (base / "Annotations").is_dir() else base / "annotations"
    return VocSource(xml_dir, (*_given(images), *(base / name for name in ("JPEGImages", "images", "Images", "") if (base / name).is_dir())), file)


def _devkits(root: Path) -> list[Path]:
    """``root`` itself if it has ImageSets, else every VOC20xx folder in it or in its VOCdevkit."""
    if (root / "ImageSets").is_dir():
        return [root]
    return [base for parent in (root, root / "VOCdevkit") if parent.is_dir() for base in sorted(parent.glob("VOC*")) if (base / "ImageSets").is_dir()]


def _picture_dirs(root: Path, stem: str, images: Path | None) -> tuple[Path, ...]:
    """Where the pictures of an annotation file called ``stem`` may be, most likely first."""
    name = stem.removeprefix("instances_")
    match = _COCO_NAME.match(stem)
    words = dict.fromkeys((name, *((match[1], *_WORDS[_split_of(match[1])]) if match else ())))
    bases = [root, *([root.parent] if root.name.lower() in ("annotations", "labels") else [])]
    dirs = [base / folder / word for base in bases for word in words for folder in ("", "images")]
    dirs += [base / folder for base in bases for folder in _PICTURE_FOLDERS]
    return (*_given(images), *dict.fromkeys(path for path in dirs if path.is_dir()))


def _given(images: Path | None) -> tuple[Path, ...]:
    return () if images is None else (images,)


def _split_of(word: str) -> str:
    return next(split for split, words in _WORDS.items() if word in words)


def _nothing_found(root: Path, kind: str) -> str:
    here = sorted(path.name + ("/" if path.is_dir() else "") for path in root.iterdir() if not path.name.startswith("."))
    coco = "annotations/instances_train*.json, train/_annotations.coco.json, a single .json"
    voc = "ImageSets/Main/train.txt with Annotations/ and JPEGImages/, train/*.xml, *.xml"
    looked = {"coco": coco, "voc": voc}.get(kind, f"{coco}; {voc}")
    pictures = f" ({len(list_pictures((root,)))} pictures without annotations)" if list_pictures((root,)) else ""
    found = f"{name_some(here, most=8) or 'an empty folder'}{pictures}"
    return f"no COCO or VOC data in {root}; looked for {looked}; found {found}; set data.root, or data.train to an annotation file (layouts: docs/data.md)"
