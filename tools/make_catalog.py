"""Write backbones/catalog.json: every timm and torchvision model that gives a pyramid, and the zoo's of pytorchcv, measured on the meta device.

Usage: python tools/make_catalog.py [PATTERN [new]]   (renews the names that match, or adds the missing ones; up to an hour for all)
"""

from __future__ import annotations

import json
import logging
import re
import sys
import time
import warnings
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import timm
import torchvision

from backbones import catalog
from backbones.body import ProviderBackbone
from backbones.pytorchcv_provider import create_pytorchcv_backbone, pytorchcv_record
from backbones.timm_provider import can_resize, pretrained_settings, timm_backbone_on_meta, timm_names, timm_network_on_meta
from backbones.torchvision_provider import create_torchvision_backbone, torchvision_names, torchvision_record
from backbones.zoo import read_zoo

_GIANTS = re.compile("giant|gigantic|huge|large|so400m|_[235]b|7b|coatnet_[3-7]|152|101|200|_h|_g")
_LIGHT = re.compile(
    "mobile|lite|mnas|spnas|rexnet|ghost|lcnet|fbnet|hardcore|tinynet|mixnet|starnet|shvit|repvit|edgenext|fastvit|nano|pico|femto|atto|tiny|small|_xs|_xxs|"
    "efficientnet_b[0-3]|efficientvit_[bm][01]|resnet(10|14|18|26|34|50)|regnet._0|densenet121|dla(34|46|60)|pvt_v2_b[012]|s12|levit|efficientformer|selecsls|_s$|_t$|nf_"
)
TARGET = Path(catalog.__file__).with_name("catalog.json")


def describe(backbone: ProviderBackbone, record: dict[str, Any]) -> dict[str, Any]:
    """One row of the catalog."""
    rule = backbone.size_rule
    row = {
        "params": sum(parameter.numel() for parameter in backbone.parameters()),
        "strides": [spec.stride for spec in backbone.specs],
        "channels": [spec.channels for spec in backbone.specs],
        "licence": record.get("license") or "",
        "mean": list(backbone.image_stats.mean),
        "std": list(backbone.image_stats.std),
        "fixed": list(rule.fixed) if rule.fixed else None,
        "pad_multiple": backbone.pad_multiple,
        "hub": record.get("hf_hub_id"),
        "url": record.get("url") or None,
    }
    return {key: value for key, value in row.items() if value not in (None, "")}


def torchvision_row(name: str) -> dict[str, Any]:
    """Row of a torchvision model."""
    catalog.find_entry = lambda _: None
    return describe(create_torchvision_backbone(name, weights="none", taps="stage", in_channels=3, input_size=None), torchvision_record(name))


def pytorchcv_row(name: str) -> dict[str, Any]:
    """Row of a pytorchcv model."""
    catalog.find_entry = lambda _: None
    return describe(create_pytorchcv_backbone(name, weights="none", taps="stage", in_channels=3, input_size=None), pytorchcv_record(name))


def kind(name: str) -> tuple[object, ...]:
    """What timm models with the same rule of sizes share: class, patch, window and native size. Byob nets differ by their blocks."""
    network = timm_network_on_meta(name)
    record = network.pretrained_cfg
    tokens = re.findall(r"patch\d+|window\d+|p\d+(?=_|$)|s\d\d", name)
    return (type(network), name if "Byo" in type(network).__name__ else "", *tokens, tuple(record["input_size"]), record.get("fixed_input_size"))


def timm_row(name: str, measured: dict[tuple[object, ...], catalog.CatalogEntry] = {}) -> dict[str, Any]:  # noqa: B006  the memory of one run
    """Row of a timm model; sizes are measured once a kind, and nothing is copied from the old file."""
    known = measured.get(kind(name))
    catalog.find_entry = lambda _: known
    backbone = timm_backbone_on_meta(name)
    row = describe(backbone, pretrained_settings(name))
    if backbone.size_rule.fixed and (known.resizable if known else can_resize(name, (320, 320))):
        row["resizable"] = True
    measured.setdefault(kind(name), catalog.make_entry(name, row))
    return row


def write(rows: dict[str, dict[str, Any]]) -> None:
    """Write the file, one line a backbone, so that changes can be read."""
    versions = {"timm": timm.__version__, "torchvision": torchvision.__version__.partition("+")[0]}
    body = ",\n".join(f"  {json.dumps(name)}: {json.dumps(rows[name])}" for name in sorted(rows))
    draft = TARGET.with_suffix(".draft")
    draft.write_text(f'{{"made_with": {json.dumps(versions)}, "backbones": {{\n{body}\n}}}}\n', encoding="utf-8")
    draft.replace(TARGET)


def main(pattern: str = "*", only_new: str = "") -> int:
    """Renew the rows that match a pattern; with "new" only those that are missing."""
    old: dict[str, Any] = json.loads(TARGET.read_text(encoding="utf-8"))["backbones"] if TARGET.is_file() else {}
    rows = {name: row for name, row in old.items() if only_new or not fnmatchcase(name, pattern)}
    failed: dict[str, str] = {}
    makers = {**dict.fromkeys(timm_names(), timm_row), **dict.fromkeys(torchvision_names(), torchvision_row)}
    makers |= {entry.backbone: pytorchcv_row for entry in read_zoo().entries if entry.provider == "pytorchcv"}
    names = [name for name in makers if fnmatchcase(name, pattern) and name not in rows]
    for count, name in enumerate(sorted(names, key=lambda name: (bool(_GIANTS.search(name)), not _LIGHT.search(name))), 1):
        start = time.perf_counter()
        try:
            rows[name] = makers[name](name)
        except Exception as error:
            failed[name] = f"{type(error).__name__}: {' '.join(str(error).split())[:150]}"
        print(f"{count}/{len(names)} {name}: {failed.get(name, 'ok')} ({time.perf_counter() - start:.1f} s)", flush=True)
        if count % 20 == 0:
            write(rows)
    write(rows)
    print(f"{len(rows)} backbones in {TARGET}; {len(failed)} names give no pyramid:", *(f"\n  {name}: {why}" for name, why in failed.items()))
    return 0


if __name__ == "__main__":
    warnings.filterwarnings("ignore")
    logging.disable(logging.CRITICAL)
    raise SystemExit(main(*sys.argv[1:3]))
