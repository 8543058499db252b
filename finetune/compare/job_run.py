"""One job, in a process of its own: train or go on, score the best weights, write the outcome."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from backbones.errors import FinetuneError, UsageError
from finetune.compare.outcome import Outcome, as_failed, folder_of, read_curve, read_outcome, write_outcome
from finetune.compare.plan import Job, jobs_of, load_plan
from finetune.compare.record import load_comparison
from finetune.compare.settings import Known, primary_of, settings_of, shareable_settings
from finetune.compare.types import ComparedRun, Scores
from finetune.config import RunConfig
from finetune.record import RunRecord, load_record
from finetune.run_folder import RunFolder
from finetune.run_lock import run_lock
from finetune.stopping import InterruptedRunError, Stopped, stop_signals

PARENT = "FINETUNE_JOB_PARENT"  # number of the process that waits for this one
STARTED = "FINETUNE_JOB_STARTED"  # seconds since the epoch when it started this one
PREDICTIONS_FOLDER = "predictions"
FEATURES_FOLDER = "features"  # while there are jobs
_LOCK_PATIENCE = 60.0  # seconds for a process whose parent was killed to notice it and end
_LAST_WORDS = 20.0


def run_job(out: Path, number: int) -> Outcome:
    """Do one job of a plan.

    Args:
        out: Folder of the comparison.
        number: Of the job.

    Returns:
        Its outcome, which is also on disk. One that has finished before is not repeated; one that failed is tried again.

    Raises:
        UsageError: No such job, or a job that it needs has not ended.
        InterruptedRunError: The process was asked to stop; the job goes on when it is run again.
    """
    _end_with_parent()
    plan = load_plan(out)
    jobs = jobs_of(plan)
    if number >= len(jobs):
        raise UsageError(f"--only-job {number}: the plan in {out} has the jobs 0 to {len(jobs) - 1}")
    job = jobs[number]
    before = read_outcome(out, job)
    if before.state == "finished":
        return before
    known = Known(plan, load_comparison(out).data.images.get("train", 0), {other.name: read_outcome(out, other) for other in jobs})
    config = None
    with stop_signals(keep=True):
        begun = replace(before, run=replace(before.run, state="running", failure=None, attempts=before.run.attempts + 1))
        try:
            if job.kind != "score":
                config = settings_of(job, known)
            write_outcome(out, job, begun)
            ended = _work(out, job, config, begun)
        except (InterruptedRunError, Stopped) as stop:
            write_outcome(out, job, replace(begun, run=replace(begun.run, state="waiting", wall_seconds=_wall(begun))))
            raise InterruptedRunError(f"stopped job {number}; it goes on with: finetune compare --out {out} --only-job {number}", getattr(stop, "signum", signal.SIGTERM)) from stop
        except UsageError as error:
            if "needs the results" in str(error):
                raise
            ended = as_failed(begun, str(error))
        except FinetuneError as error:
            ended = as_failed(begun, str(error))
        except Exception as error:  # one candidate that does not work must not end the others
            ended = as_failed(begun, f"unexpected {type(error).__name__}: {next(iter(str(error).splitlines()), '')}")
        if ended is not begun:  # another process of the same job writes
            write_outcome(out, job, replace(ended, run=replace(ended.run, wall_seconds=_wall(begun))))
        return ended


def _work(out: Path, job: Job, config: RunConfig | None, begun: Outcome) -> Outcome:
    if config is None:
        root = Path(job.folder or "")
        record = load_record(RunFolder.open(root).record)
    else:
        root = out / folder_of(job)
        record = _train(with_feature_folder(config, out), root)
    from finetune.training import is_first_process

    if not is_first_process():
        return begun
    run = _described(record, root, replace(begun.run, folder=Path(os.path.relpath(root.resolve(), out.resolve())).as_posix()))
    if job.kind in ("train", "score"):
        run = _scored(out, job, root, run)
    return Outcome(job.name, replace(run, state="finished"), record.params, record.trainable_params)


def with_feature_folder(config: RunConfig, out: Path) -> RunConfig:
    """The settings of a run whose features, where it keeps any, are there for the other seeds and rates of its candidate."""
    if config.data.feature_cache == "off" or config.data.feature_folder is not None:
        return config
    return replace(config, data=replace(config.data, feature_folder=str((out / FEATURES_FOLDER).resolve())))


def _train(config: RunConfig, root: Path) -> RunRecord:
    """Train from the start, or go on with what an interrupted process left."""
    from finetune.training import fit, resume

    if root.is_dir() and "LOCAL_RANK" not in os.environ:
        _wait_for(root)
        if (root / "config.yaml").is_file():
            return resume(root)
    root.parent.mkdir(parents=True, exist_ok=True)
    return fit(config, root)


def _wait_for(root: Path) -> None:
    """Until nobody trains in a run folder; where somebody still does after a while, resuming says so."""
    end = time.monotonic() + _LOCK_PATIENCE
    while time.monotonic() < end:
        try:
            with run_lock(root):
                return
        except UsageError:
            time.sleep(1.0)


def _described(record: RunRecord, root: Path, run: ComparedRun) -> ComparedRun:
    """A run with everything that its folder tells, figures on the scored split left out."""
    folder = RunFolder(root)
    config = folder.load_config()
    return replace(
        run,
        val_scores=tuple(
            Scores(result["protocol"], primary_of(result["protocol"]), "val", result["values"], result["per_class"], tuple(result.get("conditions", ()))) for result in record.results.get("val", ())
        ),
        curve=read_curve(folder.metrics),
        best_epoch=record.best_epoch,
        epochs=record.epochs,
        seconds=record.seconds,
        notes=record.notes,
        config=shareable_settings(config),
        versions=record.versions,
        device=_device(folder),
        data_fingerprint=record.data_fingerprint,
    )


def _scored(out: Path, job: Job, root: Path, run: ComparedRun) -> ComparedRun:
    """A run with the figures of its best weights on the scored split; its detections are written."""
    from finetune.compare.truth import truth_of_run, write_detections
    from finetune.evaluation import create_evaluator
    from finetune.load import load_run
    from finetune.score_run import detect, input_conditions

    comparison = load_comparison(out)
    split = comparison.scored_split
    loaded = load_run(root, "cpu" if run.config["train"]["accelerator"] == "cpu" else "auto")
    truth = truth_of_run(loaded.config, split)
    evaluators = [create_evaluator(protocol, truth) for protocol in loaded.config.evaluate.protocols]
    detect(loaded, truth, evaluators, 8)
    results = [evaluator.evaluate() for evaluator in evaluators]
    conditions = tuple(input_conditions(loaded))
    scores = tuple(Scores(r.protocol, r.primary, split, dict(r.values), {k: dict(v) for k, v in r.per_class.items()}, (*r.conditions, *conditions), r.notes) for r in results)
    predictions = None
    if _same_truth(out, truth):
        predictions = f"{PREDICTIONS_FOLDER}/{job.name}.json"
        write_detections(evaluators[0], truth, split, out / predictions)
    return replace(run, scores=scores, predictions=predictions)


def _same_truth(out: Path, truth: Any) -> bool:
    """Whether a run was scored on the pictures and classes of the comparison: one that was added may have its own."""
    from finetune.compare.record import TRUTH_FILE

    try:
        content = json.loads((out / TRUTH_FILE).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return False
    return content["class_names"] == list(truth.class_names) and [image["id"] for image in content["images"]] == [str(name) for name in truth.image_ids]


def _device(folder: RunFolder) -> str | None:
    try:
        facts = json.loads(folder.environment.read_text(encoding="utf-8"))
        devices, threads = facts["devices"], facts["threads"]
    except (OSError, ValueError, KeyError):
        return None
    return f"cpu ({threads} thread{'s' * (threads != 1)})" if devices == ["cpu"] else ", ".join(dict.fromkeys(map(str, devices)))


def _wall(begun: Outcome) -> float:
    """Seconds since this process was started, with those of earlier ones."""
    return (begun.run.wall_seconds or 0.0) + time.time() - float(os.environ.get(STARTED) or _IMPORTED)


def _end_with_parent() -> None:
    """A job whose driver or Ray worker was killed ends, too: nobody would read it, and another may want to go on with its run."""
    parent = os.environ.get(PARENT)
    if parent is None or "LOCAL_RANK" in os.environ:
        return

    def watch() -> None:
        while os.getppid() == int(parent):
            time.sleep(0.5)
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(_LAST_WORDS)
        os._exit(128 + signal.SIGTERM)

    threading.Thread(target=watch, daemon=True, name="parent-watch").start()


_IMPORTED = time.time()
