"""Random ground truths and submissions of scene text, as zips in the official format."""

from __future__ import annotations

import zipfile

import numpy as np


def write_zip(path, files):
    """A zip of name -> text or bytes."""
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


def clockwise(quad):
    """The quad, in the other direction where official scripts would refuse it."""
    following = np.roll(quad, -1, axis=0)
    turn = ((following[:, 0] - quad[:, 0]) * (following[:, 1] + quad[:, 1])).sum()
    return quad[::-1] if turn > 0 else quad


def random_quad(random, size):
    """A quad of whole pixels: upright, turned, any four points (crossing, concave), or without area."""
    kind = random.integers(0, 6)
    centre = random.uniform(0, size, 2)
    half = random.uniform(2, size / 4, 2)
    upright = centre + half * np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]])
    if kind == 0:
        quad = upright
    elif kind <= 2:
        angle = random.uniform(-np.pi, np.pi)
        turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        quad = (upright - centre) @ turn.T + centre
    elif kind == 3:
        quad = random.uniform(-5, size + 5, (4, 2))
    elif kind == 4:
        quad = upright + random.normal(0, size / 20, (4, 2))
    else:
        quad = np.repeat(upright[:2], 2, axis=0)
    return clockwise(np.trunc(quad).astype(int))


def near(random, quad, size):
    """A detection that may or may not match the quad."""
    if random.random() < 0.3:
        return random_quad(random, size)
    shift = random.normal(0, random.choice([1.0, 3.0, 8.0]), quad.shape)
    return clockwise(np.trunc(quad + (shift if random.random() < 0.5 else shift[:1])).astype(int))


def random_quads(random, folder, images=12, size=60, confidences=False):
    """Truth and submission of quads: ``###`` words, empty and missing files, duplicates, many detections of one word."""
    truth, results = {}, {}
    for number in range(1, images + 1):
        quads = [random_quad(random, size) for _ in range(random.integers(0, 7))]
        texts = [str(random.choice(["###", "word", "a,b", '"###"', "#", " ###"])) for _ in quads]
        truth[f"gt_img_{number}.txt"] = "\r\n".join(f"{','.join(map(str, quad.ravel()))},{text}" for quad, text in zip(quads, texts, strict=True))
        if random.random() < 0.1:
            continue
        found = [near(random, quads[k], size) for k in random.integers(0, len(quads), random.integers(0, 9))] if quads else []
        found += [random_quad(random, size) for _ in range(random.integers(0, 3))]
        scores = [f",{score:.3f}" for score in random.permutation(len(found)) / 100 + 0.1] if confidences else [""] * len(found)
        results[f"res_img_{number}.txt"] = "".join(",".join(map(str, quad.ravel())) + score + "\n" for quad, score in zip(found, scores, strict=True))
    return write_zip(folder / "gt.zip", truth), write_zip(folder / "submit.zip", results)


def random_rectangles(random, folder, images=12, size=60):
    """Truth and submission of upright rectangles: words split into parts, several words in one rectangle, near copies, ``###``."""
    truth, results = {}, {}

    def rectangle():
        left, top = random.integers(0, size, 2)
        width, height = random.integers(0, size // 2, 2)
        return [left, top, left + width, top + height]

    for number in range(1, images + 1):
        words = [rectangle() for _ in range(random.integers(0, 7))]
        texts = [str(random.choice(["###", "word", "a, b", '"###"'], p=[0.15, 0.45, 0.2, 0.2])) for _ in words]
        truth[f"gt_img_{number}.txt"] = "\n".join(f"{', '.join(map(str, word))}, {text}" for word, text in zip(words, texts, strict=True))
        found = []
        for left, top, right, bottom in words:
            kind = random.integers(0, 5)
            if kind == 0:  # split
                middle = int(random.integers(left, right + 1))
                found += [[left, top, middle, bottom], [min(middle + 1, right), top, right, bottom]]
            elif kind <= 2:
                jitter = random.integers(-2, 3, 4)
                a, b = left + jitter[0], top + jitter[1]
                found.append([a, b, max(a, right + jitter[2], 0), max(b, bottom + jitter[3], 0)])
        if len(words) > 1 and random.random() < 0.5:  # merged
            pair = np.array([words[0], words[1]])
            found.append([*pair[:, :2].min(axis=0), *pair[:, 2:].max(axis=0)])
        found += [rectangle() for _ in range(random.integers(0, 3))]
        if random.random() > 0.1:
            results[f"res_img_{number}.txt"] = "\n".join(",".join(map(str, found[k])) for k in random.permutation(len(found)))
    return write_zip(folder / "gt.zip", truth), write_zip(folder / "submit.zip", results)
