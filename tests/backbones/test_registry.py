"""Names, plug-ins, one's own modules, the catalog and the list that reads it."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
import textwrap
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest
import timm
import torch

from backbones import UsageError, check_backbone, create_backbone, list_backbones, plugins
from backbones.catalog import read_catalog
from finetune.commands import list as list_command
from finetune.options import ListOptions

OWN = """
    import torch
    from torch import nn
    from backbones import FeatureSpec, ImageStats, SizeRule

    class Own(nn.Module):
        def __init__(self, width):
            super().__init__()
            self.body = nn.Conv2d(3, width, 8, 8)
            self.specs = (FeatureSpec("c3", width, 8),)
            self.image_stats = ImageStats()
            self.size_rule = SizeRule(multiple=8)
        def stages(self):
            return [self.body]
        def forward(self, images):
            return [self.body(images)]

    def create(weights="imagenet"):
        return Own(8)

    def plain_network():
        return nn.Conv2d(3, 8, 3)

    def not_a_network():
        return 5

    def fails():
        raise KeyError("x")
"""


@pytest.fixture
def own_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    (tmp_path / "my_own_backbone.py").write_text(textwrap.dedent(OWN))
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "my_own_backbone", raising=False)
    return "my_own_backbone"


def test_ones_own_module_is_a_backbone(own_module: str) -> None:
    backbone = create_backbone(f"{own_module}:create")
    check_backbone(backbone)
    assert backbone.specs[0].channels == 8


@pytest.mark.parametrize(
    ("attribute", "message"),
    [
        ("plain_network", "has no specs .* and no image_stats"),
        ("not_a_network", "torch.nn.Module is wanted, the factory returned int"),
        ("absent", "no function or class 'absent'"),
        ("fails", "failed with KeyError"),
    ],
)
def test_what_is_no_backbone_is_said(own_module: str, attribute: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        create_backbone(f"{own_module}:{attribute}")


def test_a_setting_that_a_factory_does_not_take_is_refused(own_module: str) -> None:
    with pytest.raises(UsageError, match="takes no in_channels"):
        create_backbone(f"{own_module}:create", in_channels=1)
    with pytest.raises(UsageError, match="cannot import no_such_package"):
        create_backbone("no_such_package:create")


def test_a_broken_plugin_is_named_and_the_others_live(own_module: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]) -> None:
    points = [EntryPoint("mine", f"{own_module}:create", plugins.GROUP), EntryPoint("hurt", "no_such_package.x:create", plugins.GROUP)]
    monkeypatch.setattr(plugins, "entry_points", lambda group: points if group == plugins.GROUP else [])
    with caplog.at_level(logging.WARNING, "backbones"):
        assert list(plugins.working_plugins()) == ["mine"]
    assert "plug-in hurt" in caplog.text
    assert create_backbone("mine").specs[0].name == "c3"
    with pytest.raises(UsageError, match=r"plug-in hurt .* is broken: no_such_package.x:create cannot be imported"):
        create_backbone("hurt")
    assert {"mine", "hurt"} <= set(list_backbones())
    assert list_command.run(ListOptions("backbones", "mine")) == 0
    assert "plug-in of" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("name", "near"),
    [("mobilnetv3_large_100", "mobilenetv3_large_100"), ("torchvision:rsnet18", "torchvision:resnet18"), ("tf_efficientnet_lite", "tf_efficientnet_lite0")],
)
def test_unknown_names_give_the_nearest(name: str, near: str) -> None:
    with pytest.raises(UsageError, match=near):
        create_backbone(name, weights="none")


def test_wrong_settings_are_said() -> None:
    with pytest.raises(UsageError, match="'stage' or 'ssd'"):
        create_backbone("resnet18", weights="none", taps="all")
    with pytest.raises(UsageError, match="at least 1"):
        create_backbone("resnet18", weights="none", in_channels=0)
    with pytest.raises(UsageError, match="no pyramid"):
        create_backbone("torchvision:vit_b_16", weights="none")


def test_a_name_may_carry_its_tag() -> None:
    with pytest.raises(UsageError, match=r"'nope': resnet18 has no such tag .*a1_in1k"):
        create_backbone("resnet18.nope")


@pytest.mark.parametrize("name", ["mobilenetv3_large_100", "tf_efficientnet_lite0", "resnet18", "convnext_atto", "torchvision:mobilenet_v2", "test_vit"])
def test_the_catalog_tells_what_is_built(name: str) -> None:
    entry, backbone = read_catalog()[name], create_backbone(name, weights="none")
    assert entry.params == sum(parameter.numel() for parameter in backbone.parameters())
    assert entry.strides == tuple(spec.stride for spec in backbone.specs)
    assert entry.channels == tuple(spec.channels for spec in backbone.specs)
    assert entry.mean == backbone.image_stats.mean


def test_the_catalog_is_whole_and_sane() -> None:
    catalog = read_catalog()
    known = {*timm.list_models(), *(name for name in catalog if ":" in name)}
    assert set(catalog) <= known
    for entry in catalog.values():
        assert entry.params > 0
        assert list(entry.strides) == sorted(entry.strides)
        assert len(entry.strides) == len(entry.channels) == len([c for c in entry.channels if c > 0])
        assert entry.pad_multiple >= 1
    # Published sizes without the classifier: 11,689,512 - 513,000 and 25,557,032 - 2,049,000.
    assert catalog["torchvision:resnet18"].params == catalog["resnet18"].params == 11_176_512
    assert catalog["torchvision:resnet50"].params == catalog["resnet50"].params == 23_508_032


def test_the_list_shows_what_is_on_this_machine(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert list_command.run(ListOptions("backbones", "tf_efficientnet_lite*", json=str(tmp_path / "l.json"))) == 0
    line = next(line for line in capsys.readouterr().out.splitlines() if line.startswith("tf_efficientnet_lite0 "))
    for part in ("2.96M", "2 4 8 16 32", "16 24 40 112 320", "any", "Apache-2.0", "installed"):
        assert part in line
    rows = {row["name"]: row for row in json.loads((tmp_path / "l.json").read_text())["backbones"]}
    assert rows["tf_efficientnet_lite0"]["params"] == read_catalog()["tf_efficientnet_lite0"].params
    assert set(rows) == {name for name in read_catalog() if name.startswith("tf_efficientnet_lite")}


def test_the_list_sees_downloaded_files(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    entry = read_catalog()["torchvision:resnet18"]
    list_command.run(ListOptions("backbones", "torchvision:resnet18"))
    assert "  download" in capsys.readouterr().out
    file = tmp_path / "hub" / "checkpoints" / str(entry.url).rpartition("/")[2]
    file.parent.mkdir(parents=True)
    file.write_bytes(b"weights")
    list_command.run(ListOptions("backbones", "torchvision:resnet18"))
    assert "  cached" in capsys.readouterr().out


def test_a_pattern_without_match_names_the_nearest() -> None:
    with pytest.raises(UsageError, match=r"no name matches 'mobilenett\*'.*mobilenet"):
        list_command.run(ListOptions("backbones", "mobilenett*"))
    with pytest.raises(UsageError, match="no name matches"):
        list_command.run(ListOptions("detectors", "zzz"))


def test_detectors_and_configs_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert list_command.run(ListOptions("detectors")) == 0
    assert list_command.run(ListOptions("configs", "ssdlite*")) == 0
    out = capsys.readouterr().out
    assert "ssdlite\n" in out
    assert "ssdlite_bccd" in out


def test_importing_and_listing_need_no_torch() -> None:
    code = """
        import sys
        import backbones
        from finetune.commands.list import run
        from finetune.options import ListOptions
        run(ListOptions("backbones", "test*"))
        run(ListOptions("detectors"))
        run(ListOptions("configs"))
        heavy = {"torch", "timm", "torchvision", "numpy"} & set(sys.modules)
        sys.exit(f"imported: {heavy}" if heavy else 0)
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr


def test_a_saved_backbone_loads_into_a_new_one() -> None:
    first, second = create_backbone("test_resnet", weights="none").eval(), create_backbone("test_resnet", weights="none").eval()
    second.load_state_dict(first.state_dict())
    images = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        assert all(torch.equal(a, b) for a, b in zip(first(images), second(images), strict=True))
