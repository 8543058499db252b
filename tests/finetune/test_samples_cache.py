"""Where sample sets go: never over something, never half, never twice."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from backbones.errors import UsageError
from finetune.commands.sample_data import run
from finetune.options import SampleDataOptions
from finetune.samples import ensure_signs, generate
from finetune.samples.generate import cache_folder, cached_signs, generate_signs


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("FINETUNE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_command_prints_what_was_drawn_and_writes_json(tmp_path, capsys):
    out = tmp_path / "new" / "signs"
    assert run(SampleDataOptions(out=str(out), images=6, seed=1, json=str(tmp_path / "s.json"))) == 0
    said = capsys.readouterr().out
    assert "3 training and 3 validation pictures" in said
    assert f"finetune train --data {out}" in said
    summary = json.loads((tmp_path / "s.json").read_text())
    drawn = sum(len(json.loads((out / "annotations" / f"instances_{s}.json").read_text())["annotations"]) for s in ("train", "val"))
    assert drawn == sum(sum(counts.values()) for counts in summary["boxes"].values()) > 0
    assert all(name in said for name in summary["boxes"])


@pytest.mark.parametrize(("images", "seed", "says"), [(0, 0, "--images"), (1, 0, "--images"), (-5, 0, "--images"), (10**9, 0, "--images"), (4, -1, "--seed")])
def test_wrong_numbers_name_the_flag_and_leave_nothing(tmp_path, images, seed, says):
    with pytest.raises(UsageError, match=says):
        run(SampleDataOptions(out=str(tmp_path / "out"), images=images, seed=seed))
    assert list(tmp_path.iterdir()) == []


def test_no_folder_given():
    with pytest.raises(UsageError, match="sample-data signs OUT"):
        run(SampleDataOptions(out=""))


def test_nothing_is_overwritten_but_an_empty_folder_is_used(tmp_path):
    full, file, empty = tmp_path / "full", tmp_path / "file", tmp_path / "empty"
    full.mkdir()
    (full / "mine.txt").write_text("mine")
    file.write_text("mine")
    empty.mkdir()
    for taken in (full, file):
        with pytest.raises(UsageError, match="never overwritten"):
            generate_signs(taken, 2, 0)
    assert (full / "mine.txt").read_text() == file.read_text() == "mine"
    generate_signs(empty, 2, 0)
    assert (empty / "summary.json").is_file()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["empty", "file", "full"]


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
def test_an_interruption_leaves_nothing_half_made(cache, monkeypatch, error):
    draw = generate.draw_picture

    def interrupted(seed, index):
        if index == 2:
            raise error
        return draw(seed, index)

    monkeypatch.setattr(generate, "draw_picture", interrupted)
    with pytest.raises(error):
        ensure_signs(4, 3)
    assert list(cache.iterdir()) == []
    monkeypatch.setattr(generate, "draw_picture", draw)
    assert len(list(ensure_signs(4, 3).glob("*/*.jpg"))) == 4


def test_drawn_once(cache, monkeypatch, capsys):
    folder = ensure_signs(2, 7)
    assert folder.parent == cache
    assert "Drawing" in capsys.readouterr().out
    monkeypatch.setattr(generate, "draw_picture", None)
    assert ensure_signs(2, 7) == folder
    assert capsys.readouterr().out == ""


def test_key_names_version_count_and_seed(cache, monkeypatch):
    keys = {cached_signs(2, 0), cached_signs(4, 0), cached_signs(2, 1)}
    monkeypatch.setattr(generate, "GENERATOR_VERSION", 999)
    assert len(keys | {cached_signs(2, 0)}) == 4


def test_cache_folder_order(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    monkeypatch.setenv("FINETUNE_CACHE", str(tmp_path / "own"))
    assert cache_folder() == tmp_path / "own"
    monkeypatch.delenv("FINETUNE_CACHE")
    assert cache_folder() == tmp_path / "xdg" / "finetune"
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert cache_folder() == Path.home() / ".cache" / "finetune"


def test_a_cache_that_cannot_be_written_is_a_usage_error(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("FINETUNE_CACHE", str(tmp_path / "file" / "below"))
    with pytest.raises(UsageError, match="FINETUNE_CACHE"):
        ensure_signs(2, 0)


def test_two_processes_at_once_end_with_one_whole_set(cache):
    code = "import sys, time\nfrom finetune.samples import ensure_signs\ntime.sleep(max(0, float(sys.argv[1]) - time.time()))\nprint(ensure_signs(6, 2))"
    start = str(time.time() + 2)
    environment = {**os.environ, "COLUMNS": "500"}
    runs = [subprocess.Popen([sys.executable, "-c", code, start], stdout=subprocess.PIPE, text=True, env=environment) for _ in range(2)]
    said = [process.communicate(timeout=60)[0].split()[-1] for process in runs]
    assert [process.returncode for process in runs] == [0, 0]
    assert said == [str(cached_signs(6, 2))] * 2
    assert [p.name for p in cache.iterdir()] == [cached_signs(6, 2).name]
    assert len(list(cached_signs(6, 2).glob("*/*.jpg"))) == 6
