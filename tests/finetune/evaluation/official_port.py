"""The official ICDAR scorers, written anew from their published rules, one pair at a time: an independent reference for tests and timing.

Nothing of the package is used here. Polygons are intersected by the even-odd rule with exact fractions (or by the official
scripts' own library, where the caller has it and passes its functions); areas are taken from the corners alone, as that library does.
"""

from __future__ import annotations

import re
import zipfile
from fractions import Fraction
from itertools import pairwise

INT = r"\s*(-?[0-9]+)\s*"
POSITIVE = r"\s*([0-9]+)\s*"
QUAD = ",".join([INT] * 8)
RECTANGLE = ",".join([INT, INT, POSITIVE, POSITIVE])


class RefusedError(Exception):
    """The official script would not score this."""


# files


def load_zip(path, pattern, all_entries=False):
    found = {}
    with zipfile.ZipFile(path) as archive:
        for name in archive.namelist():
            matched = re.match(pattern, name)
            if matched:
                found[matched.group(1)] = archive.read(name)
            elif all_entries:
                raise RefusedError(f"entry {name}")
    return found


def read_line(line, rectangles, text, confidence):
    end = r"\s*([0-1].?[0-9]*)\s*$" if confidence else r"(.*)$" if text else None
    points = RECTANGLE if rectangles else QUAD
    matched = re.match("^" + points + ("," + end if end else r",?\s*$" if rectangles else "$"), line)
    if matched is None:
        raise RefusedError(f"line {line!r}")
    count = 4 if rectangles else 8
    values = [float(matched.group(i + 1)) for i in range(count)]
    if rectangles:
        if values[2] < values[0] or values[3] < values[1]:
            raise RefusedError(f"order {line!r}")
    else:
        total = 0
        for i in range(4):
            x1, y1, x2, y2 = values[2 * i], values[2 * i + 1], values[(2 * i + 2) % 8], values[(2 * i + 3) % 8]
            total += (int(x2) - int(x1)) * (int(y2) + int(y1))
        if total > 0:
            raise RefusedError(f"direction {line!r}")
    rest = matched.group(count + 1) if end else ""
    if confidence:
        try:
            return values, "", float(rest)
        except ValueError:
            raise RefusedError(f"confidence {line!r}") from None
    quoted = re.match(r'^\s*"(.*)"\s*$', rest)
    return values, quoted.group(1).replace("\\\\", "\\").replace('\\"', '"') if quoted else rest, 0.0


def read_file(content, rectangles, text, confidence=False):
    lines = [line.replace("\r", "") for line in content.decode("utf-8-sig", "replace").split("\n")]
    rows = [read_line(line, rectangles, text, confidence) for line in lines if line]
    return sorted(rows, key=lambda row: -row[2]) if confidence else rows


def load_both(truth_path, results_path, rectangles, confidence=False):
    truth = load_zip(truth_path, "gt_img_([0-9]+).txt")
    results = load_zip(results_path, "res_img_([0-9]+).txt", all_entries=True)
    truth = {key: read_file(content, rectangles, text=True) for key, content in truth.items()}
    for key in results:
        if key not in truth:
            raise RefusedError(f"sample {key}")
    return truth, {key: read_file(content, rectangles, text=False, confidence=confidence) for key, content in results.items()}


# polygons


def corners(values, rectangles):
    if rectangles:
        left, top, right, bottom = (int(value) for value in values)
        return [(left, bottom), (left, top), (right, top), (right, bottom)]
    return [(int(values[i]), int(values[i + 1])) for i in range(0, 8, 2)]


def area(polygon):
    total = 0
    for (x1, y1), (x2, y2) in zip(polygon, polygon[1:] + polygon[:1], strict=True):
        total += x1 * y2 - x2 * y1
    return abs(total) / 2


def even_odd_intervals(polygon, y):
    """x intervals inside the polygon on the horizontal line at ``y``, which meets no corner."""
    cuts = []
    for (x1, y1), (x2, y2) in zip(polygon, polygon[1:] + polygon[:1], strict=True):
        if (y1 < y) != (y2 < y):
            cuts.append(x1 + Fraction(y - y1) * (x2 - x1) / (y2 - y1))
    cuts.sort()
    return list(zip(cuts[0::2], cuts[1::2], strict=True))


