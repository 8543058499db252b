"""From raw words to the flat arrays of a TextSplit: pictures opened, nothing else changed."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence

import numpy as np

from finetune.data.findings import Findings
from finetune.data.images import ImageHeader, check_images
from finetune.data.text.raw import RawText
from finetune.data.types import TextSplit


def build_text_split(name: str, raw: RawText, findings: Findings, *, headers: Sequence[ImageHeader] | None = None, open_images: bool = True) -> TextSplit:
    """Open every picture's header and lay everything out as arrays; corners stay as written.

    Args:
        name: train, val or test.
        raw: What the files say.
        findings: Gets what is noted under this split from now on.
        headers: Those of the pictures, where they were read already.
        open_images: Sizes come from the pictures' headers; otherwise they are 0.
    """
    findings.split = name
    if open_images and headers is None:
        headers = check_images([image.path for image in raw.images])
    sizes = [header.upright_hw for header in headers] if headers is not None else [image.declared_hw for image in raw.images]
    words = raw.words
    polygons = [polygon for part in words for polygon in part.polygons]
    return TextSplit(
        name=name,
        image_ids=tuple(str(image.image_id) for image in raw.images),
        paths=tuple(image.path for image in raw.images),
        original_hw=np.array(sizes, np.int32).reshape(-1, 2),
        offsets=_offsets([part.total for part in words]),
        quads=np.concatenate([np.zeros((0, 4, 2)), *(part.quads for part in words)]),
        ignore=np.concatenate([np.zeros(0, np.bool_), *(part.ignore for part in words)]),
        texts=tuple(text for part in words for text in part.texts),
        annotation_ids=tuple(place for part in words for place in part.annotation_ids),
        polygon_offsets=_offsets([len(polygon) for polygon in polygons]),
        polygon_points=np.concatenate([np.zeros((0, 2)), *polygons]),
        char_offsets=_offsets(np.concatenate([np.zeros(0, np.int64), *(part.char_counts for part in words)])),
        char_quads=np.concatenate([np.zeros((0, 4, 2)), *(part.char_quads for part in words)]),
    )


def _offsets(counts: Sequence[int] | np.ndarray) -> np.ndarray:
    return np.concatenate([[0], np.cumsum(np.asarray(counts, np.int64))]).astype(np.int64)


def fingerprint_of_text(splits: Mapping[str, TextSplit]) -> str:
    """A hash of picture names, words and characters: equal for equal data wherever it lies."""
    digest = hashlib.sha256()
    for name, split in splits.items():
        digest.update(repr((name, [path.name for path in split.paths], split.image_ids, split.texts)).encode("utf-8", "surrogatepass"))
        for array in (split.original_hw, split.offsets, split.quads, split.ignore, split.polygon_offsets, split.polygon_points, split.char_offsets, split.char_quads):
            digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()[:16]
