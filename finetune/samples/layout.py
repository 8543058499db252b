"""Where the files of a sample set lie; every path is relative to its folder.

- train/*.jpg  val/*.jpg                              the pictures: even numbers train, odd numbers val
- annotations/instances_{train,val}.json              COCO
- voc/{JPEGImages,Annotations,ImageSets/Main}         Pascal VOC; its pictures are links to those above
- icdar/{train,val}/gt_<picture>.txt                  ICDAR 2015: x1,y1,...,x4,y4,word, or ### where it cannot be read
- icdar/{train,val}/chars_<picture>.json              the same words with exact quads and one quad per character
- summary.json                                        what was drawn
"""

from __future__ import annotations

from pathlib import Path

SPLITS = ("train", "val")


def picture_name(index: int) -> str:
    """File name of a picture, without suffix."""
    return f"signs_{index:05d}"


def split_of(index: int) -> str:
    """The split of a picture: it does not depend on how many there are."""
    return SPLITS[index % 2]


def picture_path(root: Path, index: int) -> Path:
    """The picture."""
    return root / split_of(index) / f"{picture_name(index)}.jpg"


def coco_path(root: Path, split: str) -> Path:
    """The COCO file of a split."""
    return root / "annotations" / f"instances_{split}.json"


def words_path(root: Path, index: int) -> Path:
    """The ICDAR file of a picture."""
    return root / "icdar" / split_of(index) / f"gt_{picture_name(index)}.txt"


def characters_path(root: Path, index: int) -> Path:
    """The character quads of a picture."""
    return root / "icdar" / split_of(index) / f"chars_{picture_name(index)}.json"
