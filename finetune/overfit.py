"""A test of the set-up: can the network learn a few training images by heart? Settings, data and verdict; its figures say nothing else."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from backbones.errors import DataError
from finetune.config import DataConfig, RunConfig
from finetune.data.first_images import take_images
from finetune.data.text.windows import fixed_windows
from finetune.data.text_preprocess import TextPreprocess
from finetune.data.types import TextSplit

if TYPE_CHECKING:
    from finetune.data.preprocess import Affine
    from finetune.data.splits import DataSplits

PASSED, FAILED = "overfit: passed", "overfit: NOT passed"  # how the verdict begins
GOAL = 0.95  # what a sound set-up passes
_STEPS, _EPOCHS = 480, 24
_SHEETS = 6  # epochs between sheets of pictures
_FIGURES = {"coco": "AP50", "voc2007-11pt": "mAP", "voc2012-area": "mAP"}
_SHOWN = {"hmean": "Hmean"}
_MOVED = 0.97  # share of its first value below which a loss has fallen at all


class FewImages(NamedTuple):
    """The data of the test, and for words the affine of the crop of each training and validation image."""

    splits: DataSplits[Any]
    train_windows: tuple[Affine, ...] = ()
    val_windows: tuple[Affine, ...] = ()


def with_overfit(config: RunConfig) -> RunConfig:
    """The settings of the test where ``data.overfit`` asks for it: no augmentation, and a budget of steps that suits so few images."""
    if not config.data.overfit:
        return config
    data = replace(config.data, augment="none", mosaic=0.0, mixup=0.0, copy_paste=0.0, batch_size=min(config.data.batch_size, config.data.overfit))
    every = _SHEETS if config.train.pictures_every < 0 else config.train.pictures_every
    train = replace(config.train, epochs=_EPOCHS, evaluate_every=1, early_stop=0, accumulate=1, pictures_every=every)
    return replace(config, data=data, freeze=replace(config.freeze, thaw=()), train=train)


def few_images(splits: DataSplits[Any], config: DataConfig, preprocess: Any) -> FewImages:
    """The first training images as training and as validation split; the training split repeats them, so that an epoch is worth its evaluation.

    Args:
        splits: All data.
        config: Data settings, ``overfit`` above 0.
        preprocess: How pictures become inputs.

    Raises:
        DataError: These images hold nothing to learn.
    """
    train = splits.get("train")
    count = min(config.overfit, len(train))
    val = take_images(train, range(count), "val")
    windows: tuple[Affine, ...] = ()
    if isinstance(val, TextSplit) and isinstance(preprocess, TextPreprocess):
        val, windows = fixed_windows(val, preprocess, config.input_size)
    if not (~val.ignore).any():
        what = f"no word that counts and is whole in a crop of {config.input_size[0]}x{config.input_size[1]}" if windows else "no object that counts"
        raise DataError(f"the first {count} training images hold {what}: take more (--overfit {2 * count})" + (", or larger crops (--data.input_size)" if windows else ""))
    times = math.ceil(_STEPS / _EPOCHS * min(config.batch_size, count) / count)
    order = np.tile(np.arange(count), times).tolist()
    counted = int((~val.ignore).sum())
    crops = f", as fixed crops of {config.input_size[0]}x{config.input_size[1]}; all other words are painted over" if windows else ""
    line = f"overfit: {count} training images with {counted} {'words' if windows else 'objects'} that count train and validate{crops}"
    short = (f"overfit: there are only {count} training images",) if count < config.overfit else ()
    few = replace(splits, train=take_images(val, order, "train"), val=val, test=None, summary=(*splits.summary, *short, line))
    return FewImages(few, tuple(windows[index] for index in order) if windows else (), windows)


def opening_lines(config: RunConfig) -> list[str]:
    """What a user is told before the test."""
    if not config.data.overfit:
        return []
    return [
        "overfit: this is a test of the set-up, not a training: the network learns these images by heart, without augmentation, and is scored on the same ones.",
        f"overfit: a sound set-up passes {_shown(config)} {GOAL:g}; the figures mean nothing else, and the weights are of no use",
    ]


def figure_name(config: RunConfig) -> str:
    """The figure that the test looks at."""
    return _FIGURES.get(config.evaluate.protocols[0], "hmean")


def _shown(config: RunConfig) -> str:
    name = figure_name(config)
    return _SHOWN.get(name, name)


def best_figure(config: RunConfig, rows: Sequence[Mapping[str, float | None]]) -> float | None:
    """The best of the evaluations, None where there is none."""
    name = f"val/{config.evaluate.protocols[0]}/{figure_name(config)}"
    return max((value for row in rows if (value := row.get(name)) is not None), default=None)


def verdict_lines(config: RunConfig, rows: Sequence[Mapping[str, float | None]], diagnosis: Sequence[str] = ()) -> list[str]:
    """Whether the set-up passed, and what to look at where it did not.

    Args:
        config: Settings of the run.
        rows: One mapping per epoch, as in metrics.csv.
        diagnosis: What the pictures of the last evaluation say, most likely cause first.

    Returns:
        The verdict, then numbered causes; nothing where the run is no test.
    """
    if not config.data.overfit:
        return []
    best = best_figure(config, rows)
    score = f"{_shown(config)} {'n/a' if best is None else format(best, '.3f')}"
    if best is not None and best > GOAL:
        return [f"{PASSED}, {score} after {len(rows)} epochs: data, targets, loss, decoding and evaluation fit together. Now train without --overfit"]
    lines = [f"{FAILED}, {score} instead of more than {GOAL:g} after {len(rows)} epochs. Look at:"]
    causes = [*_loss_causes(config, rows), *diagnosis, *_setting_causes(config)]
    return lines + [f"  {number}. {cause}" for number, cause in enumerate(causes, 1)]


def _loss_causes(config: RunConfig, rows: Sequence[Mapping[str, float | None]]) -> list[str]:
    losses = [value for row in rows if (value := row.get("train/loss")) is not None]
    if len(losses) < 2:
        return []
    first, last, least = losses[0], losses[-1], min(losses)
    if least > _MOVED * first:
        course = f"{first:.4g} in the first epoch, {last:.4g} in the last"
        return [f"the loss did not fall ({course}): train.lr {config.train.lr:g} is far too low or too high, or nothing trains (freeze, backbone_lr_scale)"]
    if last > 2 * least:
        return [f"the loss fell to {least:.4g} and rose again to {last:.4g}: train.lr {config.train.lr:g} is too high, or train.clip_norm {config.train.clip_norm:g} too large"]
    return [f"the loss fell from {first:.4g} to {last:.4g}" + (" and was still falling: a higher train.lr, or fewer images" if last < 0.9 * losses[-max(2, len(losses) // 5)] else "")]


def _setting_causes(config: RunConfig) -> list[str]:
    causes = []
    if config.freeze.policy in ("backbone", "stages") and config.backbone.weights != "none":
        causes.append(f"freeze.policy {config.freeze.policy} leaves little to learn by heart with: try --freeze.policy none")
    causes.append("the annotations: finetune check with the same --data draws them over the pictures (--html check.html)")
    causes.append("the pictures of this run in its folder pictures/: truth beside what the network sees")
    return causes
