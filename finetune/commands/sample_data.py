"""``finetune sample-data``: draw a sample data set."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rich.progress import Progress
from rich.table import Table

from backbones.errors import UsageError
from finetune.console import console, write_json
from finetune.options import SampleDataOptions

_FOR_WORDS = ("corpus", "fonts", "backgrounds", "size", "workers")


def run(options: SampleDataOptions) -> int:
    """Draw the set, say what is in it and what to type next."""
    if not options.out:
        raise UsageError(f"no folder to draw into: finetune sample-data {options.name} OUT")
    out = Path(options.out)
    summary = _words(options, out) if options.name == "words" else _signs(options, out)
    console().print(f"next  finetune train{' --detector craftlite' if options.name == 'words' else ''} --data {out}", markup=False)
    write_json(options.json, {**summary, "out": out.as_posix()})
    return 0


def _signs(options: SampleDataOptions, out: Path) -> dict[str, Any]:
    from finetune.samples.generate import generate_signs

    changed = [key for key in _FOR_WORDS if getattr(options, key) != getattr(SampleDataOptions(), key)]
    if changed:
        raise UsageError(f"--{changed[0]} is for words: finetune sample-data words OUT --{changed[0]} ..., or leave it out")
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
    return summary


def _words(options: SampleDataOptions, out: Path) -> dict[str, Any]:
    from finetune.samples.text.word_sets import WordSettings, generate_words

    settings = WordSettings(options.size, options.seed, options.corpus, options.fonts, options.backgrounds)
    with Progress(console=console(), transient=True) as bar:
        task = bar.add_task("drawing", total=max(1, options.images))
        summary = generate_words(out, options.images, settings, options.workers, lambda done: bar.update(task, completed=done))
    say, splits, words, tall = console(), summary["splits"], summary["words"], summary["word_heights"]
    if summary["left_out"]:
        say.print(f"{summary['left_out']} words left out, no font has all of their characters: {summary['left_out_words']}", markup=False)
    if summary["fonts_unusable"]:
        say.print(f"{summary['fonts_unusable']} font files passed over: they cannot be read, or draw no letters", markup=False)
    heights = f", {tall['p5']:.0f} to {tall['p95']:.0f} pixels high" if tall else ""
    say.print(f"{splits['train']} training and {splits['val']} validation pictures with {words['readable']} readable words{heights}, and {words['unreadable']} ### words", markup=False)
    say.print(f"drawn in {summary['fonts_used']} fonts; ICDAR files and characters beside the pictures in {out / 'train'} and {out / 'val'}", markup=False)
    return summary
