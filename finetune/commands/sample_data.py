"""``finetune sample-data``: draw a sample data set."""

from __future__ import annotations

from pathlib import Path

from rich.progress import Progress
from rich.table import Table

from backbones.errors import UsageError
from finetune.console import console, write_json
from finetune.options import SampleDataOptions


def run(options: SampleDataOptions) -> int:
    """Draw the set, say what is in it and what to type next."""
    from finetune.samples.generate import generate_signs

    if not options.out:
        raise UsageError("no folder to draw into: finetune sample-data signs OUT")
    out = Path(options.out)
    with Progress(console=console(), transient=True) as bar:
        task = bar.add_task("drawing", total=max(1, options.images))
        summary = generate_signs(out, options.images, options.seed, lambda done: bar.update(task, completed=done))
    table = Table("class", "train", "val", title=None)
    for name, counts in summary["boxes"].items():
        table.add_row(name, str(counts["train"]), str(counts["val"]))
    say = console()
    say.print(table)
    splits, words = summary["splits"], summary["words"]
    ignored = f", {summary['ignored_boxes']} of the boxes nearly hidden and ignored" if summary["ignored_boxes"] else ""
    say.print(f"{splits['train']} training and {splits['val']} validation pictures, {summary['empty_images']} of them without signs{ignored}; {words['readable']} readable words", markup=False)
    say.print(f"COCO  {out}/annotations/instances_train.json, instances_val.json", markup=False)
    say.print(f"VOC   {out / 'voc'}", markup=False)
    say.print(f"words {out / 'icdar'}", markup=False)
    say.print(f"next  finetune train --data {out}", markup=False)
    write_json(options.json, {**summary, "out": out.as_posix()})
    return 0
