"""Parameters and multiply-adds of SSD-lite over the backbones of the papers, published and counted side by side.

    python tools/ssdlite_table.py [--json FILE]

Multiply-adds (MACs) are those of convolutions and linear layers for one 320 x 320 image.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import asdict, dataclass

import torch
from rich.box import SIMPLE
from rich.table import Table
from torch.utils.flop_counter import FlopCounterMode

from backbones import create_backbone
from detectors.ssdlite.build import build_ssdlite
from finetune.console import console, write_json

_SIZE = (320, 320)


@dataclass(frozen=True)
class PublishedRow:
    """What a paper says about one SSD-lite.

    Args:
        name: As published.
        backbone: Our name for the network.
        outputs: Class columns per anchor, background included.
        params: Learnable weights, millions.
        macs: Multiply-adds, billions.
        coco_map: COCO mAP, percent.
        anchors: "ssd-a3" has 3 anchors a cell on the first map, "ssd" has 6 everywhere.
        norm: BatchNorm of pyramid and head; changes neither figure.
    """

    name: str
    backbone: str
    outputs: int
    params: float | None
    macs: float | None
    coco_map: float | None
    anchors: str = "ssd-a3"
    norm: str = "default"


PUBLISHED = (
    PublishedRow("MobileNetV1", "mobilenetv1_100", 81, 5.1, 1.3, 22.2),
    PublishedRow("MobileNetV2", "mobilenetv2_100", 81, 4.3, 0.80, 22.1),
    PublishedRow("MnasNet-A1", "semnasnet_100", 91, 4.9, 0.84, 23.0),
    PublishedRow("MobileNetV3-Large", "mobilenetv3_large_100", 91, 4.97, 0.62, 22.0),
    PublishedRow("MobileNetV3-L, reduced tail", "torchvision:mobilenet_v3_large?reduced_tail", 91, 3.22, 0.51, 22.0),
    PublishedRow("MobileNetV3-Small", "mobilenetv3_small_100", 91, 2.49, 0.21, 16.0),
    PublishedRow("torchvision's ssdlite320", "torchvision:mobilenet_v3_large?reduced_tail", 91, 3.440060, 0.583, 21.3, "ssd", "reference"),
    PublishedRow("ReXNet-1.0", "rexnet_100", 91, None, None, None),
)


@dataclass(frozen=True)
class Counted:
    """What a build of ours has: learnable weights and multiply-adds of one image."""

    params: int
    macs: int


def count(row: PublishedRow) -> Counted:
    """Build the detector of a row without memory and count."""
    backbone = create_backbone(row.backbone, weights="none", taps="ssd")
    detector = build_ssdlite(
        backbone,
        num_classes=row.outputs - 1,
        input_size=_SIZE,
        pyramid={"kind": "ssd"},
        head_depth=0,
        shared_head=False,
        anchors=row.anchors,  # type: ignore[arg-type]
        matcher="iou",
        class_loss="softmax-mining",
        box_loss="smooth-l1",
        norm=row.norm,  # type: ignore[arg-type]
    )
    detector.to("meta").eval()
    counter = FlopCounterMode(display=False)
    with torch.no_grad(), counter:
        detector(torch.zeros(1, 3, *_SIZE, device="meta"))
    return Counted(sum(p.numel() for p in detector.parameters()), counter.get_total_flops() // 2)


def _deviation(counted: float, published: float | None) -> str:
    return "-" if published is None else f"{100 * (counted / published - 1):+.1f}%"


def main(argv: Sequence[str] | None = None) -> None:
    """Count every row and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", metavar="FILE", help="also write the figures here; - is standard output")
    options = parser.parse_args(argv)
    caption = "params in millions, MACs in billions of multiply-adds of convolutions and linear layers, published and ours; COCO mAP as published"
    table = Table(title="SSD-lite at 320 x 320", box=SIMPLE, caption=caption, pad_edge=False)
    table.add_column("network")
    for heading in ("params", "ours", "", "MACs", "ours", "", "mAP"):
        table.add_column(heading, justify="right")
    rows = []
    for row in PUBLISHED:
        counted = count(row)
        rows.append({"published": asdict(row), "counted": asdict(counted)})
        millions, billions = counted.params / 1e6, counted.macs / 1e9
        said = ["-" if value is None else f"{value:.3g}" for value in (row.params, row.macs, row.coco_map)]
        table.add_row(row.name, said[0], f"{millions:.3f}", _deviation(millions, row.params), said[1], f"{billions:.3f}", _deviation(billions, row.macs), said[2])
    if options.json != "-":
        console().print(table)
    write_json(options.json, {"rows": rows})


if __name__ == "__main__":
    main()
