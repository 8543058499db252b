"""Seconds of the network alone and with decoding, at several batch sizes, all models in turns."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from finetune.profile.device import wait_for
from finetune.profile.record import Latency
from finetune.profile.turns import measure_in_turns, median, percentile, spread


def measure_latency(networks: Sequence[tuple[Any, Tensor]], batch: int, rounds: int, seconds: float, device: torch.device) -> list[Latency]:
    """Time of one batch through every network.

    Args:
        networks: Detectors in eval mode, on the device, and for each one image [1, C, H, W], normalised; it fills the batch.
        batch: Images a pass.
        rounds: Passes of each, at most.
        seconds: Time for each.
        device: Where they compute.
    """
    found = measure_in_turns([_pass(detector, repeated(image, batch), device) for detector, image in networks], rounds, seconds * len(networks))
    return [_latency(batch, passes) for passes in found]


def repeated(image: Tensor, batch: int) -> Tensor:
    """[1, C, H, W] -> [batch, C, H, W], memory format kept."""
    return image if batch == 1 else image.repeat(batch, 1, 1, 1).contiguous(memory_format=_format_of(image))


def _format_of(image: Tensor) -> torch.memory_format:
    return torch.contiguous_format if image.is_contiguous() else torch.channels_last


def _pass(detector: Any, images: Tensor, device: torch.device) -> Callable[[], tuple[float, float, float]]:
    """Milliseconds of the network, of network and decoding, and detections per image."""
    input_hw = int(images.shape[-2]), int(images.shape[-1])

    def measure() -> tuple[float, float, float]:
        with torch.inference_mode():
            wait_for(device)
            start = time.perf_counter()
            outputs = detector(images)
            wait_for(device)
            middle = time.perf_counter()
            found = detector.decode(outputs, input_hw)
            wait_for(device)
            end = time.perf_counter()
        return 1000 * (middle - start), 1000 * (end - start), sum(len(each.scores) for each in found) / len(found)

    return measure


def _latency(batch: int, passes: Sequence[tuple[float, float, float]]) -> Latency:
    network, decoded, detections = (list(column) for column in zip(*passes, strict=True))
    return Latency(
        batch=batch,
        rounds=len(passes),
        network_ms_median=median(network),
        network_ms_p95=percentile(network, 0.95),
        network_ms_spread=spread(network),
        decoded_ms_median=median(decoded),
        decoded_ms_p95=percentile(decoded, 0.95),
        decoded_ms_spread=spread(decoded),
        detections=detections[-1],
    )
