"""Profiles of several detectors under the same conditions: the function that the command line and comparisons call."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from finetune.profile.device import conditions, core_count, device_name, load_average, profile_device
from finetune.profile.latency import measure_latency
from finetune.profile.memory import measure_memory
from finetune.profile.operators import Operator
from finetune.profile.record import Cost, Latency, Memory, ProfileRecord
from finetune.profile.rules import OPERATOR_KINDS, OUTSIDE
from finetune.profile.settings import ProfileSettings
from finetune.profile.shares import OperatorTimes, costs_by, describe_method, measure_operators
from finetune.profile.subject import ProfileSubject, check_names
from finetune.profile.trace import stages_of, trace_operators


@dataclass(frozen=True, eq=False)
class _Subject:
    """A subject on its device, with the operators of one pass over one image."""

    given: ProfileSubject
    detector: Any
    image: Tensor
    operators: list[Operator]


def profile_models(subjects: Sequence[ProfileSubject], settings: ProfileSettings | None = None, say: Callable[[str], None] = lambda line: None) -> list[ProfileRecord]:
    """Measure detectors in turns, so that a noisy machine is as hard on one as on the others.

    Args:
        subjects: What to measure; a name that comes twice gets a number.
        settings: Conditions, the same for all.
        say: Is told what happens.

    Returns:
        One record for each, in the same order.

    Raises:
        UsageError: A device that is not there.
        FinetuneError: A process that measures memory failed.
    """
    settings = settings or ProfileSettings()
    device = profile_device(settings.device)
    subjects = check_names(list(subjects))
    load_before = load_average()
    with conditions(settings, device):
        threads = torch.get_num_threads()
        placed = [_place(subject, settings, device) for subject in subjects]
        latencies = _latencies(placed, settings, device, say)
        times = _operator_times(placed, settings, device, say)
    load_after = load_average()
    memories: list[Memory | None] = []
    for subject in subjects:
        if "memory" in settings.measure:
            say(f"memory of {subject.name} ...")
        memories.append(measure_memory(subject, settings, device) if "memory" in settings.measure else None)
    shared = {
        "device": str(device),
        "device_name": device_name(device),
        "cores": core_count(),
        "threads": threads,
        "precision": settings.precision,
        "memory_format": "channels-last" if settings.channels_last else "contiguous",
        "torch_version": torch.__version__,
        "load_before": load_before,
        "load_after": load_after,
        "taking_turns": tuple(subject.name for subject in subjects),
    }
    return [_record(each, times[index], settings, device, shared | {"latencies": latencies[index], "memory": memories[index]}) for index, each in enumerate(placed)]


def count_parameters(detector: Any) -> dict[str, int]:
    """Learnable values of each part, in order; what several parts share counts where it comes first."""
    seen: set[int] = set()
    counts: dict[str, int] = {}
    for name, modules in stages_of(detector).items():
        own = {id(value): value.numel() for module in modules for value in module.parameters() if id(value) not in seen}
        seen |= own.keys()
        counts[name] = sum(own.values())
    return counts


def _place(subject: ProfileSubject, settings: ProfileSettings, device: torch.device) -> _Subject:
    layout = torch.channels_last if settings.channels_last else torch.contiguous_format
    detector = subject.detector.eval().to(device, memory_format=layout)
    image = subject.image.to(device, memory_format=layout)
    detector(image)  # what is made only once, anchors for example, is not among the operators
    return _Subject(subject, detector, image, trace_operators(detector, image))


def _latencies(placed: Sequence[_Subject], settings: ProfileSettings, device: torch.device, say: Callable[[str], None]) -> list[tuple[Latency, ...]]:
    if "latency" not in settings.measure:
        return [()] * len(placed)
    columns = []
    for batch in sorted({1, settings.batch}):
        say(f"latency at batch {batch} ...")
        columns.append(measure_latency([(each.detector, each.image) for each in placed], batch, settings.rounds, settings.seconds, device))
    return list(zip(*columns, strict=True))


def _operator_times(placed: Sequence[_Subject], settings: ProfileSettings, device: torch.device, say: Callable[[str], None]) -> list[OperatorTimes | None]:
    if "operators" not in settings.measure:
        return [None] * len(placed)
    say("stages and operators ...")
    return list(measure_operators([(each.detector, each.image) for each in placed], settings.rounds, settings.seconds, device))


def _record(each: _Subject, times: OperatorTimes | None, settings: ProfileSettings, device: torch.device, shared: dict[str, Any]) -> ProfileRecord:
    subject, detector = each.given, each.detector
    counts = count_parameters(detector)
    stages: list[Cost] = []
    kinds: list[Cost] = []
    if times is not None:
        stages = costs_by("stage", (*counts, OUTSIDE), each.operators, times, counts)
        kinds = sorted(costs_by("kind", OPERATOR_KINDS, each.operators, times, {}), key=lambda row: -row.ms)
    return ProfileRecord(
        name=subject.name,
        detector=subject.config.detector.name,
        backbone=subject.backbone,
        classes=subject.num_classes,
        is_trained=subject.is_trained,
        input_hw=subject.input_hw,
        picture=subject.picture,
        parameters=sum(value.numel() for value in detector.parameters()),
        weight_bytes=sum(value.numel() * value.element_size() for value in detector.state_dict().values()),
        macs=sum(operator.macs for operator in each.operators),
        activations=sum(operator.activations for operator in each.operators),
        stages=tuple(stages),
        operators=tuple(kinds),
        operator_method=describe_method(times, device) if times is not None else "",
        **shared,
    )
