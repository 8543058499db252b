"""The one way from data settings to splits of scene text in memory."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from backbones.errors import DataError, UsageError
from finetune.config import DataConfig
from finetune.data.file_listing import is_dir, real_paths
from finetune.data.findings import Findings, fault_line, shorten
from finetune.data.gather import drop_empty_splits, root_and_images
from finetune.data.kinds import SEVERAL_FILES, WORD_UNREADABLE
from finetune.data.overview import finding_lines, without_empty
from finetune.data.partition import overlap, validation_share
from finetune.data.raw import no_collection
from finetune.data.sources import EMBEDDED, SPLITS
from finetune.data.splits import DataSplits
from finetune.data.text.assemble import build_text_split, fingerprint_of_text
from finetune.data.text.checks import check_words
from finetune.data.text.layouts import TextLayout, find_text_layout, named_text_source
from finetune.data.text.raw import RawText
from finetune.data.text.readers import read_text_source
from finetune.data.text.sources import FORMATS, TextSource
from finetune.data.text_preprocess import TextPreprocess
from finetune.data.types import TextSplit

__all__ = ["GatheredText", "gather_text", "load_text_annotations", "load_text_splits", "locate_text"]

@dataclass(frozen=True, eq=False)
class GatheredText:
    """What the annotation files say, split by split, before pictures are opened; ``notes`` are lines for the user."""

    root: Path
    layout: TextLayout
    raws: dict[str, RawText]
    notes: list[str]


@no_collection()
def load_text_splits(config: DataConfig, seed: int = 0, preprocess: TextPreprocess | None = None) -> DataSplits[TextSplit]:
    """Find, read and check the words of train, val and test; the counterpart of ``finetune.data.load_splits``.

    Args:
        config: The data settings.
        seed: Chooses the validation share where the data has no validation split.
        preprocess: How the detector will see the pictures, which decides how small words are; default: the usual canvas and mag ratio.

    Raises:
        DataError: Nothing is found, or what is found cannot be used.
    """
    findings = Findings()
    gathered = gather_text(config, seed, findings)
    notes = gathered.notes
    splits = {name: build_text_split(name, raw, findings) for name, raw in gathered.raws.items()}
    for name, split in splits.items():
        check_words(split, [image.annotation_file for image in gathered.raws[name].images], scales_of(split, preprocess or TextPreprocess(channels=config.channels)), findings)
    if "train" in splits and not config.keep_empty:
        splits["train"] = without_empty(splits["train"], notes, "words")
    notes += describe_text(splits, config.root) + finding_lines(findings, config.root)
    return text_splits_of(splits, notes, name_of(config, gathered.root))


def text_splits_of(splits: Mapping[str, TextSplit], notes: Sequence[str] = (), name: str = "splits") -> DataSplits[TextSplit]:
    """Put splits that are in memory together."""
    return DataSplits(
        train=splits.get("train"), val=splits.get("val"), test=splits.get("test"), class_names=("text",), category_ids=(1,), summary=tuple(notes), class_map=("id 1 -> 0 text",),
        fingerprint=fingerprint_of_text(splits), name=name,
    )  # fmt: skip


@no_collection()
def load_text_annotations(config: DataConfig, split: str = "test", *, need_images: bool = False) -> TextSplit:
    """Read the words of one split exactly as written, to score with: a line that cannot be read is an error here.

    Args:
        config: The data settings.
        split: Which split; an unsplit folder is taken as a whole, whatever is named.
        need_images: Open the pictures; otherwise they may be missing and their sizes are 0.
    """
    root, layout = locate_text(config)
    name = split if set(layout.sources) - {"train"} else "train"
    if name not in layout.sources:
        raise UsageError(f"the data in {config.root} has no split {split!r}; it has {', '.join(layout.sources) or 'none'}")
    findings = Findings()
    raw = _joined(layout.sources[name], root, findings, need_images=need_images)
    if findings.count(WORD_UNREADABLE):
        raise DataError(f"{root}: the truth must be read as it is, but {'; '.join(findings.lines()[:1])}; {WORD_UNREADABLE.remedy}")
    return build_text_split(split, raw, findings, open_images=need_images)


def gather_text(config: DataConfig, seed: int, findings: Findings) -> GatheredText:
    """Find and read the words of all splits; with a lenient sink all that can be read, whatever is wrong with the rest.

    Raises:
        DataError: Nothing is found, or what is found cannot be used.
    """
    root, layout = locate_text(config)
    notes, raws = [f"data: {layout.name} in {root}"], {}
    for name, sources in layout.sources.items():
        findings.split = name
        raws[name] = _joined(sources, root, findings)
    findings.split = ""
    drop_empty_splits(raws, config, findings)
    if not raws:
        faults = [finding for finding in findings.rows if finding.kind.severity == "error"]
        raise DataError(fault_line(faults) if faults else f"{root}: no split to read; set data.train, data.val or data.test")
    _separate(raws, config, seed, notes)
    return GatheredText(root, layout, raws, notes)


def locate_text(config: DataConfig) -> tuple[Path, TextLayout]:
    """The root folder and the layout in it, explicit settings included."""
    root, images = root_and_images(config)
    kind = config.format if config.format in FORMATS else "auto"
    explicit = {name: value for name in SPLITS if (value := getattr(config, name)) is not None}
    try:
        layout = find_text_layout(root, kind, images)
    except DataError:
        if "train" not in explicit or not is_dir(root):
            raise
        layout = TextLayout("annotation folders as given")
    sources = {name: found for name, found in layout.sources.items() if name not in explicit}
    for name, entries in explicit.items():
        if entries:
            sources[name] = tuple(source for entry in entries for source in _explicit(root, name, entry, kind, images))
    if explicit.get("train") and "val" not in explicit and "val" in sources and {*sources["val"]} & {*sources["train"]}:
        del sources["val"]
    return root, TextLayout(layout.name, {name: sources[name] for name in SPLITS if name in sources})


def scales_of(split: TextSplit, preprocess: TextPreprocess) -> NDArray[np.float64]:
    """[N] how many input pixels a pixel of each picture becomes."""
    return np.array([preprocess.ratio((height, width)) for height, width in np.maximum(split.original_hw, 1).tolist()], np.float64)


def name_of(config: DataConfig, root: Path) -> str:
    """The name of a data set, as runs have it."""
    return config.root if config.root in EMBEDDED else root.resolve().parent.name if root.is_file() else root.resolve().name


def describe_text(splits: Mapping[str, TextSplit], root: str = "the data") -> list[str]:
    """One line per split; raise DataError, naming ``root``, when train has nothing to learn from."""
    lines = []
    for name, split in splits.items():
        empty, ignored, chars = int((np.diff(split.offsets) == 0).sum()), int(split.ignore.sum()), len(split.char_quads)
        extra = [f"{ignored} ignored"] * bool(ignored) + [f"{chars} characters"] * bool(chars) + [f"{empty} images without words"] * bool(empty)
        lines.append(f"{name}: {len(split)} images, {len(split.quads)} words" + (f" ({', '.join(extra)})" if extra else ""))
    train = splits.get("train")
    if train is not None and not (~train.ignore).any():
        raise DataError(f"{root}: train has no words that count ({len(train.quads)} in all, {int(train.ignore.sum())} of them ignored); there is nothing to learn")
    return lines


def _explicit(root: Path, split: str, entry: str, kind: str, images: Path | None) -> tuple[TextSource, ...]:
    sources = named_text_source(root, entry, kind, images)
    if not sources:
        raise DataError(f"data.{split}: {entry!r} is no folder of annotation files, no annotation file and no split of {root}; name one in it (globs work: gts/gt_img_1?.txt), or train, val or test")
    return sources


def _joined(sources: Sequence[TextSource], root: Path, findings: Findings, *, need_images: bool = True) -> RawText:
    """Read what makes up one split; ids have the folder of the picture in front where there are several, a picture is there once."""
    parts = [read_text_source(source, findings, need_images=need_images) for source in sources]
    folders = list(dict.fromkeys(image.path.parent for part in parts for image in part.images))
    prefixes = _prefixes(folders, root)
    joined, seen = RawText(), set()
    for part in parts:
        real = real_paths([image.path for image in part.images])
        for image, words, path in zip(part.images, part.words, real, strict=True):
            if path in seen:
                findings.add(SEVERAL_FILES, image.annotation_file, value="(left out here)", remedy="keep one annotation file for each picture", image=image.path)
                continue
            seen.add(path)
            joined.images.append(image._replace(image_id=f"{prefixes[image.path.parent]}{image.image_id}"))
            joined.words.append(words)
    return joined


def _prefixes(folders: Sequence[Path], root: Path) -> dict[Path, str]:
    """What goes before the ids of pictures of several folders: the folder's path below the root, or its shortest end that tells it from the others."""
    if len(folders) < 2:
        return {folder: "" for folder in folders}
    if all(folder.is_relative_to(root) for folder in folders):
        return {folder: "" if folder == root else f"{folder.relative_to(root).as_posix()}/" for folder in folders}
    real = {folder: Path(os.path.abspath(folder)) for folder in folders}  # noqa: PTH100  (links stay links)
    deep = next(n for n in range(1, 200) if len({path.parts[-n:] for path in real.values()}) == len(folders))
    return {folder: "/".join(path.parts[-deep:]) + "/" for folder, path in real.items()}


