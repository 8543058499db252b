"""Which inner maps the SSD-lite papers use, per family of networks: data in ssd_taps.json."""

from __future__ import annotations

import json
from fnmatch import fnmatchcase
from importlib.resources import files

from backbones.errors import UsageError


def ssd_taps(backbone: str) -> tuple[str, str]:
    """Names of the modules whose outputs are the stride-16 map and the stride-32 map.

    The first is the expansion of the first stride-32 block (MobileNetV1: its last map at stride 16), the second the last 1x1
    convolution (MobileNetV2, section 6.2; MobileNetV3, section 6.3).

    Raises:
        UsageError: The family is not in the table.
    """
    table = json.loads(files("backbones").joinpath("ssd_taps.json").read_text(encoding="utf-8"))
    for family in table:
        if any(fnmatchcase(backbone, pattern) for pattern in family["models"]):
            return tuple(family["taps"])
    raise UsageError(f"{backbone} has no taps of the SSD-lite papers (families that do: MobileNetV1-3, MnasNet, EfficientNet, ReXNet); use taps stage")
