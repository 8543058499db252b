"""What ``finetune compare`` takes. No torch here."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Literal

from finetune.config import RunConfig
from finetune.ranges import AT_LEAST_0, AT_LEAST_1, POSITIVE


@dataclass(frozen=True)
class CompareConfig:
    """Who is compared, and how much each gets. May stand in a YAML file, beside the settings that all runs share.

    Args:
        backbones: Backbones, each may say its weights: mobilenetv2_100 or mobilenetv2_100=none (random weights).
        seeds: Runs of each candidate, with rising seeds from seed on.
        budget: What each run gets: epochs ("30ep"), equal training time ("20min", "2h"), "quick", or "auto" (equal epochs, as for train).
        lr_protocol: "fixed" (train.lr for all), or "sweep" (the same short trainings for each candidate, best on val).
        rates: With lr_protocol sweep: the rates that are tried; empty: a third, once and three times train.lr.
        pictures: Downscaled pictures of the scored split in the report, at most; 0 is none.
        attribution: Who made the pictures and under which licence, shown beneath them and in the report as JSON and Markdown: "BCCD data set, MIT licence".
    """

    backbones: tuple[str, ...] = ()
    seeds: Annotated[int, AT_LEAST_1] = 3
    budget: str = "auto"
    lr_protocol: Literal["fixed", "sweep"] = "fixed"
    rates: tuple[Annotated[float, POSITIVE], ...] = ()
    pictures: Annotated[int, AT_LEAST_0] = 12
    attribution: str = ""


@dataclass(frozen=True)
class CompareOptions:
    """Compare backbones on your data: the same data, budget and protocol for each, then one table.

    Args:
        run: All settings that the runs share.
        compare: Who is compared.
        runs: Finished run folders to add.
        out: Folder of the comparison; default comparisons/<data>-<n>. One that exists goes on where it stopped; then nothing else need be given.
        engine: "local" (child processes here) or "ray" (tasks on a Ray cluster; its extra: pip install 'finetune-light[ray]').
        jobs: Jobs at once with the engine local; 0 is one per GPU, one on the CPU.
        job_cpus: Cores of a job; 0 shares those of this machine among the jobs (local), or is 1 (ray).
        job_gpus: GPUs of a job with the engine ray; a share is allowed.
        ray_address: Address of a Ray cluster; none starts one here.
        plan: Only write the plan and list its jobs, for other schedulers (docs/scaling.md).
        only_job: Only do the job of this number of a plan that exists.
        profile: Measure latency, MACs and memory of each candidate when all are trained.
        max_latency: Longest latency that your device allows: 30ms, 0.5s; the report answers for it.
        max_params: Most parameters that it allows: 5M, 800k.
        json: File for the record of the comparison as JSON; "-" is stdout.
    """

    run: RunConfig = field(default_factory=RunConfig)
    compare: CompareConfig = field(default_factory=CompareConfig)
    runs: tuple[str, ...] = ()
    out: str | None = None
    engine: Literal["local", "ray"] = "local"
    jobs: Annotated[int, AT_LEAST_0] = 0
    job_cpus: Annotated[int, AT_LEAST_0] = 0
    job_gpus: Annotated[float, AT_LEAST_0] = 0.0
    ray_address: str | None = None
    plan: bool = False
    only_job: Annotated[int, AT_LEAST_0] | None = None
    profile: bool = True
    max_latency: str | None = None
    max_params: str | None = None
    json: str | None = None
