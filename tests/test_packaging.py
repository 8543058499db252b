"""What is installed is what is here: packages, data files, versions, configs, commands of the README."""

from __future__ import annotations

import configparser
import re
import shlex
from itertools import pairwise
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from finetune.verbs import VERBS

ROOT = Path(__file__).resolve().parents[1]
SETUP = configparser.ConfigParser()
SETUP.read(ROOT / "setup.cfg", encoding="utf-8")


def requirement_lines(section: str, option: str) -> list[str]:
    return [line.strip() for line in SETUP[section][option].splitlines() if line.strip() and not line.strip().startswith("#")]


def requirements() -> list[Requirement]:
    return [Requirement(line) for line in requirement_lines("options", "install_requires") + requirement_lines("options.extras_require", "test") + requirement_lines("options.extras_require", "ray")]


def pins() -> dict[str, Version]:
    lines = [line for line in (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines() if line and not line.startswith("#")]
    return {canonicalize_name(name): Version(version) for name, version in (line.split("==") for line in lines)}


def test_listed_packages_are_those_on_disk() -> None:
    on_disk = {path.parent.relative_to(ROOT).as_posix().replace("/", ".") for package in ("backbones", "detectors", "finetune") for path in (ROOT / package).rglob("__init__.py")}
    assert set(requirement_lines("options", "packages")) == on_disk | {"finetune.configs"}


def test_every_folder_with_code_is_a_package() -> None:
    without = {path.parent for package in ("backbones", "detectors", "finetune") for path in (ROOT / package).rglob("*.py") if not (path.parent / "__init__.py").is_file()}
    assert not without, f"no __init__.py, so not shipped: {without}"


def test_every_data_file_is_shipped() -> None:
    listed = {package: [ROOT / ("configs" if package == "finetune.configs" else package.replace(".", "/")) for _ in "."] for package in SETUP["options.package_data"]}
    shipped = {path for package, (folder,) in listed.items() for pattern in re.split(r"[,\s]+", SETUP["options.package_data"][package].strip()) for path in folder.glob(pattern)}
    on_disk = {path for folder in ("backbones", "detectors", "finetune", "configs") for path in (ROOT / folder).rglob("*") if path.is_file() and path.suffix not in (".py", ".pyc")}
    assert on_disk == shipped


def test_every_floor_has_its_reason_above_it() -> None:
    lines = SETUP_TEXT[SETUP_TEXT.index("install_requires =") + 1 : SETUP_TEXT.index("[options.extras_require]")]
    bare = [line.strip() for before, line in pairwise(lines) if re.search("[<>=]=", line) and not line.strip().startswith("#") and not before.strip().startswith("#")]
    allowed = {"numpy", "matplotlib", "rich", "safetensors", "PyYAML"}  # floors without a trap: the oldest release that was tried
    assert {Requirement(line).name for line in bare} <= allowed


SETUP_TEXT = (ROOT / "setup.cfg").read_text(encoding="utf-8").splitlines()


@pytest.mark.parametrize("requirement", requirements(), ids=lambda requirement: requirement.name)
def test_pins_satisfy_the_floors(requirement: Requirement) -> None:
    pin = pins().get(canonicalize_name(requirement.name))
    assert pin is not None, f"{requirement.name} is not in constraints.txt"
    assert requirement.specifier.contains(pin, prereleases=True)


def test_pins_hold_on_every_platform() -> None:
    bound = [name for name in pins() if name.startswith(("nvidia", "cuda", "triton"))]
    assert not bound, f"{bound} exist only for Linux with CUDA; torch chooses them"


def test_no_registry_host_is_named() -> None:
    files = [ROOT / name for name in ("Makefile", "constraints.txt", "setup.cfg", "pyproject.toml", ".ci/run")]
    named = [path.name for path in files if re.search(r"index-url|--find-links|https?://[^ ]*(pypi|simple)", path.read_text(encoding="utf-8"))]
    assert not named


def readme_commands() -> list[list[str]]:
    readme = ROOT / "README.md"
    text = readme.read_text(encoding="utf-8") if readme.is_file() else ""
    blocks = re.findall(r"```(?:bash|sh|shell|console|text)?\n(.*?)```", text, flags=re.S)
    lines = [line.strip().removeprefix("$ ") for block in blocks for line in block.replace("\\\n", " ").splitlines()]
    return [shlex.split(line, comments=True) for line in lines if line.startswith(("finetune ", "make "))]


def test_commands_in_the_readme_exist() -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), flags=re.M))
    commands = readme_commands()
    assert commands, "README.md shows no command"
    unknown = [" ".join(words) for words in commands if words[1] not in (VERBS if words[0] == "finetune" else targets) and not words[1].startswith("--")]
    assert not unknown


def test_the_makefile_promises_what_it_has() -> None:
    text = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert {"demo", "test", "lint", "venv"} <= set(re.findall(r"^([a-z]+):", text, flags=re.M))
    assert re.search(r"\$\(INSTALLED\): setup.cfg pyproject.toml constraints.txt", text)


def test_the_licence_is_whole() -> None:
    text = (ROOT / "LICENSE").read_text(encoding="utf-8")
    assert "Apache License" in text
    assert "END OF TERMS AND CONDITIONS" in text
    assert len(text) > 11000
