"""Small data sets of scene text: pictures of one colour, annotation files of a few lines."""

from __future__ import annotations

from pathlib import Path

from tests.finetune.data.makers import write_picture

QUAD = "10,10,50,12,50,30,10,28"


def write_icdar(root: Path, split: str, files: dict[str, bytes], size: tuple[int, int] = (120, 80)) -> Path:
    """``<split>_images/NAME.jpg`` and ``<split>_gts/gt_NAME.txt`` with the given content."""
    truth = root / f"{split}_gts"
    truth.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        write_picture(root / f"{split}_images" / f"{name}.jpg", *size)
        (truth / f"gt_{name}.txt").write_bytes(content)
    return root


_CURVE = ",".join(f"{x},{y}" for x, y in [*((10 + 10 * k, 20) for k in range(7)), *((70 - 10 * k, 40) for k in range(7))])
_OFFSETS = ",".join(f"{x},{y}" for x, y in [*((10 * k, 0) for k in range(7)), *((60 - 10 * k, 20) for k in range(7))])
CONTENTS: dict[str, bytes] = {  # the first word is "word" and reaches from 10 to 70 and from 20 to 40, the second is ignored
    "quads": b"10,20,70,20,70,40,10,40,word\n10,50,40,50,40,60,10,60,###\n",
    "quads with a script": b"10,20,70,20,70,40,10,40,Latin,word\n10,50,40,50,40,60,10,60,None,###\n",
    "rectangles": b'10, 20, 70, 40, "word"\n10, 50, 40, 60, "###"\n',
    "rectangles with blanks": b'10 20 70 40 "word"\n10 50 40 60 "###"\n',
    "totaltext": b"x: [[10 40 70 70 40 10]], y: [[20 20 20 40 40 40]], ornt: [u'c'], transcriptions: [u'word']\nx: [[1 20 20 1]], y: [[1 1 9 9]], ornt: [u'#'], transcriptions: [u'#']\n",
    "ctw1500": f"{_CURVE},####word\n{_CURVE},###\n".encode(),
    "ctw1500 offsets": f"10,20,70,40,{_OFFSETS},####word\n10,20,70,40,{_OFFSETS},###\n".encode(),
    "ctw1500 xml": f"<Annotations><image file='1'><box><label>word</label><segs>{_CURVE}</segs></box><box><label>###</label><segs>{_CURVE}</segs></box></image></Annotations>".encode(),
}


def write_text_files(root: Path, name: str, contents: str) -> Path:
    """Five pictures ``images/N.jpg`` and their annotation files in ``labels``, named by ``name`` with {n}."""
    (root / "labels").mkdir(parents=True)
    for n in range(1, 6):
        write_picture(root / "images" / f"img_{n}.jpg", 120, 80)
        (root / "labels" / name.format(n=f"img_{n}")).write_bytes(CONTENTS[contents])
    return root


def write_totaltext_mat(root: Path) -> Path:
    """The words of "totaltext" as MATLAB files."""
    import numpy as np
    from scipy.io import savemat

    rows = np.empty((2, 6), object)
    rows[0] = ["x:", np.array([[10, 40, 70, 70, 40, 10]]), "y:", np.array([[20, 20, 20, 40, 40, 40]]), "word", "c"]
    rows[1] = ["x:", np.array([[1, 20, 20, 1]]), "y:", np.array([[1, 1, 9, 9]]), "#", "#"]
    (root / "labels").mkdir(parents=True)
    for n in range(1, 6):
        write_picture(root / "images" / f"img_{n}.jpg", 120, 80)
        savemat(root / "labels" / f"poly_gt_img_{n}.mat", {"polygt": rows})
    return root


def write_synthtext(root: Path, **changed: object) -> Path:
    """A gt.mat of five pictures, each with the word "word" and its four characters; ``changed`` replaces variables."""
    import numpy as np
    from scipy.io import savemat

    def column(values: list[object]) -> np.ndarray:
        filled = np.empty((1, len(values)), object)
        for place, value in enumerate(values):
            filled[0, place] = value
        return filled

    quad = np.array([[10, 70, 70, 10], [20, 20, 40, 40]], float)
    chars = np.stack([np.array([[10 + 15 * k, 25 + 15 * k, 25 + 15 * k, 10 + 15 * k], [20, 20, 40, 40]], float) for k in range(4)], axis=2)
    names: list[object] = [f"8/img_{n}.jpg" for n in range(1, 6)]
    for name in names:
        write_picture(root / str(name), 120, 80)
    parts: dict[str, list[object]] = {"imnames": names, "wordBB": [quad] * 5, "charBB": [chars] * 5, "txt": [np.array(["word"])] * 5}
    savemat(root / "gt.mat", {name: column(changed.get(name, values)) for name, values in parts.items()})  # type: ignore[arg-type]
    return root
