"""The verbs of the command line: their options, positional words and short flags, and their jsonargparse parsers."""

from __future__ import annotations

import re
from argparse import Action
from collections.abc import Mapping
from dataclasses import dataclass, field, is_dataclass
from typing import Any, get_args, get_origin

from jsonargparse import SUPPRESS, ArgumentParser, DefaultHelpFormatter

from finetune.compare.options import CompareOptions
from finetune.config import RunConfig
from finetune.options import CheckOptions, DistillOptions, EvaluateOptions, ListOptions, PredictOptions, ReportOptions, SampleDataOptions, TrainOptions, holds_run
from finetune.profile.options import ProfileOptions
from finetune.validate import find_hint, hints_of, list_keys, plain_type


@dataclass(frozen=True)
class Verb:
    """One verb.

    Args:
        name: As typed.
        options: The dataclass that ``finetune.commands.<name>.run`` takes.
        usage: The line that shows its form.
        epilog: Examples.
        positionals: Options (dotted keys) that may be given without their flag, in order; the last one may take many words.
        required: Options that must be given.
        short_forms: Short flag to dotted key.
    """

    name: str
    options: type
    usage: str
    epilog: str
    positionals: tuple[str, ...] = ()
    required: tuple[str, ...] = ()
    short_forms: Mapping[str, str] = field(default_factory=dict)

    @property
    def summary(self) -> str:
        """The first line of the docstring of the options."""
        return (self.options.__doc__ or "").strip().splitlines()[0]

    @property
    def settings(self) -> tuple[type, ...]:
        """The dataclasses whose fields are flags."""
        return (RunConfig, self.options) if holds_run(self.options) else (self.options,)

    @property
    def own_sections(self) -> tuple[str, ...]:
        """Sections beside those of a run; they may stand in a YAML file, too."""
        return tuple(name for name, hint in hints_of(self.options).items() if is_dataclass(hint) and hint is not RunConfig) if holds_run(self.options) else ()

    @property
    def own_keys(self) -> tuple[str, ...]:
        """Options beside the settings of a run."""
        return tuple(key for key in list_keys(self.options) if "." not in key and not (key == "run" and holds_run(self.options)))


_SHORT = {"data": "data.root", "backbone": "backbone.name", "detector": "detector.name", "epochs": "train.epochs"}

