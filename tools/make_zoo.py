"""Count the networks of the zoo, and write the page about them.

python tools/make_zoo.py count [PATTERN]   # backbones/zoo_counts.json: parameters and multiply-adds of the whole networks, on the meta device
python tools/make_zoo.py page              # docs/backbones.md, from backbones/zoo.yaml, zoo_counts.json and catalog.json
"""

from __future__ import annotations

import argparse
import json
import logging
from collections.abc import Sequence
from fnmatch import fnmatchcase
from pathlib import Path

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from backbones import zoo
from backbones.pytorchcv_provider import pytorchcv_network_on_meta
from backbones.small_models import SMALL_NETWORKS, lenet
from backbones.timm_provider import timm_network_on_meta
from backbones.torchvision_provider import torchvision_network_on_meta

COUNTS = Path(zoo.__file__).with_name("zoo_counts.json")
PAGE = Path(__file__).resolve().parents[1] / "docs" / "backbones.md"
_PROVIDERS = {"timm": timm_network_on_meta, "torchvision": torchvision_network_on_meta, "pytorchcv": pytorchcv_network_on_meta}


def whole_network(entry: zoo.ZooEntry) -> nn.Module:
    """A network with its classifier, without memory; LeNet as in its paper, for grey images without padding."""
    if entry.own:
        short = entry.backbone.partition(":")[2]
        with torch.device("meta"):
            return lenet(1, 0) if short == "lenet5" else SMALL_NETWORKS[short]()
    return _PROVIDERS[entry.provider](entry.backbone)


def count(entry: zoo.ZooEntry) -> dict[str, int]:
    """Parameters, multiply-adds of convolutions and linear layers for one image, and numbers that normalisation layers give."""
    network = whole_network(entry).eval()
    channels = 1 if entry.name == "lenet5" else 3
    normalised: list[int] = []
    for module in network.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm | nn.LayerNorm | nn.GroupNorm):
            module.register_forward_hook(lambda _m, _i, output: normalised.append(output.numel()))
    counter = FlopCounterMode(display=False)
    with torch.no_grad(), counter:
        network(torch.zeros(1, channels, entry.input, entry.input, device="meta"))
    return {"params": sum(parameter.numel() for parameter in network.parameters()), "macs": counter.get_total_flops() // 2, "normalised": sum(normalised)}


def count_all(pattern: str) -> None:
    """Renew the counts of the networks that match."""
    counts = json.loads(COUNTS.read_text(encoding="utf-8"))
    for entry in zoo.read_zoo().entries:
        if fnmatchcase(entry.name, pattern):
            counts[entry.name] = count(entry)
            print(f"{entry.name}: {counts[entry.name]}; published {_said(entry.params)}, {_said(entry.macs)}", flush=True)
    known = [entry.name for entry in zoo.read_zoo().entries]
    body = ",\n".join(f"{json.dumps(name)}: {json.dumps(counts[name])}" for name in known if name in counts)
    COUNTS.write_text(f"{{\n{body}\n}}\n", encoding="utf-8")


def page() -> str:
    """The text of docs/backbones.md."""
    everything = zoo.read_zoo()
    lines = [_HEAD]
    for group, title in (("light", "Light"), ("heavy", "Heavy"), ("teaching", "For teaching")):
        lines += [f"## {title}", "", "| family | plain name | network | parameters | MACs at | top-1 at | weights from | licence |", "|---|---|---|---|---|---|---|---|"]
        lines += [_row(entry) for entry in everything.of(group)]
        missing = [family for family in everything.absent if family.group == group]
        lines += ["", *(["Families that no provider has:", ""] if missing else []), *(f"- {family.family} ({family.paper}): {family.reason}." for family in missing), *([""] if missing else [])]
    lines += ["## Remarks", ""]
    lines += [f"- `{entry.name}`: {entry.note}." for entry in everything.entries if entry.note]
    lines += ["", "## Papers and sources", ""]
    lines += [f"- {family}: {paper}." for family, paper in dict.fromkeys((entry.family, entry.paper) for entry in everything.entries)]
    lines += ["", "Published figures are those of:", "", *(f"- {where}{f' ({counts})' if counts else ''}: {_of(everything, where)}." for where, counts in everything.sources.items())]
    return "\n".join(lines) + "\n"


def _of(everything: zoo.Zoo, source: str) -> str:
    return ", ".join(f"`{entry.name}`" for entry in everything.entries if entry.source == source)


def _row(entry: zoo.ZooEntry) -> str:
    names = ", ".join(f"`{name}`" for name in (entry.name, *entry.aliases))
    params = f"{_said(entry.params)} / {(entry.counted_params or 0) / 1e6:.3f}M"
    macs = f"{_said(entry.macs)} / {(entry.counted_macs or 0) / 1e9:.3f}G, {entry.input}"
    top1 = f"{entry.top1:.2f}, {entry.test}" if entry.top1 is not None else "-"
    return f"| {entry.family} | {names} | `{entry.backbone.rpartition('.')[2] if entry.own else entry.backbone}` | {params} | {macs} | {top1} | {entry.weights_from} | {entry.licences or '-'} |"


def _said(figure: zoo.Figure | None) -> str:
    if figure is None:
        return "-"
    return f"{figure.value / 1e6:.3f}M" if figure.text.isdigit() else figure.text


_HEAD = """# Backbones

Written by `python tools/make_zoo.py page`; the same list, with what is on your machine: `finetune list backbones --family light` (`heavy`, `teaching`,
`all`, or a family), `--json -` for programs. Every plain name works wherever a backbone is named: `--backbone rexnet_1.0`, `create_backbone("shufflenetv2_1.0")`.
Every timm name, `torchvision:NAME`, `pytorchcv:NAME` and your own factory do too.

Parameters and MACs: published / counted here, for the whole network with its ImageNet classifier (what a detector takes of it is smaller: `finetune list backbones
NAME`). MACs are multiply-adds of convolutions and linear layers for one image of the size named. Top-1: ImageNet, percent, of the weights that `weights imagenet`
loads, at the size named. A dash: no source gives it.

Networks of `pytorchcv` need that package: `pip install 'finetune-light[pytorchcv]'`. Nothing is downloaded unless you ask for weights by name, and then it is said first.
"""


def main(argv: Sequence[str] | None = None) -> None:
    """Run one of the two."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("count", "page"))
    parser.add_argument("pattern", nargs="?", default="*", help="count only plain names that match this glob")
    options = parser.parse_args(argv)
    logging.disable(logging.CRITICAL)
    if options.what == "count":
        count_all(options.pattern)
    else:
        PAGE.write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    main()
