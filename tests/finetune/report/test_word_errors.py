"""Kinds of errors of words, by hand."""

from __future__ import annotations

from finetune.evaluation.word_fates import WORD_KINDS
from finetune.report.word_errors import count_word_errors, find_word_errors
from tests.finetune.report.saved_makers import Row, make_found, make_truth


def kinds(objects: list[Row], detections: list[tuple[float, float, float, float]], ignore: tuple[int, ...] = ()) -> list[str]:
    truth = make_truth(objects, ignore=ignore, words=True)
    found = make_found([(0, 0, box, 0.9 - 0.1 * number) for number, box in enumerate(detections)], words=True)
    return [WORD_KINDS[kind] if kind >= 0 else "ignored" for kind in find_word_errors(truth, found).word]


WORD: Row = (0, 0, (0, 0, 40, 10))
NEXT: Row = (0, 0, (44, 0, 84, 10))


def test_each_kind_by_hand() -> None:
    assert kinds([WORD], [(0, 0, 40, 10)]) == ["found"]
    assert kinds([WORD], []) == ["missed"]
    assert kinds([WORD], [(0, 0, 16, 10), (20, 0, 36, 10)]) == ["split"]  # 160 of 400 each, 0.8 together
    assert kinds([WORD], [(0, 0, 16, 10)]) == ["low IoU"]  # 0.4
    assert kinds([WORD], [(0, 0, 2, 10)]) == ["missed"]  # 0.05
    assert kinds([WORD, NEXT], [(0, 0, 84, 10)]) == ["merged", "merged"]


def test_half_of_a_split_may_be_good_enough() -> None:
    assert kinds([WORD], [(0, 0, 24, 10), (26, 0, 40, 10)]) == ["found"]  # 0.6


def test_a_long_detection_may_find_one_word_and_swallow_the_other() -> None:
    assert kinds([WORD, (0, 0, (42, 0, 50, 10))], [(0, 0, 50, 10)]) == ["found", "merged"]  # IoU 0.8 with the first


def test_ignored_words_take_their_detections_with_them() -> None:
    truth = make_truth([WORD, NEXT], ignore=[0], words=True)
    found = make_found([(0, 0, (0, 0, 20, 10), 0.9), (0, 0, (10, 50, 30, 60), 0.8)], words=True)
    errors = find_word_errors(truth, found)
    assert count_word_errors(errors) == {"found": 0, "split": 0, "merged": 0, "low IoU": 0, "missed": 1, "background": 1, "detections": 1}
    assert errors.neutral.tolist() == [True, False]


def test_nothing_at_all() -> None:
    assert kinds([], [(0, 0, 4, 4)]) == []
