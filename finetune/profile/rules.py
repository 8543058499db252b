"""The words of a profile: kinds of operators, and how everything is counted. No torch here."""

from __future__ import annotations

from collections.abc import Mapping

OUTSIDE = "outside operators"
OPERATOR_KINDS = (
    "convolution",
    "grouped convolution",
    "depthwise",
    "pointwise",
    "linear",
    "norm",
    "activation",
    "pooling",
    "upsampling",
    "concatenation",
    "elementwise",
    "layout",
    "other",
    OUTSIDE,
)
RULES: Mapping[str, str] = {
    "parameters": "learnable values of the detector",
    "weight_bytes": "bytes of all tensors of its state dict: parameters and running statistics",
    "macs": "multiply-adds of convolutions, linear layers and attention for one image of the input size; biases, norms, activations, pooling and sums count nothing",
    "activations": "values that convolutions and linear layers put out for one image of the input size",
    "latency": "wall-clock time in eval mode, the device synchronised before and after, after warm-up; spread is the distance between the quartiles",
    "memory": "resident: most memory that a process of its own held, Python and torch included, resting before the first image; allocator: most bytes of tensors on the GPU",
    "share": "of the time of an untouched forward pass; 'outside operators' is what is left of it when the operators are taken out (Python, dispatch, waiting)",
}
