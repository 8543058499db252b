"""The worst case of a training split, and trials in real processes."""

from __future__ import annotations

import io
import json
import math
import os
import signal
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from backbones.errors import FinetuneError, UsageError
from detectors.types import Batch
from finetune.build import build_datamodule
from finetune.config import DataConfig, FreezeConfig, RunConfig
from finetune.data.dataset import DetectionDataset
from finetune.data.mixing import Mixing
from finetune.data.preprocess import Preprocess
from finetune.data.types import BoxSplit
from finetune.finders import batch_size, trial
from finetune.finders.batch_search import Trial
from finetune.finders.batch_size import find_batch_size
from finetune.finders.memory import Available
from finetune.finders.trial import TrialSetup
from finetune.finders.trial_process import TrialProcess
from finetune.finders.worst_case import most_boxes, worst_case
from tests.finetune.tiny import tiny_config, write_squares

MIB = 1 << 20


@pytest.fixture(scope="module")
def crowded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve pictures with two boxes, one with nine."""
    root = write_squares(tmp_path_factory.mktemp("data"), {"train": 13, "valid": 4})
    file = root / "train" / "_annotations.coco.json"
    table = json.loads(file.read_text())
    for number in range(7):
        table["annotations"].append({"id": 100 + number, "image_id": 14, "category_id": 3, "bbox": [4 * number, 5, 12, 12], "area": 144, "iscrowd": 0})
    file.write_text(json.dumps(table))
    return root


def training_split(config: RunConfig) -> BoxSplit:
    return build_datamodule(config).splits.get("train")


def boxes_in_the_file(root: Path) -> dict[int, int]:
    counts: dict[int, int] = {}
    for annotation in json.loads((root / "train" / "_annotations.coco.json").read_text())["annotations"]:
        counts[annotation["image_id"]] = counts.get(annotation["image_id"], 0) + 1
    return counts


def test_every_picture_of_a_batch_has_the_most_boxes(crowded: Path) -> None:
    counts = boxes_in_the_file(crowded)
    config = tiny_config(crowded)
    worst = worst_case(training_split(config), config.data)
    batch = worst.batch(5)
    assert batch.images.shape == (5, 3, 64, 64)
    assert [len(target.boxes) for target in batch.targets] == [max(counts.values())] * 5 == [9] * 5
    assert {meta.image_id for meta in batch.metas} == {14}


@pytest.mark.parametrize("mixed", [{"mosaic": 1.0}, {"mixup": 1.0}, {"copy_paste": 1.0}, {"mosaic": 1.0, "mixup": 1.0, "copy_paste": 1.0}])
def test_no_sample_that_augmentation_makes_has_more_boxes(crowded: Path, mixed: dict[str, float]) -> None:
    """Many samples of a split whose every picture is the fullest one."""
    config = tiny_config(crowded)
    split = training_split(config)
    full = int((split.offsets[1:] - split.offsets[:-1]).argmax())
    dataset = DetectionDataset(split, Preprocess((64, 64)), "light", 0, Mixing(**mixed))
    object.__setattr__(dataset, "_read", lambda index, read=dataset._read: read(full))
    data = replace(config.data, **mixed)
    allowed = most_boxes(9, data)
    seen = [len(dataset[(epoch, 0, full)][1].boxes) for epoch in range(60)]
    assert max(seen) <= allowed
    assert max(seen) > 9, "something was mixed"
    assert max(seen) >= 0.5 * allowed, "the limit is not absurdly high"
    assert [len(target.boxes) for target in worst_case(split, data).batch(3).targets] == [allowed] * 3
    assert most_boxes(9, config.data) == 9


def test_a_split_without_boxes_has_a_worst_case_too(crowded: Path) -> None:
    config = tiny_config(crowded)
    split = training_split(config)
    per_box = {name: getattr(split, name)[:0] for name in ("boxes", "labels", "crowd", "difficult", "areas", "annotation_ids")}
    empty = replace(split, offsets=split.offsets * 0, **per_box)
    assert [len(target.boxes) for target in worst_case(empty, replace(config.data, mosaic=0.5, copy_paste=0.5)).batch(2).targets] == [0, 0]


def setup_of(config: RunConfig, share: float = 0.9) -> TrialSetup:
    return TrialSetup(config, 2, worst_case(training_split(config), config.data), 1, share)


def test_the_network_trains_on_the_worst_batch_and_all_of_it(crowded: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Gradual unfreezing takes most memory at its end: a trial has everything thawed that ever thaws."""
    seen: list[Any] = []
    monkeypatch.setattr("finetune.build.is_pretrained", lambda config: True)
    monkeypatch.setattr(trial, "_give_way", lambda share: None)  # this process shall stay as it is
    original = trial.run_steps

    def run_steps(config: RunConfig, task: Any, batches: Any, steps: int) -> Any:
        seen.append((config, list(batches), {name for name, p in task.detector.backbone.named_parameters() if p.requires_grad}))
        return original(config, task, batches, steps)

    monkeypatch.setattr(trial, "run_steps", run_steps)
    config = replace(tiny_config(crowded, accumulate=16, ema=0.99), freeze=FreezeConfig("gradual", 1, "train"))
    found = trial._Trials(setup_of(config)).measure(3)
    used, batches, trained = seen[0]
    assert used.train.accumulate == 1
    assert used.train.ema == 0.99, "averaged weights take memory, too"
    assert all(isinstance(batch, Batch) and [len(t.boxes) for t in batch.targets] == [9] * 3 for batch in batches)
    assert any("blocks.4" in name or "blocks_4" in name for name in trained)
    assert found["bytes"] is None or found["bytes"] > 50 * MIB
    assert found["seconds"] > 0


