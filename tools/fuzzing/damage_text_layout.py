"""Damage to the tree of a data set of scene text: formats mixed in a folder, folders missing, renamed or mixed, files of the same picture."""

from __future__ import annotations

import random
from collections.abc import Callable

from fuzzing.damage_layout import DAMAGE, Plan
from fuzzing.templates import coco_json, voc_xml
from fuzzing.text_templates import ctw_txt, ctw_xml, icdar_txt, synthtext_mat, totaltext_mat, totaltext_txt


def _folders(plan: Plan) -> list[str]:
    return sorted({path.rpartition("/")[0] for path in plan.files})


def _mixed(rng: random.Random, plan: Plan) -> None:
    """Files of another format in the same folder, instead of some or beside them."""
    others = (
        (".txt", totaltext_txt()), (".txt", ctw_txt()), (".txt", icdar_txt("quad")), (".txt", icdar_txt("blanks")), (".txt", icdar_txt("script")), (".xml", ctw_xml("x.jpg")),
        (".mat", totaltext_mat()), (".xml", voc_xml("img_1.png")), (".txt", b"0 0.5 0.5 0.25 0.25\n"), (".txt", b"img_1\nimg_2\n"), (".json", coco_json(("img_1.png",))),
        (".csv", b"a,b\n"), (".txt", b""),
    )  # fmt: skip
    suffix, content = rng.choice(others)
    for path in rng.sample(sorted(plan.files), min(len(plan.files), rng.choice((1, 2, 100)))):
        if rng.random() < 0.5:
            plan.files.pop(path)
        plan.files[path.rpartition(".")[0] + suffix] = content


def _second_set(rng: random.Random, plan: Plan) -> None:
    """Another data set in the same tree."""
    folder = rng.choice((*_folders(plan), "other", "train", "annotations", "copy")) if plan.files else "other"
    place = f"{folder}/" if folder else ""
    plan.files |= rng.choice((
        {f"{place}gt.mat": synthtext_mat()}, {f"{place}_annotations.coco.json": coco_json(("img_1.png", "img_2.png"))},
        {f"{place}{stem}.xml": voc_xml(f"{stem}.png") for stem in ("img_1", "img_2")}, {f"{place}poly_gt_img_{n}.txt": totaltext_txt() for n in range(1, 9)},
        {f"{place}gt_img_{n}.txt": icdar_txt("commas") for n in range(1, 9)}, {f"{place}{n}.txt": ctw_txt() for n in range(1, 9)},
    ))  # fmt: skip


def _same_picture(rng: random.Random, plan: Plan) -> None:
    """Two files of words for one picture, two pictures for one file, or a second file of characters."""
    if rng.random() < 0.5 and plan.files:
        path = rng.choice(sorted(plan.files))
        folder, _, name = path.rpartition("/")
        for head in ("gt_", "poly_gt_", "res_"):
            name = name.removeprefix(head)
        new = rng.choice((name, f"gt_{name}", f"poly_gt_{name}", f"{name.rpartition('.')[0]}.jpg.txt", f"chars_{name.rpartition('.')[0]}.json", f"{name.rpartition('.')[0]}_GT.txt"))
        plan.files[f"{folder}/{new}".lstrip("/")] = plan.files[path]
    elif plan.pictures:
        path = rng.choice(sorted(plan.pictures))
        plan.pictures[path.rpartition(".")[0] + rng.choice((".jpg", ".PNG", ".tif", ".jpg.jpg"))] = plan.pictures[path]


def _split_names(rng: random.Random, plan: Plan) -> None:
    """A folder is called after another split, after two, or after none; two folders become one."""
    folders = sorted({path.rpartition("/")[0] for path in [*plan.files, *plan.pictures]})
    if not folders:
        return
    old = rng.choice(folders)
    new = rng.choice((*folders, "train", "test", "training_test", "val", "data", "a/train/test", "TRAIN GTS", "gt", "deep/er/than/four/levels", "1", "x" * 200, "train\n", "\udcff_train"))
    for path in [*plan.files, *plan.pictures]:
        if path.rpartition("/")[0] == old:
            plan.move(path, f"{new}/{path.rpartition('/')[2]}")


def _numbers(rng: random.Random, plan: Plan) -> None:
    """Names of files that lose or gain zeros, heads or tails."""
    change = rng.choice((
        lambda stem: f"0{stem}", lambda stem: stem.replace("img_", ""), lambda stem: stem.replace("img_", "0000"), lambda stem: stem.removeprefix("gt_"), lambda stem: f"{stem}_gt",
        lambda stem: f"GT_{stem}", lambda stem: stem.upper(), lambda stem: f"gt_gt_{stem}", lambda stem: f"{stem} ", lambda stem: stem.replace("1", "٣"),
        lambda stem: f"{'9' * 120}{stem}", lambda stem: "0", lambda stem: "gt_",
    ))  # fmt: skip
    for path in list(plan.files):
        folder, _, name = path.rpartition("/")
        stem, _, suffix = name.rpartition(".")
        plan.move(path, f"{folder}/{change(stem)}.{suffix}".lstrip("/"))


TEXT_DAMAGE: dict[str, Callable[[random.Random, Plan], None]] = {
    **DAMAGE,
    "layout: mixed formats": _mixed,
    "layout: second set": _second_set,
    "layout: same picture": _same_picture,
    "layout: split names": _split_names,
    "layout: numbers in names": _numbers,
}
