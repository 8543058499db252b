"""A network as it was: trying things out on it leaves no trace."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import nn


@contextmanager
def left_as_it_was(module: nn.Module) -> Iterator[None]:
    """Afterwards parameters, buffers, gradients, modes, and the random numbers of torch, NumPy and Python are those from before.

    Args:
        module: A network; it may change its device meanwhile and gets its old one back.
    """
    tensors = {name: (tensor, tensor.detach().clone()) for name, tensor in [*module.named_parameters(), *module.named_buffers()]}
    gradients = [(parameter, parameter.requires_grad, None if parameter.grad is None else parameter.grad.clone()) for parameter in module.parameters()]
    modes = [(part, part.training, part.__dict__.get("train")) for part in module.modules()]
    device = next((tensor.device for tensor in module.parameters()), torch.device("cpu"))
    gpus = list(range(torch.cuda.device_count())) if torch.cuda.is_available() else []
    numbers = random.getstate(), np.random.get_state()  # the old global generator is what others may have seeded
    with torch.random.fork_rng(gpus):
        try:
            yield
        finally:
            module.to(device)
            with torch.no_grad():
                now = dict([*module.named_parameters(), *module.named_buffers()])
                for name, (_, before) in tensors.items():
                    now[name].copy_(before)
            for parameter, trains, gradient in gradients:
                parameter.requires_grad_(trains)
                parameter.grad = gradient
            for part, mode, kept in modes:
                part.training = mode
                part.__dict__.pop("train", None)
                if kept is not None:
                    part.__dict__["train"] = kept
            random.setstate(numbers[0])
            np.random.set_state(numbers[1])
