"""Decoding equals Pillow's in every format and mode; damaged files are found before training."""

from __future__ import annotations

import io
import json
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageOps

from backbones.errors import DataError
from finetune.config import DataConfig
from finetune.data import check_images, load_splits, read_image
from tests.finetune.data.makers import coco_content, write_picture


def scene(width: int = 61, height: int = 43) -> Image.Image:
    """Smooth colours, different at every corner, so that every flip and rotation shows."""
    x, y = np.meshgrid(np.linspace(0, 1, width), np.linspace(0, 1, height))
    return Image.fromarray((np.stack([x, y, (x + 1 - y) / 2], axis=2) * 220 + 10).astype(np.uint8))


FORMATS = [
    ("jpg", {"quality": 92}),
    ("jpg", {"quality": 60, "progressive": True}),
    ("jpg", {"subsampling": 0}),
    ("png", {}),
    ("webp", {"quality": 80}),
    ("webp", {"lossless": True}),
    ("tif", {}),
    ("tif", {"compression": "tiff_lzw"}),
    ("bmp", {}),
]


@pytest.mark.parametrize(("suffix", "options"), FORMATS)
@pytest.mark.parametrize("mode", ["RGB", "L"])
@pytest.mark.parametrize("channels", [3, 1])
def test_formats(suffix: str, options: dict[str, object], mode: str, channels: int, tmp_path: Path) -> None:
    path = tmp_path / f"a.{suffix}"
    scene().convert(mode).save(path, **options)
    truth = np.asarray(Image.open(path).convert("RGB" if channels == 3 else "L"))
    ours = read_image(path, channels)
    assert ours.shape == (43, 61, channels)
    assert ours.dtype == np.uint8
    assert ours.flags.c_contiguous
    difference = np.abs(ours.astype(int) - truth.reshape(ours.shape))
    assert difference.max() <= (0 if channels == 3 and suffix != "jpg" else 2)
    assert difference.mean() < 0.3


def test_real_jpegs_equal_pillow(shared_data: Path) -> None:
    for path in [*sorted((shared_data / "coco/val2017").glob("*.jpg"))[:6], *sorted((shared_data / "bccd/JPEGImages").glob("*.jpg"))[:3]]:
        with Image.open(path) as picture:
            truth = np.asarray(ImageOps.exif_transpose(picture).convert("RGB")).astype(int)
        assert np.abs(read_image(path).astype(int) - truth).max() <= 2


def with_alpha() -> Image.Image:
    picture = scene().convert("RGBA")
    picture.putalpha(Image.linear_gradient("L").resize(picture.size))
    return picture


MODES = [
    ("palette.png", lambda: scene().quantize(64)),
    ("palette.bmp", lambda: scene().quantize(64)),
    ("alpha.png", with_alpha),
    ("alpha.webp", with_alpha),
    ("grey_alpha.png", lambda: with_alpha().convert("LA")),
    ("one_bit.png", lambda: scene().convert("1")),
    ("cmyk.jpg", lambda: scene().convert("CMYK")),
    ("cmyk.tif", lambda: scene().convert("CMYK")),
    ("ycbcr.tif", lambda: scene().convert("YCbCr")),
]


@pytest.mark.parametrize(("name", "make"), MODES, ids=[name for name, _ in MODES])
@pytest.mark.parametrize("channels", [3, 1])
def test_modes_equal_pillow(name: str, make: object, channels: int, tmp_path: Path) -> None:
    make().save(tmp_path / name)  # type: ignore[operator]
    truth = np.asarray(Image.open(tmp_path / name).convert("RGB" if channels == 3 else "L")).astype(int)
    ours = read_image(tmp_path / name, channels)
    assert np.abs(ours.astype(int) - truth.reshape(ours.shape)).max() <= 2
    assert truth.std() > 10


def test_transparent_palette(tmp_path: Path) -> None:
    scene().quantize(32).save(tmp_path / "a.png", transparency=3)
    assert np.array_equal(read_image(tmp_path / "a.png"), np.asarray(Image.open(tmp_path / "a.png").convert("RGB")))


@pytest.mark.parametrize("name", ["deep.png", "deep.tif"])
def test_16_bit_grey_is_divided_by_257(name: str, tmp_path: Path) -> None:
    values = np.linspace(0, 65535, 43 * 61).reshape(43, 61).astype(np.uint16)
    Image.fromarray(values).save(tmp_path / name)
    expected = np.rint(values / 257).astype(np.uint8)
    assert np.array_equal(read_image(tmp_path / name, 1)[:, :, 0], expected)
    assert np.array_equal(read_image(tmp_path / name, 3), np.repeat(expected[:, :, None], 3, axis=2))


def test_16_bit_colour_png(tmp_path: Path) -> None:
    import cv2

    values = (np.asarray(scene()).astype(np.uint16) * 257)[:, :, ::-1]
    assert cv2.imwrite(str(tmp_path / "a.png"), np.ascontiguousarray(values))
    assert np.array_equal(read_image(tmp_path / "a.png"), np.asarray(scene()))


