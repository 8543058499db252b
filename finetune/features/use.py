"""From settings to training on cached features: can it be done, is there room, are they there already, else make them."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor

from backbones.errors import UsageError
from backbones.freeze import FreezePolicy
from backbones.frozen import FrozenFeatures, can_cut
from backbones.pyramid import FeaturePyramid
from backbones.types import Backbone
from detectors.types import Batch
from finetune.config import DataConfig, RunConfig
from finetune.data.dataset import SampleKey
from finetune.datamodule import DetectionDataModule
from finetune.features.dataset import FeatureDataset
from finetune.features.fingerprint import features_fingerprint
from finetune.features.layout import FeatureFolder, Layout, Stored
from finetune.features.rules import cache_faults
from finetune.features.samples import sample_line
from finetune.features.writer import FeatureWriter
from finetune.read_ahead import progress_bar
from finetune.run_folder import WriteError
from finetune.run_lock import run_lock
from finetune.run_log import RunLog
from finetune.stopping import raise_if_stopped
from finetune.task import DetectionTask

FOLDER = "features"
_SPARE = 64 * 2**20  # bytes that stay free
_MIB = 2**20
_WAIT = 0.5  # seconds between looks at a folder that another process fills


class CannotCacheError(UsageError):
    """Features cannot be cached; ``reason`` says why, and what would help."""

    def __init__(self, reason: str, wanted: str) -> None:
        self.reason = reason
        super().__init__(f"data.feature_cache {wanted}: {reason}; or set it to off")


@dataclass(frozen=True, eq=False)
class Source:
    """Where features come from.

    Args:
        task: Its network is in the mode in which it trains.
        data: Pictures and their views.
        stages: Leading stages that stay frozen.
        device: Where the network runs.
        context: Entered around each forward pass: the precision of the training.
    """

    task: DetectionTask
    data: DetectionDataModule
    stages: int
    device: torch.device
    context: Any = nullcontext

    @torch.no_grad()
    def features(self, images: Tensor) -> FrozenFeatures:
        """Features of images [B, C, H, W] as the data give them."""
        with cast(AbstractContextManager[None], self.context()):
            return self.task.lead(images.to(self.device), self.stages)


def frozen_throughout(policy: FreezePolicy, backbone: Backbone, epochs: int) -> int:
    """How many leading stages of a backbone are frozen in every epoch of a run."""
    starts = policy.starts(backbone, epochs)
    return next((index for index, start in enumerate(starts) if start is not None and start < epochs), len(starts))


def use_features(config: RunConfig, task: DetectionTask, data: DetectionDataModule, root: Path, log: RunLog, device: torch.device, context: Any = nullcontext) -> Layout | None:
    """Let a run train from cached features where its settings ask for it.

    Args:
        config: Settings; ``train.epochs`` is known.
        task: As it will train.
        data: Gives features instead of pictures for training from then on.
        root: Folder of the run.
        log: Where lines go.
        device: Where the network runs.
        context: The precision of the training.

    Returns:
        What was cached; None where nothing is.

    Raises:
        CannotCacheError: It cannot be done, or there is no room; with ``feature_cache`` "auto" a line says so instead.
    """
    wanted = config.data.feature_cache
    if wanted == "off":
        return None
    try:
        stages = _stages(config, task)
        parent = Path(config.data.feature_folder).expanduser() if config.data.feature_folder else root / FOLDER
        layout = cache_features(Source(task, data, stages, device, context), config.data, parent, log, config.train.precision)
    except CannotCacheError as error:
        if wanted != "auto":
            raise
        log.say(f"features are not cached: {error.reason}")
        return None
    return layout


def _stages(config: RunConfig, task: DetectionTask) -> int:
    wanted, backbone = config.data.feature_cache, task.detector.backbone
    faults = cache_faults(asdict(config))
    if faults:
        raise CannotCacheError(faults[0][1], wanted)
    if not isinstance(getattr(task.detector, "pyramid", None), FeaturePyramid):
        raise CannotCacheError(f"the detector {config.detector.name} reads no feature pyramid", wanted)
    stages, count = frozen_throughout(task.policy, backbone, config.train.epochs), len(backbone.stages())
    if stages == 0:
        raise CannotCacheError(f"no stage of the backbone stays frozen to the end (freeze.policy {config.freeze.policy}, freeze.stages {config.freeze.stages}); raise freeze.stages", wanted)
    if not can_cut(backbone, stages):
        raise CannotCacheError(f"{config.backbone.name} runs only as a whole, and {stages} of its {count} stages are frozen; freeze all with freeze.policy backbone", wanted)
    return stages


def cache_features(source: Source, config: DataConfig, parent: Path, log: RunLog, precision: str = "32-true") -> Layout:
    """Make the features of a training split, or find them made, and let its data module give them.

    Args:
        source: Network and pictures.
        config: Data settings.
        parent: Each set of features gets a folder of its own below, called by its fingerprint.
        log: Where lines go.
        precision: Of the training, by name.

    Raises:
        CannotCacheError: No room, or features that change from one pass to the next.
        WriteError: The disk cannot be written.
    """
    split = source.data.splits.get("train")
    stored: Stored = "float16" if config.feature_cache == "float16" else "float32"
    detector = source.task.detector
    fingerprint = features_fingerprint(
        detector.backbone, source.stages, detector.pyramid.neck.read_maps(), config, source.data.preprocess.to_dict(), source.data.fingerprint, split.paths, (precision, stored)
    )
    views = config.views if config.augment != "none" and config.views else 1
    source.task.to(source.device)
    layout = Layout.of(_checked(source, config.feature_cache), fingerprint, len(split), views, stored)
    folder = FeatureFolder(parent / fingerprint)
    log.say(f"features: {_what(source, layout)} in {folder.root}")
    with _alone(folder, layout, log):
        if folder.is_complete(layout):
            log.say("features: they are there already; no picture is read for training")
        else:
            _check_room(folder, layout, config.feature_cache)
            _make(source, folder, layout, log)
    source.data.read_features(FeatureDataset(folder, split))
    return layout


def _what(source: Source, layout: Layout) -> str:
    count = len(source.task.detector.backbone.stages())
    frozen = "the whole backbone" if source.stages == count else f"the first {source.stages} of {count} stages"
    views = f" in {layout.views} fixed views" if layout.views > 1 else " in one fixed view" if source.data.config.views else ""
    return f"{frozen} runs once over {layout.images:,} pictures{views}, {layout.size / _MIB:,.0f} MiB as {layout.stored} ({layout.row_bytes / 1024:,.0f} KiB a view)"


def _checked(source: Source, wanted: str) -> FrozenFeatures:
    """Features of the first two pictures, after a look whether a second pass, over one of them alone, gives the same."""
    samples = [source.data.training_samples()[SampleKey(0, 0, index)] for index in range(min(2, len(source.data.splits.get("train"))))]
    images = torch.stack([image for image, _, _ in samples])
    both, alone = source.features(images), source.features(images[:1])
    if any(not _equal(first[:1], second) for first, second in zip((*both.maps, both.value), (*alone.maps, alone.value), strict=True) if first is not None and second is not None):
        raise CannotCacheError("the frozen stages give other features for the same picture in the next batch (dropout, or norms that look at the batch)", wanted)
    return both


def _equal(first: Tensor, second: Tensor) -> bool:
    tolerance = 1e-3 if first.dtype == torch.float32 else 3e-2
    return not first.numel() or float((first - second).abs().max()) <= tolerance * max(1e-6, float(first.abs().max()))


@contextmanager
def _alone(folder: FeatureFolder, layout: Layout, log: RunLog) -> Iterator[None]:
    """Only one process makes the features of a folder; the others wait until they are there."""
    told = False
    try:
        folder.root.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise WriteError(folder.root, error) from error
    while not folder.is_complete(layout):
        with ExitStack() as stack:
            try:
                stack.enter_context(run_lock(folder.root))
            except UsageError:
                if not told:
                    log.say("features: another process makes them; waiting for it")
                told = True
                raise_if_stopped()
                time.sleep(_WAIT)
                continue
            yield
            return
    yield


def _check_room(folder: FeatureFolder, layout: Layout, wanted: str) -> None:
    existing = sum(path.stat().st_size for path in folder.root.iterdir() if path.is_file())
    free = shutil.disk_usage(folder.root).free + existing
    if free < layout.size + _SPARE:
        smaller = "" if layout.stored == "float16" else "data.feature_cache float16 (half as much), "
        there = f"the features take {layout.size / _MIB:,.0f} MiB in {folder.root.parent}, but only {free / _MIB:,.0f} MiB are free"
        raise CannotCacheError(f"{there}: take {smaller}fewer data.views, or another data.feature_folder", wanted)


def _make(source: Source, folder: FeatureFolder, layout: Layout, log: RunLog) -> None:
    started = time.perf_counter()
    keys = [SampleKey(view, 0, image) for view in range(layout.views) for image in range(layout.images)]
    with FeatureWriter(folder, layout) as writer, progress_bar() as bar:
        begun = writer.rows
        if begun:
            log.say(f"features: {begun:,} of {layout.rows:,} views were made before an interruption; going on")
        line = bar.add_task("features", total=layout.rows, completed=begun)
        try:
            for batch in source.data.view_loader(keys[begun:]):
                writer.write(source.features(batch.images), _lines(batch))
                bar.advance(line, len(batch.metas))
                raise_if_stopped()
        except BaseException:
            writer.sync()
            raise
        writer.finish()
    seconds = time.perf_counter() - started
    log.say(f"features: made in {seconds:.1f} s, {(layout.rows - begun) / max(seconds, 1e-9):,.0f} views a second")


def _lines(batch: Batch) -> list[str]:
    return [sample_line(target, meta) for target, meta in zip(batch.targets, batch.metas, strict=True)]


def remove_features(config: RunConfig, root: Path) -> None:
    """Take away the features that a finished run kept in its own folder."""
    if config.data.feature_cache != "off" and config.data.feature_folder is None:
        shutil.rmtree(root / FOLDER, ignore_errors=True)

