"""Annotations of all splits from data settings: found, read, joined, and cut so that no picture is in two of them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from backbones.errors import DataError
from finetune.config import DataConfig
from finetune.data.classes import ClassMap, build_class_map
from finetune.data.coco import read_coco
from finetune.data.file_listing import expand, fault_and_remedy, is_dir, is_file
from finetune.data.findings import Findings, fault_line, shorten
from finetune.data.kinds import ANNOTATIONS_UNREADABLE, CLASS_PARENT, CLASS_RENUMBERED, SPLIT_EMPTY
from finetune.data.layouts import Layout, find_layout, named_source
from finetune.data.partition import join_sources, overlap, seeded_partition
from finetune.data.raw import RawSplit, no_collection
from finetune.data.sources import EMBEDDED, SPLITS, CocoSource, Source
from finetune.data.voc import read_voc
from finetune.data.voc_pairs import pair_folder, pair_set, read_set_file


@dataclass(frozen=True, eq=False)
class Gathered:
    """What the annotation files say, split by split, before pictures are opened; ``notes`` are lines for the user."""

    root: Path
    layout: Layout
    raws: dict[str, RawSplit]
    class_map: ClassMap
    notes: list[str]


@no_collection()
def gather(config: DataConfig, seed: int, findings: Findings) -> Gathered:
    """Find and read the annotations of all splits; with a lenient sink all that can be read, whatever is wrong with the rest.

    Raises:
        DataError: Nothing is found, or what is found cannot be used.
        UsageError: ``include`` or ``rename`` name classes that are not there.
    """
    root, layout = locate(config)
    notes, raws = [f"data: {layout.name} in {root}"], {}
    for name in SPLITS:
        findings.split = name
        if (raw := read_sources(layout.sources.get(name, ()), config, findings, notes, name)) is not None:
            raws[name] = raw
    findings.split = ""
    if raws:
        _separate(raws, config, seed, notes, findings)
    if not raws:
        faults = [finding for finding in findings.rows if finding.kind.severity == "error"]
        raise DataError(fault_line(faults) if faults else f"{root}: no split to read; set data.train, data.val or data.test")
    return Gathered(root, layout, raws, class_map_of(raws, config, findings), notes)


def locate(config: DataConfig) -> tuple[Path, Layout]:
    """The root folder (or file) and the layout in it, explicit settings included."""
    root, images = root_and_images(config)
    explicit = {name: value for name in SPLITS if (value := getattr(config, name)) is not None}
    layout = _found_beside(root, config, images) if explicit else find_layout(root, config.format, images)
    sources = {name: found for name, found in layout.sources.items() if name not in explicit}
    for name, entries in explicit.items():
        if entries:
            sources[name] = tuple(_explicit(root, name, entry, config.format, images) for entry in entries)
    return root, Layout(layout.name, {name: sources[name] for name in SPLITS if name in sources})


def root_and_images(config: DataConfig) -> tuple[Path, Path | None]:
    """The root folder (or file), an embedded set drawn where it is asked for, and the folder of pictures where one is named."""
    if config.root in EMBEDDED and not Path(config.root).exists():
        from finetune.samples import ensure_signs, ensure_words

        root = ensure_signs() if config.root == "signs" else ensure_words()
    else:
        root = expand(config.root)
    images = expand(config.images) if config.images else None
    if images is not None and not is_dir(images):
        if not is_dir(root / images):
            raise DataError(f"data.images: {images} is no folder, neither here nor in {root}; give the folder of the pictures")
        images = root / images
    return root, images


def drop_empty_splits(raws: dict[str, Any], config: DataConfig, findings: Findings) -> None:
    """A split without images is a fault; with a lenient sink it is noted and left out."""
    for name in [name for name, raw in raws.items() if not raw.images]:
        if not findings.lenient:
            raise DataError(f"split {name!r} of {config.root} has no images; {SPLIT_EMPTY.remedy}")
        findings.split = name
        findings.fault(SPLIT_EMPTY, Path(config.root))
        del raws[name]
    findings.split = ""


def _found_beside(root: Path, config: DataConfig, images: Path | None) -> Layout:
    """What else is found where train is given: nothing is no fault then."""
    try:
        layout = find_layout(root, config.format, images)
    except DataError:
        if not is_dir(root) and not is_file(root):
            raise
        return Layout("annotation files as given")
    return Layout(layout.name, {name: source for name, source in layout.sources.items() if not is_file(root)})


def _explicit(root: Path, split: str, entry: str, kind: str, images: Path | None) -> Source:
    source = named_source(root, entry, kind, images)
    if source is None:
        raise DataError(
            f"data.{split}: {entry!r} is neither an annotation file or folder, nor a split of {root} "
            f"(looked for {entry}, annotations/instances_{entry}.json, {entry}/_annotations.coco.json, ImageSets/Main/{entry}.txt)"
        )
    return source


def read_sources(sources: tuple[Source, ...], config: DataConfig, findings: Findings, notes: list[str], name: str, *, need_images: bool = True) -> RawSplit | None:
    """Read what makes up one split; None where there is nothing, or a lenient sink was told that nothing of it can be read."""
    raws = []
    for source in sources:
        raw = _read_source(source, config, findings, notes, name, need_images)
        if raw is not None:
            raws.append(raw)
    return join_sources(raws, findings) if raws else None


def _read_source(source: Source, config: DataConfig, findings: Findings, notes: list[str], name: str, need_images: bool) -> RawSplit | None:
    if isinstance(source, CocoSource):
        return read_coco(source.file, source.image_dirs, findings, need_images=need_images)
    if source.set_file is None:
        return read_voc(pair_folder(source.xml_dir, source.image_dirs, findings, need_images=need_images), findings, one_based=config.one_based)
    try:
        names = read_set_file(source.set_file)
    except DataError as error:
        if not findings.lenient:
            raise
        fault, remedy = fault_and_remedy(error, source.set_file)
        findings.fault(ANNOTATIONS_UNREADABLE, source.set_file, value=fault, remedy=remedy)
        return None
    if name == "test" and config.test is None and names and not any(is_file(source.xml_dir / f"{item}.xml") for item in names):
        notes.append(f"test: {source.set_file} lists {len(names)} pictures without annotations; left out")
        return None
    pairs = pair_set(names, source.set_file, source.xml_dir, source.image_dirs, findings, need_images=need_images)
    return read_voc(pairs, findings, one_based=config.one_based)


def _separate(raws: dict[str, RawSplit], config: DataConfig, seed: int, notes: list[str], findings: Findings) -> None:
    """Make sure that there is a validation split, and that train shares no picture with it."""
    drop_empty_splits(raws, config, findings)
    for name in ("val", "test"):
        if "train" not in raws or name not in raws:
            continue
        shared = overlap(raws["train"].images, raws[name].images)
        if shared and getattr(config, name) is None and config.train is not None:
            notes.append(f"{name}: the one that was found shares {len(shared)} pictures with data.train, so it is not used")
            del raws[name]
        elif shared:
            notes.append(f"warning: {len(shared)} pictures are in train and in {name} (first: {shorten(shared[0])}): {name} scores will look better than they are")
    if "train" in raws and "val" not in raws:
        total = len(raws["train"].images)
        parts = seeded_partition(raws["train"], config.val_fraction, seed)
        if parts is None:
            notes.append(f"val: none found, and train has too few pictures ({total}) to give any away")
        else:
            raws["train"], raws["val"] = parts
            notes.append(f"val: none found, so {len(parts[1].images)} of the {total} training pictures are kept for it (val_fraction {config.val_fraction:g}, seed {seed})")


def class_map_of(raws: dict[str, RawSplit], config: DataConfig, findings: Findings) -> ClassMap:
    """The classes of all splits, after ``include`` and ``rename``."""
    placeholders = set.union(*(raw.placeholders for raw in raws.values())) - {box.name for raw in raws.values() for box in raw.boxes}
    placeholders -= {*config.include, *config.rename}
    for name in sorted(placeholders):
        findings.add(CLASS_PARENT, Path(config.root), value=f"class {name}")
    kept = [{name: number for name, number in raw.categories.items() if name not in placeholders} for raw in raws.values()]
    if not any(kept):
        raise DataError(f"{config.root}: the annotations name no class; list the classes in them")
    class_map = build_class_map(kept, config.include, config.rename)
    if class_map.renumbered:
        findings.add(CLASS_RENUMBERED, Path(config.root))
    return class_map
