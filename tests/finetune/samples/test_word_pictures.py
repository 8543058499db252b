"""Pictures of words: the same every time, whoever draws them; words that cannot be read are known; any script that fonts cover."""

import shutil
from pathlib import Path

import cv2
import matplotlib
import numpy as np
import pytest

from backbones.errors import DataError, UsageError
from finetune.samples.text.canvas import Canvas
from finetune.samples.text.corpus import read_corpus
from finetune.samples.text.fonts import FontSet, draws_letters, list_fonts
from finetune.samples.text.lens import Lens, take
from finetune.samples.text.planes import Pose
from finetune.samples.text.typesetting import FlatWord
from finetune.samples.text.word_pictures import WordPictures

TTF = Path(matplotlib.get_data_path()) / "fonts" / "ttf"
KOREAN = "안녕하세요 서울특별시\n지하철 출구 한국어 문자 검출 커피 빵집 약국 병원 주차장 화장실\n"


def same(one, other):
    return all(np.array_equal(getattr(one, name), getattr(other, name)) for name in ("image", "quads", "ignore", "char_quads", "char_words")) and one.texts == other.texts


def corners(quad):
    return np.array(quad, float).reshape(4, 2)


def square(left, top, right, bottom):
    return corners([left, top, right, top, right, bottom, left, bottom])


@pytest.fixture(scope="module")
def pictures():
    return WordPictures((320, 320), seed=3)


@pytest.fixture(scope="module")
def drawn(pictures):
    return [pictures.draw(k) for k in range(24)]


def test_a_picture_depends_on_its_number_alone(drawn):
    again = WordPictures((320, 320), seed=3)
    for k in (9, 2, 17):  # in another order, with nothing drawn before
        assert same(again.draw(k), drawn[k])
    other = WordPictures((320, 320), seed=4).draw(9)
    assert not np.array_equal(other.image, drawn[9].image)
    assert other.texts != drawn[9].texts
    assert not np.array_equal(drawn[8].image, drawn[9].image)


def test_truth_has_the_shape_that_it_promises(drawn):
    for picture in drawn:
        count = len(picture.texts)
        assert picture.image.shape == (320, 320, 3)
        assert picture.image.dtype == np.uint8
        assert picture.quads.shape == (count, 4, 2)
        assert picture.ignore.shape == (count,)
        offsets = picture.char_offsets
        assert offsets[0] == 0
        assert offsets[-1] == len(picture.char_quads) == len(picture.char_words)
        for k, text in enumerate(picture.texts):
            assert offsets[k + 1] - offsets[k] == len(text), "the embedded words have one quad a letter"
            assert (picture.char_words[offsets[k] : offsets[k + 1]] == k).all()
            areas = cv2.contourArea(picture.quads[k].astype(np.float32), oriented=True)
            assert areas > 0, "clockwise, y down"
            inside = [cv2.pointPolygonTest(picture.quads[k].astype(np.float32), c.mean(0).tolist(), True) for c in picture.char_quads[offsets[k] : offsets[k + 1]]]
            assert min(inside) > 0, "a character outside its word"


def test_sizes_and_shares_are_those_of_streets(drawn):
    heights = np.concatenate([picture.word_heights[~picture.ignore] for picture in drawn])
    assert 12 < np.median(heights) < 32
    assert np.percentile(heights, 10) < 15
    assert heights.max() > 45
    ignored = np.concatenate([picture.ignore for picture in drawn])
    assert 0.05 < ignored.mean() < 0.6
    assert len(ignored) > 3 * len(drawn)


def test_a_readable_word_is_no_smooth_patch(drawn):
    for picture in drawn:
        grey = cv2.cvtColor(picture.image, cv2.COLOR_RGB2GRAY)
        for quad in picture.quads[~picture.ignore]:
            left, top = np.maximum(np.floor(quad.min(0)).astype(int), 0)
            right, bottom = np.ceil(quad.max(0)).astype(int)
            assert grey[top:bottom, left:right].std() > 1.5


