"""The fuzz tool finds what it looks for, and nothing in the readers as they are."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[3]
TOOL = ROOT / "tools/fuzz_annotations.py"


@pytest.fixture
def tool(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The tool as a module."""
    monkeypatch.syspath_prepend(str(TOOL.parent))
    import fuzz_annotations

    return fuzz_annotations


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, str(TOOL), *arguments], capture_output=True, text=True, timeout=1500, check=False)


def test_damaged_data_end_in_a_line_or_are_read() -> None:
    done = run("--cases", "400", "--seed", "11", "--own")
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-2000:]
    assert "no case failed" in done.stdout
    assert "400 cases in " in done.stdout
    assert "json: bbox" in done.stdout
    assert "list: odd lines" in done.stdout


def test_damaged_words_end_in_a_line_or_are_read() -> None:
    done = run("--kind", "text", "--cases", "60", "--seed", "11", "--own")
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-2000:]
    assert "no case failed" in done.stdout
    for words in ("icdar ", "totaltext ", "synthtext", "words: ", "mat: ", "layout: ", "score files"):
        assert words in done.stdout


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["boxes", "text"])
def test_many_damaged_data_end_in_a_line_or_are_read(kind: str) -> None:
    done = run("--kind", kind, "--cases", "20000", "--seed", str(int(time.time())))
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]


@pytest.mark.parametrize(
    ("target", "plant", "words"),
    [
        ("finetune.data.coco.as_box", lambda value: (float(value[0]), 0.0, 5.0, 5.0), ("TypeError", "KeyError", "ValueError", "IndexError")),
        ("finetune.data.coco.as_box", lambda value: (float("nan"), 0.0, 5.0, 5.0), ("boxes not finite",)),
        ("finetune.data.voc_xml.read_bytes", lambda file: b"<annotation><object><name>a</name></object>" if file.stat().st_size % 3 else b"", ("works",)),
    ],
    ids=["raises", "not finite", "harmless"],
)
def test_planted_faults_are_found_and_the_case_repeats_them(tool: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], target: str, plant: Any, words: tuple[str, ...]) -> None:
    def outcome_of(case: int) -> tuple[int, str]:
        code = tool.main(["--case", str(case), "--seed", "3", "--own"])
        return code, capsys.readouterr().out

    monkeypatch.setattr(target, plant)
    if words == ("works",):  # XML that is always broken is refused in a line: no fault of the readers
        assert all(outcome_of(case)[0] == 0 for case in range(30))
        return
    hits = (outcome for case in range(100) if (outcome := (case, *outcome_of(case)))[1])
    case, _, text = next(hits)
    assert any(f"FAULT {entry}" in text for entry in ("load_splits", "load_annotations", "doctor"))
    assert any(word in text for word in words)
    again = outcome_of(case)
    assert (again[0], again[1].splitlines()[0]) == (1, text.splitlines()[0])
    monkeypatch.undo()
    monkeypatch.syspath_prepend(str(TOOL.parent))
    assert outcome_of(case)[0] == 0


@pytest.mark.parametrize(
    ("target", "plant", "words"),
    [
        ("finetune.data.text.icdar.parse_line", lambda line, style: line[5000], "IndexError"),
        ("finetune.data.text.icdar_lines.rectangle", lambda *sides: np.full((4, 2), np.nan), "corners not finite"),
        ("finetune.data.text.curved._outline", lambda x, y: np.zeros((2, 2)), "outlines of fewer than 3 corners"),
    ],
    ids=["raises", "not finite", "no outline"],
)
def test_faults_planted_in_readers_of_words_are_found(tool: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], target: str, plant: Any, words: str) -> None:
    monkeypatch.setattr(target, plant)
    for case in range(60):
        if tool.main(["--kind", "text", "--case", str(case), "--seed", "3", "--own"]) and words in capsys.readouterr().out:
            break
    else:
        pytest.fail(f"{words} was not found in 60 cases")
    monkeypatch.undo()
    monkeypatch.syspath_prepend(str(TOOL.parent))
    assert tool.main(["--kind", "text", "--case", str(case), "--seed", "3", "--own"]) == 0


def test_a_case_that_hangs_is_named_and_the_others_are_counted(tool: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from fuzzing import workers
    from fuzzing.case import Outcome

    def work(seed: int, case: int, *rest: Any) -> Outcome:
        if case == 5:
            time.sleep(600)
        return Outcome(case, "t", ("d",), {"load_splits": "works"}, ("planted",) if case == 7 else (), ())

    monkeypatch.setattr(workers, "run_case", work)
    monkeypatch.setattr(workers, "HARD_SECONDS", 1)
    tally = workers.run_cases(0, range(12), 2, [], tmp_path, tmp_path, lambda tally: None)
    assert tally.cases == 12
    assert sorted((outcome.case, outcome.faults[0][:11]) for outcome in tally.failed) == [(5, "longer than"), (7, "planted")]


def test_messages_that_are_no_line_or_name_no_file_are_faults(tool: Any) -> None:
    from fuzzing.invariants import message_faults

    assert message_faults("a.json: wrong; mend it", ["a.json"]) == []
    assert message_faults("a.json: wrong\nmend it", ["a.json"])
    assert message_faults("a.json: \x1b[31mwrong", ["a.json"])
    assert message_faults("wrong", ["a.json"])
    assert message_faults("a.json: " + "x" * 5000, ["a.json"])