def crossing_heights(one, two):
    heights = set()
    for (ax, ay), (bx, by) in zip(one, one[1:] + one[:1], strict=True):
        for (cx, cy), (dx, dy) in zip(two, two[1:] + two[:1], strict=True):
            slope = (bx - ax) * (dy - cy) - (by - ay) * (dx - cx)
            if slope:
                along = Fraction((cx - ax) * (dy - cy) - (cy - ay) * (dx - cx), slope)
                if 0 <= along <= 1:
                    heights.add(ay + along * (by - ay))
    return heights


def exact_intersection(one, two):
    """The area that both cover by the even-odd rule, exactly."""
    heights = {y for _, y in one + two} | crossing_heights(one, two) | crossing_heights(one, one) | crossing_heights(two, two)
    levels = sorted(Fraction(height) for height in heights)
    total = Fraction(0)
    for low, high in pairwise(levels):
        middle = (low + high) / 2
        for a, b in even_odd_intervals(one, middle):
            for c, d in even_odd_intervals(two, middle):
                total += max(Fraction(0), min(b, d) - max(a, c)) * (high - low)
    return float(total)


# protocols


def harmonic(precision, recall):
    return 0 if precision + recall == 0 else 2 * precision * recall / (precision + recall)


def score_iou(truth_path, results_path, rectangles=False, confidence=False, intersection=exact_intersection):
    """Precision, recall, Hmean (and AP) of all images, and per image."""
    truth, results = load_both(truth_path, results_path, rectangles, confidence)
    matched_sum = truth_sum = found_sum = 0
    per_image, ranked = {}, []
    for key, words in truth.items():
        polygons = [corners(values, rectangles) for values, _, _ in words]
        ignored = [i for i, (_, text, _) in enumerate(words) if text == "###"]
        rows = results.get(key, [])
        found = [corners(values, rectangles) for values, _, _ in rows]
        found_ignored = []
        for j, polygon in enumerate(found):
            for i in ignored:
                size = area(polygon)
                if (0 if size == 0 else intersection(polygons[i], polygon) / size) > 0.5:
                    found_ignored.append(j)
                    break
        taken_truth, taken_found = set(), set()
        for i in range(len(polygons)):
            for j in range(len(found)):
                if i in taken_truth or j in taken_found or i in ignored or j in found_ignored:
                    continue
                common = intersection(found[j], polygons[i])
                union = area(found[j]) + area(polygons[i]) - common
                if union != 0 and common / union > 0.5:
                    taken_truth.add(i)
                    taken_found.add(j)
        truths, founds, matched = len(polygons) - len(ignored), len(found) - len(found_ignored), len(taken_truth)
        if truths == 0:
            recall, precision = 1.0, 0.0 if founds > 0 else 1.0
        else:
            recall, precision = matched / truths, 0 if founds == 0 else matched / founds
        per_image[key] = (precision, recall, harmonic(precision, recall))
        ranked += [(rows[j][2], j in taken_found) for j in range(len(found)) if j not in found_ignored]
        matched_sum, truth_sum, found_sum = matched_sum + matched, truth_sum + truths, found_sum + founds
    recall = 0 if truth_sum == 0 else matched_sum / truth_sum
    precision = 0 if found_sum == 0 else matched_sum / found_sum
    values = {"precision": precision, "recall": recall, "hmean": harmonic(precision, recall)}
    if confidence:
        values["AP"] = average_precision(ranked, truth_sum)
    return values, per_image


def average_precision(ranked, truths):
    total, correct = 0.0, 0
    for rank, (_, right) in enumerate(sorted(ranked, key=lambda entry: -entry[0]), 1):
        if right:
            correct += 1
            total += correct / rank
    return total / truths if truths else total


def common_area(a, b):
    width = min(a[2], b[2]) - max(a[0], b[0]) + 1
    height = min(a[3], b[3]) - max(a[1], b[1]) + 1
    return width * height if width >= 0 and height >= 0 else 0.0


def rectangle_area(a):
    return (a[2] - a[0] + 1) * (a[3] - a[1] + 1)


