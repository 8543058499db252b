"""Targets of CRAFT against an OpenCV warp per character, at known places, and in the corners: ignored, degenerate, empty, outside."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from backbones.errors import FinetuneError
from detectors.craft import raster
from detectors.craft.characters import affinity_quads, places, split_word, split_words
from detectors.craft.heatmaps import MapTargets, build_targets, with_maps
from detectors.quads import drawable, from_square
from detectors.types import TextTarget
from tests.detectors.craft.map_reference import affinity_loop, some_words, warp_loop

HW = (160, 160)


def box(left: float, top: float, right: float, bottom: float) -> list[list[float]]:
    return torch.tensor([[left, top], [right, top], [right, bottom], [left, bottom]]).float().tolist()  # type: ignore[no-any-return]


Corners = list[list[list[float]]]


def target(words: Corners, characters: Corners | None = None, owners: list[int] | None = None, ignore: list[int] | None = None, texts: tuple[str, ...] = ()) -> TextTarget:
    skip = torch.zeros(len(words), dtype=torch.bool)
    skip[ignore or []] = True
    chars = torch.tensor(characters).view(-1, 4, 2) if characters is not None else None
    return TextTarget(torch.tensor(words).view(-1, 4, 2), skip, texts, chars, torch.tensor(owners, dtype=torch.int64) if owners is not None else None)


def drawn_words(count: int = 30, seed: int = 0) -> TextTarget:
    characters, owners, quads = some_words(count, 320, seed)
    return TextTarget(torch.from_numpy(quads), torch.zeros(count, dtype=torch.bool), ("",) * count, torch.from_numpy(characters), torch.from_numpy(owners))


def far_off(maps: MapTargets, source: TextTarget) -> list[int]:
    """Cells that differ from the loop's by more than its fixed-point warp explains. At the rim of a Gaussian, where it is cut, cells may fall to either side."""
    characters, owners = source.char_quads.numpy(), source.char_words.numpy()  # type: ignore[union-attr]
    wanted = (warp_loop(characters / 2, HW), warp_loop(affinity_loop(characters, owners) / 2, HW))
    return [int((np.abs(have.numpy() - want) > np.where((have.numpy() < 0.05) & (want < 0.05), 0.05, 4e-3)).sum()) for have, want in zip(maps.maps[0], wanted, strict=True)]


@pytest.mark.parametrize("seed", [0, 1])
def test_equal_to_a_warp_per_character(seed: int) -> None:
    source = drawn_words(seed=seed)
    maps = build_targets([source], HW)
    assert far_off(maps, source) == [0, 0]
    assert not maps.skipped
    assert maps.maps[0, 0].mean() > 0.05


def test_a_shift_of_a_tenth_of_a_cell_would_be_seen() -> None:
    source = drawn_words()
    shifted = replace(source, char_quads=source.char_quads + 0.2)  # type: ignore[operator]
    assert min(far_off(build_targets([shifted], HW), source)) > 100


@pytest.mark.parametrize(("constant", "value"), [("SIGMA", 0.42), ("ENLARGEMENT", 1.45)])
def test_other_constants_would_be_seen(constant: str, value: float, monkeypatch: pytest.MonkeyPatch) -> None:
    source = drawn_words()
    monkeypatch.setattr(f"detectors.craft.heatmaps.{constant}", value)
    assert min(far_off(build_targets([source], HW), source)) > 100


def test_values_at_known_places() -> None:
    """A character of 40 x 40 pixels centred on a cell's centre: sigma is 0.4 * 1.5 * 10 = 6 cells, the rim lies 15 cells out."""
    region = build_targets([target([box(21, 21, 61, 61)], [box(21, 21, 61, 61)], [0])], HW).maps[0, 0]
    assert region[20, 20] == 1
    assert region[20, 30] == pytest.approx(math.exp(-0.5 * (10 / 6) ** 2), abs=1e-5)  # the middle of a side: 0.249
    assert region[30, 30] == pytest.approx(math.exp(-0.5 * 200 / 36), abs=1e-5)  # a corner
    assert region[20, 35] == pytest.approx(math.exp(-0.5 * 2.5**2), abs=1e-5)  # the rim
    assert region[20, 36] == 0
    assert region[31, 31] == 0  # within the enlarged square, beyond its circle
    assert build_targets([target([box(21, 21, 61, 61)], [box(21, 21, 61, 61)], [0])], HW).maps[0, 1].max() == 0


def test_affinity_lies_between_neighbours_of_a_word_only() -> None:
    characters = [box(20, 40, 40, 80), box(40, 40, 60, 80), box(60, 40, 80, 80)]
    one_word = build_targets([target([box(20, 40, 80, 80)], characters, [0, 0, 0])], HW).maps[0, 1]
    two_words = build_targets([target([box(20, 40, 60, 80), box(60, 40, 80, 80)], characters, [0, 0, 1])], HW).maps[0, 1]
    assert one_word[30, 20] > 0.97
    assert one_word[30, 30] > 0.97
    assert one_word[30, 20] > one_word[30, 25]
    assert two_words[30, 20] > 0.97
    assert two_words[30, 30] < 0.1


