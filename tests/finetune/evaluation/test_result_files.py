"""Result files in the wild: taken where the official scripts take them, refused in one line where they refuse them."""

from __future__ import annotations

import json

import numpy as np
import pytest

from backbones.errors import DataError
from finetune.cli import main
from finetune.evaluation.text_files import read_submission, read_truth
from finetune.evaluation.text_iou import TextIouEvaluator
from tests.finetune.evaluation import official_port
from tests.finetune.evaluation.test_text_protocols import score
from tests.finetune.evaluation.text_makers import write_zip

TRUTH = {"gt_img_1.txt": "10,10,50,10,50,30,10,30,word\r\n60,10,90,10,90,30,60,30,###\r\n", "gt_img_2.txt": "\ufeff10,10,50,10,50,30,10,30,a,b\r\n"}
LINE = "10,10,50,10,50,30,10,30"


@pytest.fixture
def truth(tmp_path):
    return write_zip(tmp_path / "gt.zip", TRUTH)


TAKEN = {
    "plain": {"res_img_1.txt": LINE, "res_img_2.txt": LINE},
    "windows lines and empty ones": {"res_img_1.txt": f"\r\n{LINE}\r\n\r\n\n", "res_img_2.txt": LINE},
    "spaces": {"res_img_1.txt": "  10 , 10, 50 ,10,50,\t30,10,30  ", "res_img_2.txt": LINE},
    "byte order mark": {"res_img_1.txt": f"\ufeff{LINE}\n", "res_img_2.txt": LINE},
    "missing picture": {"res_img_1.txt": LINE},
    "empty file": {"res_img_1.txt": LINE, "res_img_2.txt": ""},
    "no file at all": {},
    "outside the picture": {"res_img_1.txt": f"-5,-7,3,-7,3,9,-5,9\n{LINE}\n99999,0,100009,0,100009,10,99999,10"},
    "leading zeros": {"res_img_1.txt": "010,0010,50,10,50,30,10,030"},
    "bow tie whose halves cancel": {"res_img_1.txt": f"10,10,50,30,50,10,10,30\n{LINE}"},
    "no area": {"res_img_1.txt": f"10,10,10,10,10,10,10,10\n10,10,20,20,30,30,15,15\n{LINE}"},
    "an end of a name that does not matter": {"res_img_1.txt.bak": LINE},
    "carriage return within a line": {"res_img_1.txt": "10,10,50,10,\r50,30,10,30"},
    "bytes that are no UTF-8 behind the end of a word of the truth": {"res_img_1.txt": LINE},
}
REFUSED = {
    "fractions": ({"res_img_1.txt": f"{LINE}\n10.5,10,50,10,50,30,10,30"}, "line 2.*fractions"),
    "confidence": ({"res_img_1.txt": f"{LINE},0.9"}, "--confidences"),
    "transcription": ({"res_img_1.txt": f"{LINE},word"}, "1 more value than coordinates"),
    "comma at the end": ({"res_img_1.txt": f"{LINE},"}, "line 1"),
    "blanks instead of commas": ({"res_img_1.txt": LINE.replace(",", " ")}, "parted by blanks"),
    "rectangle": ({"res_img_1.txt": "10,10,50,30"}, "look like rectangles"),
    "line of blanks": ({"res_img_1.txt": f"{LINE}\n  \n"}, "line 2.*blanks"),
    "anticlockwise": ({"res_img_1.txt": "10,10,10,30,50,30,50,10"}, "clockwise"),
    "plus sign": ({"res_img_1.txt": "+10,10,50,10,50,30,10,30"}, "line 1"),
    "exponent": ({"res_img_1.txt": "1e1,10,50,10,50,30,10,30"}, "line 1"),
    "too large": ({"res_img_1.txt": "10,10,99999999999,10,99999999999,30,10,30"}, "outside"),
    "picture not in the truth": ({"res_img_7.txt": LINE}, "'7' is not in the truth"),
    "number with zeros": ({"res_img_01.txt": LINE}, "'01' is not in the truth"),
    "name without res": ({"img_1.txt": LINE}, "img_1.txt.*res_img_N.txt"),
    "in a folder": ({"submit/res_img_1.txt": LINE}, "not in a folder"),
    "entry of a folder": ({"submit/": "", "res_img_1.txt": LINE}, "entry 'submit/'"),
    "added by a Mac": ({"res_img_1.txt": LINE, "__MACOSX/._res_img_1.txt": "x"}, "the system added"),
    "picture beside": ({"res_img_1.txt": LINE, "res_img_1.jpg": "x"}, "res_img_1.jpg"),
    "UTF-16": ({"res_img_1.txt": LINE.encode("utf-16")}, "UTF-16"),
    "two byte order marks": ({"res_img_1.txt": f"\ufeff\ufeff{LINE}"}, "line 1"),
}


@pytest.mark.parametrize("files", TAKEN.values(), ids=TAKEN)
def test_taken_as_the_official_script_takes_them(tmp_path, truth, files):
    results = write_zip(tmp_path / "submit.zip", files)
    values, _ = official_port.score_iou(truth, results)
    result = score(truth, results, "icdar2015-iou")
    assert dict(result.values) == pytest.approx(values)
    assert result.values["hmean"] > 0 or not files


