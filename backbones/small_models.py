"""Small networks that no provider has: MobileNetV1 and V2 with mixed kernels, a slim Xception, LeNet. None of them has published weights.

Each is a chain of layers with a classifier on top; the backbone is the chain, cut at the last layer of each stride.
"""

from __future__ import annotations

import copy
from collections import OrderedDict
from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import Tensor, nn

from backbones.body import ProviderBackbone, level_specs
from backbones.chain import cut_chain, expand_chain
from backbones.errors import UsageError
from backbones.graph import widen_first_convolution
from backbones.types import ImageStats, SizeRule
from backbones.weights import choose_weights, for_channels

# (channels, stride) of MobileNetV1, table 1; (expansion, channels, blocks, stride) of MobileNetV2, table 2
_V1 = ((64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), *[(512, 1)] * 5, (1024, 2), (1024, 1))
_V2 = ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1))
# (bottleneck channels, blocks) of the slim Xception that ShuffleNetV2 compares with, row 0.5x; known as Xception39 from BiSeNet
_XCEPTION = ((16, 4), (32, 8), (64, 4))
_PROBE = 256


class SmallNetwork(nn.Module):
    """A chain of layers and a classifier.

    Args:
        features: Layers in the order in which they run.
        classifier: Maps the last feature map to class scores.
        taps: For each way of tapping the names of the layers whose outputs are the maps, finest first.
    """

    def __init__(self, features: dict[str, nn.Module], classifier: nn.Module, taps: dict[str, tuple[str, ...]]) -> None:
        super().__init__()
        self.features = nn.Sequential(OrderedDict(features))
        self.classifier = classifier
        self.taps = taps

    def forward(self, images: Tensor) -> Tensor:
        """Map images [B, C, H, W] to class scores [B, K]."""
        return self.classifier(self.features(images))


