"""Damage to JSON that stays JSON, or nearly: what other tools and careless scripts write."""

from __future__ import annotations

import contextlib
import copy
import json
import random
import re
from collections.abc import Callable
from typing import Any

# values that json.dumps cannot write: a string RAW + text + RAW becomes the bare text
RAW = "\x02"
_RAW = re.compile(r'"\\u0002(.*?)\\u0002"')


def raw(text: str) -> str:
    """A placeholder that is written as ``text``."""
    return f"{RAW}{text}{RAW}"


NUMBERS: tuple[Any, ...] = (
    0, -1, 1, 0.5, -0.0, 1e-300, 1e300, 1e308, 2**31, 2**63, -(2**63), 2**64, 10**30, 4999999999, True, False, raw("1e400"), raw("-1e400"), raw("NaN"), raw("Infinity"),
    raw("-Infinity"), raw("9" * 400), raw("9" * 5000), raw("0x10"), raw("1."), raw("01"),
)
TEXTS: tuple[Any, ...] = (
    "", " ", "0", "1", "5", "1.0", "-1", "--1", "-", "1_0", "\u0663", "1" * 30, "cat", "\x00", "a\nb", "\x1b[31mred", "\ud800", "\udcff", "é", "e\u0301", "\u202eabc", "x" * 300,
    "x" * 70000, "null", "NaN", "{}", "%s%n", "../..", raw(r'"\ud83d"'), raw(r'"\u0000"'),
)
OTHERS: tuple[Any, ...] = (None, [], {}, [[]], [None], {"a": 1}, [1, 2], {"id": 1}, raw("[" * 50 + "]" * 50), raw("[" * 100000 + "]" * 100000), raw('{"a":' * 2000 + "1" + "}" * 2000))
FILE_NAMES: tuple[Any, ...] = (
    "", " ", ".", "..", "/", "//", "~", "~root/a.png", "/etc/passwd", "/dev/zero", "/dev/stdin", "../../../../../../etc/hostname", "images", "train2017", "train2017/",
    "a\x00.png", "t1.png\x00.jpg", "t1.png/", "t1.png/x", "./t1.png", "../train/t1.png", "x" * 256 + ".png", "x" * 5000, "x/" * 3000 + "t1.png", "C:\\data\\t1.png",
    "\\\\server\\share\\t1.png", "sub\\t1.png", "T1.PNG", "t1", "t1.jpg", " t1.png", "t1.png ", "t\u00e9.png", "te\u0301.png", "\ud800.png", "\udcfft1.png", "\u202e.png",
    "a\nb.png", "\x1b[2J.png", "http://host/t1.png", "file:///t1.png", "data:image/png;base64,xxxx", "%74%31.png", "t1.png?x=1", "*", "t?.png", "[t]1.png", "con", "nul.png",
)


def dump(content: Any) -> bytes:
    """JSON text with the placeholders filled in; single surrogates stay escaped."""
    return _RAW.sub(lambda found: found[1].replace('\\"', '"').replace("\\\\", "\\"), json.dumps(content)).encode()


def _walk(node: Any) -> list[tuple[Any, Any]]:
    """Every place below ``node``, as container and key."""
    places: list[tuple[Any, Any]] = []
    stack = [node]
    while stack:
        container = stack.pop()
        pairs: list[tuple[Any, Any]] = list(container.items()) if isinstance(container, dict) else list(enumerate(container))
        for key, value in pairs:
            places.append((container, key))
            if isinstance(value, dict | list):
                stack.append(value)
    return places


def _keyed(content: Any, *keys: str) -> list[dict[str, Any]]:
    """Objects that have one of the keys."""
    return [container for container, key in _walk(content) if isinstance(container, dict) and key in keys]


def _pick(rng: random.Random, content: Any) -> tuple[Any, Any] | None:
    places = _walk(content)
    return rng.choice(places) if places else None


def _value(rng: random.Random) -> Any:
    return copy.deepcopy(rng.choice(rng.choice((NUMBERS, TEXTS, OTHERS))))


def _other_value(rng: random.Random, content: Any) -> Any:
    for _ in range(rng.choice((1, 1, 1, 3, 10))):
        if place := _pick(rng, content):
            place[0][place[1]] = _value(rng)
    return content


def _other_number(rng: random.Random, content: Any) -> Any:
    places = [(c, k) for c, k in _walk(content) if isinstance(c[k], int | float)]
    for container, key in rng.sample(places, min(len(places), rng.choice((1, 1, 2, 8)))):
        container[key] = rng.choice(NUMBERS)
    return content


def _set_key(*keys: str) -> Callable[[random.Random, Any], Any]:
    def apply(rng: random.Random, content: Any) -> Any:
        objects = _keyed(content, *keys)
        for container in rng.sample(objects, min(len(objects), rng.choice((1, 1, 2, 100)))):
            container[rng.choice([key for key in keys if key in container])] = _value(rng)
        return content

    return apply


def _file_name(rng: random.Random, content: Any) -> Any:
    objects = _keyed(content, "file_name")
    for container in rng.sample(objects, min(len(objects), rng.choice((1, 1, 2)))):
        container["file_name"] = rng.choice(FILE_NAMES)
    return content


