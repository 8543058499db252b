"""The record of a profile: what comparisons and reports read. No torch here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from backbones.errors import UsageError

PROFILE_SCHEMA = 1


@dataclass(frozen=True)
class Latency:
    """Time of one batch, over many rounds.

    Args:
        batch: Images a pass.
        rounds: Passes that were timed.
        network_ms_median: Milliseconds of the network alone, images in, raw outputs out.
        network_ms_p95: 95th percentile.
        network_ms_spread: Distance between the quartiles.
        decoded_ms_median: Milliseconds of network and decoding, images in, detections out.
        decoded_ms_p95: 95th percentile.
        decoded_ms_spread: Distance between the quartiles.
        detections: Detections per image that the decoding gave.
    """

    batch: int
    rounds: int
    network_ms_median: float
    network_ms_p95: float
    network_ms_spread: float
    decoded_ms_median: float
    decoded_ms_p95: float
    decoded_ms_spread: float
    detections: float


@dataclass(frozen=True)
class Peak:
    """Memory of one way of running.

    Args:
        batch: Images a pass or a training step.
        input_hw: Height and width of the input in pixels; a text detector trains on crops of another size than it looks at.
        peak_bytes: Most memory taken; None where the system does not tell.
        resting_bytes: Of that, what was taken before the first image: weights (and on the CPU Python and torch).
        ms: Milliseconds of the pass or step, the better of two.
        largest_batch: Largest batch that fits; None where nothing ended the search in its time, 0 where not even one image fits.
        largest_is_tried: Whether that batch was tried; else it follows from the growth between smaller ones.
    """

    batch: int
    input_hw: tuple[int, int]
    peak_bytes: int | None
    resting_bytes: int | None
    ms: float
    largest_batch: int | None = None
    largest_is_tried: bool = False


@dataclass(frozen=True)
class Memory:
    """Peak memory, measured in processes of their own.

    Args:
        kind: "resident" (CPU) or "allocator" (GPU).
        inference: Of a forward pass; None where not even one image fits.
        training: Of a training step with optimiser and loss, when most of the network trains; None where not even one image fits.
        limit_bytes: Memory that batches may fill; None where unknown.
        limit_source: What limits it: "this machine", "the container's limit of 4.0 GiB", a GPU.
    """

    kind: str
    inference: Peak | None
    training: Peak | None
    limit_bytes: int | None
    limit_source: str


@dataclass(frozen=True)
class Cost:
    """What one stage, or all operators of one kind, cost at batch 1.

    Args:
        name: Stage ("stem", "stage 1", ..., "pyramid", "head"), one of ``finetune.profile.rules.OPERATOR_KINDS``.
        calls: Operators that ran.
        parameters: Learnable values; 0 for kinds of operators.
        macs: Multiply-adds of one image.
        activations: Values put out by convolutions and linear layers for one image.
        ms: Milliseconds.
        share: Of the time of the whole; the shares of all stages sum to 1, so do those of all kinds.
    """

    name: str
    calls: int
    parameters: int
    macs: int
    activations: int
    ms: float
    share: float


@dataclass(frozen=True)
class ProfileRecord:
    """What one detector costs, and under which conditions that was measured. ``finetune.profile.rules.RULES`` says how things are counted.

    Args:
        name: For people: run name, or backbone and detector.
        detector: Registered name.
        backbone: Name of the backbone; "" for a detector with its own.
        classes: Classes that it tells apart.
        is_trained: Whether the weights are those of a run; the time of decoding depends on what is found.
        input_hw: Height and width of the input in pixels.
        picture: "noise", or the file name of the picture that was looked at.
        device: "cpu", "cuda:0".
        device_name: Of the processor or GPU, as the system calls it.
        cores: Processor cores that this process may use.
        threads: Of torch.
        precision: "32-true", "bf16-mixed" or "16-mixed".
        memory_format: "contiguous" or "channels-last".
        torch_version: Of torch.
        load_before: Load average over 1 minute before the measurement; None where the system does not tell.
        load_after: The same afterwards; it includes the measurement.
        taking_turns: Names of all models that were timed in turns with this one, itself included.
        parameters: Learnable values.
        weight_bytes: Bytes of all weights and statistics.
        macs: Multiply-adds of one image.
        activations: Values put out by convolutions and linear layers for one image.
        latencies: One per batch size, rising; empty where latency was not measured.
        memory: None where it was not measured.
        stages: Costs per stage in order; empty where operators were not measured.
        operators: Costs per kind of operator, the dearest first; empty where they were not measured.
        operator_method: How the times of stages and operators were found.
        schema: Number of this layout.
    """

    name: str
    detector: str
    backbone: str
    classes: int
    is_trained: bool
    input_hw: tuple[int, int]
    picture: str
    device: str
    device_name: str
    cores: int
    threads: int
    precision: str
    memory_format: str
    torch_version: str
    load_before: float | None
    load_after: float | None
    taking_turns: tuple[str, ...]
    parameters: int
    weight_bytes: int
    macs: int
    activations: int
    latencies: tuple[Latency, ...] = ()
    memory: Memory | None = None
    stages: tuple[Cost, ...] = ()
    operators: tuple[Cost, ...] = ()
    operator_method: str = ""
    schema: int = PROFILE_SCHEMA

    @property
    def latency_ms_median(self) -> float | None:
        """Median milliseconds of the network alone at the smallest batch, which is 1 unless something else was asked for."""
        return self.latencies[0].network_ms_median if self.latencies else None

    @property
    def latency_ms_p95(self) -> float | None:
        """95th percentile of the same."""
        return self.latencies[0].network_ms_p95 if self.latencies else None

    @property
    def latency_ms_spread(self) -> float | None:
        """Distance between the quartiles of the same."""
        return self.latencies[0].network_ms_spread if self.latencies else None

    @property
    def decoded_ms_median(self) -> float | None:
        """Median milliseconds of network and decoding at the smallest batch."""
        return self.latencies[0].decoded_ms_median if self.latencies else None

    @property
    def peak_inference_bytes(self) -> int | None:
        """Most memory of a forward pass."""
        return self.memory.inference.peak_bytes if self.memory and self.memory.inference else None

    @property
    def peak_training_bytes(self) -> int | None:
        """Most memory of a training step."""
        return self.memory.training.peak_bytes if self.memory and self.memory.training else None


_DERIVED = ("latency_ms_median", "latency_ms_p95", "latency_ms_spread", "decoded_ms_median", "peak_inference_bytes", "peak_training_bytes")


def profile_to_dict(record: ProfileRecord) -> dict[str, Any]:
    """A profile as JSON values; the properties of the record stand among its fields, for readers that are not this program."""
    return {**_listed(asdict(record)), **{name: getattr(record, name) for name in _DERIVED}}


def profile_from_dict(values: Mapping[str, Any]) -> ProfileRecord:
    """Read what ``profile_to_dict`` wrote; names that are not known are passed over.

    Raises:
        UsageError: Not a profile, or one of a later schema.
    """
    if values.get("schema") != PROFILE_SCHEMA:
        raise UsageError(f"this is a profile of schema {values.get('schema')}, this version reads {PROFILE_SCHEMA}: measure it again with finetune profile")
    try:
        read = {name: value for name, value in values.items() if name in {item.name for item in fields(ProfileRecord)}}
        memory = read.get("memory")
        height, width = read["input_hw"]
        lists: dict[str, Any] = {name: tuple(Cost(**row) for row in read.get(name, ())) for name in ("stages", "operators")}
        lists |= {"latencies": tuple(Latency(**row) for row in read.get("latencies", ())), "taking_turns": tuple(read["taking_turns"]), "input_hw": (height, width)}
        return ProfileRecord(**{**read, **lists, "memory": None if memory is None else _memory(memory)})
    except (KeyError, TypeError, ValueError) as error:
        raise UsageError(f"this is not a complete profile ({error}): measure it again with finetune profile") from error


def _memory(values: Mapping[str, Any]) -> Memory:
    peaks = {name: None if values[name] is None else Peak(**{**values[name], "input_hw": tuple(values[name]["input_hw"])}) for name in ("inference", "training")}
    return Memory(values["kind"], peaks["inference"], peaks["training"], values["limit_bytes"], values["limit_source"])


def _listed(value: Any) -> Any:
    """Tuples as lists, as they come back from JSON."""
    if isinstance(value, dict):
        return {key: _listed(item) for key, item in value.items()}
    return [_listed(item) for item in value] if isinstance(value, tuple | list) else value
