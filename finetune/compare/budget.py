"""What each candidate of a comparison gets: equal epochs, equal time, or a quick look that says what it does not tell."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace

from backbones.errors import UsageError
from finetune.budget import with_budget
from finetune.compare.types import Budget
from finetune.config import RunConfig
from finetune.features.rules import cache_faults, view_faults

TIMED_EPOCHS = 4  # of the short run that a budget of minutes is planned by: a small copy of the whole, with all its thaws
_QUICK_PICTURES = 1200  # seen by each run of a quick comparison
_QUICK_EPOCHS = (3, 20)
_QUICK_VIEWS = 2  # of each picture
_UNITS = {"ep": "epochs", "epoch": "epochs", "epochs": "epochs", "min": "minutes", "m": "minutes", "h": "hours"}
_EVALUATIONS = 10
_MOST_EPOCHS = 2000


def check_budget(text: str) -> None:
    """Raise UsageError, saying what can be written, for a budget that cannot be read."""
    if text not in ("auto", "quick"):
        _amount(text)


def plan_budget(text: str, config: RunConfig, images: int) -> tuple[Budget, RunConfig]:
    """What a budget means for these data.

    Args:
        text: As the user wrote it.
        config: Settings shared by all runs.
        images: Pictures of the training split.

    Returns:
        The budget, and the settings with what follows from it.

    Raises:
        UsageError: It cannot be read, or contradicts train.epochs.
    """
    if text == "auto":
        epochs = with_budget(config, images).train.epochs
        return _equal_epochs("auto", epochs, config, images)
    if config.train.epochs:
        raise UsageError(f"--budget {text} and train.epochs {config.train.epochs} both say how long a run is: leave one of them out")
    if text == "quick":
        return _quick(config, images)
    kind, amount = _amount(text)
    if kind == "epochs":
        return _equal_epochs(text, int(amount), config, images)
    sentences = (
        f"Each run trains for about {amount:g} minutes on this machine, evaluations included. How many epochs that is was estimated for each candidate from a timed run of "
        f"{TIMED_EPOCHS} epochs, so that its learning-rate schedule ends with its time; the seconds that a run really took stand beside it.",
        "The timed runs and a search for learning rates come on top.",
    )
    return Budget(text, "minutes", amount, sentences), config


def _amount(text: str) -> tuple[str, float]:
    """Epochs or minutes, and how many."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([a-z]+)", text.strip().lower())
    kind = _UNITS.get(found[2]) if found else None
    if found is None or kind is None:
        raise UsageError(f"--budget {text}: write epochs (30ep), time (20min, 2h), quick, or auto")
    amount = float(found[1]) * (60 if kind == "hours" else 1)
    if amount <= 0 or (kind == "epochs" and not amount.is_integer()):
        raise UsageError(f"--budget {text}: must be {'a whole number of epochs' if kind == 'epochs' else 'a time'} above 0")
    return ("epochs" if kind == "epochs" else "minutes"), amount


def _equal_epochs(text: str, epochs: int, config: RunConfig, images: int) -> tuple[Budget, RunConfig]:
    sentences = (f"Each run trains for {epochs} epoch{'s' * (epochs != 1)} ({epochs * images:,} pictures); a slower backbone takes longer for them.",)
    return Budget(text, "epochs", epochs, sentences), _with_epochs(config, epochs)


def _quick(config: RunConfig, images: int) -> tuple[Budget, RunConfig]:
    epochs = min(_QUICK_EPOCHS[1], max(_QUICK_EPOCHS[0], math.ceil(_QUICK_PICTURES / max(1, images))))
    frozen = config.freeze.policy == "gradual"
    if frozen:
        config = replace(config, freeze=replace(config.freeze, policy="backbone"))
    config, views = _with_features(config)
    sentences = [f"A quick look: each run trains for only {epochs} epochs ({epochs * images:,} pictures), far from the end of learning."]
    if frozen:
        sentences.append("Only pyramid and head train; pretrained backbones stay as ImageNet left them (one with random weights trains whole, and cannot be compared with the others).")
        sentences.append("It tells whose ready features serve these data best. It does not tell who is best after fine-tuning: a backbone that adapts well is ranked too low here.")
    if views:
        sentences.append(
            f"Features of a frozen backbone are computed once, for {views} fixed views of each picture that all seeds share, and trained on: it does not tell what fresh augmentation would "
            "bring, and the spread over seeds leaves out the luck of the views."
        )
    sentences.append("Small differences mean nothing; take the best few into a comparison with a larger budget.")
    return Budget("quick", "epochs", epochs, tuple(sentences)), _with_epochs(config, epochs)


def _with_features(config: RunConfig) -> tuple[RunConfig, int]:
    """The settings with features that are computed once, where pictures need not be augmented anew each time; and how many views of each picture there are."""
    data = config.data
    views = data.views or (_QUICK_VIEWS if data.augment != "none" else 0)
    cached = replace(config, data=replace(data, views=views, feature_cache="auto" if data.feature_cache == "off" else data.feature_cache))
    tree = asdict(replace(cached, backbone=replace(cached.backbone, weights="imagenet")))  # candidates have weights of their own; one without any trains on pictures
    return (config, 0) if cache_faults(tree) or view_faults(tree) else (cached, views)


def _with_epochs(config: RunConfig, epochs: int) -> RunConfig:
    return replace(config, train=replace(config.train, epochs=epochs))


def epoch_cost(curve: Sequence[Mapping[str, float | None]], images: int) -> tuple[float, float]:
    """Seconds that an epoch of training takes, and an evaluation, from the rows of a timed run.

    The first epoch also starts the loader processes: it counts no more than the second.
    """
    trained = [images / rate if (rate := row.get("images_per_second")) else row.get("seconds") or 0.0 for row in curve]
    evaluations = [max(0.0, (row.get("seconds") or 0.0) - own) for row, own in zip(curve, trained, strict=True) if any(key.startswith("val/") and row[key] is not None for key in row)]
    if len(trained) > 1:
        trained[0] = min(trained[:2])
    return sum(trained) / max(1, len(trained)), min(evaluations, default=0.0)


def epochs_in(minutes: float, train_seconds: float, evaluation_seconds: float) -> int:
    """How many epochs end within so many minutes, with about ten evaluations on the way; 0 where not even one does."""

    def seconds(epochs: int) -> float:
        every = math.ceil(epochs / _EVALUATIONS)
        return epochs * train_seconds + math.ceil(epochs / every) * evaluation_seconds

    allowed = minutes * 60
    guess = min(_MOST_EPOCHS, int(allowed / max(train_seconds, 1e-3)))
    return next((epochs for epochs in range(guess, 0, -1) if seconds(epochs) <= allowed), 0)
