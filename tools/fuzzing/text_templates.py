"""Small valid data sets of scene text that the fuzzer damages: one for each format and dialect, and pieces of ICDAR 2015 where it is."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from fuzzing.templates import SIDES, Template

TRAIN, VAL, TEST = ("img_1", "img_2", "img_3"), ("img_4",), ("img_5", "img_6")
QUADS = ((3, 4, 20, 5, 20, 14, 3, 13), (22, 16, 38, 16, 38, 27, 22, 27), (1, 18, 12, 18, 12, 28, 1, 28))
TEXTS = ("stop", "###", "one, two")


def icdar_txt(line: str = "quad", mark: bool = False) -> bytes:
    """A file of three words: "quad" (2015), "script" (MLT), "commas" and "blanks" (2013)."""
    lines = []
    for quad, text in zip(QUADS, TEXTS, strict=True):
        left, top, right, bottom = quad[0], quad[1], quad[4], quad[5]
        lines.append({
            "quad": ",".join(map(str, quad)) + f",{text}",
            "script": ",".join(map(str, quad)) + f",{'None' if text == '###' else 'Latin'},{text}",
            "commas": f'{left}, {top}, {right}, {bottom}, "{text}"',
            "blanks": f'{left} {top} {right} {bottom} "{text}"',
        }[line])
    return (b"\xef\xbb\xbf" if mark else b"") + ("\r\n".join(lines) + "\r\n").encode()


def totaltext_txt() -> bytes:
    """Two outlines, one of them broken over lines, as numpy printed it."""
    return b"x: [[ 3 12 20\n 20 12  3]], y: [[ 5  3  5 14 12 14]], ornt: [u'c'], transcriptions: [u'it\\'s']\nx: [[22 38 38 22]], y: [[16 16 27 27]], ornt: [u'#'], transcriptions: [u'#']\n"


def ctw_points(left: int, top: int) -> list[int]:
    """14 corners around a word, x and y in turns."""
    upper = [(left + 2 * k, top) for k in range(7)]
    return [value for corner in upper + [(x, top + 8) for x, _ in reversed(upper)] for value in corner]


def ctw_txt() -> bytes:
    """Words of CTW1500's test set, the last one with offsets from a rectangle."""
    flat = [",".join(map(str, ctw_points(left, 5))) for left in (3, 20)]
    offsets = ",".join(map(str, (4, 18, 16, 26, *ctw_points(0, 0))))
    return f"{flat[0]},####one two\n{flat[1]},###\n{offsets}\n".encode()


def ctw_xml(name: str) -> bytes:
    """A file of CTW1500's training set."""
    boxes = "".join(
        f'<box height="8" left="{left}" top="5" width="12"><label>{text}</label><segs>{",".join(map(str, ctw_points(left, 5)))}</segs>'
        f'<pts x="{left}" y="5"/></box>\n'
        for left, text in ((3, "one two"), (20, "###"))
    )
    return f'<Annotations>\n<image file="{name}">\n{boxes}</image></Annotations>\n'.encode()


def chars_json() -> bytes:
    """The characters of ``icdar_txt``, as our samples write them."""
    words = []
    for quad, text in zip(QUADS, TEXTS, strict=True):
        letters = text.replace(" ", "")
        left, top, step = quad[0] + 1, quad[1] + 2, (quad[2] - quad[0] - 2) / len(letters)
        chars = [[[left + k * step, top], [left + (k + 1) * step, top], [left + (k + 1) * step, top + 7], [left + k * step, top + 7]] for k in range(len(letters))]
        words.append({"text": text, "ignore": text == "###", "quad": np.reshape(quad, (4, 2)).tolist(), "characters": chars})
    return json.dumps({"image": "img.png", "words": words}).encode()


