"""A sheet of a few pictures: what the network should see beside what it sees."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from detectors.types import BoxDetections, BoxTarget, TextDetections, TextTarget
from finetune.drawing import IGNORED, contact_sheet, draw_comparison, join_panels, to_picture
from finetune.map_drawing import draw_maps
from finetune.probes import Maps, Probe
from finetune.word_drawing import FOUND, TRUTH, draw_outlines, outlines_of

_PANEL = 440  # pixels of the longer side of a panel
_SCORE = 0.3  # boxes below are drawn only where a picture has fewer than _LEAST above
_LEAST = 5
_FAINT = 0.5  # maps that stay below are shown stronger
_STRONGEST = 20.0


def draw_sheet(probes: Sequence[Probe], class_names: Sequence[str], columns: int = 2) -> Image.Image:
    """Draw pictures with truth and answer beside each other.

    Args:
        probes: Pictures that were shown to the network.
        class_names: Classes in label order.
        columns: Pairs in a row.

    Returns:
        For words the target maps with the truth to the left, the maps of the network with what was found in them to the right; for boxes truth
        and detections.
    """
    pairs = [_pair(probe, class_names) for probe in probes]
    return contact_sheet(pairs, columns, max(pair.width for pair in pairs))


def _pair(probe: Probe, class_names: Sequence[str]) -> Image.Image:
    image, scale = _shrunk(probe.image)
    target, found = probe.target, probe.detections
    if isinstance(target, TextTarget) and isinstance(found, TextDetections):
        return _words(image, scale, target, found, probe.maps)
    if isinstance(target, BoxTarget) and isinstance(found, BoxDetections):
        ranked = found.scores.sort(descending=True).values
        least = _SCORE if len(ranked) == 0 else min(_SCORE, float(ranked[min(_LEAST, len(ranked)) - 1]))
        smaller = BoxDetections(found.boxes * scale, found.scores, found.labels)
        return draw_comparison(image, smaller, target.boxes.numpy() * scale, target.labels.numpy(), class_names, target.ignore.numpy(), least)
    raise TypeError(f"a target of {type(target).__name__} does not belong to {type(found).__name__}")


def _words(image: NDArray[np.uint8], scale: float, target: TextTarget, found: TextDetections, maps: Maps | None) -> Image.Image:
    ignore = target.ignore.numpy()
    quads, outlines = list(target.quads.numpy() * scale), [outline * scale for outline in outlines_of(found)]
    left, right, title = image, image, f"found: {len(outlines)}"
    if maps is not None:
        peak = float(np.nan_to_num(maps.found[0]).max())
        times = 1.0 if peak >= _FAINT else min(_STRONGEST, 1 / max(peak, 1 / _STRONGEST))
        left = np.asarray(draw_maps(image, maps.target, maps.confidence))
        right = np.asarray(draw_maps(image, maps.found * times))
        title += f", region up to {peak:.2f}" + (f" (shown {times:.0f}x)" if times > 1 else "")
    truth = draw_outlines(left, quads, [IGNORED if skip else TRUTH for skip in ignore])
    answer = draw_outlines(right, outlines, [FOUND] * len(outlines))
    count = int((~ignore).sum())
    return join_panels(truth, f"target: {count} word{'s' * (count != 1)}" + (f", {int(ignore.sum())} ignored" if ignore.any() else ""), answer, title)


def _shrunk(image: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], float]:
    """The picture with its longer side at the size of a panel, and how many times larger it has become."""
    height, width = image.shape[:2]
    scale = _PANEL / max(height, width)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    picture: Any = to_picture(image).resize(size, Image.Resampling.BILINEAR, reducing_gap=2.0)
    return np.asarray(picture), scale
