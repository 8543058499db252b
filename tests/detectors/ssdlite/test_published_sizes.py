"""Parameters and multiply-adds against the papers' tables and torchvision's documentation."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from torchvision.models.detection import SSDLite320_MobileNet_V3_Large_Weights

from backbones import create_backbone
from tools.ssdlite_table import PUBLISHED, PublishedRow, count, main

# counted by other hands on networks built after the papers (ReXNet: see below): millions of parameters, billions of multiply-adds
FAITHFUL = {
    "mobilenetv1_100": (5.101, 1.309),
    "mobilenetv2_100": (4.337, 0.789),
    "semnasnet_100": (4.912, 0.838),
    "mobilenetv3_large_100": (5.007, 0.613),
    "torchvision:mobilenet_v3_large?reduced_tail": (3.248, 0.507),
    "mobilenetv3_small_100": (2.518, 0.210),
    "rexnet_100": (5.851, 1.026),
}


@pytest.mark.parametrize("row", PUBLISHED, ids=lambda row: row.name)
def test_row(row: PublishedRow) -> None:
    counted = count(row)
    millions, billions = counted.params / 1e6, counted.macs / 1e9
    if row.anchors == "ssd":
        meta = SSDLite320_MobileNet_V3_Large_Weights.COCO_V1.meta
        assert counted.params == meta["num_params"] == 3_440_060
        assert round(billions, 3) == meta["_ops"] == 0.583
        return
    assert (round(millions, 3), round(billions, 3)) == FAITHFUL[row.backbone]
    if row.params is not None and row.macs is not None:
        assert abs(millions / row.params - 1) < 0.015
        assert abs(billions / row.macs - 1) < 0.015


def test_rexnet_expands_once() -> None:
    """Its multiply-adds are 0.039 B below a build that taps the expansion with a convolution of its own: that one runs it twice."""
    import timm

    backbone = create_backbone("rexnet_100", weights="none", taps="ssd").eval()  # type: ignore[attr-defined]
    whole = timm.create_model("rexnet_100").eval()
    entries = dict(zip(backbone.state_dict(), whole.state_dict().values(), strict=False))
    backbone.load_state_dict(entries)
    images = torch.randn(1, 3, 64, 64)
    seen: list[torch.Tensor] = []
    handles = [whole.get_submodule(name).register_forward_hook(lambda _m, _i, output: seen.append(output)) for name in ("features.11.conv_exp", "features.16")]
    with torch.no_grad():
        whole.forward_features(images)
        maps = backbone(images)
    for handle in handles:
        handle.remove()
    assert len(seen) == 2
    for got, want in zip(maps, seen, strict=True):
        torch.testing.assert_close(got, want)
    row = next(row for row in PUBLISHED if row.backbone == "rexnet_100")
    expansion = whole.get_submodule("features.11.conv_exp.conv").weight.numel() * 20 * 20
    assert round((count(row).macs + expansion) / 1e9, 3) == 1.065


def test_the_tool_prints_and_writes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("tools.ssdlite_table.PUBLISHED", PUBLISHED[-2:])
    target = tmp_path / "table.json"
    main(["--json", str(target)])
    assert "3.440" in capsys.readouterr().out
    rows = json.loads(target.read_text())["rows"]
    assert [row["counted"]["params"] for row in rows] == [3440060, 5851488]