def chars_txt() -> bytes:
    """The characters of the first two words as ICDAR 2013's segmentation files have them."""
    rows = [(4, 6, 8, 13, "s"), (8, 6, 12, 13, "t"), (12, 6, 16, 13, "o"), (16, 6, 19, 13, '"')]
    lines = [f'{10 * k} 20 30 {(x1 + x2) // 2} {(y1 + y2) // 2} {x1} {y1} {x2} {y2} "{letter}"' for k, (x1, y1, x2, y2, letter) in enumerate(rows)]
    return ("\n".join(lines) + '\n\n#7 7 7 24 20 23 17 30 26 "A"\n7 7 7 34 20 30 17 37 26 "b"\n').encode()


@cache
def totaltext_mat() -> bytes:
    """Two rows of TotalText's MATLAB files."""
    rows = np.empty((2, 6), object)
    rows[0] = ["x:", np.array([[3, 12, 20, 20, 12, 3]]), "y:", np.array([[5, 3, 5, 14, 12, 14]]), "word", "c"]
    rows[1] = ["x:", np.array([[22, 38, 38, 22]]), "y:", np.array([[16, 16, 27, 27]]), "#", "#"]
    return mat_bytes({"polygt": rows})


@cache
def synthtext_mat() -> bytes:
    """SynthText's gt.mat with four pictures: words in several lines of text, one word alone, none at all."""
    quads = np.stack([np.reshape(quad, (4, 2)).T.astype(float) for quad in QUADS], axis=2)
    chars = np.stack([np.array([[x, x + 4, x + 4, x], [y, y, y + 7, y + 7]], float) for x, y in [(3 + 4 * k, 5) for k in range(4)] + [(22, 17), (27, 17)] + [(2, 19)]], axis=2)
    return mat_bytes({
        "imnames": column([f"8/pic_{n}.png" for n in range(4)]),
        "wordBB": column([quads, quads, quads[:, :, 0], np.zeros((2, 4, 0))]),
        "charBB": column([chars, chars, chars[:, :, :4], np.zeros((2, 4, 0))]),
        "txt": column([np.array(["stop\nab", "c"]), np.array([" stop ", "ab", "c"]), np.array(["stop"]), np.array([], "<U1")]),
    })


def column(values: Sequence[Any]) -> np.ndarray:
    """[1, N] cells."""
    cells = np.empty((1, len(values)), object)
    for place, value in enumerate(values):
        cells[0, place] = value
    return cells


def mat_bytes(variables: dict[str, Any], packed: bool = False) -> bytes:
    """A version 5 .mat file."""
    from scipy.io import savemat

    stream = io.BytesIO()
    savemat(stream, variables, do_compression=packed)
    return stream.getvalue()


def _pictures(folder: str, names: Sequence[str], suffix: str = "png") -> dict[str, tuple[int, int]]:
    return {f"{folder}/{name}.{suffix}": SIDES for name in names}


def _icdar(name: str, line: str, mark: bool = False, **more: Any) -> Template:
    files = {f"{split}_gts/gt_{stem}.txt": icdar_txt(line, mark) for split, stems in (("train", TRAIN), ("val", VAL), ("test", TEST)) for stem in stems}
    pictures = _pictures("train_images", TRAIN) | _pictures("val_images", VAL, "jpg") | _pictures("test_images", TEST)
    return Template(name, files | more.pop("files", {}), pictures, kind="text", **more)


def own_text_templates() -> list[Template]:
    """The data sets that need nothing from outside."""
    return [*_icdar_templates(), *_other_templates(), *_score_templates()]


