"""The run folder is made once, is whole, and says in one line why it cannot be made."""

from __future__ import annotations

import json
import socket
from collections import namedtuple
from dataclasses import replace
from pathlib import Path

import pytest

from backbones.errors import UsageError
from finetune.config import BackboneConfig, DataConfig, RunConfig
from finetune.config_file import config_from_dict, config_to_dict, load_config, save_config, with_absolute_paths
from finetune.record import RunRecord, load_record, record_to_dict
from finetune.run_folder import RunFolder, free_folder

CONFIG = RunConfig(data=DataConfig(root="some/bccd", include=("a", "b"), rename={"x": "y"}, val=("v.json",)), backbone=BackboneConfig("torchvision:mobilenet_v2"))


def test_a_folder_with_files_is_never_overwritten(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    kept = tmp_path / "run" / "mine.txt"
    kept.write_text("mine")
    with pytest.raises(UsageError, match=r"never overwritten: choose another --out, or .*--resume"):
        RunFolder.create(tmp_path / "run", CONFIG, {})
    assert list((tmp_path / "run").iterdir()) == [kept]


def test_default_names_count_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    first = RunFolder.create(None, CONFIG, {}).root
    assert first.as_posix() == "runs/bccd-mobilenet_v2-1"
    assert free_folder(CONFIG).as_posix() == "runs/bccd-mobilenet_v2-2"
    assert free_folder(replace(CONFIG, data=DataConfig(), backbone=BackboneConfig("a.b:c"))).as_posix() == "runs/signs-c-1"


def test_a_place_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="cannot create the run folder") as caught:
        RunFolder.create(tmp_path / "file" / "run", CONFIG, {})
    assert "\n" not in str(caught.value)
    with pytest.raises(UsageError, match="never overwritten"):
        RunFolder.create(tmp_path / "file", CONFIG, {})


def test_a_disk_that_is_too_full_is_said_before_anything_is_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr("shutil.disk_usage", lambda path: usage(2**30, 2**30, 2**20))
    with pytest.raises(UsageError, match=r"needs about 64 MiB .* only 1 MiB are free"):
        RunFolder.create(tmp_path / "run", CONFIG, {}, needed_bytes=64 * 2**20)
    assert not (tmp_path / "run").exists()


def test_the_environment_names_versions_but_no_host(tmp_path: Path) -> None:
    folder = RunFolder.create(tmp_path / "run", CONFIG, {"devices": ["cpu"]})
    text = (folder.root / "environment.json").read_text()
    assert json.loads(text)["versions"]["torch"]
    host = socket.gethostname()
    assert len(host) < 3 or host not in text


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
