"""Times against a loop written by hand, in turns with it; planted sleeps are seen; conditions come back; the command line."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch

from finetune.cli import main
from finetune.config import RunConfig
from finetune.profile.device import GpuClock
from finetune.profile.latency import measure_latency
from finetune.profile.measure import profile_models
from finetune.profile.record import Latency, ProfileRecord, profile_from_dict
from finetune.profile.rules import OUTSIDE
from finetune.profile.settings import ProfileSettings
from finetune.profile.shares import measure_operators
from finetune.profile.subject import ProfileSubject, subject_from_config
from finetune.profile.turns import measure_in_turns, percentile, spread
from tests.finetune.tiny import tiny_config

CPU = torch.device("cpu")
PLANTED_MS = 30.0


def tiny(name: str = "tiny") -> ProfileSubject:
    config: RunConfig = tiny_config(Path("nowhere"))
    return subject_from_config(config, 3, name)


def slowed(subject: ProfileSubject, ms: float) -> Callable[[], None]:
    """Let the network sleep; returns what takes the sleep away."""
    return subject.detector.register_forward_hook(lambda *_: time.sleep(ms / 1000)).remove  # type: ignore[no-any-return]


def by_hand(subject: ProfileSubject, rounds: int) -> float:
    """Least milliseconds of the network, as anyone would write it."""
    least = float("inf")
    with torch.inference_mode():
        for _ in range(rounds):
            start = time.perf_counter()
            subject.detector(subject.image)
            least = min(least, 1000 * (time.perf_counter() - start))
    return least


def ratio_to_hand(subject: ProfileSubject, before: Callable[[], Any] = lambda: None, after: Callable[[], Any] = lambda: None) -> float:
    """How many times longer the profile says than a loop by hand, the fastest of either over turns: interruptions only ever add."""
    ours, theirs = float("inf"), float("inf")
    for _ in range(6):
        before()
        found: Latency = measure_latency([(subject.detector, subject.image)], 1, 5, 5.0, CPU)[0]
        after()
        ours = min(ours, found.network_ms_median)
        theirs = min(theirs, by_hand(subject, 5))
    return ours / theirs


def test_latency_is_that_of_a_loop_by_hand() -> None:
    subject = tiny()
    by_hand(subject, 3)
    assert 0.5 < ratio_to_hand(subject) < 2.5


def test_the_comparison_sees_a_planted_sleep() -> None:
    subject = tiny()
    by_hand(subject, 3)
    ends: list[Callable[[], None]] = []
    assert ratio_to_hand(subject, lambda: ends.append(slowed(subject, PLANTED_MS)), lambda: ends.pop()()) > 2.5


def test_models_take_turns_in_both_orders() -> None:
    seen: list[int] = []
    results = measure_in_turns([lambda: seen.append(0), lambda: seen.append(1)], rounds=3, seconds=9.0, warmup=1)
    assert seen == [0, 1, 1, 0, 0, 1, 1, 0]
    assert [len(each) for each in results] == [3, 3]


def test_time_ends_the_rounds_but_five_are_made() -> None:
    assert len(measure_in_turns([lambda: time.sleep(0.01)], rounds=1000, seconds=0.001)[0]) == 5
    assert 5 < len(measure_in_turns([lambda: time.sleep(0.01)], rounds=1000, seconds=0.5)[0]) < 60


def test_quantiles() -> None:
    assert percentile([4, 1, 3, 2, 5], 0.5) == 3
    assert percentile([0, 10], 0.95) == pytest.approx(9.5)
    assert spread([1, 2, 3, 4, 5]) == 2


def test_operators_and_stages_take_the_whole_time() -> None:
    first, second = profile_models([tiny(), tiny()], ProfileSettings(("latency", "operators"), batch=2, rounds=5, device="cpu"))
    assert (first.name, second.name, first.taking_turns) == ("tiny", "tiny (2)", ("tiny", "tiny (2)"))
    for record in (first, second):
        assert sum(row.share for row in record.operators) == pytest.approx(1)
        assert sum(row.share for row in record.stages) == pytest.approx(1)
        assert sum(row.macs for row in record.operators) == sum(row.macs for row in record.stages) == record.macs > 0
        assert sum(row.parameters for row in record.stages) == record.parameters
        assert all(row.ms > 0 for row in record.operators if row.name != OUTSIDE)
        assert [each.batch for each in record.latencies] == [1, 2]
        assert record.memory is None
    assert first.macs == second.macs


def test_a_sleep_between_operators_is_outside_and_one_layer_is_in_its_stage() -> None:
    subject = tiny()
    end = slowed(subject, PLANTED_MS)
    outside = measure_operators([(subject.detector, subject.image)], 5, 5.0, CPU)[0].outside
    end()
    assert outside > 0.9 * PLANTED_MS
    assert any(measure_operators([(subject.detector, subject.image)], 5, 5.0, CPU)[0].outside < 0.9 * PLANTED_MS for _ in range(6))  # a busy machine takes time, too, but not always


def test_threads_come_back(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    monkeypatch.setattr(torch, "set_num_threads", asked.append)
    before = torch.get_num_threads()
    profile_models([tiny()], ProfileSettings((), threads=3, device="cpu"))
    assert asked == [3, before]


class PlantedEvent:
    """A CUDA event on the wall clock."""

    def __init__(self, enable_timing: bool) -> None:
        self.at = 0.0

    def record(self) -> None:
        self.at = time.perf_counter()

    def elapsed_time(self, other: PlantedEvent) -> float:
        return 1000 * (other.at - self.at)


def test_the_gpu_clock_reads_events_after_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[Any] = []
    monkeypatch.setattr(torch.cuda, "Event", PlantedEvent)
    monkeypatch.setattr(torch.cuda, "synchronize", waits.append)
    monkeypatch.setattr(torch.cuda, "_sleep", lambda cycles: waits.append("sleep"))
    clock = GpuClock(torch.device("cuda"))
    clock.start()
    marks = [clock()]
    time.sleep(0.02)
    marks.append(clock())
    assert clock.milliseconds(marks)[0] >= 20
    assert waits == [torch.device("cuda"), "sleep", torch.device("cuda")]


def run_command(words: Sequence[str], file: Path) -> list[ProfileRecord]:
    assert main(["profile", *words, "--device", "cpu", "--json", str(file)]) == 0
    return [profile_from_dict(values) for values in json.loads(file.read_text())["profiles"]]


def test_the_command_prints_tables_and_writes_records(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--backbone", "test_efficientnet,test_resnet", "--input_size", "64", "96", "--classes", "4", "--measure", "latency", "operators", "--rounds", "5", "--batch", "2"]
    first, second = run_command(words, tmp_path / "p.json")
    assert (first.name, second.backbone, first.classes, first.input_hw) == ("ssdlite test_efficientnet", "test_resnet", 4, (64, 96))
    text = capsys.readouterr().out
    for wanted in (f"{first.parameters:,}", "depthwise", "stem", "torch", "decoding depends on what is found"):
        assert wanted in text


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        (["--detector", "craft", "--backbone", "test_resnet"], "has its own backbone"),
        (["--backbone", "test_resnett"], "test_resnet"),
        (["--backbone", "test_resnet", "--picture", "nowhere.png"], "no such file"),
        (["--backbone", "test_resnet", "--device", "mps:3"], "mps"),
        (["nowhere"], "nowhere"),
        (["--backbone", "test_resnet", "--json", "nowhere/x.json"], "folder does not exist"),
    ],
)
def test_mistakes_are_one_line(words: list[str], wanted: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["profile", "--measure", "latency", *words]) == 2
    complaint = capsys.readouterr().err
    assert wanted in complaint
    assert len(complaint.strip().splitlines()) == 1


@pytest.mark.slow
@pytest.mark.parametrize("detector", ["ssdlite", "craftlite"])
def test_memory_grows_with_what_is_measured(detector: str, tmp_path: Path) -> None:
    words = ["--backbone", "test_efficientnet", "--detector", detector, "--measure", "memory", "--seconds", "5", "--data.batch_size", "4", "--input_size"]
    small, large = (run_command([*words, str(side), str(side)], tmp_path / "p.json")[0].memory for side in (128, 512))
    for memory in (small, large):
        assert memory is not None
        assert memory.kind == "resident"
        for peak in (memory.inference, memory.training):
            assert peak is not None
            assert peak.peak_bytes is not None
            assert peak.resting_bytes is not None
            assert peak.peak_bytes > peak.resting_bytes > 2**26
            assert peak.largest_batch is None or peak.largest_batch >= peak.batch
    own = [[peak.peak_bytes - peak.resting_bytes for peak in (memory.inference, memory.training)] for memory in (small, large)]  # type: ignore[union-attr,operator]
    assert own[1][0] > 2 * own[0][0]
    assert own[1][1] > 2 * own[0][1]
