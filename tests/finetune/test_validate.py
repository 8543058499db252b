"""The validator: each kind of fault, found from the types; and no fault where there is none."""

from __future__ import annotations

import typing
from dataclasses import asdict, is_dataclass
from typing import Annotated, Any

import pytest

from finetune.config import RunConfig
from finetune.convert import convert
from finetune.nearest import nearest_key, nearest_name
from finetune.ranges import AT_LEAST_1, INNER_SHARE, POSITIVE, RISING, SHARE_BELOW_1, Range
from finetune.validate import check_config, check_run, hints_of, list_keys


def tree_of(key: str, value: Any) -> dict[str, Any]:
    *sections, leaf = key.split(".")
    tree: dict[str, Any] = {leaf: value}
    for section in reversed(sections):
        tree = {section: tree}
    return tree


def test_defaults_are_right_and_come_back_unchanged() -> None:
    checked = check_run(asdict(RunConfig()))
    assert checked.faults == []
    assert checked.tree == asdict(RunConfig())
    assert check_config({}) == []


@pytest.mark.parametrize(
    ("key", "value", "part"),
    [
        ("train.epochs", -1, "at least 0"),
        ("train.epochs", 2.5, "not a whole number"),
        ("train.epochs", True, "not a whole number"),
        ("train.lr", 0, "above 0"),
        ("train.lr", "fast", "not a number"),
        ("train.lr", float("nan"), "not a number"),
        ("train.lr", float("inf"), "not a number"),
        ("train.warmup", 1, "below 1"),
        ("train.momentum", -0.1, "at least 0"),
        ("train.milestones", [0.9, 0.7], "rising"),
        ("train.milestones", [0.7, 1.5], "below 1"),
        ("train.channels_last", "maybe", "neither true nor false"),
        ("train.channels_last", 3, "neither true nor false"),
        ("train.optimizer", "sdg", "did you mean sgd?"),
        ("train.optimizer", True, "not one of sgd, adamw"),
        ("data.input_size", [320, 16], "at least 32"),
        ("data.input_size", [320, 320, 3], "3 values, it must have 2"),
        ("data.input_size", [], "0 values"),
        ("data.val_fraction", 0, "above 0"),
        ("data.val_fraction", 1, "below 1"),
        ("data.batch_size", 0, "at least 1"),
        ("data.batch_size", None, "has no value"),
        ("data.workers", -2, "at least -1"),
        ("data.channels", 4, "not one of 1, 3"),
        ("data.rename", ["a"], "pair names"),
        ("data.rename", {"a": None}, "has no value"),
        ("data.include", {"a": 1}, "not a list"),
        ("data.root", ["a", "b"], "2 values"),
        ("data.root", True, "not text"),
        ("data.root", None, "has no value"),
        ("freeze.stages", -1, "at least 0"),
        ("freeze.thaw", [0.5, 0], "above 0"),
        ("freeze.thaw_warmup", 1, "below 1"),
        ("pyramid.levels", [5, 4], "rising"),
        ("pyramid.levels", [0, 1], "at least 1"),
        ("evaluate.protocols", ["coco", "voc"], "'voc' is not one of"),
        ("seed", -1, "at least 0"),
        ("train", 5, "a section"),
        ("trian", {"epochs": 5}, "did you mean train?"),
        ("train.learning_rate", 1, "did you mean train.lr?"),
        ("train.epoch", 1, "did you mean train.epochs?"),
        ("lr", 1, "did you mean train.lr?"),
        ("optimizer", "sgd", "did you mean train.optimizer?"),
        ("train.input_size", [1, 2], "did you mean data.input_size?"),
        ("backbone.pretrained", True, "in backbone there are name, weights, taps"),
    ],
)
def test_each_fault_is_found(key: str, value: Any, part: str) -> None:
    faults = check_config(tree_of(key, value), "my.yaml")
    assert len(faults) == 1
    assert faults[0].startswith(f"{key}: ")
    assert part in faults[0]
    assert faults[0].endswith("[my.yaml]")


@pytest.mark.parametrize(
    ("key", "value", "kept"),
    [
        ("train.lr", "1e-3", 0.001),  # what PyYAML makes of 1e-3
        ("train.epochs", 5.0, 5),
        ("train.epochs", "12", 12),
        ("train.devices", 2, "2"),
        ("data.one_based", "off", False),
        ("data.input_size", "320x480", (320, 480)),
        ("data.include", "RBC", ("RBC",)),
        ("data.train", "None", None),
        ("data.channels", "1", 1),
        ("data.augment", "STRONG", "strong"),
        ("data.rename", "{a: b}", {"a": "b"}),
        ("data.rename", {1: 2}, {"1": "2"}),
        ("pyramid.levels", "3,4", (3, 4)),
        ("seed", 10**18 + 1, 10**18 + 1),
    ],
)
def test_what_people_write_is_understood(key: str, value: Any, kept: Any) -> None:
    checked = check_run(tree_of(key, value))
    assert checked.faults == []
    for part in key.split("."):
        checked.tree = checked.tree[part]
    assert checked.tree == kept
    assert type(checked.tree) is type(kept)


def test_all_faults_together_in_the_order_of_the_file() -> None:
    tree = {"train": {"epochs": -1, "lr": -1}, "nonsense": 1, "data": {"augment": "x"}}
    sources = {"train.epochs": "a.yaml line 2", "train.lr": "--train.lr"}
    faults = check_config(tree, sources)
    assert [fault.split(":")[0] for fault in faults] == ["train.epochs", "--train.lr", "nonsense", "data.augment"]
    assert "[a.yaml line 2]" in faults[0]


