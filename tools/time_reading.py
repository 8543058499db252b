"""Time and memory of reading a COCO data set of the size of train2017, made up for the purpose.

python tools/time_reading.py --images 118287 --annotations 860001

Writes half a gigabyte of JSON and a link for every picture into a temporary folder, then reads it in a fresh process.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from PIL import Image

LINKS = 30_000  # to one picture; file systems allow no more than about twice as many


def write_data(root: Path, images: int, annotations: int, seed: int = 0) -> int:
    """Write COCO JSON with polygons of the usual length, and pictures; returns the size of the JSON in bytes."""
    rng = random.Random(seed)
    pictures, file = root / "train2017", root / "annotations/instances_train2017.json"
    pictures.mkdir()
    file.parent.mkdir()
    ids = rng.sample(range(1, 5 * images), images)
    for number, image_id in enumerate(ids):
        path = pictures / f"{image_id:012d}.jpg"
        if number % LINKS == 0:
            first = path
            Image.new("RGB", (640, 480)).save(path, quality=10)
        else:
            os.link(first, path)
    listed = [{"id": i, "file_name": f"{i:012d}.jpg", "height": 480, "width": 640, "license": 3, "coco_url": f"http://images.cocodataset.org/train2017/{i:012d}.jpg"} for i in ids]
    categories = [{"id": number, "name": f"class {number}", "supercategory": "thing"} for number in range(1, 81)]
    with file.open("w") as stream:
        stream.write('{"images": ' + json.dumps(listed) + ', "categories": ' + json.dumps(categories) + ', "annotations": [')
        stream.writelines((", " if number else "") + json.dumps(row) for number, row in enumerate(_annotations(rng, ids, annotations)))
        stream.write("]}")
    return file.stat().st_size


def _annotations(rng: random.Random, ids: list[int], count: int) -> Iterator[dict[str, object]]:
    for number in range(count):
        x, y, w, h = (round(value, 2) for value in (rng.uniform(0, 500), rng.uniform(0, 350), rng.uniform(5, 120), rng.uniform(5, 120)))
        polygon = [round(rng.uniform(0, 480), 2) for _ in range(2 * rng.randint(10, 45))]
        yield {"segmentation": [polygon], "area": w * h, "iscrowd": 0, "image_id": rng.choice(ids), "bbox": [x, y, w, h], "category_id": rng.randint(1, 80), "id": number + 1}


def read(root: str) -> None:
    """Read the data as training does, and say what it took."""
    from finetune.config import DataConfig
    from finetune.data import load_annotations, load_splits

    for call, what in ((load_annotations, "annotations alone"), (load_splits, "annotations and the header of every picture")):
        wall, cpu = time.perf_counter(), time.process_time()
        call(DataConfig(root=root), **({"split": "train"} if call is load_annotations else {}))
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(f"{what}: {time.perf_counter() - wall:.1f} s ({time.process_time() - cpu:.1f} s of processor), peak {peak:.0f} MB", flush=True)


def main() -> None:
    """Make up the data and read them in a process of their own."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=118_287)
    parser.add_argument("--annotations", type=int, default=860_001)
    parser.add_argument("--read", metavar="FOLDER", help="only read this data set")
    given = parser.parse_args()
    if given.read:
        read(given.read)
        return
    with tempfile.TemporaryDirectory() as folder:
        size = write_data(Path(folder), given.images, given.annotations)
        print(f"{given.images:,} images, {given.annotations:,} annotations, {size / 1e6:.0f} MB of JSON", flush=True)
        subprocess.run([sys.executable, __file__, "--read", folder], check=True)


if __name__ == "__main__":
    main()
