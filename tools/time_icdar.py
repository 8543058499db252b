"""How long a submission takes to score: ours against a port of the official scripts, interleaved, files and all.

    python tools/time_icdar.py GT.zip SUBMIT.zip [--protocol icdar2015-iou] [--repeats 5]

The port compares one pair of polygons after the other, as the official scripts do, with their own library (Polygon3) where it is
installed and clipping in plain Python otherwise. It reads every file once; the official scripts read and check each twice.
"""

from __future__ import annotations

import argparse
import importlib
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from finetune.evaluation.text_scoring import read_files_to_score
from tests.finetune.evaluation import official_port

Polygon = Sequence[tuple[float, float]]


def clipped_area(one: Polygon, two: Polygon) -> float:
    """The common area of two convex polygons, by cutting one along the edges of the other (Sutherland and Hodgman)."""
    if signed_area(two) < 0:
        two = two[::-1]
    corners: list[tuple[float, float]] = list(one)
    for (ax, ay), (bx, by) in zip(two, [*two[1:], two[0]], strict=True):
        kept: list[tuple[float, float]] = []
        for (px, py), (qx, qy) in zip(corners, [*corners[1:], *corners[:1]], strict=True):
            p_side, q_side = (bx - ax) * (py - ay) - (by - ay) * (px - ax), (bx - ax) * (qy - ay) - (by - ay) * (qx - ax)
            if p_side >= 0:
                kept.append((px, py))
            if p_side * q_side < 0:
                share = p_side / (p_side - q_side)
                kept.append((px + share * (qx - px), py + share * (qy - py)))
        corners = kept
    return abs(signed_area(corners)) if corners else 0.0


def signed_area(polygon: Polygon) -> float:
    """Half the sum of cross products of following corners."""
    return sum(x1 * y2 - x2 * y1 for (x1, y1), (x2, y2) in zip(polygon, [*polygon[1:], polygon[0]], strict=True)) / 2


def intersection() -> tuple[str, Callable[[Any, Any], float]]:
    """The official scripts' library, or clipping in plain Python."""
    try:
        library = importlib.import_module("Polygon")
    except ImportError:
        return "plain Python", clipped_area

    def area(one: Polygon, two: Polygon) -> float:
        common = library.Polygon(one) & library.Polygon(two)
        return float(common.area()) if len(common) else 0.0

    return "Polygon3", area


def main() -> None:
    """Time both and print medians."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("truth", type=Path)
    parser.add_argument("submission", type=Path)
    parser.add_argument("--protocol", default="icdar2015-iou", choices=["icdar2015-iou", "icdar2013-deteval"])
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    library, area = intersection()
    rectangles = official_port.is_rectangles(options.truth)

    def ours() -> dict[str, float | None]:
        return dict(read_files_to_score(str(options.truth), str(options.submission), [options.protocol], "test").evaluators[0].evaluate().values)

    def port() -> dict[str, float | None]:
        if options.protocol == "icdar2013-deteval":
            return official_port.score_deteval(options.truth, options.submission)[0]
        return official_port.score_iou(options.truth, options.submission, rectangles=rectangles, intersection=area)[0]

    print(f"{options.protocol}, {options.submission.name}, port with {library}")
    seconds: dict[str, list[float]] = {"ours": [], "port": []}
    for _ in range(options.repeats):
        for name, score in (("ours", ours), ("port", port)):
            start = time.perf_counter()
            values = score()
            seconds[name].append(time.perf_counter() - start)
            print(f"{name:5} {seconds[name][-1]:7.3f} s  " + "  ".join(f"{key} {value:.6f}" for key, value in values.items()))
    ours_median, port_median = statistics.median(seconds["ours"]), statistics.median(seconds["port"])
    print(f"median: ours {ours_median:.3f} s, port {port_median:.3f} s: {port_median / ours_median:.1f} times as fast")


if __name__ == "__main__":
    main()