def _boxes(rng: random.Random, content: Any) -> Any:
    objects = _keyed(content, "bbox")
    for container in rng.sample(objects, min(len(objects), rng.choice((1, 1, 3, 100)))):
        box = [rng.choice((*NUMBERS, 5, 10, 20)) for _ in range(rng.choice((4, 4, 4, 4, 0, 3, 5)))]
        container["bbox"] = rng.choice((box, box, box, {"x": 1, "y": 2}, "1 2 3 4", ["1", "2", "3", "4"], [[1, 2, 3, 4]], [1, 2, None, 4]))
    return content


def _remove(rng: random.Random, content: Any) -> Any:
    for _ in range(rng.choice((1, 1, 2, 6))):
        if place := _pick(rng, content):
            del place[0][place[1]]
    return content


def _remove_everywhere(rng: random.Random, content: Any) -> Any:
    keys = sorted({key for container, key in _walk(content) if isinstance(container, dict)})
    if keys:
        doomed = rng.choice(keys)
        for container, key in _walk(content):
            if isinstance(container, dict) and key == doomed:
                container.pop(key, None)
    return content


def _repeat(rng: random.Random, content: Any) -> Any:
    lists = [container for container, _ in _walk(content) if isinstance(container, list) and container]
    if lists:
        chosen = rng.choice(lists)
        chosen.extend(json.loads(json.dumps([rng.choice(chosen)])) * rng.choice((1, 1, 2, 200)))
    return content


def _swap(rng: random.Random, content: Any) -> Any:
    one, two = _pick(rng, content), _pick(rng, content)
    if one and two:
        one[0][one[1]], two[0][two[1]] = json.loads(json.dumps(two[0][two[1]])), json.loads(json.dumps(one[0][one[1]]))
    return content


def _rename_key(rng: random.Random, content: Any) -> Any:
    objects = [container for container, _ in _walk(content) if isinstance(container, dict) and container]
    if objects:
        container = rng.choice(objects)
        key = rng.choice(list(container))
        container[rng.choice((key.upper(), key + "s", "", " " + key, "id", "\ud800", "__proto__", "name"))] = container.pop(key)
    return content


def _retype(rng: random.Random, content: Any) -> Any:
    """All values of one key as text or floating point, as tables and other languages write them."""
    keys = sorted({key for container, key in _walk(content) if isinstance(container, dict) and isinstance(container[key], int | float)})
    if keys:
        key, kind = rng.choice(keys), rng.choice((str, float, lambda value: [value], lambda value: f"{value} ", bool, lambda value: -value))
        for container in _keyed(content, key):
            if isinstance(container.get(key), int | float):
                with contextlib.suppress(OverflowError):  # an earlier damage wrote a number that no float holds
                    container[key] = kind(container[key])
    return content


def _wrap(rng: random.Random, content: Any) -> Any:
    return rng.choice(([content], {"data": content}, [content, content], {"coco": [content]}, {"images": content}, content.get("images") if isinstance(content, dict) else content))


TREE_DAMAGE: dict[str, Callable[[random.Random, Any], Any]] = {
    "json: other value": _other_value,
    "json: other number": _other_number,
    "json: ids": _set_key("id", "image_id", "category_id"),
    "json: names": _set_key("name", "supercategory"),
    "json: sizes and flags": _set_key("width", "height", "area", "iscrowd", "segmentation", "score"),
    "json: parts": _set_key("images", "annotations", "categories"),
    "json: file names": _file_name,
    "json: bbox": _boxes,
    "json: removed": _remove,
    "json: key removed everywhere": _remove_everywhere,
    "json: repeated": _repeat,
    "json: swapped": _swap,
    "json: key renamed": _rename_key,
    "json: retyped": _retype,
    "json: wrapped": _wrap,
}


def _tree(change: Callable[[random.Random, Any], Any]) -> Callable[[random.Random, bytes], bytes]:
    def apply(rng: random.Random, content: bytes) -> bytes:
        try:
            tree = json.loads(content)
        except (ValueError, RecursionError):  # damaged before
            return content
        return dump(change(rng, tree)) if isinstance(tree, dict | list) else content

    return apply


def _text(rng: random.Random, content: bytes) -> bytes:
    """Slips of the pen: duplicate keys, commas, quotes, comments."""
    pairs = [found.span() for found in re.finditer(rb'"[a-z_]+": [^,\[\]{}]+', content)]
    if not pairs:
        return content
    start, end = rng.choice(pairs)
    key, _, value = content[start:end].partition(b": ")
    change = rng.choice((
        b"%k: 7, %k: %v", b"%k: %v, %k: null", b"%k: %v,,", b"%k: %v, %k: %v, %k: [%v]", b"%k %v", b"'k': %v", b"%k: %v /* x */", b"%k: %v // x\n", b"%k: +%v", b"%k: NaN",
        b"%k: None", b"%k: {%v}", b"%k: %v: %v",
    ))
    return content[:start] + change.replace(b"%k", key).replace(b"%v", value) + content[end:]


DAMAGE: dict[str, Callable[[random.Random, bytes], bytes]] = {**{name: _tree(change) for name, change in TREE_DAMAGE.items()}, "json: slips": _text}