def _icdar_templates() -> Iterator[Template]:
    yield _icdar("icdar 2015", "quad", True)
    yield _icdar("icdar mlt", "script")
    yield _icdar("icdar 2013", "commas", files={f"train_chars/{stem}_GT.txt": chars_txt() for stem in TRAIN})
    yield _icdar("icdar 2013 blanks", "blanks")
    yield _icdar("icdar chars", "quad", files={f"train_gts/chars_{stem}.json": chars_json() for stem in TRAIN})
    files = {f"ch4_training_localization_transcription_gt/gt_{stem}.txt": icdar_txt() for stem in TRAIN + VAL}
    yield Template("icdar download", files, _pictures("ch4_training_images", TRAIN + VAL), kind="text")
    yield Template("icdar one folder", {f"{stem}.txt": icdar_txt() for stem in TRAIN + VAL + TEST}, {f"{stem}.png": SIDES for stem in TRAIN + VAL + TEST}, kind="text")
    files = {f"{folder}/gt_{stem}.txt": icdar_txt() for folder, stems in (("extra_train", TRAIN), ("more_train", TRAIN), ("val", VAL)) for stem in stems}
    yield Template("icdar joined", files, _pictures("extra_train", TRAIN) | _pictures("more_train", TRAIN) | _pictures("val", VAL), {"train": ("extra_train", "more_train")}, kind="text")


def _other_templates() -> Iterator[Template]:
    pictures = _pictures("Images/Train", TRAIN + VAL) | _pictures("Images/Test", TEST)
    for suffix, content in (("txt", totaltext_txt()), ("mat", totaltext_mat())):
        files = {f"gt/{split}/poly_gt_{stem}.{suffix}": content for split, stems in (("Train", TRAIN + VAL), ("Test", TEST)) for stem in stems}
        yield Template(f"totaltext {suffix}", files, pictures, kind="text")
    files = {f"train_labels_curve/{n}.xml": ctw_xml(f"{n}.jpg") for n in range(1001, 1005)} | {f"test_labels_curve/000{n}.txt": ctw_txt() for n in range(1501, 1503)}
    yield Template("ctw1500", files, _pictures("train_images", [str(n) for n in range(1001, 1005)]) | _pictures("test_images", ["1501", "1502"]), kind="text")
    yield Template("ctw1500 txt", {f"labels/{n}.txt": ctw_txt() for n in range(1, 5)}, _pictures("images", [str(n) for n in range(1, 5)]), {"format": "ctw1500"}, kind="text")
    yield Template("synthtext", {"gt.mat": synthtext_mat()}, _pictures("8", [f"pic_{n}" for n in range(4)]), kind="text")
    yield Template("synthtext file given", {"SynthText/gt.mat": synthtext_mat()}, _pictures("SynthText/8", [f"pic_{n}" for n in range(4)]), kind="text", start="SynthText/gt.mat")


def _score_templates() -> Iterator[Template]:
    """Truth and results as the official scripts take them; the results are in ``predictions``."""
    quads = "".join(",".join(map(str, quad)) + "\r\n" for quad in QUADS).encode()
    yield _icdar("submission zip", "quad", True, files={"submit.zip": zip_bytes({f"res_{stem}.txt": quads for stem in TRAIN})}, predictions="submit.zip")
    yield _icdar("submission file", "quad", files={f"results/res_{stem}.txt": quads for stem in TRAIN}, predictions="results/res_img_2.txt")
    truth = {"gt.zip": zip_bytes({f"gt_{stem}.txt": icdar_txt(mark=True) for stem in TRAIN})}
    yield _icdar("truth zip", "quad", files=truth | {"submit.zip": zip_bytes({f"res_{stem}.txt": quads for stem in TRAIN})}, predictions="gt.zip")


def zip_bytes(files: dict[str, bytes]) -> bytes:
    """A zip, the same for the same files."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(zipfile.ZipInfo(name, (2020, 1, 1, 0, 0, 0)), content)
    return stream.getvalue()


def real_text_templates(folder: Path) -> list[Template]:
    """Pieces of ICDAR 2015 below a folder of real data; empty where there is none. Pictures are blank ones of the same size."""
    files, pictures = {}, {}
    for split in ("train", "test"):
        for file in sorted((folder / f"ic15/{split}_gts").glob("gt_img_*.txt"))[:4]:
            files[f"{split}_gts/{file.name}"] = file.read_bytes()
            pictures[f"{split}_images/{file.stem[3:]}.jpg"] = (1280, 720)
    return [Template("real icdar 2015", files, pictures, kind="text")] if files else []