def _separate(raws: dict[str, RawText], config: DataConfig, seed: int, notes: list[str]) -> None:
    """Make sure that there is a validation split, and that train shares no picture with it."""
    for name in ("val", "test"):
        if "train" in raws and name in raws and (shared := overlap(raws["train"].images, raws[name].images)):
            if getattr(config, name) is None and config.train is not None:
                notes.append(f"{name}: the one that was found shares {len(shared)} pictures with data.train, so it is not used")
                del raws[name]
            else:
                notes.append(f"warning: {len(shared)} pictures are in train and in {name} (first: {shorten(shared[0])}): {name} scores will look better than they are")
    if "train" not in raws or "val" in raws:
        return
    total = len(raws["train"].images)
    share = validation_share(raws["train"].images, config.val_fraction, seed)
    if share is None:
        notes.append(f"val: none found, and train has too few pictures ({total}) to give any away")
        return
    raws["train"], raws["val"] = select_pictures(raws["train"], [not kept for kept in share]), select_pictures(raws["train"], share)
    notes.append(f"val: none found, so {sum(share)} of the {total} training pictures are kept for it (val_fraction {config.val_fraction:g}, seed {seed})")


def select_pictures(raw: RawText, keep: Sequence[bool]) -> RawText:
    """The pictures for which ``keep`` is true."""
    rows = [row for row, kept in enumerate(keep) if kept]
    return RawText([raw.images[row] for row in rows], [raw.words[row] for row in rows])
