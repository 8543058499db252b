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