VERBS = {
    verb.name: verb
    for verb in (
        Verb(
            "train",
            TrainOptions,
            "finetune train [--data D] [--backbone B] [--config NAME_OR_FILE] [--SECTION.SETTING VALUE ...] [--out FOLDER]",
            "Examples:\n  finetune train\n  finetune train --data PATH/TO/DATA --backbone mobilenetv3_large_100 --epochs 30\n"
            "  finetune train --detector craftlite --data PATH/TO/TEXT\n"
            "  finetune train --detector craftlite --data PATH/TO/TEXT --overfit 8\n"
            "  finetune train --config ssdlite_bccd --data.root D --data.input_size 320 480\n  finetune train --config ssdlite_bccd --print_config > my.yaml",
            short_forms={**_SHORT, "overfit": "data.overfit"},
        ),
        Verb(
            "check",
            CheckOptions,
            "finetune check [DATA] [--config NAME_OR_FILE] [--SECTION.SETTING VALUE ...] [--html FILE] [--out FOLDER] [--write-cleaned FOLDER]",
            "Examples:\n  finetune check PATH/TO/DATA\n  finetune check PATH/TO/DATA --html check.html --augmented\n"
            "  finetune check --config ssdlite_bccd --data BCCD --write-cleaned BCCD-cleaned\n"
            "It takes the settings of train, so that what is checked is what would be trained. Exit code 3 when there are errors.",
            positionals=("data.root",),
            short_forms=_SHORT,
        ),
        Verb(
            "evaluate",
            EvaluateOptions,
            "finetune evaluate RUN [--split SPLIT] [--sweep SPLIT] | finetune evaluate --data ANNOTATIONS --predictions FILE",
            "Examples:\n  finetune evaluate runs/demo-1 --split test\n  finetune evaluate --data instances.json --predictions results.json --protocol coco voc2012-area\n"
            "  finetune evaluate --data GT.zip --predictions SUBMIT.zip --protocol icdar2015-iou\n  finetune evaluate RUN --split test --sweep val",
            positionals=("run",),
        ),
        Verb(
            "predict",
            PredictOptions,
            "finetune predict RUN IMAGES... [--out FOLDER] [--score S]",
            "Examples:\n  finetune predict runs/demo-1 photos/\n  finetune predict runs/demo-1 'photos/*.jpg' --score 0.5 --class_scores RBC=0.3\n"
            "  finetune predict runs/text photos/ --crops true",
            positionals=("run", "images"),
            required=("run", "images"),
        ),
        Verb(
            "distill",
            DistillOptions,
            "finetune distill TEACHER IMAGES... --out FOLDER [--canvas C] [--mag_ratio M]",
            "Examples:\n  finetune distill craft_mlt_25k photos/ --out taught\n  finetune train --detector craftlite --data PATH/TO/TEXT --data.mix taught=0.5 words=0.3",
            positionals=("teacher", "images"),
            required=("teacher", "images", "out"),
        ),
        Verb(
            "profile",
            ProfileOptions,
            "finetune profile RUN... | --backbone NAME... [--detector D] [--input_size H W] [--measure latency memory operators]",
            "Examples:\n  finetune profile runs/demo-1 runs/demo-2\n  finetune profile --backbone tf_efficientnet_lite0 mobilenetv2_100 --detector craftlite\n"
            "  finetune profile --backbone mobilenetv2_100 --input_size 320 320 --measure latency --threads 1\nMore: docs/profile.md",
            positionals=("runs",),
            short_forms={"backbone": "backbones", "detector": "detector.name"},
        ),
        Verb(
            "compare",
            CompareOptions,
            "finetune compare --backbones A,B,C --data D [--seeds N] [--budget B] [--lr-protocol P] [--out OUT] | finetune compare RUN RUN ... | finetune compare --out OUT",
            "Examples:\n  finetune compare --backbones tf_efficientnet_lite0,mobilenetv2_100 --data PATH/TO/DATA --seeds 3 --budget 20min\n"
            "  finetune compare --config compare_bccd_quick --data.root BCCD --out cmp\n  finetune compare runs/a-1 runs/b-1\n  finetune compare --out cmp        (goes on where it stopped)\n"
            "More: docs/compare.md; clusters: docs/scaling.md",
            positionals=("runs",),
            short_forms={**_SHORT, **{name: f"compare.{name}" for name in ("backbones", "seeds", "budget", "lr_protocol", "rates", "pictures", "attribution")}},
        ),
        Verb(
            "report",
            ReportOptions,
            "finetune report COMPARISON [--max-latency 30ms] [--max-params 5M]",
            "Examples:\n  finetune report comparisons/bccd-1\n  finetune report comparisons/bccd-1 --max-latency 30ms --max-params 5M\nMore: docs/report.md",
            positionals=("folder",),
            required=("folder",),
        ),
        Verb(
            "list",
            ListOptions,
            "finetune list {backbones,detectors,configs} [PATTERN]",
            "Examples:\n  finetune list backbones 'mobilenet*'\n  finetune list backbones --family light\n  finetune list configs",
            positionals=("what", "pattern"),
        ),
        Verb(
            "sample-data",
            SampleDataOptions,
            "finetune sample-data {signs,words} OUT [--images N] [--seed S] [--corpus FILE] [--fonts F] [--backgrounds FOLDER]",
            "Examples:\n  finetune sample-data signs data/signs --images 300\n  finetune sample-data words data/words --images 2000 --backgrounds photos/\n"
            "  finetune sample-data words data/hangul --corpus words.txt --fonts system\nMore: docs/sample-data.md, docs/synthetic_text.md",
            positionals=("name", "out"),
            required=("out",),
        ),
    )
}