def test_characters_below_each_other_are_joined() -> None:
    quads, _ = affinity_quads(torch.tensor([box(0, 0, 30, 30), box(0, 30, 30, 60)]), torch.tensor([0, 0]))
    torch.testing.assert_close(quads, torch.tensor([[[5.0, 15], [25, 15], [25, 45], [5, 45]]]))


def moved(quads: Tensor, turn: Tensor) -> Tensor:
    """Quads through a perspective [3, 3]."""
    points = torch.cat([quads, torch.ones_like(quads[..., :1])], dim=-1) @ turn.T
    return points[..., :2] / points[..., 2:]


def test_a_quarter_turn_turns_the_maps() -> None:
    source = drawn_words()
    turned = replace(source, quads=moved(source.quads, torch.tensor([[0.0, -1, 320], [1, 0, 0], [0, 0, 1]])))
    turned = replace(turned, char_quads=moved(source.char_quads, torch.tensor([[0.0, -1, 320], [1, 0, 0], [0, 0, 1]])))  # type: ignore[arg-type]
    torch.testing.assert_close(build_targets([turned], HW).maps, build_targets([source], HW).maps.rot90(-1, (2, 3)), atol=1e-3, rtol=0)


def test_perspective_moves_characters_and_divided_words_alike() -> None:
    """Division commutes with a perspective: a word seen from the side is divided where its letters are."""
    warp = torch.tensor([[1.1, 0.2, 5], [0.1, 0.9, 8], [0.001, 0.0004, 1]])
    word = torch.tensor(box(10, 10, 130, 40))
    torch.testing.assert_close(split_word(moved(word, warp), 5), moved(split_word(word, 5), warp), atol=1e-3, rtol=0)
    torch.testing.assert_close(split_word(word, 3)[1], torch.tensor(box(50, 10, 90, 40)))
    torch.testing.assert_close(from_square(moved(word, warp)[None], torch.tensor([[[0.0, 0], [1, 0], [1, 1], [0, 1]]]))[0], moved(word, warp), atol=1e-3, rtol=0)


def test_words_are_divided_by_their_texts() -> None:
    words = torch.tensor([box(0, 0, 90, 30), box(0, 0, 20, 100), box(0, 0, 60, 20), box(0, 0, 50, 0)])
    pieces, owner = split_words(words, ["a b", "tall!", "", "flat"])
    assert owner.tolist() == [0] * 2 + [1] * 5 + [2] * 6  # a space has a place and no quad; unknown: half as wide as high; flat: none
    torch.testing.assert_close(pieces[1], torch.tensor(box(60, 0, 90, 30)))
    torch.testing.assert_close(pieces[3], torch.tensor(box(0, 20, 20, 40)))
    assert places("e\u0301 n") == [True, False, True]


def test_words_without_characters_weigh_half() -> None:
    known, bare = box(20, 20, 60, 40), box(20, 80, 60, 100)
    maps = build_targets([target([known, bare], [known], [0], texts=("x", "ab"))], HW)
    assert maps.confidence[0, 15, 20] == 1
    assert maps.confidence[0, 45, 20] == 0.5
    assert maps.confidence[0, 30, 20] == 1
    assert maps.maps[0, 0, 45, 14:16].max() > 0.95
    assert maps.maps[0, 1, 45, 20] > 0.9


def test_ignored_words_are_left_out_except_under_words_that_count() -> None:
    ignored, counting = box(20, 20, 100, 100), box(40, 40, 60, 60)
    maps = build_targets([target([ignored, counting], [ignored, counting], [0, 1], ignore=[0], texts=("###", "x"))], HW)
    confidence = maps.confidence[0]
    assert confidence[11, 11] == 0
    assert confidence[25, 25] == 1
    assert confidence[60, 60] == 1
    assert int((confidence == 0).sum()) == 40 * 40 - 10 * 10
    assert maps.maps[0, 0, 25, 25] > 0.9
    assert maps.maps[0, 0, 12, 12] == 0


def test_degenerate_quads_are_skipped_and_named() -> None:
    good, line, bow = box(20, 20, 40, 40), box(60, 20, 80, 20), [[60.0, 60], [80, 80], [80, 60], [60, 80]]
    nan = [[math.nan, 0.0], [1, 0], [1, 1], [0, 1]]
    source = target([box(20, 20, 80, 80), bow], [good, line, bow, nan], [0, 0, 0, 0], texts=("abcd", "ef"))
    maps = build_targets([target([]), source], HW)
    assert [(s.image, s.kind, s.word, s.row) for s in maps.skipped if s.kind != "affinity"] == [(1, "word", 1, -1), (1, "character", 0, 1), (1, "character", 0, 2), (1, "character", 0, 3)]
    assert "image 1 of the batch, word 0, character quad 1" in str(maps.skipped[1])
    assert maps.maps.isfinite().all()
    assert maps.maps[1, 0, 15, 15] > 0.9
    assert maps.confidence[1, 35, 35] == 1  # the word that counts lies over the one that could not be divided
    alone = build_targets([target([bow], texts=("ef",))], HW)
    assert alone.confidence[0, 35, 35] == 0  # text all the same: it is not taught as background