@pytest.fixture(scope="module")
def process(crowded: Path) -> Iterator[TrialProcess]:
    with TrialProcess(setup_of(replace(tiny_config(crowded), data=replace(tiny_config(crowded).data, input_size=(128, 128))))) as running:
        yield running


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="memory of a size alone is known on Linux")
def test_a_process_of_its_own_measures_and_survives_what_does_not_fit(process: TrialProcess) -> None:
    small, large = process.measure(1), process.measure(33)
    assert small is not None
    assert large is not None
    assert small.bytes is not None
    assert large.bytes is not None
    pixels = 32 * 128 * 128 * 3 * 4  # the normalised pictures alone
    assert large.bytes - small.bytes > 2 * pixels
    assert large.seconds > small.seconds > 0
    child = process._process
    assert child is not None
    assert Path(f"/proc/{child.pid}/oom_score_adj").read_text().strip() == "1000", "it is the first to go when memory runs out"
    status = Path(f"/proc/{child.pid}/limits").read_text()
    assert next(line for line in status.splitlines() if line.startswith("Max data size")).split()[3] != "unlimited"
    assert process.measure(400_000) is None, "a batch of 79 GB, which no one may even begin to fill"
    again = process.measure(2)
    assert again is not None
    assert process._process is child


def test_a_killed_process_means_that_a_size_does_not_fit(process: TrialProcess) -> None:
    assert process.measure(1) is not None
    child = process._process
    assert child is not None
    os.kill(child.pid, signal.SIGKILL)
    child.wait()
    assert process.measure(2) is None
    assert process._process is None