@pytest.mark.parametrize(
    ("tree", "key"),
    [
        ({"pyramid": {"kind": "ssd"}}, "ssdlite.shared_head"),
        ({"pyramid": {"levels": []}}, "pyramid.levels"),
        ({"detector": {"keep_classes": True}}, "detector.keep_classes"),
        ({"data": {"images": "x"}}, "data.images"),
        ({"freeze": {"policy": "none", "stages": 3}}, "freeze.stages"),
        ({"freeze": {"policy": "stages", "thaw": [0.5]}}, "freeze.thaw"),
        ({"freeze": {"policy": "stages", "thaw_warmup": 0.2}}, "freeze.thaw_warmup"),
        ({"freeze": {"policy": "gradual", "thaw": [0.5, 0.2]}}, "freeze.thaw"),
        ({"freeze": {"policy": "gradual", "thaw": [2, 2.5]}}, "freeze.thaw"),
        ({"freeze": {"policy": "gradual", "thaw": [21]}, "train": {"epochs": 20}}, "freeze.thaw"),
        ({"freeze": {"policy": "gradual", "thaw": [2]}, "train": {"epochs": 4, "backbone_lr_scale": 0}}, "train.backbone_lr_scale"),
        ({"train": {"milestones": [0.5]}}, "train.milestones"),
        ({"detector": {"name": "ssdlit"}}, "detector.name"),
        ({"backbone": {"name": "tf_efficientnet_light0"}}, "backbone.name"),
    ],
)
def test_contradictions_are_faults(tree: dict[str, Any], key: str) -> None:
    faults = check_config(tree)
    assert len(faults) == 1
    assert faults[0].startswith(f"{key}: ")


@pytest.mark.parametrize("name", ["mobilenetv3_large_100", "resnet18.a1_in1k", "torchvision:resnet18", "my.module:factory", "test_vit"])
def test_names_of_backbones_are_known_before_data_are_read(name: str) -> None:
    assert check_config({"backbone": {"name": name}}) == []


def test_a_wrong_name_of_a_backbone_shows_the_nearest() -> None:
    assert "did you mean test_efficientnet?" in check_config({"backbone": {"name": "test_eficientnet"}})[0]


def test_a_flag_that_switches_off_what_a_file_set_is_no_contradiction() -> None:
    tree = {"freeze": {"policy": "none", "stages": 3}}
    assert check_config(tree, {"freeze.policy": "--freeze.policy", "freeze.stages": "a.yaml line 3"}) == []
    assert check_config(tree, {"freeze.policy": "a.yaml line 2", "freeze.stages": "--freeze.stages"})
    assert check_config(tree, {"freeze.policy": "--freeze.policy", "freeze.stages": "--freeze.stages"})


def test_settings_of_gradual_unfreezing_without_fault() -> None:
    assert check_config({"freeze": {"policy": "gradual", "stages": 1, "thaw": [2, 0.5, 20], "thaw_warmup": 0.2}, "train": {"epochs": 20}}) == []
    assert check_config({"freeze": {"policy": "gradual"}}) == []


def test_a_wrong_value_does_not_bring_up_contradictions_of_its_default() -> None:
    assert len(check_config({"pyramid": {"kind": "sdd"}})) == 1


def test_every_number_of_the_settings_has_a_range() -> None:
    """A new numeric setting without a range would let nonsense through to training."""

    def bare(kind: Any, prefix: str = "") -> list[str]:
        found = []
        for name, hint in hints_of(kind).items():
            if is_dataclass(hint):
                found += bare(hint, f"{prefix}{name}.")
            elif hint in (int, float) or any(part in (int, float) for part in typing.get_args(hint) if not hasattr(hint, "__metadata__")):
                found.append(prefix + name)
        return found

    assert bare(RunConfig) == []


def test_keys_are_listed_sections_first() -> None:
    keys = list_keys(RunConfig)
    assert keys[0] == "data"
    assert "train.lr" in keys
    assert len(keys) == len(set(keys))


@pytest.mark.parametrize(
    ("wrong", "names", "near"),
    [
        ("mobilenetv3_larg_100", ["mobilenetv3_large_100", "resnet18"], "mobilenetv3_large_100"),
        ("LR", ["lr", "epochs"], "lr"),
        ("batch-size", ["batch_size"], "batch_size"),
        ("bs", ["epochs", "batch_size"], "batch_size"),
        ("xyz", ["lr", "epochs"], None),
        ("", ["lr"], None),
    ],
)
def test_nearest_name(wrong: str, names: list[str], near: str | None) -> None:
    assert nearest_name(wrong, names) == near


def test_nearest_key_names_all_places_of_one_name() -> None:
    assert nearest_key("weights", ("backbone.weights", "detector.weights")) == "did you mean backbone.weights or detector.weights?"


@pytest.mark.parametrize(
    ("allowed", "inside", "outside"),
    [(AT_LEAST_1, [1, 2], [0, 0.99]), (POSITIVE, [1e-9], [0, -1]), (INNER_SHARE, [0.5], [0, 1]), (SHARE_BELOW_1, [0, 0.99], [1, -0.1]), (Range(low=-1), [-1], [-2]), (Range(), [-1e9, 1e9], [])],
)
def test_ranges(allowed: Range, inside: list[float], outside: list[float]) -> None:
    assert all(value in allowed for value in inside)
    assert not any(value in allowed for value in outside)


def test_rising() -> None:
    assert () in RISING
    assert (1.0, 2.0) in RISING
    assert (1.0, 1.0) not in RISING


def test_convert_reports_ranges_of_members() -> None:
    with pytest.raises(ValueError, match="'2' is not allowed, it must be at least 0 and at most 1"):
        convert(["RBC=2"], dict[str, Annotated[float, Range(low=0, high=1)]])
