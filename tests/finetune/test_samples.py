"""The embedded sample set: the same every time, the same truth in every format, sizes as promised."""

import json
import xml.etree.ElementTree as ET
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pycocotools.coco import COCO

from finetune.samples.camera import Camera
from finetune.samples.generate import generate_signs
from finetune.samples.painter import Light, Painter
from finetune.samples.panels import BLACK, WHITE, Panel, Sheet
from finetune.samples.scene import paint_scene
from finetune.samples.truth import CLASS_NAMES
from finetune.samples.visibility import read_signs

COUNT = 40


@pytest.fixture(scope="module")
def signs(tmp_path_factory):
    out = tmp_path_factory.mktemp("samples") / "signs"
    generate_signs(out, COUNT, seed=5)
    return out


def coco_boxes(root):
    boxes = {}
    for split in ("train", "val"):
        data = json.loads((root / "annotations" / f"instances_{split}.json").read_text())
        names = {c["id"]: c["name"] for c in data["categories"]}
        for image in data["images"]:
            boxes[Path(image["file_name"]).stem] = (split, (image["width"], image["height"]), [])
        stems = {image["id"]: Path(image["file_name"]).stem for image in data["images"]}
        for a in data["annotations"]:
            x, y, w, h = a["bbox"]
            boxes[stems[a["image_id"]]][2].append((names[a["category_id"]], x, y, x + w, y + h, a["iscrowd"]))
    return boxes


def read_icdar(file):
    words = []
    for line in file.read_text(encoding="utf-8").splitlines():
        parts = line.split(",", 8)
        words.append((np.array(parts[:8], dtype=float).reshape(4, 2), parts[8]))
    return words


def inside(points, quad, slack):
    """[N] whether points lie in a clockwise quad (y down): on the right side of all its edges, or off by up to ``slack``."""
    quad, points = np.asarray(quad, float), np.asarray(points, float)
    edges = np.roll(quad, -1, axis=0) - quad
    edges /= np.linalg.norm(edges, axis=1, keepdims=True)
    off = points[:, None] - quad
    return (edges[:, 0] * off[..., 1] - edges[:, 1] * off[..., 0] >= -slack).all(axis=1)


def test_same_seed_draws_the_same_bytes_and_another_seed_others(tmp_path):
    for name, count, seed in (("a", 3, 5), ("b", 3, 5), ("more", 4, 5), ("other", 3, 6)):
        generate_signs(tmp_path / name, count, seed)
    files = sorted(p.relative_to(tmp_path / "a") for p in (tmp_path / "a").rglob("*") if p.is_file())
    assert len(files) > 3 * 5
    assert all((tmp_path / "a" / f).read_bytes() == (tmp_path / "b" / f).read_bytes() for f in files)
    pictures = [f for f in files if f.suffix in (".jpg", ".xml") or "icdar" in f.parts]
    assert all((tmp_path / "a" / f).read_bytes() == (tmp_path / "more" / f).read_bytes() for f in pictures), "picture i depends on the number of pictures"
    assert all((tmp_path / "a" / f).read_bytes() != (tmp_path / "other" / f).read_bytes() for f in pictures if f.suffix == ".jpg")


