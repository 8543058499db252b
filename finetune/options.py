"""What each verb of the command line takes. No torch here; ``finetune.commands.<verb>.run(options) -> exit code`` does the work."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Any, Literal, get_type_hints

from finetune.config import RunConfig
from finetune.ranges import AT_LEAST_0, AT_LEAST_1, INNER_SHARE, PICTURE_SIDE, POSITIVE, SHARE, Range


def holds_run(options: Any) -> bool:
    """Whether options hold all settings of a run: their verb takes a flag for each of them, and --config."""
    return get_type_hints(options).get("run") is RunConfig


@dataclass(frozen=True)
class TrainOptions:
    """Fine-tune one detector.

    Args:
        run: All settings of the run.
        out: Run folder to create; default runs/<data>-<backbone>-<n>. Never overwritten.
        resume: Run folder to continue from its last finished epoch.
        dry_run: Build everything, try some batches, print shapes, parameters, memory and an estimated time; write nothing.
        find: With --dry-run: measure what "batch_size" fits and is fast, and which "lr" the loss can take (docs/finders.md); nothing is changed.
        json: File for the result as JSON; "-" is stdout.
    """

    run: RunConfig = field(default_factory=RunConfig)
    out: str | None = None
    resume: str | None = None
    dry_run: bool = False
    find: tuple[Literal["batch_size", "lr"], ...] = ()
    json: str | None = None


@dataclass(frozen=True)
class CheckOptions:
    """Examine a data set: pictures, annotations, splits, and the boxes against the anchors.

    Args:
        run: All settings of the run that would train on it.
        html: File for a page with everything that was found, and pictures of it; a former page is replaced.
        json: File for all findings as JSON; "-" is stdout.
        out: Folder to create for page, findings and sheets of pictures. Never overwritten.
        write_cleaned: Folder to create for a copy of the data set without its errors, in the same format. Never overwritten.
        augmented: Draw what the network will see in training, into the page and the folder.
        near: Look for pictures that are almost alike.
        threads: Pictures that are decoded at once; 0 chooses by the number of cores.
    """

    run: RunConfig = field(default_factory=RunConfig)
    html: str | None = None
    json: str | None = None
    out: str | None = None
    write_cleaned: str | None = None
    augmented: bool = False
    near: bool = True
    threads: Annotated[int, AT_LEAST_0] = 0


@dataclass(frozen=True)
class EvaluateOptions:
    """Score a run, or a file of predictions.

    Args:
        run: Run folder, .safetensors file, or the name of published weights (craft_mlt_25k).
        detector: Instead of a run: a detector whose published weights are scored ("craft").
        weights: With --detector: the name of the weights, or a file.
        data: Annotations or data folder; default: the data of the run. For scene text also a zip or folder of ground truth files (gt_img_1.txt ...).
        predictions: COCO-format results to score instead of a run; for scene text a zip or folder of result files (res_img_1.txt ...).
        protocol: Any of "coco", "voc2007-11pt", "voc2012-area", for scene text of "icdar2015-iou", "icdar2013-deteval", "polygon-iou"; default: those of the run, coco, or icdar2015-iou.
        strict: Result files of scene text: refuse what the official scripts refuse; false bends lines and names where that can be done.
        confidences: Lines of result files end with a confidence (MLT): words are ranked by it and AP is added.
        submission: Zip to write, with the words that a run found in the official format.
        split: Split to score.
        sweep: Scene text: choose thresholds on this split first, train or val, and score with them.
        canvas: Scene text: greatest length of the longer side of the input in pixels; default: that of the run.
        mag_ratio: Scene text: enlargement of pictures within the canvas; default: that of the run.
        text_threshold: Scene text: see --craft.text_threshold of train; default: that of the run.
        link_threshold: The same for the link threshold.
        low_text: The same for low text.
        one_based: VOC data scored with --predictions: coordinates count pixels from 1, as in the devkit.
        batch_size: Images per forward pass.
        device: "auto", "cpu", "cuda", ...
        json: File for the figures as JSON; "-" is stdout.
    """

    run: str | None = None
    detector: str | None = None
    weights: str | None = None
    data: str | None = None
    predictions: str | None = None
    protocol: tuple[Literal["coco", "voc2007-11pt", "voc2012-area", "icdar2015-iou", "icdar2013-deteval", "polygon-iou"], ...] = ()
    strict: bool = True
    confidences: bool = False
    submission: str | None = None
    split: str = "val"
    sweep: str | None = None
    canvas: Annotated[int, Range(low=32)] | None = None
    mag_ratio: Annotated[float, POSITIVE] | None = None
    text_threshold: Annotated[float, INNER_SHARE] | None = None
    link_threshold: Annotated[float, INNER_SHARE] | None = None
    low_text: Annotated[float, INNER_SHARE] | None = None
    one_based: bool = True
    batch_size: Annotated[int, AT_LEAST_1] = 8
    device: str = "auto"
    json: str | None = None


@dataclass(frozen=True)
class PredictOptions:
    """Find objects or words in pictures.

    Args:
        run: Run folder, .safetensors file, or the name of published weights (craft_mlt_25k).
        images: Images, folders or globs.
        out: Folder for predictions.json and drawn pictures; default predictions-<n>. Never overwritten.
        score: Detections drawn and written must score at least this; words are chosen by thresholds instead, and all are kept by default.
        class_scores: Class name to its own least score.
        classes: Class names to keep; empty keeps all.
        draw: Draw pictures.
        crops: Scene text: also write each word, rectified, for a recogniser.
        canvas: Scene text: greatest length of the longer side of the input in pixels; default: that of the run.
        mag_ratio: Scene text: enlargement of pictures within the canvas; default: that of the run.
        text_threshold: Scene text: see --craft.text_threshold of train; default: that of the run.
        link_threshold: The same for the link threshold.
        low_text: The same for low text.
        batch_size: Images per forward pass.
        device: "auto", "cpu", "cuda", ...
        json: File for a summary as JSON; "-" is stdout.
    """

    run: str = ""
    images: tuple[str, ...] = ()
    out: str | None = None
    score: Annotated[float, SHARE] | None = None
    class_scores: dict[str, Annotated[float, SHARE]] = field(default_factory=dict)
    classes: tuple[str, ...] = ()
    draw: bool = True
    crops: bool = False
    canvas: Annotated[int, Range(low=32)] | None = None
    mag_ratio: Annotated[float, POSITIVE] | None = None
    text_threshold: Annotated[float, INNER_SHARE] | None = None
    link_threshold: Annotated[float, INNER_SHARE] | None = None
    low_text: Annotated[float, INNER_SHARE] | None = None
    batch_size: Annotated[int, AT_LEAST_1] = 8
    device: str = "auto"
    json: str | None = None


@dataclass(frozen=True)
class DistillOptions:
    """Let a teacher mark pictures without labels, for a smaller detector to learn from.

    Args:
        teacher: Run folder or .safetensors file of a text detector, or the name of published weights (craft_mlt_25k).
        images: Images, folders or globs; none of them needs a label.
        out: Folder to create for the teacher's maps (float16); the same command goes on with one that was interrupted.
        canvas: Greatest length of the longer side of the teacher's input in pixels; default: its own.
        mag_ratio: Enlargement of pictures within the canvas; default: the teacher's own.
        text_threshold: Of the words that are noted beside the maps (crops lie around them); see --craft.text_threshold of train.
        link_threshold: The same for the link threshold.
        low_text: The same for low text.
        device: "auto", "cpu", "cuda", ...
        json: File for a summary as JSON; "-" is stdout.
    """

    teacher: str = ""
    images: tuple[str, ...] = ()
    out: str = ""
    canvas: Annotated[int, Range(low=32)] | None = None
    mag_ratio: Annotated[float, POSITIVE] | None = None
    text_threshold: Annotated[float, INNER_SHARE] | None = None
    link_threshold: Annotated[float, INNER_SHARE] | None = None
    low_text: Annotated[float, INNER_SHARE] | None = None
    device: str = "auto"
    json: str | None = None


@dataclass(frozen=True)
class ListOptions:
    """Show what there is to choose from.

    Args:
        what: "backbones", "detectors" or "configs".
        pattern: Only names that match this glob, for example "mobilenet*".
        family: Backbones of the comparison by plain name, with published figures: "light", "heavy", "teaching", "all", or a family such as "ReXNet".
        json: File for the list as JSON; "-" is stdout.
    """

    what: Literal["backbones", "detectors", "configs"] = "backbones"
    pattern: str | None = None
    family: str | None = None
    json: str | None = None


@dataclass(frozen=True)
class SampleDataOptions:
    """Draw a sample data set: street scenes with road signs, or pictures full of words for text detectors.

    Args:
        name: "signs" or "words".
        out: Folder to create. Never overwritten.
        images: Number of images.
        seed: The same seed draws the same images.
        corpus: Text file (UTF-8) to take words from, as written there; default: the embedded list. This and the following for words only.
        fonts: "matplotlib" (the fonts that it brings), "system", or a folder of font files.
        backgrounds: Folder of photographs without text to write on; default: backgrounds are drawn.
        size: Height and width of the pictures in pixels.
        workers: Processes that draw; 0 is one per core. The files do not depend on it.
        json: File for a summary as JSON; "-" is stdout.
    """

    name: Literal["signs", "words"] = "signs"
    out: str = ""
    images: Annotated[int, AT_LEAST_1] = 300
    seed: Annotated[int, AT_LEAST_0] = 0
    corpus: str | None = None
    fonts: str = "matplotlib"
    backgrounds: str | None = None
    size: tuple[Annotated[int, PICTURE_SIDE], Annotated[int, PICTURE_SIDE]] = (640, 640)
    workers: Annotated[int, AT_LEAST_0] = 0
    json: str | None = None


@dataclass(frozen=True)
class ReportOptions:
    """Write the report of a comparison (again): one page that says which backbone to take, with JSON, CSV and Markdown beside it.

    Args:
        folder: Folder of the comparison, finished or not.
        max_latency: Longest latency that your device allows: 30ms, 0.5s.
        max_params: Most parameters that it allows: 5M, 800k.
        pictures: Downscaled pictures on the page, at most; the comparison keeps copies of up to twelve.
        attribution: Who made the pictures and under which licence, beneath them and in JSON and Markdown; none keeps that of the comparison.
        json: File for the answer and all figures as JSON; "-" is stdout.
    """

    folder: str = ""
    max_latency: str | None = None
    max_params: str | None = None
    pictures: Annotated[int, AT_LEAST_0] = 12
    attribution: str | None = None
    json: str | None = None
