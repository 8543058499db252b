"""Detections of either kind back to the pixels of their picture."""

from __future__ import annotations

from detectors.types import Detections, ImageMeta, TextDetections
from finetune.data.preprocess import to_original
from finetune.data.text_preprocess import to_original_text


def map_back(detections: Detections, meta: ImageMeta) -> Detections:
    """Map boxes or words from input pixels to the original picture; see ``to_original`` and ``to_original_text``."""
    return to_original_text(detections, meta) if isinstance(detections, TextDetections) else to_original(detections, meta)