def test_half_train_half_val_and_every_picture_decodes(signs):
    boxes = coco_boxes(signs)
    assert len(boxes) == COUNT
    assert [sum(split == s for split, _, _ in boxes.values()) for s in ("train", "val")] == [COUNT // 2, COUNT // 2]
    assert len({size for _, size, _ in boxes.values()}) > 1, "no portrait pictures"
    for stem, (split, size, _) in boxes.items():
        with Image.open(signs / split / f"{stem}.jpg") as image:
            image.load()
            assert (image.size, image.mode, image.format) == (size, "RGB", "JPEG")
            assert np.asarray(image).std() > 10


def test_coco_loads_in_the_reference_reader(signs):
    for split in ("train", "val"):
        coco = COCO(str(signs / "annotations" / f"instances_{split}.json"))
        assert tuple(c["name"] for c in coco.loadCats(coco.getCatIds())) == CLASS_NAMES
        for annotation in coco.loadAnns(coco.getAnnIds()):
            image = coco.loadImgs(annotation["image_id"])[0]
            x, y, w, h = annotation["bbox"]
            assert w > 0
            assert h > 0
            assert min(x, y) >= 0
            assert x + w <= image["width"]
            assert y + h <= image["height"]


def test_voc_holds_the_same_boxes_counted_from_one(signs):
    boxes = coco_boxes(signs)
    for split in ("train", "val"):
        stems = (signs / "voc" / "ImageSets" / "Main" / f"{split}.txt").read_text().split()
        assert stems == sorted(stem for stem, (s, _, _) in boxes.items() if s == split)
    for stem, (split, size, expected) in boxes.items():
        root = ET.parse(signs / "voc" / "Annotations" / f"{stem}.xml").getroot()
        found = []
        for item in root.iter("object"):
            x1, y1, x2, y2 = (int(item.findtext(f"bndbox/{key}")) for key in ("xmin", "ymin", "xmax", "ymax"))
            found.append((item.findtext("name"), x1 - 1, y1 - 1, x2, y2, int(item.findtext("difficult"))))
        assert found == expected
        assert (int(root.findtext("size/width")), int(root.findtext("size/height"))) == size
        linked, original = signs / "voc" / "JPEGImages" / f"{stem}.jpg", signs / split / f"{stem}.jpg"
        assert linked.read_bytes() == original.read_bytes()


def test_words_agree_in_text_and_characters_lie_in_their_words_in_reading_order(signs):
    letters = 0
    for file in sorted(signs.glob("icdar/*/gt_*.txt")):
        side = json.loads(file.with_name(f"chars_{file.stem[3:]}.json").read_text(encoding="utf-8"))
        assert (signs / file.parent.name / side["image"]).is_file()
        lines = read_icdar(file)
        assert len(lines) == len(side["words"])
        with Image.open(signs / file.parent.name / side["image"]) as image:
            size = np.array(image.size)
        for (corners, text), word in zip(lines, side["words"], strict=True):
            assert text == ("###" if word["ignore"] else word["text"])
            assert np.abs(np.clip(word["quad"], 0, size) - corners).max() <= 0.5 + 1e-3
            assert len(word["characters"]) == len(word["text"])
            assert " " not in word["text"]
            assert inside(np.reshape(word["characters"], (-1, 2)), word["quad"], 0.01).all()
            quad = np.array(word["quad"])
            right = quad[1] - quad[0]
            assert np.cross(np.append(right, 0), np.append(quad[3] - quad[0], 0))[2] > 0, "not clockwise from the top-left corner"
            places = [float(np.mean(c, axis=0) @ right) for c in word["characters"]]
            assert places == sorted(places)
            letters += len(places)
    assert letters > COUNT


def test_words_of_signs_lie_in_their_boxes(signs):
    """STOP is written on stop signs only, so every readable one lies in a box of that class."""
    boxes, found = coco_boxes(signs), 0
    for file in signs.glob("icdar/*/gt_*.txt"):
        for corners, text in read_icdar(file):
            if text == "STOP":
                x, y = corners.mean(axis=0)
                near = [b for b in boxes[file.stem[3:]][2] if b[0] == "stop" and b[1] - 1 <= corners[:, 0].min() and corners[:, 0].max() <= b[3] + 1 and b[2] <= y <= b[4]]
                assert near, f"{file.name}: STOP at {x:.0f}, {y:.0f} without its sign"
                found += 1
    assert found >= 5


def test_ink_is_where_the_characters_are():
    """White words on a black panel seen at an angle: every bright pixel lies in a character quad, and every quad has some."""
    def paint(sheet: Sheet) -> None:
        sheet.box(0, 0, 4, 1, BLACK)
        sheet.text("Fjord AWAY", (2, 0.5), 3.6, 0.5, WHITE)

    painter = Painter((640, 480), Light((1, 1, 1), (0, 0, 0), 0.0, False, 0.0))
    camera = Camera(640, 480, 600, 320, 300, 1.5)
    placed = painter.panel(Panel(None, (4.0, 1.0), paint, BLACK), camera.panel((0.3, 2.0, 6.0), (4.0, 1.0), 0.6, 0.1), 6.0)
    grey = np.asarray(painter.canvas.convert("L"))
    ys, xs = np.nonzero(grey > 128)
    bright = np.column_stack([xs, ys]) / 2 + 0.25
    quads = [quad for _, _, characters in placed.words for quad in characters]
    assert [text for text, _, _ in placed.words] == ["Fjord", "AWAY"]
    assert len(bright) > 500
    owners = np.array([inside(bright, quad, 0.75) for quad in quads])
    assert owners.any(axis=0).all(), "ink that belongs to no character"
    assert (owners.sum(axis=1) > 10).all(), "a character without ink"


@pytest.mark.parametrize("count", [80, pytest.param(300, marks=pytest.mark.slow)])
def test_sizes_classes_and_empty_pictures_of_the_default_set(count):
    """Measured at 320 px long side: of 90% of the signs the longer side of the box has 20 px or more, the shorter side 16 or more."""
    sides, labels, counts = [], [], []
    for index in range(count):
        painter = paint_scene(0, index).painter
        signs = read_signs(painter)
        scale = 320 / max(painter.size)
        counts.append(len(signs))
        for sign in signs:
            left, top, right, bottom = sign.box
            sides.append(((right - left) * scale, (bottom - top) * scale))
            labels.append(sign.label)
    sides = np.array(sides)
    assert (sides.max(axis=1) >= 20).mean() >= 0.9
    assert (sides.min(axis=1) >= 16).mean() >= 0.9
    per_class = np.array([labels.count(name) for name in CLASS_NAMES])
    assert per_class.min() >= 0.05 * len(labels), dict(zip(CLASS_NAMES, per_class, strict=True))
    assert 0.02 * count <= counts.count(0) <= 0.1 * count
    assert max(counts) <= 6
