"""The configs that come with the package, found by name."""

from __future__ import annotations

from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path

from backbones.errors import UsageError
from finetune.nearest import did_you_mean

_FOLDERS = ("detection", "text", "compare", "smoke")
_PLAIN = ("detection", "text", "compare")  # whose configs are found without their folder


def list_configs() -> tuple[str, ...]:
    """Names of the shipped configs, sorted: ``ssdlite_bccd``; those for tests stand in a folder: ``smoke/tiny``."""
    return tuple(sorted(_shipped()))


def describe_config(name: str) -> str:
    """The first comment line of a shipped config: what it is for."""
    first = read_config(name).lstrip().splitlines()[0]
    return first.lstrip("# ").strip() if first.startswith("#") else ""


def read_config(name: str) -> str:
    """The YAML text of a shipped config.

    Raises:
        UsageError: There is none of that name; the message names the nearest.
    """
    return _find_shipped(name).read_text(encoding="utf-8")


def find_config(name: str) -> Path | Traversable:
    """The YAML file that ``--config`` means.

    Args:
        name: A file, a run folder with a ``config.yaml``, or the name of a shipped config with or without its folder
            and ``.yaml``. A file wins over a shipped config.

    Raises:
        UsageError: There is no such file or config; the message names the nearest.
    """
    path = Path(name).expanduser()
    if path.is_dir() and (path / "config.yaml").is_file():
        return path / "config.yaml"
    return path if path.is_file() else _find_shipped(name)


def _find_shipped(name: str) -> Traversable:
    shipped = _shipped()
    plain = name.removesuffix(".yaml").removesuffix(".yml").removeprefix("configs/")
    plain = next((plain.removeprefix(f"{folder}/") for folder in _PLAIN if plain.startswith(f"{folder}/")), plain)
    if plain in shipped:
        return shipped[plain]
    names = ", ".join(sorted(shipped))
    raise UsageError(f"--config {name}: there is no such file and no shipped config of that name{did_you_mean(plain, shipped)} Shipped: {names}; or give the path of a YAML file")


def _shipped() -> dict[str, Traversable]:
    root = files("finetune.configs")
    found: dict[str, Traversable] = {}
    for folder in _FOLDERS:
        prefix = "" if folder in _PLAIN else f"{folder}/"
        for item in (root / folder).iterdir() if (root / folder).is_dir() else ():
            if item.name.endswith(".yaml"):
                found[prefix + item.name.removesuffix(".yaml")] = item
    return found
