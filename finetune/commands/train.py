"""``finetune train``: a new run, a resumed one, or a dry run."""

from __future__ import annotations

from finetune.config import RunConfig
from finetune.console import console, write_json
from finetune.options import TrainOptions


def run(options: TrainOptions) -> int:
    """Train as the options say.

    Returns:
        0; 1 where a test of the set-up (--overfit) has not passed.

    Raises:
        UsageError: Options that do not go together.
    """
    from backbones.errors import UsageError

    if options.resume is not None and options.out is not None:
        raise UsageError("--resume continues in its own folder: leave --out out")
    if options.resume is not None and options.dry_run:
        raise UsageError("--dry-run tries new settings and --resume has its own: leave one of them out")
    if options.find and not options.dry_run:
        raise UsageError(f"--find {' '.join(options.find)} measures and trains nothing: add --dry-run, or leave --find out")
    if options.dry_run:
        from finetune.dry_run import dry_run

        write_json(options.json, dry_run(options.run, options.find))
        return 0
    from finetune.stopping import InterruptedRunError, Stopped, stop_signals

    try:
        with stop_signals(keep=True):  # from here on: the imports below take seconds
            return _train(options)
    except Stopped as stop:
        raise InterruptedRunError("stopped: nothing was written", stop.signum) from stop


def _train(options: TrainOptions) -> int:
    from finetune.overfit import FAILED
    from finetune.record import record_to_dict
    from finetune.stopping import InterruptedRunError
    from finetune.training import fit, is_first_process, resume

    try:
        if options.resume is None:
            record = fit(options.run, options.out)
        else:
            if options.run != RunConfig():
                console().print("settings given beside --resume are not used: a run keeps its own", markup=False)
            record = resume(options.resume)
    except InterruptedRunError as stop:
        if is_first_process():
            raise
        return stop.exit_code  # the first process says it for all
    if is_first_process():
        write_json(options.json, record_to_dict(record))
    return 1 if any(note.startswith(FAILED) for note in record.notes) else 0
