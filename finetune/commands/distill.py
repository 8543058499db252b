"""``finetune distill``: a teacher's maps of pictures without labels."""

from __future__ import annotations

import shlex
from pathlib import Path

from backbones.errors import DataError
from finetune.console import console, write_json
from finetune.options import DistillOptions
from finetune.pictures import find_pictures
from finetune.read_ahead import progress_bar

_NAMED = 10


def run(options: DistillOptions) -> int:
    """Let the teacher look at every picture; return 3 when some could not be read, after all the others.

    Raises:
        UsageError: No such teacher, or OUT holds something else.
        DataError: There are no pictures.
    """
    paths = find_pictures(options.images)
    folder = Path(options.out).expanduser()
    from finetune.distill import distill
    from finetune.load import load_run
    from finetune.text_settings import TextChanges, apply_changes

    teacher = apply_changes(load_run(options.teacher, options.device), TextChanges.of(options))
    with progress_bar() as bar:
        task = bar.add_task("teaching", total=len(paths))
        store = distill(teacher, Path(options.teacher).name, paths, folder, lambda done: bar.update(task, completed=done))
    faults = [taught.fault for taught in store.done if taught.fault]
    words = sum(len(taught.quads) for taught in store.done)
    console().print(f"{len(store.done) - len(faults)} pictures, {words} words found by {store.facts.teacher}: {folder}", markup=False)
    for fault in faults[:_NAMED]:
        console().print(f"left out: {fault}", markup=False)
    quoted = shlex.quote(f"{options.out}=0.5")
    console().print(f"train on it: finetune train --detector craftlite --data WORDS --data.mix {quoted}", markup=False)
    write_json(options.json, {"folder": str(folder), "teacher": store.facts.teacher, "pictures": len(store.done) - len(faults), "words": words, "faults": faults})
    return DataError.exit_code if faults else 0