def centre_distance(a, b):
    ax, ay, bx, by = a[0] + (a[2] - a[0] + 1) / 2, a[1] + (a[3] - a[1] + 1) / 2, b[0] + (b[2] - b[0] + 1) / 2, b[1] + (b[3] - b[1] + 1) / 2
    diagonals = ((a[2] - a[0] + 1) ** 2 + (a[3] - a[1] + 1) ** 2) ** 0.5 + ((b[2] - b[0] + 1) ** 2 + (b[3] - b[1] + 1) ** 2) ** 0.5
    return 2 * ((ax - bx) ** 2 + (ay - by) ** 2) ** 0.5 / diagonals


def score_deteval(truth_path, results_path):
    """Precision, recall and Hmean of all images, and per image, by DetEval."""
    truth, results = load_both(truth_path, results_path, rectangles=True)
    sums = [0.0, 0.0, 0, 0]
    per_image = {}
    for key, words in truth.items():
        boxes = [values for values, _, _ in words]
        ignored = {i for i, (_, text, _) in enumerate(words) if text == "###"}
        found = [values for values, _, _ in results.get(key, [])]
        found_ignored = {j for j, box in enumerate(found) if any(common_area(boxes[i], box) / rectangle_area(box) > 0.4 for i in ignored)}
        precision = recall = hmean = 0
        recalled = precise = 0.0
        if key in results and not boxes:
            recall, precision = 1, 0 if found else 1
        if found:
            recalled, precise = match_deteval(boxes, found, ignored, found_ignored)
            truths, founds = len(boxes) - len(ignored), len(found) - len(found_ignored)
            if truths == 0:
                recall, precision = 1.0, 0.0
            else:
                recall, precision = recalled / truths, 0.0 if founds == 0 else precise / founds
            hmean = harmonic(precision, recall)
        per_image[key] = (precision, recall, hmean)
        for k, value in enumerate((recalled, precise, len(boxes) - len(ignored), len(found) - len(found_ignored))):
            sums[k] += value
    recall = 0 if sums[2] == 0 else sums[0] / sums[2]
    precision = 0 if sums[3] == 0 else sums[1] / sums[3]
    return {"precision": precision, "recall": recall, "hmean": harmonic(precision, recall)}, per_image


def match_deteval(boxes, found, ignored, found_ignored):
    recall = [[common_area(box, other) / rectangle_area(box) for other in found] for box in boxes]
    precision = [[common_area(box, other) / rectangle_area(other) for other in found] for box in boxes]
    rows, columns = range(len(boxes)), range(len(found))
    taken, taken_found = set(), set()
    recalled = precise = 0.0

    def good(i, j):
        return recall[i][j] >= 0.8 and precision[i][j] >= 0.4

    def touches(i):
        return sum(1 for j in columns if j not in found_ignored and recall[i][j] > 0)

    def touches_found(j):
        return sum(1 for i in rows if i not in ignored and recall[i][j] > 0)

    for i in rows:
        for j in columns:
            if i in taken or j in taken_found or i in ignored or j in found_ignored:
                continue
            single = good(i, j) and sum(good(i, k) for k in columns) == 1 and sum(good(k, j) for k in rows) == 1
            if single and touches(i) == 1 and touches_found(j) == 1 and centre_distance(boxes[i], found[j]) < 1:
                taken.add(i)
                taken_found.add(j)
                recalled, precise = recalled + 1, precise + 1
    for i in rows:
        if i in ignored or i in taken:
            continue
        parts = [j for j in columns if j not in taken_found and j not in found_ignored and precision[i][j] >= 0.4]
        total = 0.0
        for j in parts:
            total += recall[i][j]
        if round(total, 4) >= 0.8 and touches(i) >= 2:
            taken.add(i)
            taken_found.update(parts)
            recalled += 1 if len(parts) == 1 else 0.8
            precise += 1 if len(parts) == 1 else 0.8 * len(parts)
    for j in columns:
        if j in found_ignored or j in taken_found:
            continue
        words = [i for i in rows if i not in taken and i not in ignored and recall[i][j] >= 0.8]
        total = 0.0
        for i in words:
            total += precision[i][j]
        if round(total, 4) >= 0.4 and touches_found(j) >= 2:
            taken_found.add(j)
            taken.update(words)
            recalled += len(words)
            precise += 1
    return recalled, precise


def is_rectangles(truth_path):
    """Whether the truth holds left, top, right, bottom instead of four corners."""
    try:
        for content in load_zip(truth_path, "gt_img_([0-9]+).txt").values():
            read_file(content, rectangles=False, text=True)
    except RefusedError:
        return True
    return False
