"""Sums over the processes of a run."""

from __future__ import annotations

import torch
from torch import Tensor


def reduced_count(count: Tensor) -> Tensor:
    """Share of each process in counts over all of them, which are at least 1: then the mean gradient of the processes is the gradient of the joint batch."""
    if not (torch.distributed.is_available() and torch.distributed.is_initialized()):
        return count.clamp(min=1.0)
    count = count.clone()
    torch.distributed.all_reduce(count)
    return count.clamp(min=1.0) / torch.distributed.get_world_size()
