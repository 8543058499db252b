"""The command line from words to options, errors to exit codes; commands are replaced, so that nothing is trained here."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict
from types import SimpleNamespace
from typing import Any

import pytest
import yaml

from backbones.errors import DataError, FinetuneError, UsageError
from finetune import console
from finetune.cli import main
from finetune.config import RunConfig
from finetune.options import EvaluateOptions, ListOptions, PredictOptions, SampleDataOptions, TrainOptions
from finetune.verbs import VERBS

Catch = Callable[..., list[Any]]


@pytest.fixture
def catch(monkeypatch: pytest.MonkeyPatch) -> Catch:
    """Replace the command of a verb by one that keeps its options, returns a code or raises."""

    def replace_command(verb: str, outcome: int | BaseException = 0) -> list[Any]:
        seen: list[Any] = []

        def run(options: Any) -> int:
            seen.append(options)
            if isinstance(outcome, BaseException):
                raise outcome
            return outcome

        monkeypatch.setitem(sys.modules, f"finetune.commands.{verb.replace('-', '_')}", SimpleNamespace(run=run))
        return seen

    return replace_command


def test_train_without_words_is_all_defaults(catch: Catch) -> None:
    seen = catch("train")
    assert main(["train"]) == 0
    assert seen == [TrainOptions()]


def test_flags_short_forms_and_lists(catch: Catch) -> None:
    seen = catch("train")
    words = "--data D --backbone resnet18 --epochs 3 --seed 7 --data.input_size 320 480 --ssdlite.matcher atss --train.lr 1e-3 --train.devices 2 --pyramid.levels [3,4] --out o --dry-run"
    assert main(["train", *words.split(), "--data.include", "red cell", "white, cell", "--data.rename", "a=b", "c=d e", "--data.one_based", "no", "--data.workers", "-1"]) == 0
    options = seen[0]
    run = options.run
    assert (run.data.root, run.backbone.name, run.train.epochs, run.seed) == ("D", "resnet18", 3, 7)
    assert (run.data.input_size, run.pyramid.levels, run.ssdlite.matcher) == ((320, 480), (3, 4), "atss")
    assert (run.train.lr, run.train.devices) == (0.001, "2")
    assert run.data.include == ("red cell", "white, cell")
    assert run.data.rename == {"a": "b", "c": "d e"}
    assert (run.data.one_based, run.data.workers) == (False, -1)
    assert (options.out, options.dry_run, options.resume) == ("o", True, None)


@pytest.mark.parametrize("written", [["320", "480"], ["[320,480]"], ["[320,", "480]"], ["320x480"], ["320,480"]])
def test_sizes_can_be_written_in_every_usual_way(catch: Catch, written: list[str]) -> None:
    seen = catch("train")
    assert main(["train", "--data.input_size", *written]) == 0
    assert seen[0].run.data.input_size == (320, 480)


def test_one_number_is_a_square(catch: Catch) -> None:
    seen = catch("train")
    assert main(["train", "--data.input_size=256"]) == 0
    assert seen[0].run.data.input_size == (256, 256)


def test_flags_win_over_files_and_later_files_over_earlier(catch: Catch, tmp_path: Any) -> None:
    first, second = tmp_path / "first.yaml", tmp_path / "second.yaml"
    first.write_text("train:\n  epochs: 5\n  lr: 0.1\n  momentum: 0.8\nseed: 3\n")
    second.write_text("train:\n  lr: 1e-2\n  momentum: 0.7\n")
    seen = catch("train")
    assert main(["train", "--train.momentum", "0.6", "--config", str(first), "--config", str(second)]) == 0
    run = seen[0].run
    assert (run.train.epochs, run.train.lr, run.train.momentum, run.seed) == (5, 0.01, 0.6, 3)


def test_optional_settings_can_be_switched_off_again(catch: Catch, tmp_path: Any) -> None:
    config = tmp_path / "c.yaml"
    config.write_text("detector:\n  weights: torchvision-coco\ndata:\n  train: [a.json]\n")
    seen = catch("train")
    assert main(["train", "--config", str(config), "--detector.weights", "none", "--data.train", "none"]) == 0
    assert seen[0].run.detector.weights is None
    assert seen[0].run.data.train is None


def test_printed_config_is_a_config(capsys: pytest.CaptureFixture[str], catch: Catch, tmp_path: Any) -> None:
    assert main(["train", "--config", "ssdlite_reference", "--data.rename", "a=b", "--train.epochs", "4", "--print_config"]) == 0
    printed = capsys.readouterr().out
    assert yaml.safe_load(printed)["ssdlite"]["matcher"] == "iou"
    (tmp_path / "config.yaml").write_text(printed)
    seen = catch("train")
    assert main(["train", "--config", str(tmp_path)]) == 0, "a run folder is a config, too"
    assert main(["train", "--config", "ssdlite_reference", "--data.rename", "a=b", "--train.epochs", "4"]) == 0
    assert seen[0] == seen[1]
    assert set(asdict(seen[0].run)) == set(asdict(RunConfig()))


@pytest.mark.parametrize(
    ("verb", "words", "options"),
    [
        ("evaluate", ["RUN"], EvaluateOptions(run="RUN")),
        ("evaluate", ["--data", "a.json", "--predictions", "p.json", "--protocol", "coco", "voc2012-area"], EvaluateOptions(data="a.json", predictions="p.json", protocol=("coco", "voc2012-area"))),
        ("evaluate", ["RUN", "--split", "test", "--batch-size", "2"], EvaluateOptions(run="RUN", split="test", batch_size=2)),
        ("predict", ["RUN", "a.jpg", "b.jpg"], PredictOptions(run="RUN", images=("a.jpg", "b.jpg"))),
        ("predict", ["RUN", "a.jpg", "--class_scores", "RBC=0.5", "W B=0.25"], PredictOptions(run="RUN", images=("a.jpg",), class_scores={"RBC": 0.5, "W B": 0.25})),
        ("predict", ["--draw", "false", "RUN", "a.jpg"], PredictOptions(run="RUN", images=("a.jpg",), draw=False)),
        ("predict", ["--draw", "RUN", "--", "-odd.jpg"], PredictOptions(run="RUN", images=("-odd.jpg",))),
        ("list", [], ListOptions()),
        ("list", ["backbones", "mobilenet*"], ListOptions(pattern="mobilenet*")),
        ("list", ["configs"], ListOptions(what="configs")),
        ("sample-data", ["signs", "OUT", "--images", "12"], SampleDataOptions(out="OUT", images=12)),
        ("sample-data", ["words", "OUT", "--size", "480", "640", "--corpus", "w.txt"], SampleDataOptions(name="words", out="OUT", size=(480, 640), corpus="w.txt")),
    ],
)
def test_positional_words(catch: Catch, verb: str, words: list[str], options: Any) -> None:
    seen = catch(verb)
    assert main([verb, *words]) == 0
    assert seen == [options]


@pytest.mark.parametrize(("error", "code"), [(UsageError("x"), 2), (DataError("x"), 3), (FinetuneError("x"), 1), (ZeroDivisionError("x"), 1), (KeyboardInterrupt(), 130)])
def test_errors_are_one_line_with_their_exit_code(catch: Catch, capsys: pytest.CaptureFixture[str], error: BaseException, code: int) -> None:
    catch("train", error)
    assert main(["train"]) == code
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("error: ")
    assert captured.err.count("\n") == 1
    assert "Traceback" not in captured.err


def test_messages_are_shown_as_written(catch: Catch, capsys: pytest.CaptureFixture[str]) -> None:
    catch("train", DataError("/data/[bold]odd[/bold]/a.json: " + "long " * 60 + "[320, 320]"))
    main(["train"])
    err = capsys.readouterr().err
    assert err == "error: /data/[bold]odd[/bold]/a.json: " + "long " * 60 + "[320, 320]\n"


def test_debug_shows_the_traceback(catch: Catch, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    catch("train", ZeroDivisionError("x"))
    main(["train"])
    assert "FINETUNE_DEBUG=1" in capsys.readouterr().err
    monkeypatch.setenv("FINETUNE_DEBUG", "1")
    assert main(["train"]) == 1
    assert "Traceback" in capsys.readouterr().err


def test_the_exit_code_of_a_command_is_passed_on(catch: Catch) -> None:
    catch("predict", 3)
    assert main(["predict", "RUN", "a.jpg"]) == 3


@pytest.mark.parametrize(
    ("words", "parts"),
    [
        (["trian"], ["trian", "train"]),
        (["evaluate", "a", "b"], ["'b'", "finetune evaluate RUN"]),
        (["predict"], ["run: is missing", "images: is missing"]),
        (["sample-data", "signs"], ["out: is missing"]),
        (["sample-data", "sign", "OUT"], ["signs"]),
        (["list", "backbone"], ["did you mean backbones"]),
        (["train", "--epochs"], ["--epochs needs a value"]),
        (["train", "stray"], ["'stray'"]),
        (["train", "--config", "no_such"], ["no_such", "Shipped:"]),
        (["train", "--config", "ssdlite_bcd"], ["did you mean ssdlite_bccd?"]),
        (["evaluate", "RUN", "--config", "x"], ["takes no --config"]),
        (["evaluate", "RUN", "--protocol", "voc2007"], ["voc2007-11pt"]),
        (["predict", "R", "i", "--score", "50"], ["--score", "at most 1"]),
        (["train", "--data", "D", "--data.root.x", "3"], ["data.root"]),
    ],
)
def test_wrong_usage_says_what_is_right(capsys: pytest.CaptureFixture[str], words: list[str], parts: list[str]) -> None:
    assert main(words) == 2
    err = capsys.readouterr().err
    assert err.startswith("error: ")
    assert all(part in err for part in parts), err


def test_all_faults_of_files_and_flags_at_once(capsys: pytest.CaptureFixture[str], tmp_path: Any) -> None:
    config = tmp_path / "mine.yaml"
    config.write_text("train:\n  epochs: many\n  learning_rate: 0.1\ndata:\n  augment: lite\n")
    assert main(["train", "--config", str(config), "--data", "/no/such/data", "--lr", "1", "--ssdlite.nms_iou", "2"]) == 2
    err = capsys.readouterr().err
    assert err.startswith("error: 5 settings are wrong:\n")
    for part in ("mine.yaml line 2", "did you mean train.lr? [", "mine.yaml line 3", "did you mean light", "--lr: there is no such setting; did you mean train.lr?", "--ssdlite.nms_iou: '2'"):
        assert part in err
    assert "/no/such/data" not in err, "data are read only after all settings are right"


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("train: [1\n", "line 2"),
        ("just words", "holds no settings"),
        ("seed: 1\nseed: 2\n", "seed is given twice"),
        ("train:\n  lr: 1\n  lr: 2\n", "train.lr is given twice"),
        ("train: 5\n", "section"),
        ("train:\n  epochs:\n", "has no value"),
    ],
)
def test_broken_files_are_named(capsys: pytest.CaptureFixture[str], tmp_path: Any, text: str, part: str) -> None:
    config = tmp_path / "broken.yaml"
    config.write_text(text)
    assert main(["train", "--config", str(config)]) == 2
    err = capsys.readouterr().err
    assert part in err
    assert "broken.yaml" in err


def test_json_on_stdout_has_it_for_itself(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def run(options: ListOptions) -> int:
        console.console().print("for people")
        console.write_json(options.json, {"a": 1})
        return 0

    monkeypatch.setitem(sys.modules, "finetune.commands.list", SimpleNamespace(run=run))
    assert main(["list", "--json", "-"]) == 0
    captured = capsys.readouterr()
    assert json.loads(captured.out) == {"a": 1}
    assert "for people" in captured.err
    assert main(["list"]) == 0, "the next command in this process speaks on stdout again"
    assert "for people" in capsys.readouterr().out


def test_help_and_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 2
    assert main(["--help"]) == 0
    text = capsys.readouterr().out
    assert all(f"  {verb}" in text for verb in VERBS)
    assert main(["--version"]) == 0
    assert capsys.readouterr().out.startswith("finetune ")


@pytest.mark.parametrize("verb", VERBS)
def test_help_of_a_verb_names_every_option_and_its_meaning(capsys: pytest.CaptureFixture[str], verb: str) -> None:
    assert main([verb, "--help"]) == 0
    text = capsys.readouterr().out
    assert f"finetune {verb}" in text
    assert "--json" in text
    if verb == "train":
        assert all(f"--{section}." in text for section in asdict(RunConfig()) if section != "seed")
        assert "Passes over the training split" in text
        assert "--data CONFIG" not in text


def test_the_parser_needs_no_heavy_package() -> None:
    """In one new process: help, list of configs and printed settings answer without torch and its friends, in under a second."""
    script = """
import sys, time
start = time.process_time()
from finetune.cli import main
codes = [main(["--help"]), main(["train", "--help"]), main(["evaluate", "--help"]), main(["train", "--config", "ssdlite_bccd", "--print_config"])]
seconds = time.process_time() - start
heavy = [name for name in ("torch", "torchvision", "timm", "pytorch_lightning", "albumentations", "cv2", "matplotlib", "scipy") if name in sys.modules]
print(codes, heavy, round(seconds, 2), file=sys.stderr)
sys.exit(any(codes) or bool(heavy) or seconds > 2)  # of processor time for four commands, so that a busy machine changes nothing
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