def create_parser(verb: Verb) -> ArgumentParser:
    """The jsonargparse parser of a verb: its help from docstrings, its defaults, and the building of its dataclasses."""
    parser = ArgumentParser(prog=f"finetune {verb.name}", usage=verb.usage, description=verb.summary, epilog=verb.epilog, formatter_class=_HelpFormatter, exit_on_error=False)
    if holds_run(verb.options):
        parser.add_argument("--config", help="YAML file, run folder, or name of a shipped config (see: finetune list configs); later ones win, flags win over all")
        parser.add_argument("--print_config", action="store_true", help="Print all settings as YAML and stop")
    for kind in reversed(verb.settings):
        parser.add_class_arguments(kind, as_group=False, skip={"run"} if holds_run(kind) else set())
    _tidy(parser, verb)
    return parser


def build_options(verb: Verb, tree: Mapping[str, Any]) -> Any:
    """Build the options of a verb from checked values; what is left out has its default."""
    parser = ArgumentParser(exit_on_error=False)
    for kind in verb.settings:
        parser.add_class_arguments(kind, as_group=False, skip={"run"} if holds_run(kind) else set())
    built = vars(parser.instantiate(parser.parse_object(dict(tree))))
    if not holds_run(verb.options):
        return verb.options(**built)
    run_keys = {key for key in list_keys(RunConfig) if "." not in key}
    return verb.options(run=RunConfig(**{key: built.pop(key) for key in run_keys}), **built)


class _HelpFormatter(DefaultHelpFormatter):
    """Keeps the line breaks of examples, and shows defaults without Python types."""

    def _expand_help(self, action: Action) -> str:
        text = re.sub(r"\((?:type: .*, )?default: (.*)\)$", r"[\1]", super()._expand_help(action), flags=re.DOTALL)
        text = re.sub(r"\s*\[(null|False|\(\)|\{\})?\]$", "", text)
        return re.sub(r"\[\((.*?),?\)\]$", lambda found: "[" + re.sub("[',]", "", found[1]) + "]", text).replace("[True]", "[true]")

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        return "\n".join(super(_HelpFormatter, self)._fill_text(line, width, indent) if not line.startswith(" ") else line for line in text.splitlines())


def _tidy(parser: ArgumentParser, verb: Verb) -> None:
    """Show dashes and short forms, and no flags for whole sections."""
    short = {key: f"--{flag}" for flag, key in verb.short_forms.items()}
    for action in parser._actions:
        hint = next((hint for kind in verb.settings if (hint := find_hint(kind, action.dest)) is not None), None)
        if hint is not None and action.help != SUPPRESS:
            _describe(action, hint)
        if type(action).__name__ == "_ActionConfigLoad":
            action.help = SUPPRESS
        elif action.dest in short:
            action.option_strings = [short[action.dest], *action.option_strings]
        elif action.dest in verb.positionals:
            action.help = f"{str(action.help).rstrip('.')}; the flag may be left out."
        elif action.dest in ("dry_run", "write_cleaned"):
            action.option_strings = [f"--{action.dest.replace('_', '-')}"]


def _describe(action: Action, hint: Any) -> None:
    """Add the allowed range to the help of a setting, and show how lists and pairs are written."""
    rules = [str(rule) for part in (hint, *get_args(hint)) for rule in getattr(part, "__metadata__", ())]
    if rules and action.help:
        action.help = f"{action.help.rstrip('.')}; {rules[0]}."
    kind = get_origin(plain_type(hint))
    if kind is tuple:
        parts = get_args(plain_type(hint))
        action.metavar = "VALUE ..." if parts[-1] is Ellipsis else " ".join(["VALUE"] * len(parts))
    elif kind is dict:
        action.metavar = "NAME=VALUE ..."
