"""Training samples from several sources in given shares: labelled words, drawn words, a teacher's maps, pictures without text."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset
from torch.utils.data.distributed import DistributedSampler

from backbones.errors import DataError, UsageError
from detectors.types import ImageMeta, TextTarget
from finetune.config import DataConfig
from finetune.data.dataset import SampleKey
from finetune.data.file_listing import expand
from finetune.data.held_out import HeldOut
from finetune.data.images import check_images
from finetune.data.mix_names import BLANK, WORDS, split_name
from finetune.data.teacher_store import TeacherStore
from finetune.data.text.assemble import fingerprint_of_text
from finetune.data.text.dataset import TextDataset
from finetune.data.text.drawn_words import DrawnWords
from finetune.data.text.kind import load_words
from finetune.data.text.taught import TaughtDataset
from finetune.data.text_preprocess import TextPreprocess
from finetune.data.types import TextSplit
from finetune.pictures import find_pictures


@dataclass(frozen=True, eq=False)
class Source:
    """One source of training samples.

    Args:
        name: As in ``data.mix``.
        share: Of all samples.
        samples: Takes SampleKeys.
        rows: [count] which of its samples may be trained on.
        note: For the user.
        fingerprint: Equal for equal pictures and targets; empty for the training split, which the data have one of.
    """

    name: str
    share: float
    samples: Dataset[Any]
    rows: NDArray[np.int64]
    note: str
    fingerprint: str


class MixedDataset(Dataset[tuple[Tensor, TextTarget, ImageMeta]]):
    """The samples of all sources one after the other.

    Args:
        sources: At least one.
    """

    def __init__(self, sources: Sequence[Source]) -> None:
        self.sources = list(sources)
        self._starts = np.cumsum([0, *(len(source.rows) for source in sources)])

    def __len__(self) -> int:
        return int(self._starts[-1])

    def __getitem__(self, key: SampleKey) -> tuple[Tensor, TextTarget, ImageMeta]:
        place = int(np.searchsorted(self._starts, key.image, side="right")) - 1
        source = self.sources[place]
        sample: tuple[Tensor, TextTarget, ImageMeta] = source.samples[key._replace(image=int(source.rows[key.image - self._starts[place]]))]
        return sample


class MixedSampler(DistributedSampler[SampleKey]):
    """So many samples of each source an epoch, in an order that (seed, epoch) decide.

    A source goes on in the next epoch where it stopped in the last, so its samples are seen equally often, whatever its share.

    Args:
        counts: Samples that each source has.
        shares: Of all samples, 1 in all.
        total: Samples of an epoch, of all processes.
        seed: Together with the epoch it decides the order.
        rank: This process.
        world: Number of processes.
    """

    def __init__(self, counts: Sequence[int], shares: Sequence[float], total: int, seed: int = 0, rank: int = 0, world: int = 1) -> None:
        super().__init__(range(total), num_replicas=world, rank=rank, shuffle=True, seed=seed)  # type: ignore[arg-type]
        self._counts = list(counts)
        self._parts = share_out(shares, total)

    def __iter__(self) -> Iterator[SampleKey]:
        starts = np.cumsum([0, *self._counts])
        chosen = [start + self._walk(place, count, part) for place, (start, count, part) in enumerate(zip(starts.tolist(), self._counts, self._parts, strict=False))]
        order = np.random.default_rng((self.seed, self.epoch)).permutation(np.concatenate(chosen))
        padded = np.resize(order, self.total_size)  # repeats from the start
        return iter([SampleKey(self.epoch, self.rank, int(index)) for index in padded[self.rank :: self.num_replicas]])

    def _walk(self, place: int, count: int, part: int) -> NDArray[np.int64]:
        """``part`` samples of one source: those that come next in an endless row of permutations."""
        first = self.epoch * part
        rounds = range(first // count, (first + part - 1) // count + 1) if part else range(0)
        rows = [np.random.default_rng((self.seed, place, one)).permutation(count) for one in rounds]
        begin = first - (first // count) * count
        return np.concatenate(rows)[begin : begin + part] if rows else np.zeros(0, np.int64)


def share_out(shares: Sequence[float], total: int) -> list[int]:
    """``total`` as whole numbers in the given shares; the largest remainders get what is left."""
    exact = np.array(shares) / math.fsum(shares) * total
    parts = np.floor(exact + 1e-9).astype(np.int64)
    for place in np.argsort(parts - exact, kind="stable")[: total - int(parts.sum())].tolist():
        parts[place] += 1
    return [int(part) for part in parts]


def build_sources(config: DataConfig, train: TextSplit | None, held_out: Sequence[Path], preprocess: TextPreprocess, seed: int) -> list[Source]:
    """The sources that ``data.mix`` names, and the training split of the data for the share that is left.

    Args:
        config: The data settings.
        train: Training split of ``data.root``.
        held_out: Pictures of its validation and test splits: no source may teach with them.
        preprocess: How evaluation sees a picture.
        seed: Decides augmentation.

    Raises:
        UsageError: Shares of more than 1 in all, or a source that is neither known nor there.
        DataError: A source cannot be used.
    """
    rest = 1 - math.fsum(config.mix.values())
    if rest < -1e-9 or any(share <= 0 for share in config.mix.values()):
        raise UsageError(f"data.mix {config.mix}: shares are greater than 0 and at most 1 in all; what is left to 1 is the training split of data.root")
    maker = _Maker(config, preprocess, HeldOut(held_out), seed)
    sources = [maker.source(name, share, seed + 7919 * place) for place, (name, share) in enumerate(config.mix.items(), start=1)]
    if rest <= 1e-9:
        return sources
    if train is None:
        raise DataError(f"{config.root} has no training split for the {rest:.0%} that data.mix leaves to it; give the sources shares of 1 in all")
    own = TextDataset(train, preprocess, config.augment, seed, maker.crop_hw)
    return [Source(config.root, rest, own, np.arange(len(own)), f"{len(own)} images of the training split", ""), *sources]


def source_lines(sources: Sequence[Source], total: int) -> list[str]:
    """What an epoch is made of, for the user."""
    parts = share_out([source.share for source in sources], total)
    return [f"mix: {total} samples an epoch", *(f"  {part} of {source.name}: {source.note}" for part, source in zip(parts, sources, strict=True))]


class _Maker:
    """Makes the sources of one ``data.mix``."""

    def __init__(self, config: DataConfig, preprocess: TextPreprocess, held_out: HeldOut, seed: int) -> None:
        self.config, self.preprocess, self.held_out, self.seed = config, preprocess, held_out, seed
        self.crop_hw = (config.input_size[0], config.input_size[1])

    def source(self, name: str, share: float, seed: int) -> Source:
        """One entry of ``data.mix``."""
        kind, where = split_name(name)
        if kind == WORDS:
            drawn = DrawnWords(self.crop_hw, seed, where or None, self.config.channels, self.held_out)
            note = "drawn while training runs" + (f", on {len(drawn.photographs)} photographs of {where}{_left_out(drawn.left_out)}" if where else "")
            return Source(name, share, drawn, np.arange(len(drawn)), note, _hash([path.name for path in drawn.photographs]))
        if kind == BLANK:
            return self._labelled(name, share, seed, self._without_text(where), "images, taken to have no text")
        folder = expand(name)
        if TeacherStore.is_one(folder):
            store = TeacherStore.open(folder)
            taught = TaughtDataset(store, self.preprocess, self.config.augment, seed, self.crop_hw)
            rows, note = self._allowed(name, taught.paths, f"images marked by {store.facts.teacher}")
            return Source(name, share, taught, rows, note, _hash([store.facts.fingerprint, *(path.name for path in taught.paths)]))
        if not folder.exists():
            raise UsageError(f"data.mix: {name!r} is no folder; there are: a folder made by finetune distill, a data set of words, blank:FOLDER (pictures without text), words (drawn), words:FOLDER")
        split = load_words(DataConfig(root=name, channels=self.config.channels, val=()), self.seed).get("train")
        return self._labelled(name, share, seed, split, f"images with {len(split.quads)} words")

    def _labelled(self, name: str, share: float, seed: int, split: TextSplit, what: str) -> Source:
        rows, note = self._allowed(name, split.paths, what)
        return Source(name, share, self._crops(split, seed), rows, note, fingerprint_of_text({"train": split}))

    def _crops(self, split: TextSplit, seed: int) -> TextDataset:
        return TextDataset(split, self.preprocess, self.config.augment, seed, self.crop_hw)

    def _without_text(self, where: str) -> TextSplit:
        paths = find_pictures([where])
        sizes = np.array([header.upright_hw for header in check_images(paths)], np.int32)
        return TextSplit(
            BLANK, tuple(f"{BLANK}/{path.name}" for path in paths), tuple(paths), sizes, np.zeros(len(paths) + 1, np.int64), np.zeros((0, 4, 2)), np.zeros(0, np.bool_),
            (), (), np.zeros(1, np.int64), np.zeros((0, 2)), np.zeros(1, np.int64), np.zeros((0, 4, 2)),
        )  # fmt: skip

    def _allowed(self, name: str, paths: Sequence[Path], what: str) -> tuple[NDArray[np.int64], str]:
        """Which pictures may be trained on, and a note."""
        rows = np.flatnonzero(self.held_out.allow(paths))
        if not len(rows):
            raise DataError(f"data.mix: all pictures of {name} are in the validation or test split of {self.config.root}; take it out, or name others")
        return rows, f"{len(rows)} {what}{_left_out(len(paths) - len(rows))}"


def _left_out(number: int) -> str:
    return f" ({number} more are in val or test: left out)" if number else ""


def _hash(facts: Sequence[str]) -> str:
    return hashlib.sha256(repr(list(facts)).encode("utf-8", "surrogatepass")).hexdigest()[:16]
