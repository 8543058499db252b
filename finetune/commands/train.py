"""``finetune train``: a new run, a resumed one, or a dry run."""

from __future__ import annotations

from finetune.config import RunConfig
from finetune.console import console, write_json
from finetune.options import TrainOptions


def run(options: TrainOptions) -> int:
    """Train as the options say.

    Returns:
        0.

    Raises:
        UsageError: Options that do not go together.
    """
    from backbones.errors import UsageError

    if options.resume is not None and options.out is not None:
        raise UsageError("--resume continues in its own folder: leave --out out")
    if options.resume is not None and options.dry_run:
        raise UsageError("--dry-run tries new settings and --resume has its own: leave one of them out")
    if options.dry_run:
        from finetune.dry_run import dry_run

        write_json(options.json, dry_run(options.run))
        return 0
    from finetune.record import record_to_dict
    from finetune.training import fit, resume

    if options.resume is None:
        record = fit(options.run, options.out)
    else:
        if options.run != RunConfig():
            console().print("settings given beside --resume are not used: a run keeps its own", markup=False)
        record = resume(options.resume)
    write_json(options.json, record_to_dict(record))
    return 0
