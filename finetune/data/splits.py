"""The one way from data settings to splits in memory."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, Literal, TypeVar, overload

from backbones.errors import DataError, UsageError
from finetune.config import DataConfig
from finetune.data.assemble import build_split, fingerprint_of
from finetune.data.box_checks import check_boxes
from finetune.data.classes import ClassMap
from finetune.data.findings import Findings
from finetune.data.gather import Gathered, class_map_of, gather, locate, read_sources
from finetune.data.overview import describe, finding_lines, without_empty
from finetune.data.raw import no_collection
from finetune.data.sources import SPLITS
from finetune.data.types import BoxSplit, TextSplit

if TYPE_CHECKING:
    from finetune.data.text_preprocess import TextPreprocess  # with torch

SplitT = TypeVar("SplitT", BoxSplit, TextSplit)

__all__ = ["DataSplits", "Gathered", "gather", "load_annotations", "load_splits", "locate", "splits_of"]


@dataclass(frozen=True, eq=False)
class DataSplits(Generic[SplitT]):
    """All that was found: splits of boxes or of words (None where there is none), classes, and what the user should read about them."""

    train: SplitT | None
    val: SplitT | None
    test: SplitT | None
    class_names: tuple[str, ...]
    category_ids: tuple[int, ...]
    summary: tuple[str, ...]
    class_map: tuple[str, ...]  # lines: id -> label name
    fingerprint: str
    name: str

    def get(self, split: str) -> SplitT:
        """The split called train, val or test; raise UsageError saying what there is."""
        found: dict[str, SplitT | None] = {name: getattr(self, name) for name in SPLITS}
        if found.get(split) is None:
            raise UsageError(f"the data ({self.name}) has no split {split!r}; it has {', '.join(name for name, value in found.items() if value is not None)}")
        return found[split]  # type: ignore[return-value]


@overload
def load_splits(config: DataConfig, seed: int = 0, *, wants: Literal["boxes"], preprocess: TextPreprocess | None = None) -> DataSplits[BoxSplit]: ...
@overload
def load_splits(config: DataConfig, seed: int = 0, *, wants: Literal["text"], preprocess: TextPreprocess | None = None) -> DataSplits[TextSplit]: ...
@overload
def load_splits(config: DataConfig, seed: int = 0, *, wants: Literal["boxes", "text"] | None = None, preprocess: TextPreprocess | None = None) -> DataSplits[Any]: ...
def load_splits(config: DataConfig, seed: int = 0, *, wants: Literal["boxes", "text"] | None = None, preprocess: TextPreprocess | None = None) -> DataSplits[Any]:
    """Find, read and check train, val and test.

    Every picture's header is read, so that a missing or truncated picture stops a run before it starts.

    Args:
        config: The data settings.
        seed: Chooses the validation share where the data has no validation split.
        wants: "boxes" for a detector of boxes (words become boxes of the class "text", ignored ones difficult), "text" for one of
            text (data without words is refused), None for what the data has.
        preprocess: How a detector of text will see the pictures: words too small for it are counted. Default: at the usual canvas and mag ratio.

    Raises:
        DataError: Nothing is found, or what is found cannot be used.
        UsageError: ``include`` or ``rename`` name classes that are not there.
    """
    from finetune.data.text.boxes import boxes_of_splits  # text data builds on this file
    from finetune.data.text.kind import data_kind, load_words

    seed = seed if config.split_seed is None else config.split_seed
    if wants == "text" or data_kind(config) == "text":
        splits = load_words(config, seed, preprocess)
        return boxes_of_splits(splits, config) if wants == "boxes" else splits
    return _load_box_splits(config, seed)


@no_collection()
def _load_box_splits(config: DataConfig, seed: int) -> DataSplits[BoxSplit]:
    findings = Findings()
    gathered = gather(config, seed, findings)
    root, raws, class_map, notes = gathered.root, gathered.raws, gathered.class_map, gathered.notes
    splits = {name: build_split(name, raw, class_map, findings) for name, raw in raws.items()}
    for name, split in splits.items():
        check_boxes(split, raws[name].images, config.input_size, config.resize, findings)
    if "train" in splits and not config.keep_empty:
        splits["train"] = without_empty(splits["train"], notes)
    notes += describe(splits, config.root) + finding_lines(findings, config.root)
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


def splits_of(train: BoxSplit | None = None, val: BoxSplit | None = None, test: BoxSplit | None = None, name: str = "splits") -> DataSplits[BoxSplit]:
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


@overload
def load_annotations(config: DataConfig, split: str = "val", *, need_images: bool = False, as_written: bool = True, wants: Literal["boxes"]) -> BoxSplit: ...
@overload
def load_annotations(config: DataConfig, split: str = "val", *, need_images: bool = False, as_written: bool = True, wants: Literal["text"]) -> TextSplit: ...
@overload
def load_annotations(config: DataConfig, split: str = "val", *, need_images: bool = False, as_written: bool = True, wants: Literal["boxes", "text"] | None = None) -> Any: ...
@no_collection()
def load_annotations(config: DataConfig, split: str = "val", *, need_images: bool = False, as_written: bool = True, wants: Literal["boxes", "text"] | None = None) -> Any:
    """Read ground truth to score a file of predictions with: one annotation file or unsplit folder as a whole, else one split.

    Args:
        config: The data settings.
        split: Which split, where the data has several.
        need_images: Open the pictures; otherwise sizes are what the annotations declare.
        as_written: Keep boxes exactly as written: not clipped, degenerate ones kept, as pycocotools and the devkit do.
        wants: As in ``load_splits``.
    """
    from finetune.data.text.boxes import boxes_of_split
    from finetune.data.text.kind import data_kind
    from finetune.data.text.splits import load_text_annotations

    if wants == "text" or data_kind(config) == "text":
        words = load_text_annotations(config, split, need_images=need_images)
        return boxes_of_split(words) if wants == "boxes" else words
    _, layout = locate(config)
    name = split if set(layout.sources) - {"train"} else "train"
    if name not in layout.sources:
        raise UsageError(f"the data in {config.root} has no split {split!r}; it has {', '.join(layout.sources) or 'none'}")
    findings = Findings()
    raw = read_sources(layout.sources[name], config, findings, [], name, need_images=need_images)
    if raw is None:
        raise DataError(f"split {name!r} of {config.root} has no annotations")
    return build_split(name, raw, class_map_of({name: raw}, config, findings), findings, open_images=need_images, as_written=as_written)
