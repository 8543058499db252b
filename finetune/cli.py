"""The command line: words to options, options to the verb's command, errors to one line and an exit code."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Sequence
from dataclasses import asdict
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import yaml
from rich.console import Console

from backbones.errors import FinetuneError, UsageError
from finetune import console
from finetune.allocator import keep_freed_memory
from finetune.arguments import Words, is_many, read_words, set_value
from finetune.detector_defaults import with_detector_defaults
from finetune.nearest import did_you_mean
from finetune.options import holds_run
from finetune.settings_file import merge_settings, read_settings
from finetune.validate import check_run, check_settings, find_hint
from finetune.verbs import VERBS, Verb, build_options, create_parser

_INTERRUPTED = 130


def run() -> None:
    """Entry point of the ``finetune`` script."""
    keep_freed_memory()
    code = main()
    try:
        sys.stdout.flush()
    except BrokenPipeError:  # the reader of a pipe has gone: `finetune list backbones | head`
        _silence_stdout()
    sys.exit(code)


def main(argv: list[str] | None = None) -> int:
    """Run one command.

    Args:
        argv: Words after ``finetune``; default those of this process.

    Returns:
        0 for success, 2 for wrong usage, 3 for unusable data, 130 when interrupted, 1 for the rest.
    """
    try:
        return _dispatch(sys.argv[1:] if argv is None else list(argv))
    except FinetuneError as error:
        return _report(error, str(error), error.exit_code)
    except KeyboardInterrupt as error:
        return _report(error, "interrupted", _INTERRUPTED)
    except SystemExit as stop:  # rich leaves this way when the reader of a pipe has gone
        return stop.code if isinstance(stop.code, int) else int(stop.code is not None)
    except BrokenPipeError:
        _silence_stdout()
        return 0
    except Exception as error:  # the last line of defence: a user sees a line, not a traceback
        first = next(iter(str(error).splitlines()), "")
        return _report(error, f"unexpected {type(error).__name__}: {first} (a fault of the toolkit; FINETUNE_DEBUG=1 shows where)", 1)
    finally:
        console.use_stderr(False)


def _dispatch(argv: Sequence[str]) -> int:
    if not argv or argv[0] in ("-h", "--help", "help"):
        sys.stdout.write(_overview())
        return 0 if argv else UsageError.exit_code
    if argv[0] in ("-V", "--version", "version"):
        sys.stdout.write(f"finetune {_version()}\n")
        return 0
    verb = VERBS.get(argv[0])
    if verb is None:
        raise UsageError(f"there is no command {argv[0]!r}{did_you_mean(argv[0], VERBS)} Commands: {', '.join(VERBS)}")
    words = read_words(argv[1:], verb.settings, verb.short_forms)
    if "help" in words.flags:
        create_parser(verb).print_help(sys.stdout)
        return 0
    options = _read_options(verb, words)
    if "print_config" in words.flags:
        sys.stdout.write(yaml.safe_dump(_listed({**asdict(options.run), **{name: asdict(getattr(options, name)) for name in verb.own_sections}}), sort_keys=False, allow_unicode=True))
        return 0
    console.use_stderr(options.json == "-")
    console.show_log("backbones")  # which weights were loaded, and every download before it starts
    command = import_module(f"finetune.commands.{verb.name.replace('-', '_')}")
    return int(command.run(options))


def _read_options(verb: Verb, words: Words) -> Any:
    """Merge files and flags, show all faults together, build the options."""
    has_run = holds_run(verb.options)
    if not has_run and (words.configs or "print_config" in words.flags):
        raise UsageError(f"finetune {verb.name} takes no --config and no --print_config; finetune train does")
    tree: dict[str, Any] = {}
    sources: dict[str, str] = {}
    for name in words.configs:
        read, places = read_settings(name)
        tree = merge_settings(tree, read)
        sources |= places
    faults = _place_positionals(verb, words)
    sources |= words.sources
    own = {key: words.tree.pop(key) for key in list(words.tree) if has_run and key in verb.own_keys}
    own = merge_settings({key: tree.pop(key) for key in list(tree) if key in verb.own_sections}, own)  # a section of its own may stand in a file
    settings = merge_settings(tree, words.tree)
    if has_run:
        settings = with_detector_defaults(settings)
    run = check_run(settings, sources, verb.own_keys) if has_run else check_settings(verb.options, settings, sources)
    extra = check_settings(verb.options, own, sources)
    faults += run.faults + extra.faults
    faults += [f"{key}: is missing; the form is: {verb.usage}" for key in verb.required if key not in settings]
    if faults:
        raise UsageError(_join(faults))
    return build_options(verb, {**run.tree, **extra.tree})


def _place_positionals(verb: Verb, words: Words) -> list[str]:
    """Put words without a flag where they belong; the faults of those that belong nowhere."""
    rest = list(words.positionals)
    for key in verb.positionals:
        if not rest or key in words.sources:
            continue
        hint = next(hint for kind in verb.settings if (hint := find_hint(kind, key)) is not None)
        many = is_many(hint)
        set_value(words, key, rest if many else rest[0], key.rpartition(".")[0].upper() or key.upper())
        rest = [] if many else rest[1:]
    return [f"{word!r}: a word without a flag; the form is: {verb.usage}" for word in rest[:1]]


def _join(faults: Sequence[str]) -> str:
    return faults[0] if len(faults) == 1 else "\n".join([f"{len(faults)} settings are wrong:", *(f"  {fault}" for fault in faults)])


def _listed(value: Any) -> Any:
    """Tuples as lists, for YAML."""
    if isinstance(value, dict):
        return {key: _listed(item) for key, item in value.items()}
    return [_listed(item) for item in value] if isinstance(value, tuple) else value


def _overview() -> str:
    width = max(map(len, VERBS))
    verbs = "\n".join(f"  {name:<{width}}  {verb.summary}" for name, verb in VERBS.items())
    return (
        "usage: finetune COMMAND [OPTIONS]\n\nFine-tune light detectors of objects or of scene text on your own images, and score them honestly.\n\n"
        f"commands:\n{verbs}\n\n"
        "  finetune COMMAND --help    options and examples of a command\n  finetune --version         version\n\n"
        "Start with: finetune train    (the embedded sample set, a pretrained backbone, nothing to download)\n"
    )


def _version() -> str:
    try:
        return version("finetune-light")
    except PackageNotFoundError:
        return "(not installed)"


def _silence_stdout() -> None:
    """Let the interpreter flush into nothing at exit, instead of complaining about a closed pipe."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _report(error: BaseException, text: str, code: int) -> int:
    """Show an error for people and return the exit code."""
    if os.environ.get("FINETUNE_DEBUG") == "1":
        traceback.print_exception(error)
    stderr = Console(stderr=True, highlight=False, soft_wrap=True)
    stderr.print("error: ", style="bold red", end="")
    stderr.print(text, markup=False)
    return code