def test_drawable_tells_shapes() -> None:
    shapes = [box(0, 0, 9, 9), [[0.0, 0], [0, 9], [9, 9], [9, 0]], [[0.0, 0], [9, 9], [9, 0], [0, 9]], box(0, 0, 9, 0), [[0.0, 0], [9, 0], [4, 4], [0, 9]], [[0.0, 0], [9, 0], [4.5, 4.5], [0, 9]]]
    assert drawable(torch.tensor(shapes)).tolist() == [True, True, False, False, False, False]


def test_empty_and_outside() -> None:
    outside = box(-400, -400, -300, -380)
    maps = build_targets([target([]), target([outside, box(700, 100, 760, 120)], [outside], [0], texts=("x", "y"))], HW)
    assert maps.maps.shape == (2, 2, *HW)
    assert maps.maps.abs().max() == 0
    assert maps.confidence.min() == 1


def test_a_character_at_the_border_is_cut_not_bent() -> None:
    inside, over = box(0, 40, 40, 80), box(-20, 40, 20, 80)
    whole = build_targets([target([inside], [inside], [0])], HW).maps[0, 0]
    cut = build_targets([target([over], [over], [0])], HW).maps[0, 0]
    torch.testing.assert_close(cut[:, :40], whole[:, 10:50], atol=1e-5, rtol=0)
    right = box(300, 40, 340, 80)
    assert build_targets([target([right], [right], [0])], HW).maps[0, 0, :, :20].max() == 0  # nothing runs on into the next row


def test_an_image_is_drawn_alike_alone_and_in_a_batch() -> None:
    images = [drawn_words(10, 3), target([]), target([box(9, 9, 50, 30)], ignore=[0]), drawn_words(20, 4), target([box(9, 9, 50, 30)], texts=("abc",))]
    together = build_targets(images, HW)
    for index, image in enumerate(images):
        alone = build_targets([image], HW)
        assert torch.equal(alone.maps[0], together.maps[index])
        assert torch.equal(alone.confidence[0], together.confidence[index])


def test_portions_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    source = drawn_words()
    whole = build_targets([source], HW).maps
    monkeypatch.setattr(raster, "_MOST_RUNS", 1000)
    assert torch.equal(build_targets([source], HW).maps, whole)


def test_ready_made_maps_are_taken_as_they_are() -> None:
    maps = torch.rand(2, *HW)
    source = drawn_words()
    carried = replace(source, maps=maps, confidence=torch.full(HW, 0.25), ignore=torch.ones(30, dtype=torch.bool))
    mixed = build_targets([source, carried, replace(carried, maps=(maps * 255).byte(), confidence=None), replace(carried, maps=maps.half())], HW)
    assert torch.equal(mixed.maps[1], maps)
    assert mixed.confidence[1].unique().tolist() == [0.25]
    assert (mixed.maps[2] - maps).abs().max() < 1 / 255 + 1e-6
    assert mixed.confidence[2].min() == 1
    assert torch.equal(mixed.maps[0], build_targets([source], HW).maps[0])
    again = build_targets([with_maps(source, HW)], HW)
    assert torch.equal(again.maps, mixed.maps[:1])
    with pytest.raises(FinetuneError, match=r"image 0 of the batch carries maps of \(2, 160, 160\), its place is \(2, 80, 80\)"):
        build_targets([carried], (80, 80))


def test_a_word_s_confidence_weighs_its_quad_alone() -> None:
    words = [box(20, 20, 100, 60), box(20, 80, 100, 120), box(120, 80, 200, 120), box(120, 20, 200, 60)]
    characters = [box(20, 20, 60, 60), box(60, 20, 100, 60), box(20, 80, 100, 120), box(120, 80, 200, 120)]
    trusted = replace(target(words, characters, [0, 0, 1, 2], texts=("ab", "c", "d", "efg")), word_confidence=torch.tensor([0.75, 1.0, 0.0, 0.9]))
    confidence = build_targets([trusted], HW).confidence[0]
    assert confidence[20, 30] == 0.75
    assert confidence[50, 30] == 1
    assert confidence[50, 80] == 0  # not to be trusted at all: nothing is learned there
    assert confidence[20, 80] == 0.5  # without characters it is divided equally, whatever it came with
    assert confidence[5, 5] == confidence[70, 30] == 1
    assert torch.equal(build_targets([trusted], HW).maps, build_targets([replace(trusted, word_confidence=None)], HW).maps)
    both = build_targets([trusted, replace(trusted, word_confidence=None)], HW).confidence
    assert both[1, 20, 30] == 1
    assert torch.equal(both[0], confidence)
