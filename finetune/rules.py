"""Faults that types do not show: settings that contradict each other, and names that nobody has registered."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from backbones.registry import list_backbones
from backbones.thaw import thaw_faults
from detectors.registry import TEXT_DETECTORS, list_detectors
from finetune.budget import MOST_EPOCHS
from finetune.config import RunConfig
from finetune.features.rules import cache_faults, view_faults
from finetune.nearest import did_you_mean

_NEEDS = (  # what has an effect only while another setting has one of some values
    ("freeze.stages", "freeze.policy", ("stages", "gradual")),
    ("freeze.thaw", "freeze.policy", ("gradual",)),
    ("freeze.thaw_warmup", "freeze.policy", ("gradual",)),
    ("train.milestones", "train.schedule", ("step",)),
    ("data.cache_folder", "data.cache", ("disk",)),
    ("data.views", "data.augment", ("light", "medium", "strong")),
    ("data.feature_folder", "data.feature_cache", ("auto", "float32", "float16")),
)


def cross_faults(tree: Mapping[str, Any], sources: Mapping[str, str]) -> list[tuple[str, str]]:
    """Return (key, fault) pairs of settings that contradict each other or name what does not exist.

    Args:
        tree: Checked settings; what is missing has its default.
        sources: Where each dotted key was written.
    """
    full = {name: {**section, **tree.get(name, {})} if isinstance(section, dict) else tree.get(name, section) for name, section in asdict(RunConfig()).items()}
    faults: list[tuple[str, str]] = []
    if full["pyramid"]["kind"] == "ssd" and full["ssdlite"]["shared_head"]:
        faults.append(("ssdlite.shared_head", "pyramid.kind ssd gives maps of different widths, which no single head fits; set ssdlite.shared_head to false, or pyramid.kind to fpn or pan"))
    if full["pyramid"]["kind"] != "ssd" and not full["pyramid"]["levels"]:
        faults.append(("pyramid.levels", "is empty; fpn and pan need at least one level, for example 3 4 5"))
    if full["detector"]["keep_classes"] and full["detector"]["weights"] is None:
        faults.append(("detector.keep_classes", "there are no class rows to keep without detector.weights; set it, for example to torchvision-coco"))
    if full["data"]["images"] is not None and full["data"]["root"] == "signs":
        faults.append(("data.images", "data.root signs is the embedded sample set, with its own images; set data.root to your data"))
    faults += _mix_faults(full["data"], full["detector"]["name"])
    faults += view_faults(full) + (cache_faults(full) if full["data"]["feature_cache"] in ("float32", "float16") else [])
    faults += name_faults(full["backbone"]["name"], full["detector"]["name"])
    faults += _thaw_faults(full)
    for key, needs, values in _NEEDS:
        if _has_no_effect(key, needs, values, full, sources):
            faults.append((key, f"has an effect only with {needs} {' or '.join(values)}, which is {_get(full, needs)}; change one of them"))
    return faults


def _mix_faults(data: Mapping[str, Any], detector: str) -> list[tuple[str, str]]:
    mix, faults = data["mix"], []
    if mix and detector not in TEXT_DETECTORS:
        faults.append(("data.mix", f"mixes sources of scene text, and {detector} finds boxes; take it out, or choose {' or '.join(sorted(TEXT_DETECTORS))}"))
    if math.fsum(mix.values()) > 1 + 1e-9:
        faults.append(("data.mix", f"the shares are {math.fsum(mix.values()):g} in all; they must be at most 1, what is left is the training split"))
    if data["epoch_images"] and not mix:
        faults.append(("data.epoch_images", "has an effect only with data.mix; without it an epoch is the training split"))
    return faults


def _thaw_faults(full: Mapping[str, Any]) -> list[tuple[str, str]]:
    freeze, train = full["freeze"], full["train"]
    if freeze["policy"] != "gradual":
        return []
    epochs = train["epochs"] or MOST_EPOCHS  # chosen when the data are known; the policy is checked again then
    faults = [("freeze.thaw", fault) for fault in thaw_faults(freeze["thaw"], epochs)]
    if freeze["thaw"] and train["backbone_lr_scale"] == 0:
        faults.append(("train.backbone_lr_scale", "is 0, so stages that freeze.policy gradual thaws would not move; set it above 0, or freeze.policy to backbone"))
    return faults


def name_faults(backbone: str, detector: str) -> list[tuple[str, str]]:
    """(key, fault) pairs of names that nobody has registered."""
    faults: list[tuple[str, str]] = []
    if not _is_backbone(backbone):
        faults.append(("backbone.name", f"no backbone is called {backbone!r}{did_you_mean(backbone, list_backbones())} All: finetune list backbones"))
    if detector not in list_detectors():
        faults.append(("detector.name", f"no detector is called {detector!r}{did_you_mean(detector, list_detectors())} There are: {', '.join(list_detectors())}"))
    return faults


def _is_backbone(name: str) -> bool:
    """Whether a backbone has this name; one with a colon (torchvision, own modules) is looked for when it is built."""
    plain = name.partition(".")[0]
    if ":" in name or name in list_backbones() or plain in list_backbones():
        return True
    from backbones.timm_provider import timm_names  # slow, and only for names newer than the catalog

    return plain in timm_names()


def _has_no_effect(key: str, needs: str, values: Sequence[str], full: Mapping[str, Any], sources: Mapping[str, str]) -> bool:
    """Whether ``key`` was set on purpose (not its default, not overruled by a later flag) while ``needs`` switches it off."""
    if _get(full, needs) in values or _get(full, key) == _get(asdict(RunConfig()), key):
        return False
    overruled = sources.get(needs, "").startswith("--") and not sources.get(key, "").startswith("--")
    return not overruled


def _get(tree: Mapping[str, Any], key: str) -> Any:
    section, name = key.split(".")
    return tree[section][name]