class MixedDepthwise(nn.Module):
    """Depthwise convolution whose channels are split evenly over several kernel sizes (MixConv, arXiv 1907.09595, section 3).

    Args:
        channels: Channels in and out; what does not divide goes to the first kernel.
        kernels: Odd kernel sizes.
        stride: Stride of all of them.
    """

    def __init__(self, channels: int, kernels: Sequence[int], stride: int) -> None:
        super().__init__()
        share = channels // len(kernels)
        self.widths = [channels - share * (len(kernels) - 1), *[share] * (len(kernels) - 1)]
        self.branches = nn.ModuleList(nn.Conv2d(width, width, kernel, stride, kernel // 2, groups=width, bias=False) for width, kernel in zip(self.widths, kernels, strict=True))

    def forward(self, grid: Tensor) -> Tensor:
        """Map [B, C, h, w] to [B, C, h / stride, w / stride]."""
        return torch.cat([branch(part) for branch, part in zip(self.branches, grid.split(self.widths, 1), strict=True)], 1)


class Skip(nn.Module):
    """Layers beside an identity or a projection, added up.

    Args:
        layers: Map [B, C, h, w] to the sum's other side.
        projection: Takes the place of the identity.
        activation: Follows the sum.
    """

    has_skip = True

    def __init__(self, layers: nn.Module, projection: nn.Module | None = None, activation: nn.Module | None = None) -> None:
        super().__init__()
        self.layers = layers
        self.projection = projection or nn.Identity()
        self.activation = activation or nn.Identity()

    def forward(self, grid: Tensor) -> Tensor:
        """Map [B, C, h, w] to [B, C', h / stride, w / stride]."""
        return self.activation(self.layers(grid) + self.projection(grid))


def _convolution(inp: int, out: int, kernel: int = 1, stride: int = 1, groups: int = 1, act: Callable[..., nn.Module] | None = nn.ReLU6) -> nn.Sequential:
    layers = [nn.Conv2d(inp, out, kernel, stride, kernel // 2, groups=groups, bias=False), nn.BatchNorm2d(out), *([act(inplace=True)] if act else [])]
    return nn.Sequential(*layers)


def _mixed(channels: int, kernels: Sequence[int], stride: int) -> nn.Sequential:
    return nn.Sequential(MixedDepthwise(channels, kernels, stride), nn.BatchNorm2d(channels), nn.ReLU6(inplace=True))


def _pooled(channels: int, classes: int = 1000) -> nn.Sequential:
    return nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, classes))


def mobilenetv1(kernels: Sequence[int]) -> SmallNetwork:
    """MobileNetV1 (arXiv 1704.04861) with mixed kernels."""
    layers: dict[str, nn.Module] = {"stem": _convolution(3, 32, 3, 2)}
    width = 32
    for index, (out, stride) in enumerate(_V1, 1):
        layers[f"block{index}"] = nn.Sequential(_mixed(width, kernels, stride), _convolution(width, out))
        width = out
    return SmallNetwork(layers, _pooled(width), {"stage": ("block1", "block3", "block5", "block11", "block13"), "ssd": ("block11", "block13")})


def mobilenetv2(kernels: Sequence[int]) -> SmallNetwork:
    """MobileNetV2 (arXiv 1801.04381) with mixed kernels."""
    layers: dict[str, nn.Module] = {"stem": _convolution(3, 32, 3, 2)}
    width, index = 32, 0
    for expansion, out, blocks, first_stride in _V2:
        for number in range(blocks):
            index, stride, inner = index + 1, first_stride if number == 0 else 1, width * expansion
            parts: dict[str, nn.Module] = {"expand": _convolution(width, inner)} if expansion > 1 else {}
            parts |= {"spread": _mixed(inner, kernels, stride), "project": _convolution(inner, out, act=None)}
            block = nn.Sequential(OrderedDict(parts))
            layers[f"block{index}"] = Skip(block) if stride == 1 and width == out else block
            width = out
    layers["last"] = _convolution(width, 1280)
    return SmallNetwork(layers, _pooled(1280), {"stage": ("block1", "block3", "block6", "block13", "block17"), "ssd": ("block14.expand", "last")})


def _separable(inp: int, out: int, stride: int = 1, act: Callable[..., nn.Module] | None = nn.ReLU) -> nn.Sequential:
    return nn.Sequential(_convolution(inp, inp, 3, stride, inp, None), _convolution(inp, out, act=act))


def slim_xception() -> SmallNetwork:
    """The slim Xception of ShuffleNetV2's comparison (arXiv 1807.11164, table 8, row 0.5x): bottlenecks of three separable convolutions."""
    width = 8
    layers: dict[str, nn.Module] = {"stem": _convolution(3, width, 3, 2, act=nn.ReLU), "pool": nn.MaxPool2d(3, 2, 1)}
    ends = ["stem", "pool"]
    for stage, (inner, blocks) in enumerate(_XCEPTION, 2):
        out = 4 * inner
        for number in range(blocks):
            stride = 2 if number == 0 else 1
            unit = nn.Sequential(_separable(width, inner, stride), _separable(inner, inner), _separable(inner, out, act=None))
            layers[f"stage{stage}_{number + 1}"] = Skip(unit, _separable(width, out, stride, None) if number == 0 else None, nn.ReLU(inplace=True))
            width = out
        ends.append(f"stage{stage}_{blocks}")
    return SmallNetwork(layers, _pooled(width), {"stage": tuple(ends)})


def lenet(channels: int = 3, padding: int = 2) -> SmallNetwork:
    """LeNet-5 (LeCun et al. 1998), for teaching: C3 sees all maps of S2, pooling has no weights, the output is a linear layer.

    Args:
        channels: Channels of the images; 1 in the paper.
        padding: 0 as in the paper, for images of 32 x 32; 2 keeps the sizes of maps, so that strides are 2 and 4.
    """
    layers: dict[str, nn.Module] = {
        "c1": nn.Sequential(nn.Conv2d(channels, 6, 5, padding=padding), nn.Tanh()),
        "s2": nn.AvgPool2d(2, ceil_mode=bool(padding)),
        "c3": nn.Sequential(nn.Conv2d(6, 16, 5, padding=padding), nn.Tanh()),
        "s4": nn.AvgPool2d(2, ceil_mode=bool(padding)),
        "c5": nn.Sequential(nn.Conv2d(16, 120, 5, padding=padding), nn.Tanh()),
    }
    classifier = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(120, 84), nn.Tanh(), nn.Linear(84, 10))
    return SmallNetwork(layers, classifier, {"stage": ("s2", "c5")})


SMALL_NETWORKS: dict[str, Callable[[], SmallNetwork]] = {
    "mixconv_mobilenetv1": lambda: mobilenetv1((3, 5, 7)),
    "mixconv_mobilenetv2": lambda: mobilenetv2((3, 5, 7)),
    "xception_slim": slim_xception,
    "lenet5": lenet,
}


def create_small_backbone(name: str, *, weights: str, taps: str, in_channels: int, input_size: tuple[int, int] | None) -> ProviderBackbone:
    """Build one of ``SMALL_NETWORKS`` as a backbone; arguments as in ``backbones.create_backbone``, ``input_size`` may be any."""
    network = SMALL_NETWORKS[name]()
    if taps not in network.taps:
        raise UsageError(f"{name} has no taps of the SSD-lite papers; use taps stage")
    choice = choose_weights(weights, name, {key: value.shape for key, value in network.state_dict().items()})
    if choice.download:
        raise UsageError(f"{name}: nobody has published weights for it; use weights none (--backbone.weights none) or a file")
    if choice.entries is not None:
        try:
            network.load_state_dict(choice.entries, strict=False)
        except RuntimeError as error:
            raise UsageError(f"weights {weights}: do not fit {name}: {' '.join(str(error).split())[:300]}") from error
    nodes = network.taps[taps]
    layers = expand_chain(network.features, [child for child, _ in network.features.named_children()], nodes)
    body = cut_chain(layers, dict.fromkeys(network.taps["stage"], False) | dict.fromkeys(nodes, True))
    with torch.no_grad():
        maps = copy.deepcopy(body).to("meta").eval()(torch.zeros(1, 3, _PROBE, _PROBE, device="meta"))
    specs = level_specs([m.shape[1] for m in maps], [_PROBE // m.shape[-1] for m in maps])
    widen_first_convolution(body, in_channels)
    return ProviderBackbone(name, body, specs, for_channels(choice.image_stats or ImageStats(), in_channels), SizeRule(), body.stage_names())


mixconv_mobilenetv1 = partial(create_small_backbone, "mixconv_mobilenetv1")
mixconv_mobilenetv2 = partial(create_small_backbone, "mixconv_mobilenetv2")
xception_slim = partial(create_small_backbone, "xception_slim")
lenet5 = partial(create_small_backbone, "lenet5")
