"""The one way from data settings to splits in memory."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from backbones.errors import DataError, UsageError
from finetune.config import DataConfig
from finetune.data.assemble import build_split, fingerprint_of
from finetune.data.box_checks import check_boxes
from finetune.data.classes import ClassMap, build_class_map
from finetune.data.coco import read_coco
from finetune.data.findings import Findings
from finetune.data.kinds import CLASS_PARENT, CLASS_RENUMBERED, SPLIT_EMPTY
from finetune.data.layouts import Layout, find_layout, named_source
from finetune.data.overview import describe, finding_lines, without_empty
from finetune.data.partition import join_sources, overlap, seeded_partition
from finetune.data.raw import RawSplit
from finetune.data.sources import SPLITS, CocoSource, Source
from finetune.data.types import BoxSplit
from finetune.data.voc import pair_folder, pair_set, read_set_file, read_voc


@dataclass(frozen=True, eq=False)
class DataSplits:
    """All that was found: splits (None where there is none), classes, and what the user should read about them."""

    train: BoxSplit | None
    val: BoxSplit | None
    test: BoxSplit | None
    class_names: tuple[str, ...]
    category_ids: tuple[int, ...]
    summary: tuple[str, ...]
    class_map: tuple[str, ...]  # lines: id -> label name
    fingerprint: str
    name: str

    def get(self, split: str) -> BoxSplit:
        """The split called train, val or test; raise UsageError saying what there is."""
        found = {name: getattr(self, name) for name in SPLITS}
        if found.get(split) is None:
            raise UsageError(f"the data has no split {split!r}; it has {', '.join(name for name, value in found.items() if value is not None)}")
        return found[split]


@dataclass(frozen=True, eq=False)
class Gathered:
    """What the annotation files say, split by split, before pictures are opened; ``notes`` are lines for the user."""

    root: Path
    layout: Layout
    raws: dict[str, RawSplit]
    class_map: ClassMap
    notes: list[str]


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
        if (raw := _read(layout.sources.get(name, ()), config, findings, notes, name)) is not None:
            raws[name] = raw
    findings.split = ""
    if not raws:
        raise DataError(f"{root}: no split to read; set data.train, data.val or data.test")
    _separate(raws, config, seed, notes, findings)
    return Gathered(root, layout, raws, _class_map(raws, config, findings), notes)


def load_splits(config: DataConfig, seed: int = 0) -> DataSplits:
    """Find, read and check train, val and test.

    Every picture's header is read, so that a missing or truncated picture stops a run before it starts.

    Args:
        config: The data settings.
        seed: Chooses the validation share where the data has no validation split.

    Raises:
        DataError: Nothing is found, or what is found cannot be used.
        UsageError: ``include`` or ``rename`` name classes that are not there.
    """
    findings = Findings()
    gathered = gather(config, seed, findings)
    root, raws, class_map, notes = gathered.root, gathered.raws, gathered.class_map, gathered.notes
    splits = {name: build_split(name, raw, class_map, findings) for name, raw in raws.items()}
    for name, split in splits.items():
        check_boxes(split, raws[name].images, config.input_size, config.resize, findings)
    if "train" in splits and not config.keep_empty:
        splits["train"] = without_empty(splits["train"], notes)
    notes += describe(splits) + finding_lines(findings, config.root)
    return DataSplits(
        train=splits.get("train"),
        val=splits.get("val"),
        test=splits.get("test"),
        class_names=class_map.class_names,
        category_ids=class_map.category_ids,
        summary=tuple(notes),
        class_map=tuple(class_map.lines()),
        fingerprint=fingerprint_of(splits),
        name="signs" if config.root == "signs" else root.stem if root.is_file() else root.resolve().name,
    )


def splits_of(train: BoxSplit | None = None, val: BoxSplit | None = None, test: BoxSplit | None = None, name: str = "splits") -> DataSplits:
    """Put splits that are in memory together; raise UsageError when their classes differ or there is none."""
    given = {key: split for key, split in (("train", train), ("val", val), ("test", test)) if split is not None}
    if not given:
        raise UsageError("no split is given; give at least one of train, val and test")
    first = next(iter(given.values()))
    for key, split in given.items():
        if split.class_names != first.class_names:
            raise UsageError(f"the classes of {key} ({', '.join(split.class_names)}) are not those of the other splits ({', '.join(first.class_names)})")
    label_of = {class_name: label for label, class_name in enumerate(first.class_names)}
    class_map = ClassMap(first.class_names, first.category_ids, label_of)
    return DataSplits(train, val, test, first.class_names, first.category_ids, tuple(describe(given)), tuple(class_map.lines()), fingerprint_of(given), name)


def load_annotations(config: DataConfig, split: str = "val", *, need_images: bool = False, as_written: bool = True) -> BoxSplit:
    """Read ground truth to score a file of predictions with: one annotation file or unsplit folder as a whole, else one split.

    Args:
        config: The data settings.
        split: Which split, where the data has several.
        need_images: Open the pictures; otherwise sizes are what the annotations declare.
        as_written: Keep boxes exactly as written: not clipped, degenerate ones kept, as pycocotools and the devkit do.
    """
    _, layout = locate(config)
    name = split if set(layout.sources) - {"train"} else "train"
    if name not in layout.sources:
        raise UsageError(f"the data has no split {split!r}; it has {', '.join(layout.sources)}")
    findings = Findings()
    raw = _read(layout.sources[name], config, findings, [], name, need_images=need_images)
    if raw is None:
        raise DataError(f"split {name!r} of {config.root} has no annotations")
    return build_split(name, raw, _class_map({name: raw}, config, findings), findings, open_images=need_images, as_written=as_written)


def locate(config: DataConfig) -> tuple[Path, Layout]:
    """The root folder (or file) and the layout in it, explicit settings included."""
    images = Path(config.images).expanduser() if config.images else None
    if config.root == "signs" and not Path("signs").exists():
        from finetune.samples import ensure_signs

        root = Path(ensure_signs())
    else:
        root = Path(config.root).expanduser()
    if images is not None and not images.is_dir():
        images = root / images if (root / images).is_dir() else images
        if not images.is_dir():
            raise DataError(f"data.images: {images} is no folder")
    explicit = {name: value for name in SPLITS if (value := getattr(config, name)) is not None}
    layout = _found_beside(root, config, images) if explicit else find_layout(root, config.format, images)
    sources = {name: found for name, found in layout.sources.items() if name not in explicit}
    for name, entries in explicit.items():
        if entries:
            sources[name] = tuple(_explicit(root, name, entry, config.format, images) for entry in entries)
    return root, Layout(layout.name, {name: sources[name] for name in SPLITS if name in sources})


def _found_beside(root: Path, config: DataConfig, images: Path | None) -> Layout:
    """What else is found where train is given: nothing is no fault then."""
    try:
        layout = find_layout(root, config.format, images)
    except DataError:
        if not root.exists():
            raise
        return Layout("annotation files as given")
    return Layout(layout.name, {name: source for name, source in layout.sources.items() if not root.is_file()})


def _explicit(root: Path, split: str, entry: str, kind: str, images: Path | None) -> Source:
    source = named_source(root, entry, kind, images)
    if source is None:
        raise DataError(
            f"data.{split}: {entry!r} is neither an annotation file or folder, nor a split of {root} "
            f"(looked for {entry}, annotations/instances_{entry}.json, {entry}/_annotations.coco.json, ImageSets/Main/{entry}.txt)"
        )
    return source


def _read(sources: tuple[Source, ...], config: DataConfig, findings: Findings, notes: list[str], name: str, *, need_images: bool = True) -> RawSplit | None:
    raws = []
    for source in sources:
        if isinstance(source, CocoSource):
            if (raw := read_coco(source.file, source.image_dirs, findings, need_images=need_images)) is not None:
                raws.append(raw)
        elif source.set_file is None:
            raws.append(read_voc(pair_folder(source.xml_dir, source.image_dirs, findings, need_images=need_images), findings, one_based=config.one_based))
        else:
            names = read_set_file(source.set_file)
            if name == "test" and config.test is None and names and not any((source.xml_dir / f"{item}.xml").is_file() for item in names):
                notes.append(f"test: {source.set_file} lists {len(names)} pictures without annotations; left out")
                continue
            raws.append(read_voc(pair_set(names, source.set_file, source.xml_dir, source.image_dirs, need_images=need_images), findings, one_based=config.one_based))
    return join_sources(raws, findings) if raws else None


def _separate(raws: dict[str, RawSplit], config: DataConfig, seed: int, notes: list[str], findings: Findings) -> None:
    """Make sure that there is a validation split, and that train shares no picture with it."""
    for name in [name for name, raw in raws.items() if not raw.images]:
        if not findings.lenient:
            raise DataError(f"split {name!r} of {config.root} has no images")
        findings.split = name
        findings.fault(SPLIT_EMPTY, Path(config.root))
        del raws[name]
    findings.split = ""
    for name in ("val", "test"):
        if "train" not in raws or name not in raws:
            continue
        shared = overlap(raws["train"], raws[name])
        if shared and getattr(config, name) is None and config.train is not None:
            notes.append(f"{name}: the one that was found shares {len(shared)} pictures with data.train, so it is not used")
            del raws[name]
        elif shared:
            notes.append(f"warning: {len(shared)} pictures are in train and in {name} (first: {shared[0]}): {name} scores will look better than they are")
    if "train" in raws and "val" not in raws:
        total = len(raws["train"].images)
        parts = seeded_partition(raws["train"], config.val_fraction, seed)
        if parts is None:
            notes.append(f"val: none found, and train has too few pictures ({total}) to give any away")
        else:
            raws["train"], raws["val"] = parts
            notes.append(f"val: none found, so {len(parts[1].images)} of the {total} training pictures are kept for it (val_fraction {config.val_fraction:g}, seed {seed})")


def _class_map(raws: dict[str, RawSplit], config: DataConfig, findings: Findings) -> ClassMap:
    placeholders = set.union(*(raw.placeholders for raw in raws.values())) - {box.name for raw in raws.values() for box in raw.boxes}
    placeholders -= {*config.include, *config.rename}
    for name in sorted(placeholders):
        findings.add(CLASS_PARENT, Path(config.root), value=f"class {name}")
    kept = [{name: number for name, number in raw.categories.items() if name not in placeholders} for raw in raws.values()]
    if not any(kept):
        raise DataError(f"{config.root}: the annotations name no class")
    class_map = build_class_map(kept, config.include, config.rename)
    if class_map.renumbered:
        findings.add(CLASS_RENUMBERED, Path(config.root))
    return class_map
