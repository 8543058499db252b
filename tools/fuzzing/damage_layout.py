"""Damage to the tree of files: what zips, other systems and hasty hands make of it. Damage takes and returns a plan, nothing is on disk yet."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass
class Plan:
    """What will be written below the root of a case.

    Args:
        files: Path to content.
        pictures: Path to path of the picture in the template's store; the store is never written to.
        folders: Empty folders.
        links: Path to the target of a symbolic link.
        pipes: Named pipes, which block whoever opens them.
    """

    files: dict[str, bytes]
    pictures: dict[str, str]
    folders: list[str] = field(default_factory=list)
    links: dict[str, str] = field(default_factory=dict)
    pipes: list[str] = field(default_factory=list)

    def move(self, old: str, new: str) -> None:
        """Rename one file or picture."""
        for part in (self.files, self.pictures):
            if old in part:
                part[new] = part.pop(old)  # type: ignore[assignment]


def _some_file(rng: random.Random, plan: Plan) -> str | None:
    return rng.choice(sorted(plan.files)) if plan.files else None


def _anything(rng: random.Random, plan: Plan) -> str | None:
    return rng.choice(names) if (names := sorted([*plan.files, *plan.pictures])) else None


def _folder_of(path: str) -> str:
    return path.rpartition("/")[0]


def _join(folder: str, name: str) -> str:
    return f"{folder}/{name}" if folder else name


def _macos(rng: random.Random, plan: Plan) -> None:
    """A zip made on a Mac."""
    for path in list(plan.files) + list(plan.pictures):
        folder, _, name = path.rpartition("/")
        plan.files[_join("__MACOSX/" + folder, "._" + name) if rng.random() < 0.5 else _join(folder, "._" + name)] = b"\0\5\26\7\0\2\0\0Mac OS X        \0\2" + b"\0" * 20


def _hidden(rng: random.Random, plan: Plan) -> None:
    for path in list(plan.files):
        folder, _, name = path.rpartition("/")
        plan.files[_join(folder, rng.choice((
            ".DS_Store", "Thumbs.db", ".ipynb_checkpoints/" + name, "desktop.ini", f"{name}~", f".{name}.swp", "README.roboflow.txt", f"copy of {name}", f"{name}.bak",
        )))] = rng.choice((plan.files[path], b"", b"x"))


def _remove(rng: random.Random, plan: Plan) -> None:
    for _ in range(rng.choice((1, 1, 2, 4))):
        if path := _anything(rng, plan):
            plan.files.pop(path, None)
            plan.pictures.pop(path, None)


def _rename(rng: random.Random, plan: Plan) -> None:
    if path := _anything(rng, plan):
        folder, _, name = path.rpartition("/")
        stem, dot, suffix = name.rpartition(".")
        new = rng.choice((
            name.upper(), stem + dot + suffix.upper(), "x" + name, name + " ", stem, f"{stem}.{suffix}.{suffix}", "é" + name, "e\u0301" + name, "a\nb" + name, "\x1b[31m" + name,
            "\udcff" + name, f"train{name}", f"val_{name}", f"train_val.{suffix}", "." + name, f"{stem} (1).{suffix}", "-" + name,
        ))
        plan.move(path, _join(folder, new))


def _move(rng: random.Random, plan: Plan) -> None:
    """All pictures, or all annotations, in another folder."""
    part = rng.choice((list(plan.files), list(plan.pictures)))
    new = rng.choice(("", "images", "Images", "JPEGImages", "data", "train", "val", "annotations", "deep/er/", "mein Ordner", "img\u00e9s", "labels", "xml", "TRAIN", "x"))
    flat = rng.random() < 0.5
    for path in part:
        plan.move(path, _join(new.rstrip("/"), path.rpartition("/")[2] if flat else path))


def _copies(rng: random.Random, plan: Plan) -> None:
    """The same file under a second name, or a second data set inside."""
    if rng.random() < 0.5 and (path := _some_file(rng, plan)):
        folder, _, name = path.rpartition("/")
        plan.files[_join(folder, rng.choice(("train.json", "val.json", "instances_train.json", "x.json", "x.xml", "train.txt", "2" + name)))] = plan.files[path]
        return
    inside = rng.choice(("copy", "train", "VOC2012", "annotations", "data"))
    plan.files |= {f"{inside}/{path}": content for path, content in plan.files.items()}
    if rng.random() < 0.5:
        plan.pictures |= {f"{inside}/{path}": stored for path, stored in plan.pictures.items()}


def _folders(rng: random.Random, plan: Plan) -> None:
    """A folder where a file should be, and empty folders with telling names."""
    if rng.random() < 0.5 and (path := _anything(rng, plan)):
        plan.files.pop(path, None)
        plan.pictures.pop(path, None)
        plan.folders.append(path)
    plan.folders += rng.sample((
        "train", "val", "test", "annotations", "Annotations", "ImageSets/Main", "ImageSets", "JPEGImages", "images", "VOC2007", "VOCdevkit", "labels", "x.json", "y.xml",
        "train.json", "_annotations.coco.json",
    ), 3)


def _swap(rng: random.Random, plan: Plan) -> None:
    """Two files changed places."""
    names = sorted(plan.files)
    if len(names) > 1:
        one, two = rng.sample(names, 2)
        plan.files[one], plan.files[two] = plan.files[two], plan.files[one]


def _links(rng: random.Random, plan: Plan) -> None:
    if path := _anything(rng, plan):
        name = path.rpartition("/")[2]
        plan.files.pop(path, None)
        plan.pictures.pop(path, None)
        plan.links[path] = rng.choice((name, "nowhere", "/dev/null", "..", ".", "/"))
        if rng.random() < 0.2:
            plan.links.pop(path)
            plan.pipes.append(path)
    if rng.random() < 0.3:
        plan.links["loop"] = "."


def _picture_content(rng: random.Random, plan: Plan) -> None:
    """Pictures that are none."""
    if plan.pictures:
        path = rng.choice(sorted(plan.pictures))
        plan.pictures.pop(path)
        plan.files[path] = rng.choice((b"", b"GIF89a", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff\xe0", b"<html>", b"\0" * 100, b"\xff\xd8\xff\xd9", b"BM" + b"\xff" * 60))


def _unpack(rng: random.Random, plan: Plan) -> None:
    """One folder more, or several levels."""
    prefix = rng.choice(("My Project.v1i.coco/", "a/b/", "a/b/c/d/", "é/", "train/", " /"))
    plan.files = {prefix + path: content for path, content in plan.files.items()}
    plan.pictures = {prefix + path: stored for path, stored in plan.pictures.items()}


DAMAGE: dict[str, Callable[[random.Random, Plan], None]] = {
    "layout: macOS zip": _macos,
    "layout: hidden and stray files": _hidden,
    "layout: removed": _remove,
    "layout: renamed": _rename,
    "layout: moved": _move,
    "layout: copies": _copies,
    "layout: folders": _folders,
    "layout: swapped": _swap,
    "layout: links": _links,
    "layout: no pictures": _picture_content,
    "layout: unpacked": _unpack,
}
