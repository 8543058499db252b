"""Which settings allow features to be cached. No torch here: settings are checked before anything is read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_MIXED = ("mosaic", "mixup", "copy_paste")
_NOT_COVERED = ("bf16-true", "16-true", "64-true", "64")


def view_faults(full: Mapping[str, Any]) -> list[tuple[str, str]]:
    """(key, fault) pairs of settings that contradict a fixed set of views.

    Args:
        full: All settings as nested dictionaries.
    """
    data = full["data"]
    if not data["views"]:
        return []
    mixed = [f"data.{name}" for name in _MIXED if data[name] > 0]
    faults = [("data.views", f"fixes the views of each picture, and {' and '.join(mixed)} make{'s' if len(mixed) == 1 else ''} new samples of several; take one of them out")] if mixed else []
    if data["mix"]:
        faults.append(("data.views", "fixes the views of the training split, and data.mix adds samples of other sources; take one of them out"))
    return faults


def cache_faults(full: Mapping[str, Any]) -> list[tuple[str, str]]:
    """(key, fault) pairs of settings that do not let features be cached: nothing stays frozen, or pictures are never the same twice."""
    data, freeze = full["data"], full["freeze"]
    key = "data.feature_cache"
    faults: list[tuple[str, str]] = []
    if full["backbone"]["weights"] == "none" and full["detector"]["weights"] is None:
        faults.append((key, "the backbone starts from random weights, so nothing is frozen; give it weights (backbone.weights imagenet)"))
    elif freeze["policy"] in ("none", "norms") or (freeze["policy"] == "stages" and not freeze["stages"]):
        faults.append((key, f"no stage of the backbone stays frozen with freeze.policy {freeze['policy']}; choose backbone (all stages), or stages with freeze.stages above 0"))
    mixed = [f"data.{name}" for name in _MIXED if data[name] > 0]
    if mixed and not data["views"]:
        faults.append((key, f"{' and '.join(mixed)} make{'s' if len(mixed) == 1 else ''} new samples all the time; take {'it' if len(mixed) == 1 else 'them'} out"))
    elif data["augment"] != "none" and not data["views"]:
        faults.append((key, f"data.augment {data['augment']} makes new views all the time; set data.views to a fixed number of them (2 is two views a picture), or data.augment to none"))
    if data["mix"] and not data["views"]:
        faults.append((key, "data.mix draws samples of other sources while training runs; take it out"))
    if data["overfit"]:
        faults.append((key, "a test of the set-up (data.overfit) wants to see the whole way from the picture to the loss; take one of them out"))
    if full["craft"]["pseudo_every"]:
        faults.append((key, "craft.pseudo_every changes the targets while training runs; set it to 0"))
    precision = full["train"]["precision"]
    if precision in _NOT_COVERED:
        faults.append((key, f"does not cover train.precision {precision}; choose auto, 32-true, bf16-mixed or 16-mixed"))
    return faults
