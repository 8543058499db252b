"""What an operator of torch is: its kind, its multiply-adds, and the values it puts out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

from torch import Tensor

_CONVOLUTIONS = {"convolution", "_convolution", "cudnn_convolution", "mkldnn_convolution"}
_ACTIVATIONS = (
    "relu", "hardtanh", "clamp", "sigmoid", "silu", "swish", "mish", "gelu", "elu", "selu", "celu", "tanh", "softplus", "softmax", "log_sigmoid", "threshold", "_prelu_kernel", "glu",
)
_ELEMENTWISE = ("add", "sub", "mul", "div", "rsub", "addcmul", "addcdiv", "maximum", "minimum", "pow", "sqrt", "rsqrt", "exp", "log", "neg", "abs", "where", "lerp", "square", "reciprocal")
_LAYOUT = (
    "view", "_unsafe_view", "reshape", "_reshape_alias", "permute", "transpose", "t", "alias", "clone", "copy", "_to_copy", "contiguous", "constant_pad_nd", "slice", "select", "split",
    "split_with_sizes", "chunk", "unbind", "expand", "squeeze", "unsqueeze", "index", "index_select", "gather", "roll", "flip", "pixel_shuffle", "pixel_unshuffle", "channel_shuffle",
    "native_channel_shuffle", "detach", "as_strided", "repeat", "reflection_pad2d", "replication_pad2d", "im2col", "unfold", "lift_fresh", "empty", "zeros", "ones", "full", "arange",
)


@dataclass(frozen=True)
class Operator:
    """One operator of a forward pass.

    Args:
        name: In torch, for example "convolution".
        kind: One of ``finetune.profile.rules.OPERATOR_KINDS``.
        stage: Part of the network that it belongs to.
        macs: Multiply-adds.
        activations: Values put out, of convolutions, linear layers and attention; else 0.
    """

    name: str
    kind: str
    stage: str
    macs: int
    activations: int


def describe_operator(name: str, args: Sequence[Any], output: Any, stage: str) -> Operator:
    """Say what an operator is, from its name and the shapes it got.

    Args:
        name: In torch, without its overload.
        args: Its positional arguments.
        output: What it returned.
        stage: Part of the network.
    """
    plain = name.rstrip("_")
    if plain in _CONVOLUTIONS or name in _CONVOLUTIONS:
        images, weight, out = args[0], args[1], output if isinstance(output, Tensor) else output[0]
        # every weight meets every cell of the output once; of a transposed convolution, every cell of the input
        transposed = bool(args[6])
        cells = prod((images if transposed else out).shape[2:]) * images.shape[0]
        groups = int(args[8])
        return Operator(name, _convolution_kind(weight, groups, images.shape[1], transposed), stage, cells * weight.numel(), out.numel())
    macs = _matrix_macs(name, args)
    if macs is not None:
        out = output if isinstance(output, Tensor) else output[0]
        return Operator(name, "linear", stage, macs, out.numel())
    return Operator(name, _other_kind(plain), stage, 0, 0)


def _convolution_kind(weight: Tensor, groups: int, channels: int, transposed: bool) -> str:
    if groups > 1:
        return "depthwise" if groups == channels else "grouped convolution"
    return "pointwise" if prod(weight.shape[2:]) == 1 and not transposed else "convolution"


def _matrix_macs(name: str, args: Sequence[Any]) -> int | None:
    """Multiply-adds of matrix products and attention; None for anything else."""
    if name in ("mm", "bmm"):
        return args[0].numel() * int(args[1].shape[-1])
    if name in ("addmm", "baddbmm"):
        return args[1].numel() * int(args[2].shape[-1])
    if name in ("mv", "dot"):
        return int(args[0].numel())
    if name in ("linear", "mkldnn_linear", "_mkl_linear"):
        return args[0].numel() * int(args[1].shape[0])
    if name.startswith("_scaled_dot_product"):
        query, key, value = args[:3]
        return query.numel() * int(key.shape[-2]) + prod(query.shape[:-1]) * int(key.shape[-2]) * int(value.shape[-1])
    return None


def _other_kind(name: str) -> str:
    if "upsample" in name or "grid_sampler" in name:
        return "upsampling"
    if "pool" in name or name in ("mean", "sum", "amax", "var", "var_mean"):
        return "pooling"
    if "norm" in name:
        return "norm"
    if name in ("cat", "stack", "_cat", "concat"):
        return "concatenation"
    if name.strip("_") in _ACTIVATIONS or name in _ACTIVATIONS or name.startswith(("hard", "leaky", "_softmax", "_log_softmax", "clamp")):
        return "activation"
    if name in _ELEMENTWISE:
        return "elementwise"
    if name in _LAYOUT or name.startswith(("new_", "empty", "view_")) or name.endswith("_like"):
        return "layout"
    return "other"
