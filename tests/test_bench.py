"""The pieces of the benchmark: sides in processes of their own, equal results before any time, and honest ratios."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tools"))

import bench_ssdlite
from bench.race import SAME_ALLOCATOR, DifferentResultsError, Plan, Times, race, ratio
from bench.scoring import write_files

SIDE = """
import os, time

class Side:
    def __init__(self, side, settings):
        self.seconds, self.value = settings["seconds"][side], settings["values"][side]

    def time(self):
        print("words of a library do not disturb the answers")
        return self.seconds

    def result(self):
        return [self.value, float(os.environ.get("EXTRA", 0))]

def build(side, settings):
    return Side(side, settings)
"""


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    (tmp_path / "some_side.py").write_text(SIDE)
    monkeypatch.setattr("bench.race.ROOT", tmp_path)  # sides look for modules there
    (tmp_path / "tools").symlink_to(Path(__file__).resolve().parents[1] / "tools")
    return "some_side"


def plans(module: str, values: dict[str, float], extra: str = "0") -> dict[str, Plan]:
    settings = {"seconds": {"theirs": 0.6, "ours": 0.2}, "values": values}
    return {"theirs": Plan(module, "theirs", settings, {}), "ours": Plan(module, "ours", settings, {"EXTRA": extra})}


def test_sides_take_turns_and_are_compared(module: str) -> None:
    times = race(plans(module, {"theirs": 5.0, "ours": 5.0 + 1e-9}), rounds=3, tolerance=1e-6)
    assert times["ours"].seconds == (0.2, 0.2, 0.2)
    assert times["ours"].peak_mib > 1
    assert ratio(times["theirs"], times["ours"]) == pytest.approx(3)


@pytest.mark.parametrize(("values", "extra"), [({"theirs": 5.0, "ours": 5.1}, "0"), ({"theirs": 5.0, "ours": float("nan")}, "0"), ({"theirs": 5.0, "ours": 5.0}, "1")])
def test_nothing_is_timed_when_results_differ(module: str, values: dict[str, float], extra: str) -> None:
    with pytest.raises(DifferentResultsError):
        race(plans(module, values, extra), rounds=1, tolerance=1e-6)


def test_a_ratio_is_that_of_rounds_not_of_medians() -> None:
    assert ratio(Times((2.0, 20.0, 4.0), 0), Times((1.0, 10.0, 4.0), 0)) == 2


def test_scoring_is_equal_to_pycocotools_and_written_as_a_table(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert bench_ssdlite.main(["--quick", "--only", "scoring", "--json", str(tmp_path / "b.json"), "--markdown", str(tmp_path / "b.md")]) == 0
    (row,) = json.loads((tmp_path / "b.json").read_text())["rows"]
    assert row["as_run"] > 1
    assert "COCO scoring" in (tmp_path / "b.md").read_text()
    assert "COCO scoring" in capsys.readouterr().out


def test_made_up_results_have_something_to_find(tmp_path: Path) -> None:
    from bench import scoring

    write_files(tmp_path, 30, 100)
    figures = scoring.build("ours", {"folder": str(tmp_path)}).result()
    assert 0.01 < figures[0] < 0.9
    assert len(json.loads((tmp_path / "results.json").read_text())) == 3000


@pytest.mark.slow
def test_losses_and_detections_of_both_sides_are_equal(tmp_path: Path) -> None:
    report = tmp_path / "b.json"
    assert bench_ssdlite.main(["--quick", "--only", "loss", "decoding", "prediction", "--json", str(report)]) == 0
    assert len(json.loads(report.read_text())["rows"]) == 3


def test_the_allocator_is_left_alone_where_the_user_chose() -> None:
    words = [sys.executable, "-c", "from finetune.allocator import keep_freed_memory; print(keep_freed_memory())"]
    free = {name: value for name, value in os.environ.items() if not name.startswith("MALLOC_") and name != "LD_PRELOAD"}
    answers = [subprocess.run(words, env={**free, **extra}, capture_output=True, text=True, check=True).stdout.strip() for extra in ({}, SAME_ALLOCATOR)]
    assert answers[1] == "False"
    assert answers[0] == str(sys.platform.startswith("linux") and "glibc" in os.confstr("CS_GNU_LIBC_VERSION").lower())


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc's allocator")
def test_freed_memory_stays_with_the_process() -> None:
    code = (
        "import resource, sys\n"
        "from finetune.allocator import keep_freed_memory\n"
        "if sys.argv[1] == 'keep': keep_freed_memory()\n"
        "for _ in range(20): b'x' * 50_000_000\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt)"
    )
    free = {name: value for name, value in os.environ.items() if not name.startswith("MALLOC_")}
    faults = {word: int(subprocess.run([sys.executable, "-c", code, word], env=free, capture_output=True, text=True, check=True).stdout) for word in ("keep", "not")}
    assert faults["keep"] < faults["not"] / 3
