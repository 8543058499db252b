"""``finetune compare``: backbones side by side; a new comparison, one that goes on, or one job of one."""

from __future__ import annotations

import os
import shlex
import shutil
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from backbones.errors import UsageError
from finetune.compare.options import CompareOptions
from finetune.console import console, write_json
from finetune.stopping import InterruptedRunError, Stopped, stop_signals

if TYPE_CHECKING:
    from finetune.compare.engines import Engine
    from finetune.compare.gathering import Setting
    from finetune.compare.record import Comparison


def run(options: CompareOptions) -> int:
    """Compare as the options say.

    Returns:
        0; 1 where every run has failed.

    Raises:
        UsageError: Options that do not go together.
    """
    from finetune.compare.prepare import choose_folder

    if options.only_job is not None:
        return _only_job(options, options.only_job)
    out = choose_folder(options)
    try:
        with stop_signals(keep=True):
            return _compare(options, out)
    except Stopped as stop:
        raise InterruptedRunError(f"stopped; go on with: finetune compare --out {shlex.quote(str(out))}", stop.signum) from stop


def _only_job(options: CompareOptions, number: int) -> int:
    from finetune.compare.job_run import run_job

    if options.out is None:
        raise UsageError("--only-job needs the --out of a comparison")
    outcome = run_job(Path(options.out), number)
    if outcome.state == "failed":
        console().print(f"job {number} failed: {outcome.run.failure}", markup=False)
        return 1
    return 0


def _compare(options: CompareOptions, out: Path) -> int:
    from finetune.compare.driver import run_jobs
    from finetune.compare.job_run import FEATURES_FOLDER
    from finetune.compare.plan import jobs_of
    from finetune.compare.prepare import prepare
    from finetune.compare.ray_engine import check_ray
    from finetune.compare.record import comparison_to_dict
    from finetune.compare.view import print_comparison, print_jobs
    from finetune.report import parse_limits, write_report
    from finetune.run_lock import run_lock

    limits = parse_limits(options.max_latency, options.max_params)  # a fault of theirs is said before hours of work
    if options.engine == "ray":
        check_ray()
    slots, threads, gpus = _share(options)
    words = "ray" if options.engine == "ray" else f"local, {slots} job{'s' * (slots != 1)} at once, {threads} thread{'s' * (threads != 1)} each"
    setting = prepare(options, out, words)
    console().print(f"comparison: {out}", markup=False)
    if options.plan:
        print_jobs(jobs_of(setting.plan), out)
        return 0
    with run_lock(out):
        engine = _engine(options, out, setting, slots, threads, gpus)
        comparison = run_jobs(replace(setting, engine=engine.description), out, engine)
        shutil.rmtree(out / FEATURES_FOLDER, ignore_errors=True)
        if options.profile:
            comparison = _with_profiles(comparison, out)
    page = write_report(out, limits)
    print_comparison(comparison)
    console().print(f"report: {page}", markup=False)
    write_json(options.json, comparison_to_dict(comparison))
    return 0 if any(run.state == "finished" for run in comparison.runs) else 1


def _with_profiles(comparison: Comparison, out: Path) -> Comparison:
    from finetune.compare.gathering import save_comparison
    from finetune.compare.measure import with_profiles

    comparison = with_profiles(comparison, out)
    save_comparison(comparison, out)
    return comparison


def _share(options: CompareOptions) -> tuple[int, int, list[str]]:
    """Jobs at once, threads of each, and the GPUs that they share out."""
    from finetune.compare.engines import visible_gpus

    gpus = visible_gpus(options.run.train.accelerator) if options.engine == "local" else []
    slots = options.jobs or max(1, len(gpus))
    given = os.environ.get("OMP_NUM_THREADS", "")
    cores = int(given) if given.isdigit() and int(given) > 0 else len(os.sched_getaffinity(0))
    return slots, options.job_cpus or max(1, cores // slots), gpus


def _engine(options: CompareOptions, out: Path, setting: Setting, slots: int, threads: int, gpus: list[str]) -> Engine:
    if options.engine == "local":
        from finetune.compare.engines import LocalEngine

        return LocalEngine(out, slots, threads, gpus)
    from finetune.compare.ray_engine import RayEngine

    wants = 0.0 if setting.plan.config.train.accelerator == "cpu" else options.job_gpus or None
    return RayEngine(out.resolve(), options.ray_address, options.job_cpus or 1, wants)
