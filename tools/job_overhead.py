"""What a job of a comparison costs beyond its training: the same tiny training alone, as a job of the local engine and as a Ray task, in turns; and the driver's own work.

    python tools/job_overhead.py --rounds 5 --jobs 150

Seconds of a job are counted by the engine, from its start to the moment it is known to have ended; its scoring on the test split is in them. Alone is the command
``finetune train`` with the same settings, its start included. CPU seconds, of processes that are children of this one (not of Ray), are told beside them: other work on the machine
moves them little. Ray is left out where it is not installed, and with --ray false.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import yaml

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from finetune.compare.engines import Engine, LocalEngine
from finetune.compare.gathering import Setting, comparison_of, known_of, read_outcomes, save_comparison
from finetune.compare.options import CompareConfig, CompareOptions
from finetune.compare.outcome import log_file, read_outcome, write_outcome
from finetune.compare.plan import Job, jobs_of
from finetune.compare.prepare import prepare
from finetune.compare.settings import settings_of
from finetune.config_file import config_to_dict
from tests.finetune.tiny import tiny_config, write_squares


def main() -> None:
    """Print medians."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5, help="jobs of each kind")
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--ray", choices=("true", "false"), default="true")
    parser.add_argument("--jobs", type=int, default=150, help="jobs of the made-up comparison that the driver's work is timed on")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        data = write_squares(folder / "squares", {"train": 64, "valid": 8, "test": 8})
        setting, out = make_plan(folder, data, given.epochs, 2 * given.rounds)
        time_jobs(setting, out, folder, given.rounds, given.ray == "true")
        time_driver(setting, folder / "driver", given.jobs)


def make_plan(folder: Path, data: Path, epochs: int, seeds: int) -> tuple[Setting, Path]:
    """A comparison of one tiny backbone with many seeds."""
    out = folder / "cmp"
    options = CompareOptions(tiny_config(data, epochs=0), CompareConfig(("test_efficientnet=none",), seeds, f"{epochs}ep"))
    return prepare(options, out, "local"), out


def time_jobs(setting: Setting, out: Path, folder: Path, rounds: int, with_ray: bool) -> None:
    """Alone, local and Ray in turns."""
    jobs = jobs_of(setting.plan)
    engines: dict[str, Engine] = {"local": LocalEngine(out, 1, 1)}
    if with_ray and importlib.util.find_spec("ray") is not None:
        from finetune.compare.ray_engine import RayEngine

        began = time.monotonic()
        engines["ray"] = RayEngine(out, None, 1, 0.0)
        print(f"a Ray cluster was started here in {time.monotonic() - began:.1f} s")
    seconds: dict[str, list[float]] = {"alone": [], **{name: [] for name in engines}}
    cpu: dict[str, list[float]] = {name: [] for name in seconds}
    inside: list[float] = []
    for number in range(rounds):
        note(seconds, cpu, "alone", lambda job=jobs[number]: train_alone(job, setting, out, folder))
        for offset, (name, engine) in enumerate(engines.items()):
            job = jobs[2 * number + offset]
            note(seconds, cpu, name, lambda job=job, engine=engine: do_job(job, engine, out))
            inside.append(read_outcome(out, job).run.seconds or 0.0)
    for engine in engines.values():
        engine.stop()
    alone = statistics.median(seconds["alone"])
    print(f"alone, finetune train: {alone:.1f} s (of them training with evaluation {statistics.median(inside):.1f} s)")
    for name in engines:
        more = [job - one for job, one in zip(seconds[name], seconds["alone"], strict=True)]
        print(f"{name}: {statistics.median(seconds[name]):.1f} s a job; beyond alone: median {statistics.median(more):.1f} s, {min(more):.1f} to {max(more):.1f} over {rounds} rounds")
    print(f"CPU seconds: alone {statistics.median(cpu['alone']):.1f}, as a local job {statistics.median(cpu['local']):.1f}")


def note(seconds: dict[str, list[float]], cpu: dict[str, list[float]], name: str, what: Callable[[], None]) -> None:
    """Take down the seconds of a call, and the CPU seconds of the child processes that ended in it."""
    before = os.times()
    seconds[name].append(timed(what))
    after = os.times()
    cpu[name].append(after.children_user + after.children_system - before.children_user - before.children_system)


def timed(what: Callable[[], object], clock: Callable[[], float] = time.monotonic) -> float:
    """Seconds of a call."""
    began = clock()
    what()
    return clock() - began


def train_alone(job: Job, setting: Setting, out: Path, folder: Path) -> None:
    """The training of a job by ``finetune train``."""
    settings = folder / f"{job.name}.yaml"
    tree = config_to_dict(settings_of(job, known_of(setting, read_outcomes(setting.plan, out))))
    tree["freeze"].pop("stages")  # has no meaning without a policy
    settings.write_text(yaml.safe_dump(tree), encoding="utf-8")
    command = [sys.executable, "-m", "finetune", "train", "--config", str(settings), "--out", str(folder / "alone" / job.name)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env={**os.environ, "OMP_NUM_THREADS": "1"})


def do_job(job: Job, engine: Engine, out: Path) -> None:
    """A job by an engine."""
    engine.start(job.number, log_file(out, job))
    while not engine.wait(0.5):
        pass
    state = read_outcome(out, job).state
    if state != "finished":
        raise SystemExit(f"{job.name} is {state}: {log_file(out, job).read_text(encoding='utf-8')}")


def time_driver(setting: Setting, out: Path, count: int) -> None:
    """One turn of the driver's loop, and one record, with so many jobs that have ended after 30 epochs."""
    out.mkdir()
    done = replace(setting, plan=replace(setting.plan, seeds=tuple(range(count))))
    row = {"epoch": 1.0, "train/loss": 1.0, "val/loss": 1.0, "val/coco/AP": 0.5, "val/coco/AP50": 0.5, "seconds": 9.0, "images_per_second": 9.0, "lr": 0.1}
    for job in jobs_of(done.plan):
        outcome = read_outcome(out, job)
        write_outcome(out, job, replace(outcome, run=replace(outcome.run, state="finished", curve=(row,) * 30, seconds=1.0)))
    outcomes = read_outcomes(done.plan, out)
    turn = timed(lambda: read_outcomes(done.plan, out, outcomes), time.process_time)
    record = timed(lambda: save_comparison(comparison_of(done, outcomes), out), time.process_time)
    print(f"the driver, {count} jobs: {1000 * turn:.1f} CPU ms a look at what has changed (twice a second), {1000 * record:.0f} CPU ms to write the record (at the end of each job)")


if __name__ == "__main__":
    main()
