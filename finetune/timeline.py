"""What thaws when, in lines for the user."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from backbones.freeze import FreezePolicy, count_parameters, stage_parts
from backbones.types import Backbone
from finetune.schedule import group_factor

_STEPS = 50  # an epoch, to find the highest rate: the real number is not known before the data are loaded


def timeline(policy: FreezePolicy, backbone: Backbone, groups: Sequence[Mapping[str, Any]], factor: Callable[..., float], epochs: int) -> list[str]:
    """One line per change: the epoch (from 1), what trains from then on, and its highest rate; then what never trains.

    Args:
        policy: In force, for the first epoch.
        backbone: Whose stages thaw; it is left as it was.
        groups: The optimiser's, with full rates.
        factor: ``rate_factor`` with everything but the step and the total.
        epochs: Epochs of the run.
    """
    starts = [None if start is None or start >= epochs else start for start in policy.starts(backbone, epochs)]
    policy.apply(backbone, epochs - 1, epochs)
    counts = [count_parameters([stage]) for stage in backbone.stages()]
    policy.apply(backbone, 0, epochs)
    full = {group["stage"]: group["lr"] for group in groups}
    rising = round(policy.thaw_warmup * epochs * _STEPS)
    scheduled = partial(factor, total=epochs * _STEPS)

    def highest(stage: int | None, start: int) -> str:
        steps = range(start * _STEPS, epochs * _STEPS)
        return f"rate {full.get(stage, 0.0) * max(group_factor(step, scheduled, start * _STEPS, rising) for step in steps):.2g} at its highest"

    parts, width = stage_parts(backbone), len(str(epochs))
    fresh = sum(p.numel() for group in groups if group["stage"] is None for p in group["params"])
    lines = [f"epoch {1:>{width}}: pyramid and head train, {fresh:,} parameters, {highest(None, 0)}"]
    for start, stage in sorted(((start, -stage) for stage, start in enumerate(starts) if start is not None)):
        total, trainable = counts[-stage]
        held = f"{total:,}" if total == trainable else f"{trainable:,} of {total:,}"
        lines.append(f"epoch {start + 1:>{width}}: stage {-stage} ({parts[-stage]}) {'thaws' if start else 'trains'}, {held} parameters, {highest(-stage, start)}")
    return lines + [f"{'never':>{6 + width}}: stage {stage} ({parts[stage]}), {counts[stage][0]:,} parameters" for stage, start in enumerate(starts) if start is None]
