"""Every setting of a run, as frozen dataclasses. No torch here: the command line reads this file to print its help."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Literal

from finetune.detector_config import CraftConfig, DetectorConfig, PyramidConfig, SSDLiteConfig
from finetune.ranges import AT_LEAST_0, AT_LEAST_1, INNER_SHARE, POSITIVE, RISING, SHARE, SHARE_BELOW_1, Range


@dataclass(frozen=True)
class DataConfig:
    """Where images and annotations are and how they reach the network.

    Args:
        root: Folder or annotation file of a data set (COCO, VOC; ICDAR, TotalText, CTW1500, SynthText), "signs" for the embedded sample set, or "words" for drawn words.
        format: Annotation format; "auto" looks at the files.
        train: Annotation files or split names of the training split; none means: find them (see docs/data.md).
        val: The same for validation; none found means a seeded share of train.
        test: The same for test.
        images: Image folder, where it is not found beside the annotations.
        val_fraction: Share of train kept for validation when the data has no validation split.
        split_seed: Seed that chooses this share; none: the seed of the run.
        include: Class names to keep, in this order; empty keeps all.
        rename: Old class name to new class name; two old names with one new name are merged.
        one_based: VOC only: coordinates count pixels from 1, as in the devkit.
        keep_empty: Keep images without boxes as negatives.
        input_size: Network input, height and width in pixels; of text detectors that of training crops.
        resize: "stretch" to the input size, or "letterbox" (keep the shape, pad).
        augment: Strength of training augmentation.
        mosaic: Share of training samples made of four pictures; not in the last epochs.
        mixup: Share of training samples blended with a second one; not in the last epochs.
        copy_paste: Share of training samples into which objects of a second one are pasted; not in the last epochs.
        mix: Text detectors: further sources of training samples and their shares; what is left to 1 is the training split. A source is a folder made by finetune distill, a data
            set of words, "words" (drawn while training runs), "words:FOLDER" (on photographs), or "blank:FOLDER" (pictures without text).
        epoch_images: With ``mix``: samples of an epoch; 0 is as many as the training split has images.
        batch_size: Images per step and process.
        workers: Loader processes per process; -1 chooses by the number of cores.
        channels: Image channels that are read: 3 (RGB) or 1 (grey).
        cache: Keep decoded pictures between epochs: "none", "ram" (memory that loader workers and processes share) or "disk" (also for later runs); samples are the same (docs/data.md).
        cache_folder: With cache "disk": folder for it; default: images in the cache folder of this program.
        overfit: Test of the set-up: learn the first so many training images by heart and be scored on them (docs/overfit.md); 0 is off.
        views: Augment every training image in so many fixed ways, one after the other from epoch to epoch, the same for every seed; 0 augments anew each time.
        feature_cache: Run the backbone's frozen stages over the training images once and train from what they gave (docs/features.md): "off", "float32", "float16" (half the disk,
            losses differ by about a thousandth), or "auto" (float32 where it can be done, else a line says why not).
        feature_folder: Folder that keeps these features for other runs; none: in the run folder, taken away when the run has finished.
    """

    root: str = "signs"
    format: Literal["auto", "coco", "voc", "icdar", "totaltext", "ctw1500", "synthtext"] = "auto"
    train: tuple[str, ...] | None = None
    val: tuple[str, ...] | None = None
    test: tuple[str, ...] | None = None
    images: str | None = None
    val_fraction: Annotated[float, INNER_SHARE] = 0.2
    split_seed: Annotated[int, AT_LEAST_0] | None = None
    include: tuple[str, ...] = ()
    rename: dict[str, str] = field(default_factory=dict)
    one_based: bool = True
    keep_empty: bool = True
    input_size: tuple[Annotated[int, Range(low=32)], Annotated[int, Range(low=32)]] = (320, 320)
    resize: Literal["stretch", "letterbox"] = "stretch"
    augment: Literal["none", "light", "medium", "strong"] = "light"
    mosaic: Annotated[float, SHARE] = 0.0
    mixup: Annotated[float, SHARE] = 0.0
    copy_paste: Annotated[float, SHARE] = 0.0
    mix: dict[str, Annotated[float, Range(low=0, high=1, open_low=True)]] = field(default_factory=dict)
    epoch_images: Annotated[int, AT_LEAST_0] = 0
    batch_size: Annotated[int, AT_LEAST_1] = 4
    workers: Annotated[int, Range(low=-1)] = -1
    channels: Literal[1, 3] = 3
    cache: Literal["none", "ram", "disk"] = "none"
    cache_folder: str | None = None
    overfit: Annotated[int, AT_LEAST_0] = 0
    views: Annotated[int, AT_LEAST_0] = 0
    feature_cache: Literal["off", "auto", "float32", "float16"] = "off"
    feature_folder: str | None = None


@dataclass(frozen=True)
class BackboneConfig:
    """Which network gives the features.

    Args:
        name: timm name, "torchvision:NAME", "package.module:factory", or the name of a plug-in.
        weights: "imagenet", "none", a file (.pth, .safetensors), a timm tag, or a run folder (or a file of one), whose detector has the same backbone.
        taps: "stage" (stage outputs) or "ssd" (the taps of the SSD-lite papers).
    """

    name: str = "tf_efficientnet_lite0"
    weights: str = "imagenet"
    taps: Literal["stage", "ssd"] = "stage"


@dataclass(frozen=True)
class FreezeConfig:
    """What stays as it was pretrained; without pretrained weights nothing does.

    Args:
        policy: "none", "backbone" (all of it), "stages" (stem and the first ones), "norms" (all its normalisation layers) or "gradual" (head first, then stage by stage from the top).
        stages: With policy "stages": how many leading entries of the backbone's stages, stem included, stay frozen; with "gradual": how many are never thawed.
        batchnorm: "train", or "frozen": backbone BatchNorm keeps its pretrained statistics and affine values, also in stages that have thawed.
        thaw: With policy "gradual": when the stages thaw, the top one first. Below 1 a share of the budget (the first epoch that starts after it); from 1 on an epoch as
            the log counts them: 4 trains the stage from the start of epoch 4. Stages without a number stay frozen; empty spreads all evenly over the first half of the budget.
        thaw_warmup: With policy "gradual": share of the budget in which the rate of a stage that has just thawed rises linearly.
    """

    policy: Literal["none", "backbone", "stages", "norms", "gradual"] = "gradual"
    stages: Annotated[int, AT_LEAST_0] = 2
    batchnorm: Literal["train", "frozen"] = "frozen"
    thaw: tuple[Annotated[float, POSITIVE], ...] = ()
    thaw_warmup: Annotated[float, SHARE_BELOW_1] = 0.05


@dataclass(frozen=True)
class TrainConfig:
    """The optimisation.

    Args:
        epochs: Passes over the training split; 0 chooses by its size: about 3,000 pictures in all, at least 12 epochs and at most 80.
        optimizer: "sgd" (Nesterov momentum) or "adamw".
        lr: Rate of the new layers at the default batch of ``data.batch_size * accumulate * processes``; not rescaled.
        backbone_lr_scale: Rate of a pretrained backbone as a share of ``lr``.
        layer_decay: Each backbone stage further from the head gets its rate multiplied by this.
        momentum: SGD momentum.
        weight_decay: Not applied to norms and biases.
        schedule: "cosine" to zero, or "step" (a tenth at each milestone).
        milestones: With "step": shares of the budget.
        warmup: Share of the budget with linearly rising rate.
        accumulate: Batches per optimiser step.
        clip_norm: Largest gradient norm; 0 switches clipping off.
        precision: "auto" (bf16 on GPUs that have it, else 32), or a Lightning precision.
        channels_last: Channels-last memory format (faster convolutions).
        ema: Decay of averaged weights, for example 0.999; 0 is off.
        early_stop: Stop after this many evaluations without improvement; 0 is off.
        evaluate_every: Epochs between evaluations (the last epoch is always evaluated); 0 is about ten evaluations a run.
        pictures_every: Epochs between sheets of validation pictures with truth and answer in the run's folder pictures; 0 is off, -1 about five a run, while
            they take less than 2% of the time.
        accelerator: Passed to Lightning.
        devices: Passed to Lightning.
        num_nodes: Passed to Lightning.
        strategy: Passed to Lightning.
        sync_batchnorm: Statistics of the BatchNorm layers that train are those of the batches of all processes; has an effect only with several GPUs.
        loggers: Extra Lightning loggers by name: "tensorboard", "wandb", "mlflow".
    """

    epochs: Annotated[int, AT_LEAST_0] = 0
    optimizer: Literal["sgd", "adamw"] = "sgd"
    lr: Annotated[float, POSITIVE] = 0.06
    backbone_lr_scale: Annotated[float, AT_LEAST_0] = 0.1
    layer_decay: Annotated[float, Range(low=0, high=1, open_low=True)] = 1.0
    momentum: Annotated[float, SHARE_BELOW_1] = 0.9
    weight_decay: Annotated[float, AT_LEAST_0] = 1e-4
    schedule: Literal["cosine", "step"] = "cosine"
    milestones: Annotated[tuple[Annotated[float, INNER_SHARE], ...], RISING] = (0.7, 0.9)
    warmup: Annotated[float, SHARE_BELOW_1] = 0.15
    accumulate: Annotated[int, AT_LEAST_1] = 1
    clip_norm: Annotated[float, AT_LEAST_0] = 4.0
    precision: Literal["auto", "32-true", "32", "bf16-mixed", "bf16-true", "bf16", "16-mixed", "16-true", "16", "64-true", "64"] = "auto"
    channels_last: bool = True
    ema: Annotated[float, SHARE_BELOW_1] = 0.0
    early_stop: Annotated[int, AT_LEAST_0] = 0
    evaluate_every: Annotated[int, AT_LEAST_0] = 0
    pictures_every: Annotated[int, Range(low=-1)] = -1
    accelerator: str = "auto"
    devices: str = "1"
    num_nodes: Annotated[int, AT_LEAST_1] = 1
    strategy: str = "auto"
    sync_batchnorm: bool = False
    loggers: tuple[Literal["tensorboard", "wandb", "mlflow"], ...] = ()


@dataclass(frozen=True)
class EvaluateConfig:
    """How a run is scored.

    Args:
        protocols: Any of "coco", "voc2007-11pt", "voc2012-area", or for scene text "icdar2015-iou", "icdar2013-deteval", "polygon-iou"; the first one's primary figure chooses the best weights.
    """

    protocols: tuple[Literal["coco", "voc2007-11pt", "voc2012-area", "icdar2015-iou", "icdar2013-deteval", "polygon-iou"], ...] = ("coco",)


@dataclass(frozen=True)
class RunConfig:
    """One fine-tuning run.

    Args:
        data: Images and annotations.
        backbone: The pretrained network.
        pyramid: The maps that the head sees.
        detector: The detector and the weights that it starts from.
        ssdlite: Settings of SSD-lite.
        craft: Settings of CRAFT and CRAFT-lite.
        freeze: What does not train.
        train: The optimisation.
        evaluate: The scores.
        seed: Of new weights, augmentation, order and splits; the same seed repeats a run.
    """

    data: DataConfig = field(default_factory=DataConfig)
    backbone: BackboneConfig = field(default_factory=BackboneConfig)
    pyramid: PyramidConfig = field(default_factory=PyramidConfig)
    detector: DetectorConfig = field(default_factory=DetectorConfig)
    ssdlite: SSDLiteConfig = field(default_factory=SSDLiteConfig)
    craft: CraftConfig = field(default_factory=CraftConfig)
    freeze: FreezeConfig = field(default_factory=FreezeConfig)
    train: TrainConfig = field(default_factory=TrainConfig)
    evaluate: EvaluateConfig = field(default_factory=EvaluateConfig)
    seed: Annotated[int, AT_LEAST_0] = 0
