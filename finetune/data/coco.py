"""Reader of COCO detection JSON (https://cocodataset.org/#format-data), one file or several."""

from __future__ import annotations

import json
import math
from pathlib import Path, PureWindowsPath
from typing import Any

from backbones.errors import DataError
from finetune.data.findings import Findings, name_some
from finetune.data.kinds import ANNOTATION_ORPHAN, BOX_UNUSABLE
from finetune.data.raw import RawBox, RawImage, RawSplit


def read_coco(file: Path, image_dirs: tuple[Path, ...], findings: Findings, *, need_images: bool = True) -> RawSplit:
    """Read one COCO annotation file.

    Args:
        file: The JSON file.
        image_dirs: Folders in which ``file_name`` is looked for, in this order.
        findings: Gets what was dropped, with file and annotation id.
        need_images: Missing pictures are an error.

    Returns:
        Images in file order; boxes x, y, w, h turned to x1, y1, x2, y2 in pixel-edge coordinates.

    Raises:
        DataError: The file is no COCO JSON, names unknown categories or missing pictures.
    """
    content = load_coco_json(file)
    split = RawSplit()
    names = _read_categories(file, content, split)
    rows = _read_images(file, content, image_dirs, split, need_images)
    _read_boxes(file, content, names, rows, split, findings)
    return split


def load_coco_json(file: Path) -> dict[str, Any]:
    """Return the parsed file, with ``images``, ``annotations`` and ``categories`` present as lists; raise DataError otherwise."""
    try:
        content = json.loads(file.read_bytes())
    except OSError as error:
        raise DataError(f"{file}: cannot be read ({error.strerror or error})") from error
    except (ValueError, RecursionError) as error:
        raise DataError(f"{file}: not a JSON file ({error}); export the annotations again") from error
    if not isinstance(content, dict):
        raise DataError(f"{file}: a COCO annotation file is a JSON object with images, annotations and categories; this one is a {type(content).__name__}")
    for key in ("images", "annotations", "categories"):
        if not isinstance(content.get(key), list):
            kind = "has no" if key not in content else "has no list of"
            raise DataError(f"{file}: {kind} {key!r}; a COCO annotation file needs images, annotations and categories (found: {', '.join(map(repr, list(content)[:8])) or 'nothing'})")
    return content


def _read_categories(file: Path, content: dict[str, Any], split: RawSplit) -> dict[Any, str]:
    names: dict[Any, str] = {}
    for row, category in enumerate(content["categories"]):
        if not isinstance(category, dict) or not _is_id(category.get("id")) or not str(category.get("name") or "").strip():
            raise DataError(f"{file}: category {row} needs an integer id and a name, but is {_short(category)}")
        number, name = category["id"], str(category["name"]).strip()
        if names.get(number, name) != name:
            raise DataError(f"{file}: category id {number} is used twice, for {names[number]!r} and {name!r}; give every category its own id")
        names[number] = name
        split.categories[name] = min(number, split.categories.get(name, number))
    parents = {str(c.get("supercategory")).strip() for c in content["categories"] if isinstance(c, dict) and c.get("supercategory")}
    used = {a.get("category_id") for a in content["annotations"] if isinstance(a, dict) and _is_id(a.get("category_id"))}
    # Roboflow writes the name of the project as category 0, parent of all the others and never annotated
    split.placeholders = {name for number, name in names.items() if number == 0 and number not in used and len(names) > 1 and name in parents}
    return names


