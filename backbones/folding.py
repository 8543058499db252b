"""A convolution takes over the BatchNorm behind it for as long as that one's statistics are fixed: the same result with a pass over the map less.

Frozen norms make such pairs in training, all norms do in evaluation and prediction. Parameters, buffers, their names and their gradients stay
what they are: scale and shift enter the weights anew in every forward pass, so nothing is ever out of date, whoever changes, freezes or thaws what.
"""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, cast

import torch
from timm.layers import BatchNormAct2d
from timm.layers.conv2d_same import Conv2dSame, conv2d_same
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

# how a kind of convolution runs with other weights, and what a kind of norm does besides normalising; a subclass may do anything, so types count exactly
_CONVOLUTIONS: dict[type[nn.Module], Callable[[Any, Tensor, Tensor, Tensor], Tensor]] = {
    nn.Conv2d: lambda conv, x, weight, bias: conv._conv_forward(x, weight, bias),
    Conv2dSame: lambda conv, x, weight, bias: conv2d_same(x, weight, bias, conv.stride, conv.padding, conv.dilation, conv.groups),
}
_NORMS: dict[type[nn.Module], Callable[[Any, Tensor], Tensor]] = {
    nn.BatchNorm2d: lambda _norm, x: x,
    BatchNormAct2d: lambda norm, x: norm.act(norm.drop(x)),
}


@dataclass(eq=False)
class _Pair:
    """A convolution's norm and where it stands; ``made`` is the normalised output on its way from the one to the other."""

    owner: nn.Module
    name: str
    norm: nn.BatchNorm2d
    made: Tensor | None = None

    def holds(self) -> bool:
        """Whether the norm's statistics are fixed and nobody has put another module in its place."""
        return not self.norm.training and self.owner._modules.get(self.name) is self.norm


def fold_norms(network: nn.Module, image_shape: tuple[int, int, int]) -> int:
    """Let every convolution of a network take over the BatchNorm that alone reads its output.

    Which ones these are is seen in trial runs of a copy, one in training mode and one in eval mode.

    Args:
        network: Maps images [B, C, H, W] to anything.
        image_shape: C, H, W of an input that it takes; a small one is quick.

    Returns:
        How many pairs there are.
    """
    pairs = _find_pairs(network, image_shape)
    for conv_name, norm_name in pairs:
        conv, norm = cast(nn.Conv2d, network.get_submodule(conv_name)), cast(nn.BatchNorm2d, network.get_submodule(norm_name))
        owner, _, name = norm_name.rpartition(".")
        pair = _Pair(network.get_submodule(owner), name, norm)
        conv.__dict__["forward"] = partial(_run_convolution, conv, pair)
        norm.__dict__["forward"] = partial(_run_norm, norm, pair)
    return len(pairs)


def _run_convolution(conv: nn.Conv2d, pair: _Pair, x: Tensor) -> Tensor:
    if not pair.holds():
        pair.made = None
        return type(conv).forward(conv, x)
    pair.made = _CONVOLUTIONS[type(conv)](conv, x, *folded_weights(conv, pair.norm))
    return pair.made


def _run_norm(norm: nn.BatchNorm2d, pair: _Pair, x: Tensor) -> Tensor:
    made, pair.made = pair.made, None
    if made is None:
        return type(norm).forward(norm, x)
    if made is not x:
        raise RuntimeError(f"the input of the norm {pair.name!r} is not what the convolution before it gave, as it was in a trial run of this network")
    return _NORMS[type(norm)](norm, x)


def folded_weights(conv: nn.Conv2d, norm: nn.BatchNorm2d) -> tuple[Tensor, Tensor]:
    """Weight and bias of a convolution with the norm behind it, computed in single precision or better; gradients reach both modules."""
    exact = torch.promote_types(conv.weight.dtype, torch.float32)
    mean, scale = cast(Tensor, norm.running_mean).to(exact), torch.rsqrt(cast(Tensor, norm.running_var).to(exact) + norm.eps)
    if norm.affine:
        scale = scale * norm.weight
    shift = -mean * scale if conv.bias is None else (conv.bias - mean) * scale
    if norm.affine:
        shift = shift + norm.bias
    return (conv.weight * scale.view(-1, 1, 1, 1)).to(conv.weight.dtype), shift.to(conv.weight.dtype)


def _find_pairs(network: nn.Module, image_shape: tuple[int, int, int]) -> list[tuple[str, str]]:
    """Names of convolutions and of the norms that alone read their outputs, in training and in evaluation alike."""
    shared: dict[int, Any] = {id(parameter): parameter for parameter in network.parameters()}
    trial = copy.deepcopy(network, shared)  # the statistics of its norms move
    like = next(network.parameters())
    images = torch.zeros(2, *image_shape, device=like.device, dtype=like.dtype)
    try:
        with torch.random.fork_rng(devices=[]):
            pairs = [_pairs_of_a_run(trial.train(mode), images) for mode in (True, False)]
    except Exception:  # folding can be done without; a network that does not run at all says so itself, with the user's own pictures
        return []
    return sorted(pairs[0] & pairs[1])


class _Readers(TorchDispatchMode):
    """Counts how many operations read each tensor."""

    def __init__(self) -> None:
        super().__init__()
        self.count: Counter[int] = Counter()
        self._alive: list[Any] = []  # so that no identity is given twice

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        read = [leaf for leaf in tree_leaves((args, kwargs or {})) if isinstance(leaf, Tensor)]
        self.count.update({id(tensor) for tensor in read})
        result = func(*args, **(kwargs or {}))
        self._alive += [read, result]
        return result


def _pairs_of_a_run(trial: nn.Module, images: Tensor) -> set[tuple[str, str]]:
    """Pairs in one forward pass; modules that run several times in it are left out."""
    made: dict[int, str] = {}
    read: dict[str, int] = {}
    runs: Counter[str] = Counter()

    def note_output(name: str, output: Tensor) -> None:
        runs[name] += 1
        made[id(output)] = name

    def note_input(name: str, x: Tensor) -> None:
        runs[name] += 1
        read[name] = id(x)

    handles = []
    for name, module in trial.named_modules():
        if type(module) in _CONVOLUTIONS:
            handles.append(module.register_forward_hook(lambda _module, _args, output, name=name: note_output(name, output)))
        elif type(module) in _NORMS and cast(nn.BatchNorm2d, module).running_var is not None:
            handles.append(module.register_forward_pre_hook(lambda _module, args, name=name: note_input(name, args[0])))
    readers = _Readers()
    with torch.no_grad(), readers:
        result = trial(images)
    for handle in handles:
        handle.remove()
    readers.count.update({id(leaf) for leaf in tree_leaves(result)})
    found = [(made[tensor], norm) for norm, tensor in read.items() if tensor in made and readers.count[tensor] == 1]
    return {(conv, norm) for conv, norm in found if runs[conv] == runs[norm] == 1}
