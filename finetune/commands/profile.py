"""``finetune profile``: what detectors cost."""

from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path

from backbones.errors import UsageError
from finetune.console import console, write_json
from finetune.profile.options import ProfileOptions
from finetune.profile.record import profile_to_dict
from finetune.profile.rules import RULES
from finetune.profile.settings import ProfileSettings


def run(options: ProfileOptions) -> int:
    """Measure, print, and write the figures.

    Raises:
        UsageError: Settings that do not go together, or no such run.
    """
    from finetune.profile.measure import profile_models
    from finetune.profile.subject import ProfileSubject, subject_from_config, subject_from_run, with_input

    if options.json not in (None, "-") and not Path(str(options.json)).absolute().parent.is_dir():
        raise UsageError(f"--json {options.json}: its folder does not exist; create it first")
    subjects: list[ProfileSubject] = [subject_from_run(name, picture=options.picture, input_hw=options.input_size) for name in options.runs]
    config = with_input(options.run, options.input_size)
    if options.backbones and config.detector.name == "craft":
        raise UsageError("--detector craft has its own backbone and takes no other: leave --backbone out, or take craftlite")
    names = [name for words in options.backbones for name in words.split(",") if name]
    if names or not options.runs:
        configs = [replace(config, backbone=replace(config.backbone, name=name)) for name in names or [config.backbone.name]]
        subjects += [subject_from_config(each, options.classes, picture=options.picture) for each in configs]
    settings = ProfileSettings(**{item.name: getattr(options, item.name) for item in fields(ProfileSettings)})
    records = profile_models(subjects, settings, lambda line: console().print(line, markup=False))
    if options.json != "-":
        from finetune.profile.tables import print_profiles

        print_profiles(records)
    write_json(options.json, {"profiles": [profile_to_dict(record) for record in records], "rules": dict(RULES)})
    return 0
