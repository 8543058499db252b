"""Sets of word pictures: the layout of ICDAR 2015 with characters beside it, the same by one process and by several."""

import json

import cv2
import numpy as np
import pytest

from backbones.errors import UsageError
from finetune.commands.sample_data import run
from finetune.options import SampleDataOptions
from finetune.samples import ensure_words
from finetune.samples.text import word_sets
from finetune.samples.text.word_pictures import WordPictures
from finetune.samples.text.word_sets import WordSettings, generate_words, word_split

SMALL = WordSettings((160, 200), seed=2)
COUNT = 26  # more than are drawn alone


@pytest.fixture(scope="module")
def words(tmp_path_factory):
    out = tmp_path_factory.mktemp("words") / "set"
    done = []
    summary = generate_words(out, COUNT, SMALL, workers=1, progress=done.append)
    assert done == list(range(1, COUNT + 1))
    return out, summary


def contents(root):
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def test_several_processes_write_the_same_bytes(words, tmp_path):
    generate_words(tmp_path / "two", COUNT, SMALL, workers=2)
    one, two = contents(words[0]), contents(tmp_path / "two")
    assert one == two
    assert len(one) == 3 * COUNT + 1
    generate_words(tmp_path / "few", 3, SMALL)
    assert all(one[name] == content for name, content in contents(tmp_path / "few").items() if name != "summary.json"), "picture i depends on the number of pictures"
    generate_words(tmp_path / "other", 3, WordSettings((160, 200), seed=3))
    assert all(one[name] != content for name, content in contents(tmp_path / "other").items() if name.endswith(".jpg"))


def test_files_say_what_was_drawn(words):
    root, summary = words
    pictures = WordPictures(SMALL.size_hw, SMALL.seed)
    counts = {"readable": 0, "unreadable": 0}
    for index in range(COUNT):
        picture, folder, name = pictures.draw(index), root / word_split(index), f"img_{index + 1}"
        assert np.array_equal(cv2.imread(str(folder / f"{name}.jpg"))[..., ::-1], picture.image), "on the fly and from the file: the same pixels"
        lines = (folder / f"gt_{name}.txt").read_text(encoding="utf-8").splitlines()
        beside = json.loads((folder / f"chars_{name}.json").read_text(encoding="utf-8"))
        assert beside["image"] == f"{name}.jpg"
        assert len(lines) == len(beside["words"]) == len(picture.texts)
        for k, (line, word) in enumerate(zip(lines, beside["words"], strict=True)):
            *numbers, text = line.split(",", 8)
            quad = np.array(numbers, int).reshape(4, 2)
            assert np.abs(quad - np.clip(picture.quads[k], 0, (200, 160))).max() <= 0.5
            assert np.abs(np.array(word["quad"]) - picture.quads[k]).max() <= 0.006
            assert np.abs(np.array(word["characters"]) - picture.char_quads[picture.char_words == k]).max() <= 0.006
            assert text == ("###" if picture.ignore[k] else picture.texts[k])
            assert (word["text"], word["ignore"]) == (picture.texts[k], bool(picture.ignore[k]))
            counts["unreadable" if text == "###" else "readable"] += 1
    assert summary["words"] == counts
    assert min(counts.values()) > 0
    assert json.loads((root / "summary.json").read_text()) == json.loads(json.dumps(summary))
    assert summary["splits"] == {split: len(list((root / split).glob("*.jpg"))) for split in ("train", "val")} == {"train": 23, "val": 3}


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
def test_an_interruption_leaves_nothing(tmp_path, monkeypatch, error):
    def stop(root, index, pictures):
        raise error

    monkeypatch.setattr(word_sets, "write_words", stop)
    with pytest.raises(error):
        generate_words(tmp_path / "out", 3, SMALL)
    assert list(tmp_path.iterdir()) == []


def test_the_cached_set_is_drawn_once(tmp_path, monkeypatch):
    monkeypatch.setenv("FINETUNE_CACHE", str(tmp_path))
    monkeypatch.setattr(word_sets, "CACHED_SIZE", (96, 96))
    folder = ensure_words(2, 5)
    assert sorted(path.name for path in folder.iterdir()) == ["summary.json", "train", "val"]
    monkeypatch.setattr(word_sets, "write_words", None)
    assert ensure_words(2, 5) == folder
    assert word_sets.cached_words(2, 6) != folder


def test_command(tmp_path, capsys):
    out = tmp_path / "words"
    corpus = tmp_path / "w.txt"
    corpus.write_text("Ample Bistro Čaj \U00020000\n", encoding="utf-8")
    assert run(SampleDataOptions(name="words", out=str(out), images=2, size=(96, 128), corpus=str(corpus), json=str(tmp_path / "s.json"))) == 0
    said = capsys.readouterr().out
    assert "1 training and 1 validation pictures" in said
    assert "1 words left out" in said
    assert f"finetune train --detector craftlite --data {out}" in said
    assert json.loads((tmp_path / "s.json").read_text())["left_out"] == 1
    with pytest.raises(UsageError, match="never overwritten"):
        run(SampleDataOptions(name="words", out=str(out), images=2))
    with pytest.raises(UsageError, match="--corpus is for words"):
        run(SampleDataOptions(name="signs", out=str(tmp_path / "signs"), images=2, corpus=str(corpus)))
    with pytest.raises(UsageError, match="no folder to draw into: finetune sample-data words OUT"):
        run(SampleDataOptions(name="words"))


def test_what_is_wrong_is_said_before_anything_is_written(tmp_path):
    for settings, says in (({"corpus": "nowhere.txt"}, "cannot read corpus"), ({"fonts": "nowhere"}, "no folder"), ({"backgrounds": "nowhere"}, "no folder")):
        with pytest.raises(UsageError, match=says):
            run(SampleDataOptions(name="words", out=str(tmp_path / "out"), images=2, **settings))
    with pytest.raises(UsageError, match="2 to"):
        run(SampleDataOptions(name="words", out=str(tmp_path / "out"), images=1))
    assert list(tmp_path.iterdir()) == []
