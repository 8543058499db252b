"""The command that repeats a comparison, without paths of this machine."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from finetune.compare.options import CompareOptions
from finetune.compare.plan import Entrant
from finetune.compare.settings import shareable_settings
from finetune.config_file import config_from_dict, config_to_dict
from finetune.detector_defaults import with_detector_defaults
from finetune.run_folder import data_name

_SAID = ("data.root", "backbone.name", "detector.name")


def repeat_command(options: CompareOptions, entrants: Sequence[Entrant]) -> str:
    """Candidates, data, protocol, and every setting that is not the default of its detector."""
    settings, config = options.compare, options.run
    names = ",".join(entrant.backbone if entrant.weights == "imagenet" else f"{entrant.backbone}={Path(entrant.weights).name}" for entrant in entrants)
    words = ["finetune compare", f"--backbones {names}", f"--data {data_name(config)}", f"--detector {config.detector.name}", f"--seeds {settings.seeds}"]
    words += [f"--budget {settings.budget}", f"--lr-protocol {settings.lr_protocol}"]
    words += ["--rates " + " ".join(f"{rate:g}" for rate in settings.rates)] if settings.rates else []
    words += [f"--attribution {shlex.quote(settings.attribution)}"] if settings.attribution else []
    plain = config_to_dict(config_from_dict(with_detector_defaults({"detector": {"name": config.detector.name}}), "the defaults"))
    defaults = dict(_flat(plain))
    words += [f"--{key} {_written(value)}" for key, value in _flat(shareable_settings(config)) if key not in _SAID and value != defaults.get(key)]
    return " ".join(words)


def _flat(tree: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in tree.items():
        if isinstance(value, Mapping) and value and not prefix:
            yield from _flat(value, f"{key}.")
        else:
            yield f"{prefix}{key}", value


def _written(value: Any) -> str:
    if isinstance(value, Mapping):
        return " ".join(shlex.quote(f"{key}={item}") for key, item in value.items())
    if isinstance(value, list):
        return " ".join(shlex.quote(str(item)) for item in value)
    return {True: "true", False: "false"}[value] if isinstance(value, bool) else "none" if value is None else shlex.quote(str(value))