@pytest.mark.parametrize(
    ("quad", "letters", "hidden", "readable"),
    [
        (square(20, 20, 80, 40), 255, False, True),
        (square(20, 20, 80, 26), 255, False, False),  # too low
        (square(60, 20, 140, 40), 255, False, False),  # half outside
        (square(20, 20, 80, 40), 255, True, False),
        (square(20, 20, 80, 40), 108, False, False),  # hardly another grey than the ground
    ],
)
def test_what_can_be_read(quad, letters, hidden, readable):
    canvas = Canvas(np.full((100, 100, 3), 100, np.uint8))
    sheet = np.zeros((60, 100, 4), np.uint8)
    flat = FlatWord("I", square(10, 10, 90, 50), square(10, 10, 90, 50)[None])
    sheet[10:50, 10:50] = (letters, letters, letters, 255)
    ink = np.ascontiguousarray(sheet[..., 3])
    scale = np.array([[(quad[1, 0] - quad[0, 0]) / 80, 0, 0], [0, (quad[3, 1] - quad[0, 1]) / 40, 0], [0, 0, 1.0]])
    matrix = np.array([[1, 0, quad[0, 0]], [0, 1, quad[0, 1]], [0, 0, 1.0]]) @ scale @ np.array([[1, 0, -10.0], [0, 1, -10], [0, 0, 1]])
    canvas.hang(sheet, matrix, 2)
    canvas.write(ink, (flat,), matrix, 2)
    if hidden:
        canvas.hidden[:, 52:80] = 255  # not its letters, but nearly half of it
    (word,) = canvas.visible_words()
    assert np.allclose(word.quad, quad)
    assert canvas.readable(word, canvas.image) is readable


def test_words_outside_are_no_words():
    canvas = Canvas(np.zeros((50, 50, 3), np.uint8))
    canvas.write(np.zeros((4, 4), np.uint8), (FlatWord("a", square(0, 0, 4, 4), square(0, 0, 4, 4)[None]),), np.array([[1, 0, 60.0], [0, 1, 10], [0, 0, 1]]), 1)
    assert len(canvas.words) == 1
    assert canvas.visible_words() == []


def test_nothing_hangs_over_something_else():
    from random import Random

    canvas, rng = Canvas(np.zeros((200, 200, 3), np.uint8)), Random(0)
    white = np.full((30, 60, 4), 255, np.uint8)
    placed = 0
    for _ in range(200):
        matrix = canvas.find_place((60, 30), 1.0, (Pose(roll=rng.uniform(-1, 1)),), rng)
        if matrix is not None:
            before = int((canvas.image[..., 0] > 128).sum())
            canvas.hang(white, matrix, 1)
            placed += 1
            assert int((canvas.image[..., 0] > 128).sum()) - before > 0.75 * 60 * 30, "two sheets share pixels"
    assert placed >= 6


@pytest.mark.parametrize("index", [264, 368, 767])
def test_colours_beyond_white_are_white(index):
    picture = WordPictures((320, 320), seed=15838).draw(index)  # these chose a wall brighter than a byte holds
    assert picture.image.shape == (320, 320, 3)


def test_the_lens_moves_nothing():
    picture = np.zeros((101, 121, 3), np.uint8)
    picture[40:61, 50:71] = 200
    for lens in (Lens(blur=2.0), Lens(shake=(7.0, 0.7)), Lens(fewer=0.5), Lens(noise=(4.0, 2.0)), Lens(gamma=0.8, gains=(1.1, 1.0, 0.9))):
        seen = take(picture, lens, np.random.default_rng(0))[..., 1].astype(float)
        seen[seen < 30] = 0
        rows, columns = np.indices(seen.shape)
        assert (rows * seen).sum() / seen.sum() == pytest.approx(50, abs=0.25), lens
        assert (columns * seen).sum() / seen.sum() == pytest.approx(60, abs=0.25), lens


def write(path, text):
    path.write_text(text, encoding="utf-8")
    return str(path)


def test_words_of_a_corpus_are_used_as_written(tmp_path):
    corpus = write(tmp_path / "w.txt", "\ufeffKöln, Straße\n\nnaïve e\u0301cole\n")
    pictures = WordPictures((320, 320), corpus=corpus)
    seen = {text for k in range(6) for text in pictures.draw(k).texts}
    assert seen == {"Köln,", "Straße", "naïve", "école"}


@pytest.mark.parametrize(
    ("content", "error", "says"),
    [
        (None, UsageError, r"cannot read corpus .*w\.txt \(No such file"),
        (b"", DataError, "has no word"),
        (b" \n\t\n", DataError, "has no word"),
        (b"good\nb\xe4d\n", DataError, "line 2: not UTF-8 .byte 0xe4"),
        ("\U000f1234 \U000f1235".encode(), DataError, "has no word"),
        ("ꦗꦮ".encode(), DataError, "--fonts"),
    ],
)
def test_a_corpus_that_cannot_be_used_is_one_line(tmp_path, content, error, says):
    file = tmp_path / "w.txt"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(error, match=says) as caught:
        WordPictures(corpus=str(file))
    assert "\n" not in str(caught.value)


def test_the_embedded_words_are_many_and_drawable():
    corpus = read_corpus(None)
    assert len(corpus.lines) > 1200
    fonts = FontSet("matplotlib", corpus.characters)
    assert corpus.keep(lambda word: not fonts.missing(word))[1] == []


