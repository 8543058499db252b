"""Files of a run folder are whole or as they were; settings and records survive being written."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from backbones.errors import UsageError
from finetune.config import BackboneConfig, DataConfig, RunConfig
from finetune.config_file import config_from_dict, config_to_dict, load_config, save_config, with_absolute_paths
from finetune.record import RunRecord, load_record, record_to_dict
from finetune.run_folder import RunFolder, WriteError, clear_temporary, write_atomic

CONFIG = RunConfig(data=DataConfig(root="some/bccd", include=("a", "b"), rename={"x": "y"}, val=("v.json",)), backbone=BackboneConfig("torchvision:mobilenet_v2"))


def test_a_write_that_fails_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "last.ckpt"
    path.write_text("old")

    def fail(temporary: Path) -> None:
        temporary.write_text("half")
        raise OSError(28, "No space left on device")

    with pytest.raises(WriteError, match="No space left on device"):
        write_atomic(path, fail)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_only_our_temporary_files_are_cleared(tmp_path: Path) -> None:
    (tmp_path / "checkpoints").mkdir()
    ours = [tmp_path / ".metrics.csv.123.tmp", tmp_path / "checkpoints" / ".last.ckpt.4567.tmp"]
    theirs = [tmp_path / "notes.tmp", tmp_path / ".notes.tmp", tmp_path / "checkpoints" / "last.ckpt", tmp_path / ".a.12.tmp.txt"]
    for path in (*ours, *theirs):
        path.write_text("x")
    assert clear_temporary(tmp_path) == sorted(ours)
    assert all(path.exists() for path in theirs)


def test_a_path_that_cannot_be_a_run_folder_is_one_line(tmp_path: Path) -> None:
    for path, words in ((tmp_path, "not a run folder"), (tmp_path / ("x" * 300), "File name too long")):
        with pytest.raises(UsageError, match=words) as caught:
            RunFolder.open(path)
        assert "\n" not in str(caught.value)


def test_settings_survive_yaml(tmp_path: Path) -> None:
    save_config(CONFIG, tmp_path / "c.yaml")
    assert load_config(tmp_path / "c.yaml") == CONFIG
    assert config_from_dict(json.loads(json.dumps(config_to_dict(CONFIG))), "x") == CONFIG
    with pytest.raises(UsageError, match=r"here has settings .* data\.rot"):
        config_from_dict({"data": {"rot": 1}}, "here")


def test_paths_in_a_run_folder_work_from_any_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "set" / "train").mkdir(parents=True)
    (tmp_path / "train").mkdir()
    (tmp_path / "extra.json").write_text("{}")
    monkeypatch.chdir(tmp_path)
    config = with_absolute_paths(RunConfig(data=DataConfig(root="set", train=("train",), val=("extra.json", "val2017"))))
    assert config.data.root == (tmp_path / "set").as_posix()
    assert config.data.train == ("train",), "below the root: stays a name"
    assert config.data.val == ((tmp_path / "extra.json").as_posix(), "val2017")
    assert with_absolute_paths(RunConfig()).data.root == "signs"


def test_a_record_survives_json_and_refuses_other_schemas(tmp_path: Path) -> None:
    record = RunRecord({"seed": 1}, 1, "d", "f", ("a",), 2, 1, {"val": []}, None, 3, {}, 1.5, ("note",))
    path = tmp_path / "record.json"
    path.write_text(json.dumps(record_to_dict(record)))
    assert load_record(path) == record
    path.write_text(json.dumps({**record_to_dict(record), "schema": 99}))
    with pytest.raises(UsageError, match="schema 99"):
        load_record(path)
    path.write_text("[1")
    with pytest.raises(UsageError, match="cannot read the record"):
        load_record(path)
