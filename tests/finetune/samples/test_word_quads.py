"""Quads of words and characters are exact: ink lies inside them and touches every side."""

from math import pi
from pathlib import Path

import matplotlib
import numpy as np
import pytest

from finetune.samples.text.glyphs import GlyphStore, nearest_size
from finetune.samples.text.planes import Pose, map_quads, show
from finetune.samples.text.typesetting import ink_arc, ink_line, lay_line

TTF = Path(matplotlib.get_data_path()) / "fonts" / "ttf"


def draw(words, font="DejaVuSerif-Bold.ttf", radius=0.0, size=50):
    """A sheet with one line, alone: coverage [h, w], words."""
    line = lay_line(GlyphStore(), TTF / font, size, words)
    left, top, right, bottom = line.extent
    width, height = int(right - left) + 8 * size, int(bottom - top) + 8 * size
    ink = np.zeros((height, width), np.uint8)
    x, baseline = 4 * size - round(left), 4 * size - round(top)
    return ink, ink_arc(ink, line, x, baseline, radius) if radius else ink_line(ink, line, x, baseline)


def reach(ink, quad, share=0.5):
    """How far ink goes beyond each side of a quad (pixels; negative: it stays inside), for pixels covered by more than ``share``."""
    rows, columns = np.nonzero(ink > 255 * share)
    points = np.column_stack([columns, rows]) + 0.5
    edges = np.roll(quad, -1, axis=0) - quad
    outward = np.column_stack([edges[:, 1], -edges[:, 0]]) / np.linalg.norm(edges, axis=1, keepdims=True)
    return ((points[:, None] - quad) * outward).sum(-1).max(0)


@pytest.mark.parametrize(
    ("font", "text"),
    [(font, text) for font in ("DejaVuSerif-Bold.ttf", "DejaVuSans-Oblique.ttf", "STIXGeneral.ttf") for text in "gWiÄf"] + [("cmr10.ttf", text) for text in "gWif"],
)
@pytest.mark.parametrize("radius", [0.0, 160.0, -160.0])
def test_the_ink_of_a_character_fills_its_quad(font, text, radius):
    ink, (word,) = draw([text], font, radius)
    assert word.characters.shape == (1, 4, 2)
    assert ink.max() == 255
    over = reach(ink, word.characters[0])
    assert (over <= 0.01 + 0.5 * bool(radius)).all(), "ink outside its quad"
    assert (over >= -1.6).all(), "a side that no ink touches"


@pytest.mark.parametrize("radius", [0.0, 240.0, -240.0])
def test_the_ink_of_words_fills_their_quads_in_perspective(radius):
    sheet, words = draw(["Quay", "fjord"], radius=radius, size=72)
    pose = Pose(yaw=0.6, pitch=-0.3, roll=0.2, slant=0.2, stretch=1.2)
    matrix = pose.homography(sheet.shape[::-1], 0.7, (420.3, 300.8), 900.0)
    for k, word in enumerate(words):
        others = [other for j, other in enumerate(words) if j != k]
        own = sheet.copy()
        for other in others:  # their ink is not asked about
            low, high = np.floor(other.quad.min(0)).astype(int) - 1, np.ceil(other.quad.max(0)).astype(int) + 1
            own[low[1] : high[1], low[0] : high[0]] = 0
        shown, left, top = show(own, matrix, (640, 900), 2)
        picture = np.zeros((640, 900), np.uint8)
        picture[top : top + shown.shape[0], left : left + shown.shape[1]] = shown[..., 0]
        over = reach(picture, map_quads(matrix, word.quad))
        assert (over <= 0.5).all()
        if not radius:
            assert (over >= -1.6).all()
        assert len(word.characters) == len(word.text)
        corners = map_quads(matrix, word.characters).reshape(-1, 2)
        assert reach_of_corners(corners, map_quads(matrix, word.quad)) == pytest.approx(0.0, abs=1e-6), "the quad of a word is the smallest around its characters"