def test_fonts_that_lack_a_character_are_passed_over(tmp_path):
    from random import Random

    for name in ("cmr10.ttf", "DejaVuSans.ttf"):
        shutil.copy(TTF / name, tmp_path / name)
    (tmp_path / "broken.ttf").write_bytes(b"no font")
    shutil.copy(TTF / "LastResortHE-Regular.ttf", tmp_path / "stand-in.ttf")
    fonts = FontSet(str(tmp_path), "abcÄЖ漢")
    assert {path.name for path in fonts.paths} == {"cmr10.ttf", "DejaVuSans.ttf"}
    assert fonts.unusable == 2
    rng = Random(0)
    assert {fonts.choose(["abc"], rng).name for _ in range(40)} == {"cmr10.ttf", "DejaVuSans.ttf"}
    assert {fonts.choose(["Äb"], rng).name for _ in range(40)} == {"DejaVuSans.ttf"}
    assert fonts.choose(["a漢"], rng) is None
    assert fonts.missing("a漢") == "漢"
    pictures = WordPictures((200, 200), corpus=write(tmp_path / "w.txt", "abc 漢 Ж"), fonts=str(tmp_path))
    assert pictures.dropped == ["漢"]
    assert {text for k in range(4) for text in pictures.draw(k).texts} == {"abc", "Ж"}


def test_wrong_folders_are_one_line(tmp_path):
    empty = tmp_path / "empty"
    empty.mkdir()
    for settings, says in (
        ({"fonts": "nowhere"}, "fonts 'nowhere' is no folder"),
        ({"fonts": str(empty)}, "no font in"),
        ({"backgrounds": "nowhere"}, "backgrounds 'nowhere' is no folder"),
        ({"backgrounds": str(empty)}, "no picture in"),
        ({"size_hw": (10, 640)}, "64 to 4096"),
    ):
        with pytest.raises(UsageError, match=says):
            WordPictures(**settings)
    (empty / "a.ttf").write_bytes(b"no font")
    with pytest.raises(DataError, match="none of the 1 fonts"):
        WordPictures(fonts=str(empty))


def test_photographs_are_written_on(tmp_path):
    red = np.zeros((90, 400, 3), np.uint8)
    red[..., 2] = 180
    cv2.imwrite(str(tmp_path / "red.png"), red)
    image = WordPictures((160, 240), backgrounds=str(tmp_path)).draw(1).image.reshape(-1, 3).astype(int)
    assert ((image[:, 0] > image[:, 1] + 40) & (image[:, 0] > image[:, 2] + 40)).mean() > 0.3


def test_a_photograph_that_cannot_be_read_is_named(tmp_path):
    (tmp_path / "x.jpg").write_text("broken")
    with pytest.raises(DataError, match=r"x\.jpg .*: mend it, or take it out of the backgrounds"):
        WordPictures((160, 240), backgrounds=str(tmp_path)).draw(0)


def korean_fonts():
    """A font with Hangul: of the system (Debian: fonts-nanum), or of a pip package (koreanize-matplotlib)."""
    import importlib.util

    places = [str(Path(place).parent) for place in (getattr(importlib.util.find_spec("koreanize_matplotlib"), "origin", None),) if place]
    for source in ("system", *places):
        try:
            FontSet(source, "한글")
        except (UsageError, DataError):
            continue
        return source
    return pytest.skip("no font with Hangul here: Debian's fonts-nanum or pip's koreanize-matplotlib brings one")


def test_hangul(tmp_path):
    pictures = WordPictures((320, 320), corpus=write(tmp_path / "k.txt", KOREAN), fonts=korean_fonts())
    drawn = [pictures.draw(k) for k in range(4)]
    assert pictures.dropped == []
    seen = [text for picture in drawn for text in picture.texts]
    assert set(seen) <= set(KOREAN.split())
    assert len(set(seen)) > 4
    for picture in drawn:
        assert np.diff(picture.char_offsets).tolist() == [len(text) for text in picture.texts], "one quad a syllable"


def test_scripts_whose_letters_join_are_drawn_whole(tmp_path):
    pictures = WordPictures((320, 320), corpus=write(tmp_path / "a.txt", "مرحبا سوق مطعم"))
    drawn = [pictures.draw(k) for k in range(4)]
    assert sum(len(picture.texts) for picture in drawn) > 8
    assert all(len(picture.char_quads) == 0 for picture in drawn)
    assert any((~picture.ignore).any() for picture in drawn)


def test_symbols_are_no_fonts_of_matplotlib_or_the_system():
    names = {path.stem.lower() for source in ("matplotlib", "system") for path in list_fonts(source)}
    assert "dejavusans" in names
    assert not {name for name in names if "cmsy" in name or "lastresort" in name or "emoji" in name}
    assert draws_letters(TTF / "DejaVuSans.ttf", "abc")
    assert not draws_letters(TTF / "LastResortHE-Regular.ttf", "abc")
