"""The parts of the record of a comparison: data, budget, candidates, runs and their figures. No torch here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

RunState = Literal["waiting", "running", "finished", "failed"]


@dataclass(frozen=True)
class ComparedData:
    """The data of all runs.

    Args:
        name: Name of the folder or file.
        kind: "boxes" or "words".
        fingerprint: Changes with any class, image name or box of the training split.
        class_names: Classes in label order.
        images: Split to its number of pictures.
        objects: Split to its number of boxes or words, ignored ones left out.
        attribution: Who made the pictures and under which licence, as the user wrote it.
    """

    name: str
    kind: Literal["boxes", "words"]
    fingerprint: str
    class_names: tuple[str, ...]
    images: Mapping[str, int] = field(default_factory=dict)
    objects: Mapping[str, int] = field(default_factory=dict)
    attribution: str = ""


@dataclass(frozen=True)
class Budget:
    """What every candidate gets.

    Args:
        text: As the user wrote it: "20min", "30ep", "quick"; "" for added runs.
        kind: "epochs" (the same for all), "minutes" (the same training time for all), or "own" (added runs bring theirs).
        amount: Epochs or minutes.
        sentences: What it means, and what a quick one does not tell.
    """

    text: str
    kind: Literal["epochs", "minutes", "own"]
    amount: float
    sentences: tuple[str, ...] = ()


@dataclass(frozen=True)
class RateTrial:
    """One short training of the search for a learning rate.

    Args:
        lr: The rate.
        figure: The primary figure on val after ``epochs``; None where it has none or the trial failed.
        loss: Loss on val.
        failure: Why it failed, or None.
    """

    lr: float
    figure: float | None
    loss: float | None
    failure: str | None = None


@dataclass(frozen=True)
class RateProtocol:
    """How the learning rate of a candidate is chosen.

    Args:
        kind: "fixed" (one rate for all), "sweep" (the same short trainings for each, best figure on ``split``), or "own" (added runs).
        rates: The fixed one, or those tried.
        epochs: Length of a trial.
        split: Where trials are scored: "val", or "train"; never test.
        sentences: The protocol in words.
    """

    kind: Literal["fixed", "sweep", "own"]
    rates: tuple[float, ...]
    epochs: int = 0
    split: str = "val"
    sentences: tuple[str, ...] = ()


@dataclass(frozen=True)
class Candidate:
    """One network of the comparison.

    Args:
        name: Unique within the comparison: the backbone as the user wrote it, with its weights where the same one comes twice.
        backbone: Backbone name.
        weights: "imagenet", "none", the name of a file, or a tag.
        detector: Detector name.
        imagenet_top1: Published ImageNet top-1 accuracy as a fraction, where the catalog knows it.
        weights_licence: Licence of the pretrained weights, where known.
        params: Parameters of the whole detector.
        trainable_params: Those that train.
        lr: The rate that its runs were given.
        rate_trials: How it was found.
        epochs: Epochs of its runs.
        epoch_seconds: Seconds of training an epoch in the timed short run that a budget of minutes is planned by, evaluations left out.
        profile: Measured cost as ``finetune.profile`` writes it; empty until it is measured.
        failure: Why none of its runs could be made, in one line, or None.
    """

    name: str
    backbone: str
    weights: str
    detector: str
    imagenet_top1: float | None = None
    weights_licence: str | None = None
    params: int | None = None
    trainable_params: int | None = None
    lr: float | None = None
    rate_trials: tuple[RateTrial, ...] = ()
    epochs: int | None = None
    epoch_seconds: float | None = None
    profile: Mapping[str, Any] = field(default_factory=dict)
    failure: str | None = None


@dataclass(frozen=True)
class Scores:
    """The figures of one run by one protocol.

    Args:
        protocol: Its name.
        primary: Which figure counts, for example "AP".
        split: What was scored.
        values: Figure to fraction.
        per_class: Class name to its figures.
        conditions: What the figures depend on besides data: input size, thresholds.
        notes: Sentences for the reader.
    """

    protocol: str
    primary: str
    split: str
    values: Mapping[str, float | None]
    per_class: Mapping[str, Mapping[str, float | None]] = field(default_factory=dict)
    conditions: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class ComparedRun:
    """One candidate with one seed.

    Args:
        candidate: Name of the candidate.
        seed: Seed.
        folder: Run folder, relative to that of the comparison ("../a" for added runs).
        state: How far it is.
        failure: Why it failed, in one line, or None.
        attempts: How many times it was started.
        scores: Figures of its best weights on the scored split, the protocol that chooses first.
        val_scores: The same on the split that chose the weights.
        curve: A row an epoch as in metrics.csv: "epoch", "train/loss", "val/loss", "val/coco/AP50", "seconds", ...
        best_epoch: Epoch (from 1) of the best weights.
        epochs: Epochs that were run.
        seconds: Training time with its evaluations, over all resumes.
        wall_seconds: The same with start-up and scoring, as the engine saw it; None for added runs.
        notes: Sentences about its curves.
        config: Settings, without paths of this machine.
        versions: Package to version.
        device: What it trained on ("cpu (2 threads)", "NVIDIA H100"); never a host name.
        data_fingerprint: Of its training split.
        predictions: File of its detections on the scored split, or None.
    """

    candidate: str
    seed: int
    folder: str
    state: RunState = "waiting"
    failure: str | None = None
    attempts: int = 0
    scores: tuple[Scores, ...] = ()
    val_scores: tuple[Scores, ...] = ()
    curve: tuple[Mapping[str, float | None], ...] = ()
    best_epoch: int | None = None
    epochs: int | None = None
    seconds: float | None = None
    wall_seconds: float | None = None
    notes: tuple[str, ...] = ()
    config: Mapping[str, Any] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)
    device: str | None = None
    data_fingerprint: str | None = None
    predictions: str | None = None