def test_float_tiff(tmp_path: Path) -> None:
    values = np.linspace(0, 1, 20 * 10, dtype=np.float32).reshape(10, 20)
    Image.fromarray(values).save(tmp_path / "a.tif")
    assert np.array_equal(read_image(tmp_path / "a.tif", 1)[:, :, 0], np.rint(values * 255).astype(np.uint8))


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("name", ["a.jpg", "a.png", "a.webp", "a.tif"])
def test_exif_rotation_equals_pillow(orientation: int, name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    exif = Image.Exif()
    exif[0x0112] = orientation
    scene().save(path, exif=exif, **({"lossless": True} if name.endswith("webp") else {}))
    with Image.open(path) as picture:
        truth = np.asarray(ImageOps.exif_transpose(picture).convert("RGB")).astype(int)
    ours = read_image(path)
    assert ours.shape == truth.shape
    assert np.abs(ours.astype(int) - truth).max() <= 2
    assert check_images([path])[0].upright_hw == truth.shape[:2]
    assert ours.flags.c_contiguous


def test_annotations_of_the_unrotated_picture_keep_its_frame(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    for name in ("a.jpg", "b.jpg"):
        Image.new("RGB", (40, 30)).save(tmp_path / name, exif=exif)
    content = coco_content(["a.jpg", "b.jpg"], boxes=[[0, 1, 20, 5, 20, 20], [1, 1, 5, 20, 20, 20]])
    content["images"][1].update(width=30, height=40)
    (tmp_path / "all.json").write_text(json.dumps(content))
    splits = load_splits(DataConfig(root=str(tmp_path), train=("all.json",), val=("all.json",)))
    train = splits.get("train")
    assert train.original_hw.tolist() == [[30, 40], [40, 30]]
    assert train.boxes.tolist() == [[20, 5, 40, 25], [5, 20, 25, 40]]
    assert read_image(train.paths[0], 3, (30, 40)).shape == (30, 40, 3)
    assert read_image(train.paths[1], 3, (40, 30)).shape == (40, 30, 3)
    assert any("2 pictures with an EXIF rotation are read without it" in line and "a.jpg" in line for line in splits.summary)


def damage(path: Path, keep: float) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * keep)])


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "tif", "bmp"])
@pytest.mark.parametrize("keep", [0.0, 0.02, 0.6])
def test_truncated_pictures_stop_by_name(suffix: str, keep: float, tmp_path: Path) -> None:
    good, bad = tmp_path / f"good.{suffix}", tmp_path / f"bad.{suffix}"
    for path in (good, bad):
        scene(300, 200).save(path)
    damage(bad, keep)
    assert check_images([good])[0].upright_hw == (200, 300)
    with pytest.raises(DataError, match=rf"^[^ ]*bad\.{suffix} (is empty|is no picture|cannot be read).*replace it"):
        check_images([good, bad])
    with pytest.raises(DataError, match=rf"bad\.{suffix}"):
        read_image(bad)


def test_other_unreadable_files(tmp_path: Path) -> None:
    (tmp_path / "text.jpg").write_text("no picture at all")
    (tmp_path / "folder.jpg").mkdir()
    with pytest.raises(DataError, match=r"3 of 4 pictures cannot be read: .*text\.jpg is no picture.*folder\.jpg.*none\.jpg does not exist; replace them"):
        check_images([write_picture(tmp_path / "good.jpg"), tmp_path / "text.jpg", tmp_path / "folder.jpg", tmp_path / "none.jpg"])
    with pytest.raises(DataError, match="does not exist"):
        read_image(tmp_path / "none.jpg")


def test_bytes_after_the_end_are_harmless(tmp_path: Path) -> None:
    stream = io.BytesIO()
    scene().save(stream, "JPEG", quality=95)
    truth = np.asarray(Image.open(stream)).astype(int)
    for name, content in (("more", stream.getvalue() + b"maker's notes"), ("zeros", stream.getvalue() + b"\0" * 100)):
        path = tmp_path / f"{name}.jpg"
        path.write_bytes(content)
        check_images([path])
        assert np.abs(read_image(path).astype(int) - truth).max() <= 2


def test_a_run_stops_before_it_starts(tmp_path: Path) -> None:
    for name in ("a.jpg", "b.jpg"):
        scene(40, 30).save(tmp_path / name)
    (tmp_path / "all.json").write_text(json.dumps(coco_content(["a.jpg", "b.jpg"])))
    damage(tmp_path / "b.jpg", 0.7)
    with pytest.raises(DataError, match=r"b\.jpg cannot be read"):
        load_splits(DataConfig(root=str(tmp_path)))


@pytest.mark.parametrize("waits", [False, True])
def test_headers_come_in_order_with_and_without_threads(waits: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from finetune.data import images

    paths = [write_picture(tmp_path / f"{i}.png", width=20 + i) for i in range(23)]
    plain, used = images.try_header, set()

    def slow(path: Path) -> Any:
        used.add(threading.get_ident())
        time.sleep(0.01 * waits)
        return plain(path)

    monkeypatch.setattr(images, "try_header", slow)
    monkeypatch.setattr(images, "_CHUNK", 4)
    monkeypatch.setattr(images, "_WAITING", 3 if waits else 1e9)
    assert [header.upright_hw for header in check_images(paths)] == [(30, 20 + i) for i in range(23)]
    assert (len(used) > 1) == waits
    paths[9].write_bytes(b"")
    paths[21].unlink()
    with pytest.raises(DataError, match=r"2 of 23 pictures cannot be read: .*9\.png is empty, .*21\.png does not exist"):
        check_images(paths)
