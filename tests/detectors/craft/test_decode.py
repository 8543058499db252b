"""The decoding against a port of the published post-processing, and what it must do where there is nothing to find."""

from __future__ import annotations

import math
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from backbones.errors import UsageError
from detectors.craft import decode
from detectors.craft.decode import DecodeSettings, decode_many, decode_maps
from detectors.types import TextDetections
from tests.detectors.craft.conftest import Golden
from tests.detectors.craft.drawn_maps import draw_maps
from tests.detectors.craft.published import published_polygon, published_quads

SETTINGS = (DecodeSettings(), DecodeSettings(0.6, 0.3, 0.3), DecodeSettings(0.5, 0.9, 0.2), DecodeSettings(0.8, 0.2, 0.6))


def by_place(quads: NDArray[np.float32]) -> NDArray[np.float32]:
    """Quads in an order that does not depend on scores."""
    return quads[np.lexsort(quads.reshape(-1, 8).T)]


def quads_of(maps: NDArray[np.float32], settings: DecodeSettings) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Quads in cells, ours and the published ones, both by place."""
    ours = decode_maps(torch.from_numpy(maps)[None], settings)[0].quads.numpy() / 2
    theirs, _, _ = published_quads(maps[0], maps[1], settings.text_threshold, settings.link_threshold, settings.low_text)
    return by_place(ours), by_place(np.array(theirs, np.float32).reshape(-1, 4, 2))


@pytest.mark.parametrize("settings", SETTINGS, ids=str)
def test_quads_equal_the_published_ones(settings: DecodeSettings) -> None:
    found = 0
    for seed in range(6):
        ours, theirs = quads_of(draw_maps(180, 320, 25, seed, bend=2.5 * (seed % 2)), settings)
        assert ours.shape == theirs.shape
        assert np.abs(ours - theirs).max() < 1e-3
        found += len(ours)
    assert found > 30


def test_quads_of_golden_maps_equal_the_published_ones(golden: list[Golden]) -> None:
    for image in golden:
        ours, theirs = quads_of(image.maps.numpy(), DecodeSettings())
        assert ours.shape == theirs.shape
        assert np.abs(ours - theirs).max() < 1e-3


@pytest.mark.parametrize("fault", ["_SQUARE", "min_area", "low_text", "spread"])
def test_the_comparison_sees_planted_faults(fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = DecodeSettings(0.6, 0.3, 0.3)
    if fault == "_SQUARE":
        monkeypatch.setattr(decode, "_SQUARE", 0.0)
    elif fault == "spread":
        monkeypatch.setattr(decode, "math", SimpleNamespace(dist=math.dist, sqrt=lambda value: 0.9 * value**0.5))
    differences = 0
    for seed in range(6):
        maps = draw_maps(180, 320, 25, seed)
        _, theirs = quads_of(maps, settings)
        changed = {"min_area": replace(settings, min_area=200), "low_text": replace(settings, low_text=0.35)}.get(fault, settings)
        ours = by_place(decode_maps(torch.from_numpy(maps)[None], changed)[0].quads.numpy() / 2)
        differences += ours.shape != theirs.shape or bool(np.abs(ours - theirs).max() > 1)
    assert differences


def test_polygons_equal_the_published_ones() -> None:
    settings, compared, far = DecodeSettings(0.6, 0.4, 0.4, polygons=True), 0, 0
    for seed in range(12):
        maps = draw_maps(180, 320, 20, seed, bend=2.5)
        found = decode_maps(torch.from_numpy(maps)[None], settings)[0]
        ours = {quad.tobytes(): polygon.numpy() / 2 for quad, polygon in zip((found.quads.numpy() / 2), found.polygons, strict=True)}
        quads, labels, owners = published_quads(maps[0], maps[1], 0.6, 0.4, 0.4)
        for quad, owner in zip(quads, owners, strict=True):
            theirs, mine = published_polygon(quad, labels, owner), ours[quad.tobytes()]
            if theirs is None or len(mine) == 4:  # theirs alone: an end of the word lies before the last eleventh of its rectangle, and their outline crosses itself
                assert len(mine) == 4
                assert np.array_equal(mine, quad)
                continue
            compared += 1
            far += bool(np.abs(theirs - mine).max() > 1)
    assert compared > 30
    assert far <= compared // 20  # the word is turned upright by nearest cells, which may round to the other side


def test_a_curved_word_gets_a_curved_outline() -> None:
    maps = np.zeros((2, 100, 200), np.float32)
    angle = np.linspace(np.pi * 1.15, np.pi * 1.85, 400)
    rows, columns = np.mgrid[:100, :200]
    middle = np.stack([100 + 70 * np.cos(angle), 95 + 70 * np.sin(angle)], 1)
    near = np.sqrt(((columns[..., None] - middle[:, 0]) ** 2 + (rows[..., None] - middle[:, 1]) ** 2).min(-1))
    maps[0] = np.exp(-((near / 8) ** 2))
    found = decode_maps(torch.from_numpy(maps)[None], DecodeSettings(polygons=True))[0]
    assert found.polygons[0].shape == (14, 2)
    outline = found.polygons[0].numpy() / 2
    tops, bottoms = outline[:7], outline[7:][::-1]
    assert (np.linalg.norm(tops[1:-1] - [100, 95], axis=1) > 74).all()
    assert (np.linalg.norm(bottoms[1:-1] - [100, 95], axis=1) < 66).all()
    assert len(decode_maps(torch.from_numpy(maps)[None], DecodeSettings())[0].polygons) == 0


def same(a: TextDetections, b: TextDetections) -> bool:
    return torch.equal(a.quads, b.quads) and torch.equal(a.scores, b.scores) and torch.equal(a.labels, b.labels)


def test_many_settings_at_once_equal_each_alone() -> None:
    maps = torch.from_numpy(np.stack([draw_maps(120, 160, 12, seed) for seed in range(3)]))
    wanted = [DecodeSettings(text, link, low) for text in (0.5, 0.7, 0.9) for link in (0.3, 0.5) for low in (0.3, 0.4)]
    for image, found in enumerate(decode_many(maps, wanted)):
        assert len(found) == len(wanted)
        assert len({len(words.quads) for words in found}) > 1
        for settings, words in zip(wanted, found, strict=True):
            assert same(words, decode_maps(maps[image : image + 1], settings)[0])


def test_scores_descend_and_lie_between_low_text_and_one() -> None:
    maps = torch.from_numpy(draw_maps(240, 320, 30, 3))[None] * 1.3
    scores = decode_maps(maps, DecodeSettings())[0].scores
    assert len(scores) > 10
    assert (scores.diff() <= 0).all()
    assert ((scores > 0.4) & (scores <= 1)).all()


def test_nothing_is_found_where_there_is_nothing() -> None:
    for maps in (torch.zeros(2, 2, 16, 24), torch.full((2, 2, 16, 24), torch.nan), torch.zeros(2, 2, 1, 1)):
        for words in decode_maps(maps, DecodeSettings(polygons=True)):
            assert words.quads.shape == (0, 4, 2)
            assert words.scores.shape == words.labels.shape == (0,)
            assert words.polygons == ()
    assert decode_maps(torch.zeros(0, 2, 16, 24), DecodeSettings()) == []


def test_affinity_alone_is_no_word() -> None:
    maps = torch.zeros(1, 2, 32, 32)
    maps[0, 1, 5:20, 5:20] = 0.9
    assert len(decode_maps(maps, DecodeSettings(0.1, 0.4, 0.4))[0].quads) == 0
    maps[0, 0, 8:12, 8:12] = 0.3  # above text_threshold, not above low_text
    assert len(decode_maps(maps, DecodeSettings(0.1, 0.4, 0.4))[0].quads) == 0
    maps[0, 0, 8:12, 8:12] = 0.8
    assert len(decode_maps(maps, DecodeSettings())[0].quads) == 1


def test_affinity_joins_and_does_not_widen() -> None:
    maps = torch.zeros(1, 2, 32, 64)
    maps[0, 0, 10:16, 10:16] = maps[0, 0, 10:16, 24:30] = 0.9
    assert len(decode_maps(maps, DecodeSettings())[0].quads) == 2
    maps[0, 1, 8:18, 14:26] = 0.8
    quads = decode_maps(maps, DecodeSettings())[0].quads
    assert len(quads) == 1
    assert quads[0, :, 1].max() - quads[0, :, 1].min() < 2 * 18  # the link is 10 cells high, and only characters are grown


def test_a_batch_gives_what_each_image_alone_gives() -> None:
    maps = torch.from_numpy(np.stack([draw_maps(96, 128, 8, seed) for seed in range(4)]))
    for image, words in enumerate(decode_maps(maps, DecodeSettings())):
        assert same(words, decode_maps(maps[image : image + 1], DecodeSettings())[0])
    half = decode_maps(maps.to(torch.bfloat16), DecodeSettings())
    assert [len(words.quads) for words in half] != [0] * 4


def test_thresholds_out_of_range_are_refused() -> None:
    for wrong in ({"text_threshold": 0.0}, {"link_threshold": 1.0}, {"low_text": -0.1}, {"min_area": 0}):
        with pytest.raises(UsageError, match=f"craft.{next(iter(wrong))} is "):
            DecodeSettings(**wrong)
