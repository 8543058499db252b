"""Characters that a model finds: where they are kept, what samples carry of them, and that loader processes see new ones."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from finetune.config import DataConfig
from finetune.data.batch import collate
from finetune.data.splits import load_splits
from finetune.data.text.dataset import TextDataset
from finetune.data.text.found_characters import FoundCharacters
from finetune.data.text_preprocess import TextPreprocess
from finetune.data.types import TextSplit
from tests.finetune.data.text_makers import write_icdar

LINES = b"10,10,58,10,58,26,10,26,abcd\n70,10,100,10,100,26,70,26,###\n10,40,58,40,58,56,10,56,\n60,40,108,40,108,56,60,56,a b\n70,60,70,60,70,60,70,60,xy\n"


def training_split(root: Path, files: dict[str, bytes]) -> TextSplit:
    write_icdar(root, "val", {"img_9": LINES})
    split = load_splits(DataConfig(root=str(write_icdar(root, "train", files))), wants="text").train
    assert split is not None
    return split


@pytest.fixture
def words(tmp_path: Path) -> TextDataset:
    """Two pictures with the same words: four letters, ignored, unknown, two letters with a space, none of area."""
    return TextDataset(training_split(tmp_path, {"img_1": LINES, "img_2": LINES}), TextPreprocess(canvas=256, mag_ratio=2.0))


def put(room: FoundCharacters, counts: list[int], confidence: list[float]) -> torch.Tensor:
    """Characters one beside the other from the left end of each word, 10 pixels wide."""
    parts = []
    for corners, count in zip(room.quads, counts, strict=True):
        left, top = corners[0]
        parts += [[[left + 10 * n, top], [left + 10 * n + 10, top], [left + 10 * n + 10, top + 16], [left + 10 * n, top + 16]] for n in range(count)]
    quads = torch.tensor(np.array(parts), dtype=torch.float32).view(-1, 4, 2)
    room.put(quads, torch.tensor(counts), torch.tensor(confidence))
    return quads


def test_only_words_that_count_and_are_known_can_be_split(words: TextDataset) -> None:
    room = words.room_for_characters()
    assert room is words.room_for_characters()
    assert [words.split.texts[row] for row in room.rows] == ["abcd", "a b"] * 2
    assert room.lengths.tolist() == [4, 2, 4, 2]


def test_samples_carry_what_was_found(words: TextDataset) -> None:
    before = words[0][1]
    assert before.char_quads is None
    assert before.word_confidence is None
    quads = put(words.room_for_characters(), [4, 0, 5, 2], [1.0, 0.3, 0.75, 0.9])
    _, one, _ = words[0]
    assert one.word_confidence.tolist() == [1, 1, 1, 1, 1]
    assert one.char_words.tolist() == [0, 0, 0, 0]
    torch.testing.assert_close(one.char_quads, 2 * quads[:4])  # the input is twice as large as the picture
    _, two, _ = words[1]
    assert two.char_words.tolist() == [0] * 5 + [3] * 2
    torch.testing.assert_close(two.word_confidence[[0, 3]], torch.tensor([0.75, 0.9]))
    torch.testing.assert_close(two.char_quads, 2 * quads[4:])
    torch.testing.assert_close(two.quads, before.quads)


def test_crops_move_found_characters_with_their_words(words: TextDataset) -> None:
    crops = TextDataset(words.split, words.preprocess, "strong", 3, (96, 96))
    put(crops.room_for_characters(), [4, 2, 4, 2], [0.8] * 4)
    plain = TextDataset(words.split, words.preprocess, "strong", 3, (96, 96))
    cut = 0
    for epoch in range(40):
        crops.set_epoch(epoch)
        plain.set_epoch(epoch)
        (image, found, meta), (same, without, _) = crops[0], plain[0]
        assert torch.equal(image, same)
        assert torch.equal(found.quads, without.quads)
        cut += int((without.ignore & ~found.ignore).sum())
        a, _, _, c, _, _ = meta.affine
        for word in found.char_words.unique().tolist():
            first = found.char_quads[found.char_words == word][0, 0]
            torch.testing.assert_close(first, found.quads[word, 0], atol=1e-3, rtol=0)
            assert found.word_confidence[word] == pytest.approx(0.8)
            step = torch.tensor([10 * a, 10 * c]).float()
            torch.testing.assert_close(found.char_quads[found.char_words == word][0, 1] - first, step, atol=1e-3, rtol=0)
        assert not (found.ignore & ~without.ignore).any()
    assert cut > 0  # words that the crop cuts count where their characters are known


def test_characters_that_come_with_the_data_are_left_alone(tmp_path: Path) -> None:
    (tmp_path / "train_gts").mkdir()
    (tmp_path / "train_gts" / "chars_img_1.json").write_text(
        '{"words": [{"text": "abcd", "characters": [[[10,10],[22,10],[22,26],[10,26]], [[22,10],[34,10],[34,26],[22,26]], [[34,10],[46,10],[46,26],[34,26]], [[46,10],[58,10],[58,26],[46,26]]]}]}'
    )
    split = training_split(tmp_path, {"img_1": LINES})
    assert len(split.char_quads) == 4
    words = TextDataset(split, TextPreprocess(canvas=256, mag_ratio=1.0))
    room = words.room_for_characters()
    assert [split.texts[row] for row in room.rows] == ["a b"]
    put(room, [2], [0.5])
    target = words[0][1]
    assert target.char_words.tolist() == [0, 0, 0, 0, 3, 3]
    assert target.word_confidence[[0, 3]].tolist() == [1, 0.5]


def test_a_state_goes_back_into_the_same_words_only(words: TextDataset) -> None:
    room = words.room_for_characters()
    put(room, [4, 0, 6, 1], [1.0, 0.2, 0.5, 0.5])
    again = TextDataset(words.split, words.preprocess).room_for_characters()
    assert again.restore(room.state())
    for name, value in room.state().items():
        assert torch.equal(value, again.state()[name])
    other = room.state() | {"lengths": torch.tensor([4, 2, 4])}
    assert not again.restore(other)
    assert again.state()["counts"].tolist() == [4, 0, 6, 1]


def test_running_loader_processes_see_new_characters(words: TextDataset) -> None:
    room = words.room_for_characters()
    loader = DataLoader(words, batch_size=2, num_workers=1, persistent_workers=True, collate_fn=collate)
    (batch,) = list(loader)
    assert batch.targets[0].char_quads.shape == (0, 4, 2)
    quads = put(room, [4, 2, 3, 2], [1.0, 1.0, 0.75, 1.0])
    (batch,) = list(loader)
    torch.testing.assert_close(torch.cat([target.char_quads for target in batch.targets]), 2 * quads)
    assert batch.targets[1].word_confidence[0] == 0.75


def test_no_words_at_all(tmp_path: Path) -> None:
    words = TextDataset(training_split(tmp_path, {"img_1": b"70,10,100,10,100,26,70,26,###\n10,10,40,10,40,26,10,26,\n"}), TextPreprocess())
    room = words.room_for_characters()
    assert len(room) == 0
    room.put(torch.zeros(0, 4, 2), torch.zeros(0, dtype=torch.int64), torch.zeros(0))
    assert words[0][1].char_quads.shape == (0, 4, 2)
    assert words[0][1].word_confidence.tolist() == [1, 1]
