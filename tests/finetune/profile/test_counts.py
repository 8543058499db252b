"""Counts against torch's own counter and published figures; kinds and stages of operators; the record in JSON."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode
from torchvision.models.detection import ssdlite320_mobilenet_v3_large

from backbones import create_backbone
from backbones.errors import UsageError
from detectors.registry import create_detector
from finetune.profile.measure import count_parameters
from finetune.profile.operators import Operator, describe_operator
from finetune.profile.record import Cost, Latency, Memory, Peak, ProfileRecord, profile_from_dict, profile_to_dict
from finetune.profile.rules import OPERATOR_KINDS, OUTSIDE
from finetune.profile.shares import OperatorTimes, costs_by
from finetune.profile.trace import stages_of, trace_operators


def operators_of(detector: object, size: int = 64) -> list[Operator]:
    with torch.no_grad():
        return trace_operators(detector, torch.zeros(1, 3, size, size))


@pytest.mark.parametrize("backbone", ["test_efficientnet", "test_vit", "test_convnext", "test_resnet", "test_byobnet", "torchvision:shufflenet_v2_x0_5", "ghostnet_050"])
@pytest.mark.parametrize("detector", ["ssdlite", "craftlite"])
def test_macs_are_half_of_the_flops_that_torch_counts(backbone: str, detector: str) -> None:
    settings = {"num_classes": 3, "input_size": (160, 160)} if detector == "ssdlite" else {}
    model = create_detector(detector, create_backbone(backbone, weights="none", input_size=(160, 160)), **settings).eval()
    operators = operators_of(model, 160)
    counter = FlopCounterMode(display=False)
    with torch.no_grad(), counter:
        model(torch.zeros(1, 3, 160, 160))
    assert counter.get_total_flops() > 0
    assert sum(operator.macs for operator in operators) == pytest.approx(counter.get_total_flops() / 2, rel=0.01)
    assert sum(count_parameters(model).values()) == sum(value.numel() for value in model.parameters())
    assert {operator.stage for operator in operators} <= set(stages_of(model))
    for name, count in count_parameters(model).items():
        assert not count or any(operator.stage == name for operator in operators), f"{name} has parameters and never runs"


def test_published_counts() -> None:
    craft = create_detector("craft").eval()
    assert sum(count_parameters(craft).values()) == 20_770_466
    with torch.device("meta"):
        reference = ssdlite320_mobilenet_v3_large(weights=None, weights_backbone=None)
    assert sum(value.numel() for value in reference.parameters()) == 3_440_060
    mobilenet = create_detector("craftlite", create_backbone("mobilenetv2_100", weights="none")).eval()
    operators = operators_of(mobilenet, 224)
    trunk = [operator for operator in operators if operator.stage not in ("pyramid", "head")]
    # MobileNetV2: 300M multiply-adds with its last 1x1 (20.1M) and classifier (1.3M), which a pyramid of stage outputs does not have
    assert sum(operator.macs for operator in trunk) == pytest.approx(300.8e6 - 20.1e6 - 1.3e6, rel=0.01)


def test_shares_of_kinds_in_a_depthwise_separable_network() -> None:
    model = create_detector("ssdlite", create_backbone("mobilenetv2_100", weights="none"), num_classes=3, input_size=(64, 64)).eval()
    operators = operators_of(model)
    kinds = {operator.kind for operator in operators}
    assert {"depthwise", "pointwise", "convolution", "norm", "activation", "upsampling", "concatenation", "elementwise"} <= kinds
    assert "other" not in kinds, [operator.name for operator in operators if operator.kind == "other"]
    depthwise = [operator for operator in operators if operator.kind == "depthwise"]
    layers = [layer for layer in model.modules() if isinstance(layer, nn.Conv2d) and layer.groups == layer.in_channels > 1]
    assert len(depthwise) >= len(layers)  # a shared head runs once a level
    assert all(operator.macs == operator.activations * 9 for operator in depthwise)


@pytest.mark.parametrize(
    ("layer", "kind"),
    [
        (nn.Conv2d(8, 8, 3, groups=8), "depthwise"),
        (nn.Conv2d(8, 16, 1), "pointwise"),
        (nn.Conv2d(8, 16, 3), "convolution"),
        (nn.Conv2d(8, 16, 1, groups=2), "grouped convolution"),
        (nn.ConvTranspose2d(8, 4, 2, 2), "convolution"),
        (nn.BatchNorm2d(8), "norm"),
        (nn.GroupNorm(2, 8), "norm"),
        (nn.Hardswish(), "activation"),
        (nn.GELU(), "activation"),
        (nn.PReLU(), "activation"),
        (nn.MaxPool2d(2), "pooling"),
        (nn.AdaptiveAvgPool2d(1), "pooling"),
        (nn.Upsample(scale_factor=2), "upsampling"),
        (nn.PixelShuffle(2), "layout"),
        (nn.ZeroPad2d(1), "layout"),
        (nn.Linear(6, 5), "linear"),
    ],
)
def test_kinds_of_layers(layer: nn.Module, kind: str) -> None:
    class Alone(nn.Module):
        backbone = None

    operators: list[Operator] = []
    layer.eval()
    with torch.no_grad(), pytest.MonkeyPatch.context() as patch:
        patch.setattr("finetune.profile.trace.stages_of", lambda model: {"all": [model]})
        operators = trace_operators(layer, torch.randn(1, 8, 6, 6))
        counter = FlopCounterMode(display=False)
        with counter:
            layer(torch.randn(1, 8, 6, 6))
    assert kind in {operator.kind for operator in operators}
    assert "other" not in {operator.kind for operator in operators}
    assert 2 * sum(operator.macs for operator in operators) == counter.get_total_flops()


def test_what_nobody_knows_is_other() -> None:
    assert describe_operator("cummax", [torch.zeros(3)], torch.zeros(3), "head").kind == "other"


def test_shares_sum_to_one_and_time_outside_has_its_row() -> None:
    operators = [Operator("convolution", "depthwise", "stem", 9, 1), Operator("relu", "activation", "stem", 0, 0), Operator("cat", "concatenation", "head", 0, 0)]
    times = OperatorTimes((2.0, 1.0, 4.0), 1.0, 8.0, 5)
    kinds = {row.name: row for row in costs_by("kind", OPERATOR_KINDS, operators, times, {})}
    assert {name: row.share for name, row in kinds.items()} == {"depthwise": 0.25, "activation": 0.125, "concatenation": 0.5, OUTSIDE: 0.125}
    stages = costs_by("stage", ("stem", "stage 1", "head", OUTSIDE), operators, times, {"stem": 9, "stage 1": 0, "head": 3})
    assert [(row.name, row.calls, row.parameters, row.macs, row.ms) for row in stages] == [("stem", 2, 9, 9, 3.0), ("head", 1, 3, 0, 4.0), (OUTSIDE, 0, 0, 0, 1.0)]


def record() -> ProfileRecord:
    peak = Peak(1, (320, 320), 4, 3, 1.5, 7, True)
    return ProfileRecord(
        "a", "ssdlite", "b", 80, False, (320, 320), "noise", "cpu", "x", 2, 1, "32-true", "contiguous", "2.8", 1.0, None, ("a",), 1, 2, 3, 4,
        (Latency(1, 2, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0),), Memory("resident", peak, None, None, "m"), (Cost("stem", 1, 2, 3, 4, 5.0, 1.0),),
    )  # fmt: skip


def test_a_record_survives_json() -> None:
    text = json.dumps(profile_to_dict(record()))
    assert profile_from_dict(json.loads(text)) == record()
    assert json.loads(text)["latency_ms_median"] == 3.0
    assert json.loads(text)["peak_inference_bytes"] == 4
    assert json.loads(text)["peak_training_bytes"] is None


def test_a_wrong_record_is_refused() -> None:
    values = profile_to_dict(record())
    with pytest.raises(UsageError, match="schema 99"):
        profile_from_dict({**values, "schema": 99})
    with pytest.raises(UsageError, match="not a complete profile"):
        profile_from_dict({name: value for name, value in values.items() if name != "macs"})
    assert profile_from_dict({**values, "later": 1}) == replace(record())
