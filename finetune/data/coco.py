"""Reader of COCO detection JSON (https://cocodataset.org/#format-data), one file or several."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from backbones.errors import DataError
from finetune.data.coco_json import load_coco_json
from finetune.data.coco_values import as_area, as_box, as_category_id, as_class_name, as_flag, as_id, as_side, box_of_polygons, is_writable, short
from finetune.data.file_listing import fault_and_remedy
from finetune.data.findings import Findings
from finetune.data.kinds import (
    ANNOTATION_BROKEN,
    ANNOTATION_ID_TWICE,
    ANNOTATION_ORPHAN,
    ANNOTATIONS_UNREADABLE,
    BOX_OF_POLYGON,
    BOX_UNUSABLE,
    CATEGORY_BROKEN,
    CATEGORY_ID_TWICE,
    CATEGORY_UNKNOWN,
    ID_RETYPED,
    IMAGE_ENTRY_BROKEN,
    IMAGE_ID_TWICE,
    PICTURE_MISSING,
    PICTURE_NAME,
)
from finetune.data.picture_finder import PictureFinder
from finetune.data.raw import RawBox, RawImage, RawSplit

_LEFT_OUT = -1  # row of an image that cannot be used: its annotations go with it, without a word


def read_coco(file: Path, image_dirs: tuple[Path, ...], findings: Findings, *, need_images: bool = True) -> RawSplit | None:
    """Read one COCO annotation file.

    Args:
        file: The JSON file.
        image_dirs: Folders in which ``file_name`` is looked for, in this order.
        findings: Gets what was dropped, with file and annotation id.
        need_images: Missing pictures are a fault.

    Returns:
        Images in file order; boxes x, y, w, h turned to x1, y1, x2, y2 in pixel-edge coordinates. None where a lenient sink
        was told that the file cannot be read.

    Raises:
        DataError: The file is no COCO JSON, names unknown categories or missing pictures; a lenient sink is told instead.
    """
    try:
        content = load_coco_json(file)
    except DataError as error:
        if not findings.lenient:
            raise
        fault, remedy = fault_and_remedy(error, file)
        findings.fault(ANNOTATIONS_UNREADABLE, file, value=fault, remedy=remedy)
        return None
    split = RawSplit()
    names = _read_categories(file, content, split, findings)
    rows = _read_images(file, content, split, findings, PictureFinder(image_dirs, findings), need_images)
    _read_boxes(file, content, names, rows, split, findings)
    findings.raise_faults()
    return split


def _read_categories(file: Path, content: dict[str, Any], split: RawSplit, findings: Findings) -> dict[int, str]:
    names: dict[int, str] = {}
    parents = set()
    for row, category in enumerate(content["categories"]):
        number, name = (as_category_id(category.get("id")), as_class_name(category.get("name"))) if isinstance(category, dict) else (None, None)
        if number is None or name is None:
            findings.fault(CATEGORY_BROKEN, file, value=f"category {row} is {short(category)}")
        elif names.get(number, name) != name:
            findings.fault(CATEGORY_ID_TWICE, file, value=f"id {number} for {names[number]!r} and {name!r}")
        else:
            names[number] = name
            split.categories[name] = min(number, split.categories.get(name, number))
            parents.add(as_class_name(category.get("supercategory")))
    used = {as_category_id(annotation.get("category_id")) for annotation in content["annotations"] if isinstance(annotation, dict)} if 0 in names else set()
    # Roboflow writes the name of the project as category 0, parent of all the others and never annotated
    split.placeholders = {name for number, name in names.items() if number == 0 and number not in used and len(names) > 1 and name in parents}
    return names


def _read_images(file: Path, content: dict[str, Any], split: RawSplit, findings: Findings, finder: PictureFinder, need_images: bool) -> dict[Any, int]:
    rows: dict[Any, int] = {}
    texts: set[str] = set()
    looked = f"the file lists {len(content['images'])}; looked in {', '.join(map(str, finder.dirs))}; put it there, or set data.images to its folder"
    for row, image in enumerate(content["images"]):
        number = as_id(image.get("id")) if isinstance(image, dict) else None
        name = image.get("file_name") if isinstance(image, dict) else None
        if number is None or not isinstance(name, str) or not name.strip():
            fault = f"image {row} is {short(image)}" if number is None else f"image id {number} has no file_name but {short(name)}"
            findings.fault(IMAGE_ENTRY_BROKEN, file, value=fault)
            if number is not None:
                rows.setdefault(number, _LEFT_OUT)
            continue
        if str(number) in texts:
            findings.fault(IMAGE_ID_TWICE, file, value=f"image id {number}, the second time for {name}")
            continue
        texts.add(str(number))
        path = finder.find(name, file)
        place = path or (finder.dirs[0] / name if finder.dirs else Path(name))
        if path is None and need_images:
            findings.fault(PICTURE_MISSING, file, value=name, remedy=looked)
        elif not is_writable(str(place)):
            findings.fault(PICTURE_NAME, file, value=str(place), image=path)
        else:
            rows[number] = len(split.images)
            split.images.append(RawImage(number, place, (as_side(image.get("height")), as_side(image.get("width"))), file))
            continue
        rows[number] = _LEFT_OUT
    return rows


def _read_boxes(file: Path, content: dict[str, Any], names: dict[int, str], rows: dict[Any, int], split: RawSplit, findings: Findings) -> None:
    seen: set[Any] = set()
    homeless = 0
    listed = ", ".join(f"{number} {name}" for number, name in list(names.items())[:8]) or "none"
    add_them = f"listed are {listed}{' ...' if len(names) > 8 else ''}; {CATEGORY_UNKNOWN.remedy}"
    for row, annotation in enumerate(content["annotations"]):
        if not isinstance(annotation, dict):
            findings.fault(ANNOTATION_BROKEN, file, f"#{row}", f"is {short(annotation)}")
            continue
        number = _annotation_id(annotation, row, seen, file, findings)
        image = _row_of(annotation.get("image_id"), rows, file, number, findings)
        if image is None:
            homeless += 1
            findings.add(ANNOTATION_ORPHAN, file, number, f"(image {short(annotation.get('image_id'))})")
            continue
        name = names.get(as_category_id(annotation.get("category_id")))  # type: ignore[arg-type]
        if image == _LEFT_OUT:
            continue
        if name is None:
            findings.fault(CATEGORY_UNKNOWN, file, number, f"has category_id {short(annotation.get('category_id'))}", add_them, image=split.images[image].path)
            continue
        xyxy = as_box(annotation.get("bbox"))
        if xyxy is None:
            xyxy = _box_without_bbox(annotation, file, number, split.images[image].path, findings)
        if xyxy is not None:
            split.boxes.append(RawBox(image, xyxy, name, as_flag(annotation.get("iscrowd")), False, as_area(annotation.get("area")), number))
    if homeless and homeless == len(content["annotations"]):
        _all_homeless(file, content, rows, findings)


def _annotation_id(annotation: dict[str, Any], row: int, seen: set[Any], file: Path, findings: Findings) -> int | str:
    """The id of an annotation; "#7" for the seventh in the file where it has none of its own."""
    number = as_id(annotation.get("id"))
    if number is None or number in seen:
        if number is not None:
            findings.add(ANNOTATION_ID_TWICE, file, number)
        return f"#{row}"
    seen.add(number)
    return number


def _row_of(image_id: Any, rows: dict[Any, int], file: Path, annotation: int | str, findings: Findings) -> int | None:
    """The row of an annotation's image; "12" is found as 12 and the reverse, where the file has not both."""
    number = as_id(image_id)
    if number is None or number in rows:
        return rows.get(number) if number is not None else None
    other: Any = str(number) if isinstance(number, int) else int(number) if number.strip().isdecimal() and len(number) < 20 else None
    if other is None or other not in rows:
        return None
    findings.add(ID_RETYPED, file, annotation, f"(image {image_id!r})")
    return rows[other]


def _box_without_bbox(annotation: dict[str, Any], file: Path, number: int | str, picture: Path, findings: Findings) -> tuple[float, float, float, float] | None:
    if not annotation.get("bbox"):
        xyxy = box_of_polygons(annotation.get("segmentation"))
        if xyxy is not None:
            findings.add(BOX_OF_POLYGON, file, number, image=picture, box=xyxy)
            return xyxy
    findings.add(BOX_UNUSABLE, file, number, f"(bbox {short(annotation.get('bbox'))})", image=picture)
    return None


def _all_homeless(file: Path, content: dict[str, Any], rows: dict[Any, int], findings: Findings) -> None:
    """Say what image ids look like on both sides, when no annotation has found its image."""
    if not findings.lenient:
        findings.raise_faults()
        first = short(content["annotations"][0].get("image_id"))
        raise DataError(f"{file}: no annotation belongs to a listed image; the first is for image {first}, while the images have ids such as {short(next(iter(rows), None))}: make them agree")