def _read_images(file: Path, content: dict[str, Any], image_dirs: tuple[Path, ...], split: RawSplit, need_images: bool) -> dict[Any, int]:
    rows: dict[Any, int] = {}
    missing: list[str] = []
    finder = _Finder(image_dirs)
    for row, image in enumerate(content["images"]):
        if not isinstance(image, dict) or not isinstance(image.get("id"), int | str) or isinstance(image.get("id"), bool):
            raise DataError(f"{file}: image {row} needs an id, but is {_short(image)}")
        if not isinstance(image.get("file_name"), str) or not image["file_name"]:
            raise DataError(f"{file}: image id {image['id']} has no file_name")
        if image["id"] in rows:
            raise DataError(f"{file}: image id {image['id']} is used twice, the second time for {image['file_name']}; give every image its own id")
        path = finder.find(image["file_name"])
        if path is None:
            missing.append(image["file_name"])
            path = image_dirs[0] / image["file_name"] if image_dirs else Path(image["file_name"])
        rows[image["id"]] = len(split.images)
        split.images.append(RawImage(image["id"], path, (_side(image.get("height")), _side(image.get("width"))), file))
    if missing and need_images:
        looked = ", ".join(map(str, image_dirs))
        raise DataError(
            f"{len(missing)} of {len(rows)} images named in {file} are missing: {name_some(missing)}; "
            f"looked in {looked}; put them there, or set data.images to their folder"
        )
    return rows


def _read_boxes(file: Path, content: dict[str, Any], names: dict[Any, str], rows: dict[Any, int], split: RawSplit, findings: Findings) -> None:
    unknown: list[str] = []
    seen: set[Any] = set()
    homeless = 0
    for row, annotation in enumerate(content["annotations"]):
        if not isinstance(annotation, dict):
            raise DataError(f"{file}: annotation {row} is not an object but {_short(annotation)}")
        number = annotation.get("id")
        if not isinstance(number, int | str) or number in seen:
            number = f"#{row}"  # no id, or one that is used twice: the place in the file instead
        seen.add(number)
        category, image = annotation.get("category_id"), annotation.get("image_id")
        if not isinstance(image, int | str) or image not in rows:
            homeless += 1
            findings.add(ANNOTATION_ORPHAN, file, number, f"(image {image})")
            continue
        if not _is_id(category) or category not in names:
            unknown.append(f"annotation {number} has category_id {_short(category)}")
            continue
        xyxy = _xyxy(annotation.get("bbox"))
        if xyxy is None:
            findings.add(BOX_UNUSABLE, file, number, f"(bbox {_short(annotation.get('bbox'))})", image=split.images[rows[image]].path)
            continue
        area = annotation.get("area")
        has_area = isinstance(area, int | float) and not isinstance(area, bool) and math.isfinite(area) and area >= 0
        split.boxes.append(RawBox(rows[image], xyxy, names[category], bool(annotation.get("iscrowd")), False, float(area) if has_area else None, number))  # type: ignore[arg-type]
    if unknown:
        known = ", ".join(f"{number} {name}" for number, name in list(names.items())[:8])
        raise DataError(
            f"{file}: {len(unknown)} annotations have a category that the file does not list: {name_some(unknown)}; "
            f"listed are {known}{' ...' if len(names) > 8 else ''}; add the category, or take the annotations out"
        )
    if homeless and homeless == len(content["annotations"]):
        raise DataError(
            f"{file}: no annotation belongs to a listed image; the first is for image {_short(content['annotations'][0].get('image_id'))}, "
            f"while the images have ids such as {_short(next(iter(rows), None))}: make types and numbers agree"
        )


class _Finder:
    """Finds pictures in a list of folders; remembers which folder had the last one."""

    def __init__(self, image_dirs: tuple[Path, ...]) -> None:
        self._dirs = list(image_dirs)

    def find(self, file_name: str) -> Path | None:
        names = list(dict.fromkeys((file_name, PureWindowsPath(file_name).as_posix(), PureWindowsPath(file_name).name)))
        for name in names:
            for folder in self._dirs:
                path = folder / name
                if path.is_file():
                    self._dirs.remove(folder)
                    self._dirs.insert(0, folder)
                    return path
        return None


def _xyxy(value: Any) -> tuple[float, float, float, float] | None:
    if not isinstance(value, list | tuple) or len(value) != 4:
        return None
    if not all(isinstance(v, int | float) and not isinstance(v, bool) and math.isfinite(v) for v in value):
        return None
    x, y, w, h = map(float, value)
    return x, y, x + w, y + h


def _is_id(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _side(value: Any) -> int:
    return int(value) if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value) and value > 0 else 0


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