@pytest.mark.parametrize(("files", "message"), REFUSED.values(), ids=REFUSED)
def test_refused_as_the_official_script_refuses_them(tmp_path, truth, files, message):
    results = write_zip(tmp_path / "submit.zip", files)
    if message != "outside":  # there it ends with an overflow of numpy's int32
        with pytest.raises(official_port.RefusedError):
            official_port.score_iou(truth, results)
    with pytest.raises(DataError, match=message) as caught:
        score(truth, results, "icdar2015-iou")
    assert "submit.zip" in str(caught.value)
    assert len(str(caught.value)) < 400


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("10,10,5,30", "right lies left"),
        ("-10,-10,5,30,", None),
        ("10,10,50,30 , ", None),
        ("-10,10,-5,30", "negative"),
        (LINE, "look like quads"),
        ("10,10,50,30,0.9", "--confidences"),
        ("10.0,10,50,30", "fractions"),
    ],
)
def test_rectangles(tmp_path, line, message):
    truth = write_zip(tmp_path / "gt.zip", {"gt_img_1.txt": '10, 10, 50, 30, "word"\n60, 10, 90, 30, "###"'})
    results = write_zip(tmp_path / "submit.zip", {"res_img_1.txt": line})
    for protocol, port in (("icdar2013-deteval", official_port.score_deteval), ("icdar2015-iou", lambda *paths: official_port.score_iou(*paths, rectangles=True))):
        if message:
            with pytest.raises(official_port.RefusedError):
                port(truth, results)
            with pytest.raises(DataError, match=message):
                score(truth, results, protocol)
        else:
            assert dict(score(truth, results, protocol).values) == pytest.approx(port(truth, results)[0])


def test_strict_false_bends_lines_and_names(tmp_path, truth):
    files = {"out/img_1.txt": "10.9,10.2,50.9,10,50.1,30,10,30,0.9,word\n10,10,10,30,50,30,50,10\n", "__MACOSX/out/._img_1.txt": "x", "out/": ""}
    results = write_zip(tmp_path / "submit.zip", files)
    found = read_submission(results, read_truth(truth, "icdar2015-iou"), strict=False)
    assert found.rows.outlines.points[:4].tolist() == [[10, 10], [50, 10], [50, 30], [10, 30]]
    assert any("were bent" in remark for remark in found.remarks)
    assert any("1 of 2 pictures have no result file" in remark for remark in found.remarks)


def test_a_folder_may_hold_other_files_and_plain_names(tmp_path, truth):
    folder = tmp_path / "results"
    folder.mkdir()
    (folder / "res_img_1.txt").write_text(LINE)
    (folder / "res_img_1.jpg").write_bytes(b"x")
    (folder / ".DS_Store").write_bytes(b"x")
    (folder / "img_2.txt").write_text(LINE)
    found = read_submission(folder, read_truth(truth, "icdar2015-iou"))
    assert sorted(found.rows.image.tolist()) == [0, 1]
    assert found.remarks == ("1 other files in results are left out",)


def test_truth_from_a_folder_and_with_other_files(tmp_path, truth):
    folder = tmp_path / "truth"
    folder.mkdir()
    for name, text in TRUTH.items():
        (folder / name).write_text(text)
    (folder / "img_1.jpg").write_bytes(b"x")
    from_folder, from_zip = read_truth(folder, "icdar2015-iou").split, read_truth(truth, "icdar2015-iou").split
    assert from_folder.image_ids == from_zip.image_ids == ("img_1", "img_2")
    assert from_folder.texts == from_zip.texts == ("word", "###", "a,b")
    assert from_folder.annotation_ids == ("gt_img_1.txt#1", "gt_img_1.txt#2", "gt_img_2.txt#1")
    assert np.array_equal(from_folder.quads, from_zip.quads)


def test_scripts_of_mlt_come_before_the_transcription(tmp_path):
    truth = write_zip(tmp_path / "gt.zip", {"gt_img_1.txt": f"{LINE},Latin,a,b\n60,10,90,10,90,30,60,30,None,###"})
    found = read_truth(truth, "icdar2015-iou")
    assert found.split.texts == ("a,b", "###")
    assert found.split.ignore.tolist() == [False, True]
    plain = write_zip(tmp_path / "plain.zip", {"gt_img_1.txt": f"{LINE},Latin,a,b\n60,10,90,10,90,30,60,30,###"})
    assert read_truth(plain, "icdar2015-iou").split.texts == ("Latin,a,b", "###")


def test_deteval_does_not_score_quads(truth):
    with pytest.raises(DataError, match="choose --protocol icdar2015-iou"):
        read_truth(truth, "icdar2013-deteval")