def test_a_fault_of_the_settings_is_told_as_one(crowded: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Answering:
        """A process that answers what was planted."""

        def __init__(self, answer: bytes) -> None:
            read, write = os.pipe()
            os.write(write, answer)
            os.close(write)
            self.stdout, self.stdin = os.fdopen(read, "rb"), io.BytesIO()
            self.pid = -1

        def wait(self) -> int:
            return 1

        def kill(self) -> None: ...

    setup = setup_of(tiny_config(crowded))
    for answer, kind, words in (
        (b'{"error": "no such precision", "exit_code": 2}\n', UsageError, "no such precision"),
        (b'{"error": "the batch-size trial failed: KeyError: 3", "exit_code": 1}\n', FinetuneError, "KeyError: 3"),
        (b"", FinetuneError, "the batch-size trial failed: exit code 1"),
    ):
        with TrialProcess(setup) as running:
            monkeypatch.setattr(running, "_process", Answering(answer))
            with pytest.raises(kind, match=words):
                running.measure(1)


class Planted:
    """Stands for a trial process on a machine where a step takes ``base`` + ``each`` * batch MiB."""

    def __init__(self, base: float, each: float, limit: float = math.inf) -> None:
        self.base, self.each, self.limit = base, each, limit
        self.setups: list[TrialSetup] = []

    def __call__(self, setup: TrialSetup) -> Planted:
        self.setups.append(setup)
        return self

    def __enter__(self) -> Planted:
        return self

    def __exit__(self, *_: object) -> None: ...

    def measure(self, batch: int) -> Trial | None:
        taken = self.base + self.each * batch
        return Trial(batch, int(taken * MIB), 0.001 * batch + 0.002, int(self.base * MIB)) if taken <= self.limit else None


def test_the_finder_says_what_fits_into_what_is_free(crowded: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    machine = Planted(700, 100)
    monkeypatch.setattr(batch_size, "TrialProcess", machine)
    monkeypatch.setattr(batch_size, "available_bytes", lambda: Available(2000 * MIB, "the container's limit of 4.0 GiB"))
    config = tiny_config(crowded)
    found = find_batch_size(config, build_datamodule(config).splits)
    truth = int((2000 * 0.9 - 700) / 100)
    assert truth == 11
    assert found.sizes.largest is not None
    assert truth - 1 <= found.sizes.largest <= truth
    text = "\n".join(found.lines())
    free = "90% of the 2.0 GiB that the container's limit of 4.0 GiB"
    for part in ("every picture with 9 boxes", f"largest that fits: {found.sizes.largest} images", free, "4     1.1 GiB", "<- data.batch_size", "nothing was changed"):
        assert part in text, part
    facts = found.to_json()
    assert (facts["boxes_per_image"], facts["largest"], facts["free_bytes"]) == (9, found.sizes.largest, 2000 * MIB)
    assert json.loads(json.dumps(facts)) == facts
    assert [len(t.boxes) for t in machine.setups[0].worst.batch(2).targets] == [9, 9]


@pytest.mark.parametrize(
    ("machine", "free", "words"),
    [
        (Planted(700, 1), 5000 * MIB, "all 13 training images at once"),
        (Planted(700, 100, limit=1), 5000 * MIB, "not even one image a step fits"),
        (Planted(700, 250), 1800 * MIB, "data.batch_size 4 does not fit: take 3"),
        (Planted(700, 1), None, "13 training images"),
    ],
)
def test_other_endings(crowded: Path, monkeypatch: pytest.MonkeyPatch, machine: Planted, free: int | None, words: str) -> None:
    monkeypatch.setattr(batch_size, "TrialProcess", machine)
    monkeypatch.setattr(batch_size, "available_bytes", lambda: None if free is None else Available(free, "this machine"))
    config = tiny_config(crowded)
    assert words in "\n".join(find_batch_size(config, build_datamodule(config).splits).lines())


def test_a_device_without_a_measure_is_refused(crowded: Path) -> None:
    config = tiny_config(crowded, accelerator="mps")
    with pytest.raises(UsageError, match=r"measures CPU and CUDA memory, and train\.accelerator is mps"):
        find_batch_size(config, build_datamodule(config).splits)


def test_gpu_sizes_are_tried_until_one_does_not_fit(crowded: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No GPU is needed: the process is planted, the free memory too. Trying too much does no harm there, so it is what ends the search."""
    machine = Planted(100, 250, limit=2600)
    asked: list[int] = []
    measure = machine.measure
    monkeypatch.setattr(machine, "measure", lambda batch: (asked.append(batch), measure(batch))[1])
    monkeypatch.setattr(batch_size, "TrialProcess", machine)
    monkeypatch.setattr(batch_size, "on_gpu", lambda config: True)
    monkeypatch.setattr(batch_size, "free_memory", lambda gpu: (3000 * MIB, "NVIDIA Planted"))
    config = tiny_config(crowded)
    found = find_batch_size(config, build_datamodule(config).splits)
    assert found.sizes.largest == int((2600 - 100) / 250) == 10
    assert max(asked) > 10
    assert "3,000 MiB" not in found.lines()[-2]
    assert "2.9 GiB that NVIDIA Planted has free (tried)" in "\n".join(found.lines())


def test_the_setting_is_complete() -> None:
    """A share of samples mixed that has no part in ``most_boxes`` would make the worst case too small."""
    mixed = {name for name in Mixing.__dataclass_fields__ if name != "epochs"}
    assert mixed == {"mosaic", "mixup", "copy_paste"}
    assert mixed <= set(DataConfig.__dataclass_fields__)
