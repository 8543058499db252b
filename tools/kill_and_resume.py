"""Kill trainings with SIGKILL at random moments of every phase, resume them, and compare what they end with.

    python tools/kill_and_resume.py [--times 20] [--data ROOT] [--seed 0] [--workers 0] [--epochs 5] [--keep FOLDER]

One small run (test backbone, fp32, one thread, averaged weights, gradual unfreezing) trains without interruption. Then it is started again
and again as a process of its own and killed, some of them several times, and resumed until it is finished. Weights, optimiser, averages,
metrics.csv, val figures, record and pictures must be those of the uninterrupted run, bit by bit without loader workers and within 1e-6 with
them. Prints a line per case with the phases it was killed in, and the tally; the exit code is 1 when any differs, or could not be killed.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

import timm
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from finetune.config import BackboneConfig, FreezeConfig
from finetune.config_file import save_config
from finetune.run_folder import RunFolder
from tests.finetune.tiny import tiny_config, write_squares
from tools import forked_run as phases
from tools.forked_run import ForkedRun, preload
from tools.same_run import differences

IMPORTS, HALF, WHOLE = "while the program starts", "while the temporary file is half written", "between the temporary file and its new name"
TARGETS = (phases.TRAINING, HALF, phases.EVALUATING, phases.FINISHING, WHOLE, phases.READING, phases.SAVED, phases.SCORING, IMPORTS, phases.RUNNING)
_AGAIN = 0.35  # chance that a resumed run is killed again
NARROW = (HALF, WHOLE, phases.READING, phases.SAVED, phases.SCORING, phases.FINISHING)
_TRIES = 4  # how often a narrow moment may be missed


@dataclass(frozen=True)
class Setup:
    """What all cases share: the settings file, the uninterrupted run, and how long its phases took in seconds."""

    settings: Path
    whole: RunFolder
    steps: int
    spans: dict[str, float]


def write_setup(root: Path, data: str | None, seed: int, workers: int, epochs: int) -> Path:
    """Draw data, keep weights that count as pretrained, and write the settings of every case."""
    place = Path(data) if data else write_squares(root / "squares", {"train": 14, "valid": 7})
    torch.manual_seed(seed)
    torch.save(timm.create_model("test_efficientnet").state_dict(), root / "pretrained.pth")
    config = tiny_config(place, epochs=epochs, ema=0.9, lr=0.05, precision="32-true")
    config = replace(
        config,
        seed=seed,
        data=replace(config.data, workers=workers, mosaic=0.3, mixup=0.3, copy_paste=0.3),
        backbone=BackboneConfig("test_efficientnet", weights=str(root / "pretrained.pth")),
        freeze=FreezeConfig("gradual", 1, "frozen", thaw=tuple(range(2, min(epochs, 4) + 1))),
        pyramid=replace(config.pyramid, width=64),
        ssdlite=replace(config.ssdlite, score_threshold=0.0),
    )
    save_config(config, root / "settings.yaml")
    return root / "settings.yaml"


def train_whole(root: Path, settings: Path) -> Setup:
    """The uninterrupted run, and the time that each of its phases took."""
    run = ForkedRun(["train", "--config", str(settings), "--out", str(root / "whole")], root / "whole.txt")
    spans: dict[str, float] = {}
    phase, since = run.phase, time.monotonic()
    while run.poll() is None:
        if run.phase != phase:
            spans[phase] = max(spans.get(phase, 0.0), time.monotonic() - since)
            phase, since = run.phase, time.monotonic()
        time.sleep(0.0005)
    if run.code != 0:
        raise SystemExit(f"the uninterrupted run failed:\n{(root / 'whole.txt').read_text()}")
    return Setup(settings, RunFolder(root / "whole"), run.steps, spans)


def run_case(folder: RunFolder, target: str, setup: Setup, rng: random.Random) -> list[str]:
    """Start a run, kill it, resume it, perhaps kill it again, until it is finished.

    Returns:
        Where it was killed.
    """
    killed: list[str] = []
    tries = 0
    while True:
        where = _kill_once(folder, target, setup, rng)
        if where is None and not killed and tries < _TRIES:  # it was finished before the moment came: a run that nothing interrupted shows nothing
            shutil.rmtree(folder.root)
            tries += 1
            continue
        if where is None:
            return killed
        killed.append(where)
        tries += 1
        if target in NARROW and where != target and tries < _TRIES:
            continue
        if rng.random() > _AGAIN:
            break
        target, tries = rng.choice(TARGETS), 0
    last = ForkedRun(_words(folder, setup), folder.root.with_suffix(".txt"))
    if last.wait() != 0:
        killed.append(f"and could not be resumed: {folder.root.with_suffix('.txt').read_text().splitlines()[-1:]}")
    return killed


def _words(folder: RunFolder, setup: Setup) -> list[str]:
    """A run that was killed before it had a folder is started again; any other is resumed."""
    return ["train", "--resume", str(folder.root)] if folder.config.is_file() else ["train", "--config", str(setup.settings), "--out", str(folder.root)]


def _kill_once(folder: RunFolder, target: str, setup: Setup, rng: random.Random) -> str | None:
    words, output = _words(folder, setup), folder.root.with_suffix(".txt")
    if target == IMPORTS:
        command = [sys.executable, "-c", "import sys; sys.argv[0] = 'finetune'; from finetune.cli import run; run()", *words]
        with output.open("a") as stream, subprocess.Popen(command, stdout=stream, stderr=stream, start_new_session=True) as process:
            time.sleep(rng.uniform(0.05, 2.0))
            process.kill()
        return IMPORTS
    run = ForkedRun(words, output)
    moment = _moment(target, run, folder, setup, rng)
    for _ in moment:
        if run.poll() is not None:
            break
    phase, epoch = run.phase, run.steps
    run.send(signal.SIGKILL)
    if run.wait() == 0:
        return None
    if run.code != -signal.SIGKILL:
        raise SystemExit(f"a run ended by itself with exit code {run.code}:\n{output.read_text()[-2000:]}")
    return _found(folder, run, phase, setup) + (f" (step {epoch} of this start)" if phase == phases.TRAINING else "")


def _moment(target: str, run: ForkedRun, folder: RunFolder, setup: Setup, rng: random.Random) -> Iterator[None]:
    """Lasts until the moment to kill has come."""
    first = rng.randrange(setup.steps) if target not in (phases.READING, phases.FINISHING) else 0
    while run.steps < first and run.phase != phases.FINISHING:
        time.sleep(0.001)
        yield
    if target in (HALF, WHOLE):
        temporary = _temporary(folder, run)
        size = folder.last.stat().st_size if folder.last.is_file() else setup.whole.last.stat().st_size
        while True:  # as fast as possible: the file is there for less than a millisecond
            with suppress(FileNotFoundError):
                written = os.stat(temporary).st_size  # noqa: PTH116 - the quick one
                if target == HALF or written >= size * 0.99:
                    return
            yield
    while run.phase != target:
        time.sleep(0.0003)
        yield
    end = time.monotonic() + rng.uniform(0, setup.spans.get(target, 0.0))
    while time.monotonic() < end and run.phase == target:
        time.sleep(0.0003)
        yield


def _temporary(folder: RunFolder, run: ForkedRun) -> str:
    return str(folder.last.with_name(f".{folder.last.name}.{run.pid}.tmp"))


def _found(folder: RunFolder, run: ForkedRun, phase: str, setup: Setup) -> str:
    """Where a killed process was: what it left on the disk says more than its last mark."""
    size = setup.whole.last.stat().st_size
    with suppress(FileNotFoundError):
        written = Path(_temporary(folder, run)).stat().st_size
        return WHOLE if written >= size * 0.99 else f"{HALF}"
    return phase


@contextmanager
def work_folder(keep: str | None) -> Iterator[Path]:
    """A folder that is kept, or one that goes."""
    if keep is None:
        with tempfile.TemporaryDirectory() as name:
            yield Path(name)
    else:
        Path(keep).mkdir(parents=True)
        yield Path(keep)


def main(words: list[str] | None = None) -> int:
    """Run the cases and print the tally."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, default, meaning in (("times", 20, "cases"), ("seed", 0, "seed of the run and of the moments"), ("workers", 0, "loader processes"), ("epochs", 5, "epochs of the run")):
        parser.add_argument(f"--{name}", type=int, default=default, help=f"{meaning}; default {default}")
    parser.add_argument("--data", help="data folder; default: a few drawn squares")
    parser.add_argument("--keep", help="new folder for the runs; default: they are removed")
    options = parser.parse_args(words)
    preload()
    rng = random.Random(options.seed)
    tolerance = 1e-6 if options.workers else 0.0
    equal = kills = 0
    with work_folder(options.keep) as root:
        setup = train_whole(root, write_setup(root, options.data, options.seed, options.workers, options.epochs))
        print(f"uninterrupted: {options.epochs} epochs, {setup.steps} steps")
        for number in range(1, options.times + 1):
            folder = RunFolder(root / f"case-{number:02d}")
            killed = run_case(folder, TARGETS[(number - 1) % len(TARGETS)], setup, rng)
            differ = differences(setup.whole, folder, tolerance)
            equal += bool(killed) and not differ
            kills += len(killed)
            print(f"case {number}: killed {', then '.join(killed) or 'never'}: {'equal' if not differ else '; '.join(differ[:5])}", flush=True)
    print(f"{equal} of {options.times} equal after {kills} kills ({'bit by bit' if not tolerance else 'within 1e-6'})")
    return 0 if equal == options.times else 1


if __name__ == "__main__":
    sys.exit(main())
