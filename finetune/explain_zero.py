"""Why a trained detector scores 0 on a split: sentences, and a picture of what it should see beside what it sees."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from finetune.data.dataset import DetectionDataset
from finetune.data.first_images import spread_images
from finetune.data.preprocess import Preprocess
from finetune.data.text.dataset import TextDataset
from finetune.data.text_preprocess import TextPreprocess
from finetune.data.types import BoxSplit, TextSplit
from finetune.evaluation.map_diagnose import diagnose_maps
from finetune.probes import take_probes
from finetune.run_folder import write_atomic
from finetune.sheets import draw_sheet

if TYPE_CHECKING:
    from finetune.load import LoadedRun

_PICTURES = 4


def explain_zero(loaded: LoadedRun, truth: BoxSplit | TextSplit, picture: Path | None) -> list[str]:
    """Look at a few pictures of a split.

    Args:
        loaded: The detector.
        truth: The split that it scores 0 on.
        picture: PNG to write; None draws nothing.

    Returns:
        Sentences; the last one says where the picture is.
    """
    dataset: Any
    if isinstance(truth, TextSplit) and isinstance(loaded.preprocess, TextPreprocess):
        dataset = TextDataset(truth, loaded.preprocess)
    elif isinstance(truth, BoxSplit) and isinstance(loaded.preprocess, Preprocess) and truth.class_names == loaded.class_names:
        dataset = DetectionDataset(truth, loaded.preprocess)
    else:
        return []  # other classes than those of the run have other labels
    samples = [dataset[index] for index in spread_images(truth, _PICTURES)]
    probes = take_probes(loaded.detector, lambda images: loaded.detector(loaded.image_stats.normalize(images)), samples, loaded.device)
    lines = diagnose_maps(probes, loaded.detector.decoding) if loaded.finds_words else []
    if picture is None:
        return lines
    sheet = draw_sheet(probes, loaded.class_names)
    picture.parent.mkdir(exist_ok=True)
    write_atomic(picture, partial(sheet.save, format="PNG"))
    return [*lines, f"{'target maps beside those of the network' if lines else 'truth beside detections'}: {picture}"]