def reach_of_corners(inner, quad):
    edges = np.roll(quad, -1, axis=0) - quad
    outward = np.column_stack([edges[:, 1], -edges[:, 0]]) / np.linalg.norm(edges, axis=1, keepdims=True)
    return ((inner[:, None] - quad) * outward).sum(-1).max(0)


def test_every_quad_is_clockwise_from_the_top_left_of_the_text():
    for radius in (0.0, 300.0):
        _, words = draw(["Oak", "Tree"], radius=radius)
        assert [word.text for word in words] == ["Oak", "Tree"]
        assert [len(word.characters) for word in words] == [3, 4]
        for quad in [q for word in words for q in (word.quad, *word.characters)]:
            across, down = quad[1] - quad[0], quad[3] - quad[0]
            assert across[0] > 0, "the first side runs along the text"
            assert down[1] > 0, "the last corner is below the first"
    turned = Pose(roll=pi / 2).homography((100, 50), 1.0, (200, 200), 1000.0)
    quad = map_quads(turned, np.array([[0, 0], [100, 0], [100, 50], [0, 50]], float))
    assert np.allclose(quad, [[225, 150], [225, 250], [175, 250], [175, 150]], atol=0.5), "text that runs down starts at the top right"


def test_a_sheet_lands_on_the_very_pixels_that_its_quad_names():
    sheet = np.zeros((60, 60), np.uint8)
    sheet[20:40, 10:50] = 255
    matrix = Pose().homography((60, 60), 0.5, (40, 30), 1e9)
    for finer in (1, 2, 3):
        shown, left, top = show(sheet, matrix, (60, 80), finer)
        picture = np.zeros((60, 80), np.uint8)
        picture[top : top + shown.shape[0], left : left + shown.shape[1]] = shown[..., 0]
        quad = map_quads(matrix, np.array([[10, 20], [50, 20], [50, 40], [10, 40]], float))
        assert np.allclose(quad, [[30, 25], [50, 25], [50, 35], [30, 35]])
        assert (picture[25:35, 30:50] > 120).all()
        assert picture.sum() == pytest.approx(255 * 200, rel=0.02)
        rows, columns = np.indices(picture.shape) + 0.5
        middle = [(axis * picture).sum() / picture.sum() for axis in (columns, rows)]
        assert middle == pytest.approx([40, 30], abs=0.03), "shifted by a part of a pixel"


def test_letters_with_marks_are_one_character_and_joined_scripts_have_none():
    _, (word,) = draw(["e\u0301te"], "DejaVuSans.ttf")
    assert len(word.characters) == 3
    assert word.characters[0, 0, 1] < word.characters[2, 0, 1] - 2, "the accent is part of the letter"
    line = lay_line(GlyphStore(), TTF / "DejaVuSans.ttf", 50, ["\u0645\u0631\u062d\u0628\u0627"])
    ink = np.zeros((200, 400), np.uint8)
    (word,) = ink_line(ink, line, 50, 100)
    assert word.characters.shape == (0, 4, 2)
    assert (reach(ink, word.quad) <= 0.01).all()
    assert (reach(ink, word.quad) >= -1.6).all()


def test_blank_characters_cannot_be_set():
    assert lay_line(GlyphStore(), TTF / "DejaVuSans.ttf", 50, ["a\u2003b"]) is None


def test_glyphs_are_kept_and_memory_is_bounded():
    store = GlyphStore(most_bytes=30_000)
    first = store.get(TTF / "DejaVuSans.ttf", 50, "a")
    assert store.get(TTF / "DejaVuSans.ttf", 50, "a") is first
    for code in range(0x41, 0x7B):
        store.get(TTF / "DejaVuSans.ttf", 72, chr(code))
        assert store.bytes <= 30_000
    assert store.get(TTF / "DejaVuSans.ttf", 50, "a") is not first, "the oldest one is still kept"
    assert nearest_size(51) == 60
    assert nearest_size(9999) == 180
