"""A folded network is the same network: outputs, gradients, statistics, names; only the way there is shorter."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from backbones import create_backbone
from backbones.folding import fold_norms, folded_weights
from backbones.freeze import FreezePolicy
from backbones.sync_norms import restore_norms, share_norms
from detectors.craft.build import build_craftlite
from detectors.ssdlite.build import build_ssdlite

SHAPE = (3, 64, 64)


def lively(network: nn.Module) -> nn.Module:
    """Norms as training leaves them: at the start they would hardly change anything."""
    generator = torch.Generator().manual_seed(1)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            for value, low, high in ((module.weight, 0.5, 1.5), (module.bias, -0.3, 0.3), (module.running_mean, -0.3, 0.3), (module.running_var, 0.5, 2.0)):
                assert value is not None
                value.data.uniform_(low, high, generator=generator)
    return network


def ssdlite(name: str) -> Any:
    torch.manual_seed(0)
    return lively(build_ssdlite(create_backbone(name, weights="none"), num_classes=2, input_size=SHAPE[1:], pyramid={"kind": "fpn", "width": 16}, head_depth=1))


def craftlite(name: str) -> Any:
    torch.manual_seed(0)
    return lively(build_craftlite(create_backbone(name, weights="none"), widths=(8, 16), head_width=8))


NETWORKS: dict[str, Callable[[], Any]] = {
    "norms with an activation": lambda: ssdlite("test_efficientnet"),
    "a traced graph": lambda: ssdlite("torchvision:mobilenet_v3_small"),
    "text, same padding": lambda: craftlite("tf_mobilenetv3_small_minimal_100"),
    "text, no chain": lambda: craftlite("test_resnet"),
}


def outputs_of(network: nn.Module, images: Tensor) -> list[Tensor]:
    return [value for value in network(images)[:2] if value.is_floating_point()]


def step(network: nn.Module, images: Tensor) -> list[Tensor]:
    outputs = outputs_of(network, images)
    torch.stack([value.square().mean() for value in outputs]).sum().backward()
    return outputs


def assert_same_step(plain: nn.Module, folded: nn.Module, images: Tensor) -> None:
    """Outputs, gradients and buffers of one training step, in double precision: norms that train over a few cells amplify every rounding."""
    for one, other in zip(step(plain, images), step(folded, images), strict=True):
        torch.testing.assert_close(other, one, rtol=1e-7, atol=1e-9)
    gradients = dict(plain.named_parameters())
    for name, parameter in folded.named_parameters():
        expected = gradients[name].grad
        assert (parameter.grad is None) == (expected is None), name
        if parameter.grad is not None and expected is not None:
            torch.testing.assert_close(parameter.grad, expected, rtol=1e-6, atol=1e-9, msg=name)
    buffers = dict(plain.named_buffers())
    for name, value in folded.named_buffers():
        torch.testing.assert_close(value, buffers[name], rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize(
    ("kind", "policy"),
    [*((kind, FreezePolicy("norms")) for kind in NETWORKS), *(("norms with an activation", FreezePolicy(*rest)) for rest in (("stages", 2, "train"), ("none", 0, "frozen")))],
    ids=lambda value: getattr(value, "policy", value),
)
def test_a_training_step_is_the_same(kind: str, policy: FreezePolicy) -> None:
    plain = NETWORKS[kind]().double().to(memory_format=torch.channels_last)
    folded = copy.deepcopy(plain)
    assert fold_norms(folded, SHAPE) > 10
    for network in (plain, folded):
        network.train()
        policy.apply(network.backbone)
    images = torch.randn(2, *SHAPE, generator=torch.Generator().manual_seed(2), dtype=torch.float64).contiguous(memory_format=torch.channels_last)
    assert_same_step(plain, folded, images)


def test_names_and_values_of_the_state_stay() -> None:
    plain = NETWORKS["text, same padding"]()
    before = {name: value.clone() for name, value in plain.state_dict().items()}
    modes = [module.training for module in plain.modules()]
    fold_norms(plain, SHAPE)
    after = plain.state_dict()
    assert list(after) == list(before)
    assert all(torch.equal(after[name], value) for name, value in before.items())
    assert [module.training for module in plain.modules()] == modes


def test_finding_the_pairs_takes_no_random_numbers() -> None:
    network = ssdlite("test_efficientnet")
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    fold_norms(network, SHAPE)
    assert torch.equal(torch.rand(3), expected)


def test_freezing_and_thawing_epoch_by_epoch_trains_the_same_network() -> None:
    plain = ssdlite("test_efficientnet").double()
    folded = copy.deepcopy(plain)
    fold_norms(folded, SHAPE)
    policy = FreezePolicy("gradual", 1, "train", thaw=(2, 3))
    optimizers = [torch.optim.SGD(network.parameters(), lr=0.01, momentum=0.9) for network in (plain, folded)]
    for epoch in (0, 1, 2, 0):  # the last one freezes again what had thawed
        images = torch.randn(2, *SHAPE, generator=torch.Generator().manual_seed(epoch), dtype=torch.float64)
        for network in (plain, folded):
            network.train()
            network.zero_grad()
            policy.apply(network.backbone, epoch, 4)
        assert_same_step(plain, folded, images)
        for optimizer in optimizers:
            optimizer.step()


def test_new_weights_and_statistics_count_at_once() -> None:
    network = ssdlite("test_efficientnet").eval()
    fold_norms(network, SHAPE)
    images = torch.randn(2, *SHAPE)
    first = outputs_of(network, images)[0]
    other = {name: value * 1.1 if value.is_floating_point() else value for name, value in network.state_dict().items()}
    network.load_state_dict(other)
    plain = ssdlite("test_efficientnet").eval()
    plain.load_state_dict(other)
    second = outputs_of(network, images)[0]
    assert not torch.allclose(first, second, rtol=1e-2)
    torch.testing.assert_close(second, outputs_of(plain, images)[0], rtol=1e-4, atol=1e-5)


class _Wired(nn.Module):
    """A convolution, something, a norm."""

    def __init__(self, way: str) -> None:
        super().__init__()
        self.conv, self.norm, self.way = nn.Conv2d(3, 4, 3, bias=way != "no bias"), nn.BatchNorm2d(4, affine=way != "no affine"), way
        self.between = {"dropout": nn.Dropout(0.5), "activation": nn.ReLU(inplace=True)}.get(way, nn.Identity())

    def forward(self, images: Tensor) -> Any:
        made = self.conv(images)
        if self.way == "twice":
            made = self.conv(images + made.mean())
        normalised = self.norm(self.between(made))
        return {"skip": lambda: normalised + made, "tap": lambda: (normalised, made)}.get(self.way, lambda: normalised)()


@pytest.mark.parametrize(("way", "pairs"), [("plain", 1), ("no bias", 1), ("no affine", 1), ("skip", 0), ("tap", 0), ("activation", 0), ("dropout", 0), ("twice", 0)])
def test_only_what_a_norm_alone_reads_is_folded(way: str, pairs: int) -> None:
    torch.manual_seed(0)
    network = lively(_Wired(way)) if way != "no affine" else _Wired(way)
    images = torch.randn(2, 3, 8, 8)
    expected = copy.deepcopy(network).eval()(images)
    assert fold_norms(network, (3, 8, 8)) == pairs
    torch.testing.assert_close(network.eval()(images), expected, rtol=1e-4, atol=1e-5)


def test_a_pair_that_something_came_between_is_an_error() -> None:
    network = _Wired("plain").eval()
    fold_norms(network, (3, 8, 8))
    network.between = nn.ReLU()
    with pytest.raises(RuntimeError, match="'norm'"):
        network(torch.randn(2, 3, 8, 8))


def test_a_network_that_cannot_run_is_left_alone() -> None:
    assert fold_norms(_Wired("plain"), (5, 8, 8)) == 0


def test_norms_that_share_statistics_take_over_again() -> None:
    network = ssdlite("test_efficientnet").eval()
    images = torch.randn(2, *SHAPE)
    expected = outputs_of(copy.deepcopy(network), images)[0]
    fold_norms(network, SHAPE)
    replaced = share_norms(network)
    torch.testing.assert_close(outputs_of(network, images)[0], expected, rtol=1e-4, atol=1e-5)
    restore_norms(replaced)
    torch.testing.assert_close(outputs_of(network, images)[0], expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("way", [copy.deepcopy, lambda network: pickle.loads(pickle.dumps(network))], ids=["deepcopy", "pickle"])
def test_a_copy_stands_for_itself(way: Callable[[nn.Module], nn.Module]) -> None:
    network = lively(_Wired("plain")).eval()
    fold_norms(network, (3, 8, 8))
    images = torch.randn(2, 3, 8, 8)
    before = network(images)
    twin: Any = way(network)
    assert torch.equal(twin(images), before)
    twin.norm.bias.data += 1
    torch.testing.assert_close(twin(images), before + 1)
    assert torch.equal(network(images), before)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float64])
def test_weights_are_folded_in_single_precision_or_better(dtype: torch.dtype) -> None:
    network: Any = lively(_Wired("plain")).to(dtype)
    weight, bias = folded_weights(network.conv, network.norm)
    assert weight.dtype == bias.dtype == dtype
    exact: Any = copy.deepcopy(network).double()
    expected, _ = folded_weights(exact.conv, exact.norm)
    torch.testing.assert_close(weight.double(), expected, rtol=2**-8 if dtype == torch.bfloat16 else 1e-12, atol=0)
