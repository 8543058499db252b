"""The plan of the house, held by the syntax trees of all files: who may import what, sizes, names, words."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = {"backbones": (), "detectors": ("backbones",), "finetune": ("backbones", "detectors")}

# heavy dependency -> files that may import it
DOORWAYS = {
    "timm": ("backbones/*",),
    "pytorchcv": ("backbones/pytorchcv_provider.py",),
    "pytorch_lightning": (
        "finetune/task.py", "finetune/datamodule.py", "finetune/build.py", "finetune/processes.py", "finetune/training.py", "finetune/finders/short_run.py", "finetune/callbacks/*",
    ),
    "lightning": (),
    "albumentations": ("finetune/data/transforms.py",),
    "pycocotools": ("finetune/data/coco.py", "finetune/evaluation/coco.py"),
    "faster_coco_eval": ("finetune/data/coco.py", "finetune/evaluation/coco.py"),
    "jsonargparse": ("finetune/verbs.py", "finetune/cli.py"),
    "cv2": (
        "detectors/craft/decode.py", "detectors/craft/outline.py", "detectors/craft/pseudo.py", "finetune/loaders.py", "finetune/data/*", "finetune/check/pictures.py", "finetune/samples/*",
        "finetune/drawing.py", "finetune/word_drawing.py",
    ),
    "matplotlib": ("finetune/curves.py", "finetune/drawing.py", "finetune/samples/*"),
    "scipy": (),
    "torchmetrics": (),
}
FORBIDDEN_FILES = {"utils", "misc", "helpers", "common", "util", "helper"}
FORBIDDEN_NAMES = {"gt", "net", "cfg", "prior", "priors", "default_box", "default_boxes"}
# bbox is the word of two file formats and of one library's API, not ours
BBOX_FILES = ("finetune/data/*", "finetune/evaluation/*", "finetune/samples/*", "finetune/predictions.py", "finetune/drawing.py")
MAX_LINES = 250
MAX_FUNCTION_LINES = 45


def source_files(*folders: str) -> list[Path]:
    return sorted(path for folder in folders for path in (ROOT / folder).rglob("*.py") if "__pycache__" not in path.parts)


def relative(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def parse(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))


def imported_modules(tree: ast.AST) -> Iterator[tuple[str, int]]:
    """Every module named by an import statement or by ``import_module("...")``, with its line."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield ("." * node.level + (node.module or ""), node.lineno)
        elif isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant) and isinstance(node.args[0].value, str):
            name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            if name in ("import_module", "__import__"):
                yield node.args[0].value, node.lineno


def import_faults(text: str, file: str) -> list[str]:
    """What is wrong with the imports of one file of the packages."""
    package = file.split("/")[0]
    faults = []
    for module, line in imported_modules(ast.parse(text)):
        top = module.split(".")[0]
        if module.startswith("."):
            faults.append(f"{file}:{line}: relative import; write the whole name")
        elif top in ("tests", "tools", "configs") or (top in PACKAGES and top != package and top not in PACKAGES[package]):
            faults.append(f"{file}:{line}: {package} may not import {module}")
        elif top in DOORWAYS and not any(fnmatch(file, door) for door in DOORWAYS[top]):
            faults.append(f"{file}:{line}: {top} is imported outside its doorway ({', '.join(DOORWAYS[top]) or 'none'})")
    return faults


def test_imports_go_one_way_and_through_the_doorways() -> None:
    faults = [fault for path in source_files(*PACKAGES) for fault in import_faults(path.read_text(encoding="utf-8"), relative(path))]
    assert not faults, "\n" + "\n".join(faults)


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("backbones/x.py", "from detectors.types import Batch"),
        ("detectors/x.py", "def f():\n    import finetune.cli"),
        ("finetune/x.py", "from tests.conftest import ROOT"),
        ("detectors/x.py", "import timm"),
        ("finetune/cli.py", "from importlib import import_module\nimport_module('timm.models')"),
        ("finetune/config.py", "from . import options"),
    ],
)
def test_the_import_check_sees_planted_faults(file: str, text: str) -> None:
    assert len(import_faults(text, file)) == 1


def test_files_and_functions_are_short() -> None:
    faults = []
    for path in source_files(*PACKAGES, "tools"):
        lines = len(path.read_text(encoding="utf-8").splitlines())
        if lines > MAX_LINES:
            faults.append(f"{relative(path)}: {lines} lines, at most {MAX_LINES}")
        for node in ast.walk(parse(path)):
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                length = (node.end_lineno or node.lineno) - node.lineno + 1 - docstring_lines(node)
                if length >= MAX_FUNCTION_LINES:
                    faults.append(f"{relative(path)}:{node.lineno}: {node.name} has {length} lines without its docstring, fewer than {MAX_FUNCTION_LINES} are allowed")
    assert not faults, "\n" + "\n".join(faults)


def docstring_lines(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    first = node.body[0]
    is_docstring = isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and isinstance(first.value.value, str)
    return (first.end_lineno or first.lineno) - first.lineno + 1 if is_docstring else 0


def test_files_and_names_use_the_words_of_the_house() -> None:
    faults = []
    for path in source_files(*PACKAGES, "tools"):
        file = relative(path)
        if path.stem in FORBIDDEN_FILES:
            faults.append(f"{file}: a file name that says nothing")
        for name, line in defined_names(parse(path)):
            words = name.lower()
            if words in FORBIDDEN_NAMES or set(words.split("_")) & {"gt", "cfg"}:
                faults.append(f"{file}:{line}: the name {name} is not a word of this house")
            if "bbox" in words and not any(fnmatch(file, allowed) for allowed in BBOX_FILES):
                faults.append(f"{file}:{line}: the name {name}: say box")
    assert not faults, "\n" + "\n".join(faults)


def defined_names(tree: ast.Module) -> Iterator[tuple[str, int]]:
    """Names that a file gives: classes, functions, arguments, variables."""
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            yield node.name, node.lineno
        elif isinstance(node, ast.arg):
            yield node.arg, node.lineno
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id, node.lineno


def test_packages_are_two_folders_deep_at_most() -> None:
    deep = [relative(path) for path in source_files(*PACKAGES) if len(path.relative_to(ROOT).parts) > 4]
    assert not deep, deep


def test_ruff_is_silenced_only_rule_by_rule() -> None:
    lines = [(f"{relative(path)}:{number}", line) for path in source_files(*PACKAGES) for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)]
    silenced = [place for place, line in lines if re.search(r"#\s*noqa(?!:\s*[A-Z])", line)]
    assert not silenced, f"noqa without a rule: {silenced}"


def test_nothing_prints_past_the_console() -> None:
    """People's text goes through finetune.console, so that ``--json -`` keeps stdout clean."""
    faults = [
        f"{relative(path)}:{node.lineno}"
        for path in source_files(*PACKAGES)
        for node in ast.walk(parse(path))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print"
    ]
    assert not faults, faults


def test_users_mistakes_are_not_asserted() -> None:
    faults = [f"{relative(path)}:{node.lineno}" for path in source_files(*PACKAGES) for node in ast.walk(parse(path)) if isinstance(node, ast.Assert)]
    assert not faults, faults