def test_curved_words(tmp_path):
    truth = write_zip(tmp_path / "gt.zip", {"poly_gt_img5.txt": "0,0,20,-5,40,0,40,20,20,15,0,20,arc\n50,0,60,0,60,10,50,10,2,#\n100,0,110,0,110,10,#", "img6.txt": "0,0,9,0,9,9,####caf\u00e9"})
    results = write_zip(tmp_path / "submit.zip", {"img5.txt": "0.5,0,20,-5,40,0,40,20,20,15,0,20\n100,10,110,10,110,0", "res_img6.txt": "9,9,9,0,0,0"})
    found = read_truth(truth, "polygon-iou")
    assert found.split.texts == ("arc", "2,#", "#", "caf\u00e9")
    result = score(truth, results, "polygon-iou")
    assert result.values == {"precision": 2 / 3, "recall": 2 / 3, "hmean": 2 / 3}
    assert result.per_image["img5"] == {"precision": 0.5, "recall": 0.5, "hmean": 0.5, "matched": 1, "truth": 2, "detections": 2, "truth_ignored": 1, "detections_ignored": 0}


def test_outlines_beyond_any_picture_are_refused(tmp_path):
    truth = write_zip(tmp_path / "gt.zip", {"gt_img_1.txt": "10,10,50,10,50,30,10,30,word"})
    results = write_zip(tmp_path / "res.zip", {"res_img_1.txt": "1e300,0,10,0,10,1e300"})
    with pytest.raises(DataError, match=r"res_img_1\.txt, line 1: .* a coordinate lies outside"):
        read_submission(results, read_truth(truth, "polygon-iou"))


def test_broken_zips_end_in_one_line(tmp_path, truth):
    broken = tmp_path / "submit.zip"
    broken.write_bytes(truth.read_bytes()[:-40])
    for path in (broken, tmp_path / "absent.zip"):
        with pytest.raises(DataError, match=path.name):
            read_submission(path, read_truth(truth, "icdar2015-iou"))


def test_the_command_line_prints_figures_with_what_they_depend_on(tmp_path, truth, capsys):
    results = write_zip(tmp_path / "submit.zip", TAKEN["plain"])
    assert main(["evaluate", "--data", str(truth), "--predictions", str(results), "--protocol", "icdar2015-iou", "--json", "-"]) == 0
    captured = capsys.readouterr()
    (result,) = json.loads(captured.out)["results"]
    assert result["values"] == {"precision": 1.0, "recall": 1.0, "hmean": 1.0}
    assert result["per_image"]["img_1"]["truth_ignored"] == 1
    shown = " ".join(captured.err.split())
    assert "icdar2015-iou: a match is IoU > 0.5" in shown
    assert "2 words in 2 files of submit.zip" in shown
    assert "input size" in shown


def test_the_command_line_refuses_in_one_line(tmp_path, truth, capsys):
    results = write_zip(tmp_path / "submit.zip", {"res_img_1.txt": f"{LINE}\n{LINE},0.5"})
    assert main(["evaluate", "--data", str(truth), "--predictions", str(results)]) == 3
    error = capsys.readouterr().err.strip().splitlines()
    assert len(error) == 1
    assert "submit.zip, res_img_1.txt, line 2" in error[0]
    assert main(["evaluate", "--data", str(truth), "--predictions", str(results), "--protocol", "coco", "icdar2015-iou"]) == 2
    assert main(["evaluate", "--data", str(truth), "--predictions", str(results), "--submission", str(tmp_path / "x.zip")]) == 2


@pytest.mark.parametrize(
    ("lines", "reason"),
    [
        ("", "no detections at all"),
        ("60,10,90,10,90,30,60,30", "lie in words that are to be ignored"),
        ("5,5,25,5,25,15,5,15", "multiplied by 2"),
        ("10,10,30,10,30,50,10,50", "x and y swapped"),
        ("310,210,350,210,350,230,310,230", "shifted by -300, -200"),
        ("0,0,1,0,1,1,0,1", "normalised"),
        ("200,200,203,200,203,290,200,290", "no detection overlaps"),
    ],
)
def test_hmean_0_says_why(tmp_path, truth, lines, reason):
    results = write_zip(tmp_path / "submit.zip", {"res_img_1.txt": lines} | ({"res_img_2.txt": lines} if "shifted" in reason else {}))
    (note,) = score(truth, results, "icdar2015-iou").notes
    assert reason in note


def test_hmean_0_on_other_images_or_without_words_says_so(tmp_path):
    truth = write_zip(tmp_path / "gt.zip", {"gt_img_1.txt": f"{LINE},word", "gt_img_2.txt": ""})
    results = write_zip(tmp_path / "submit.zip", {"res_img_2.txt": LINE})
    assert "none in common" in score(truth, results, "icdar2015-iou").notes[0]
    nothing = write_zip(tmp_path / "nothing.zip", {"gt_img_2.txt": f"{LINE},###"})
    assert "nothing to find" in score(nothing, results, "icdar2015-iou").notes[0]


def test_evaluator_keeps_the_truth_over_resets(truth, tmp_path):
    found = read_truth(truth, "icdar2015-iou")
    evaluator = TextIouEvaluator(found.split)
    submission = read_submission(write_zip(tmp_path / "submit.zip", TAKEN["plain"]), found)
    for _ in range(2):
        evaluator.add(submission.rows, submission.images)
        assert evaluator.evaluate().values["hmean"] == 1
        evaluator.reset()
    assert evaluator.evaluate().values["hmean"] == 0
