"""Settings as plain dictionaries and YAML files: what a run folder and a weights file keep, and the way back."""

from __future__ import annotations

import types
from collections.abc import Mapping
from dataclasses import asdict, fields, is_dataclass, replace
from pathlib import Path
from typing import Any, Union, get_args, get_origin, get_type_hints

import yaml

from backbones.errors import UsageError
from finetune.config import RunConfig
from finetune.data.mix_names import with_folder


def config_to_dict(config: Any) -> dict[str, Any]:
    """A settings dataclass as nested dictionaries of primitives; tuples become lists."""
    return _plain(asdict(config))


def config_from_dict(values: Mapping[str, Any], where: str) -> RunConfig:
    """Build a RunConfig from what ``config_to_dict`` gave.

    Args:
        values: Nested dictionaries; missing settings take their defaults.
        where: Named in the error.

    Raises:
        UsageError: A setting that this version does not know.
    """
    return _build(RunConfig, values, where, "")


def save_config(config: RunConfig, path: Path) -> None:
    """Write settings as YAML."""
    path.write_text(yaml.safe_dump(config_to_dict(config), sort_keys=False, allow_unicode=True), encoding="utf-8")


def load_config(path: Path) -> RunConfig:
    """Read settings that ``save_config`` wrote."""
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise UsageError(f"cannot read the settings in {path}: {error}".splitlines()[0]) from error
    if not isinstance(values, dict):
        raise UsageError(f"{path} holds no settings: expected keys such as data, backbone and train")
    return config_from_dict(values, str(path))


def with_absolute_paths(config: RunConfig) -> RunConfig:
    """The same settings with absolute paths, so that a run folder is found to work from any working directory."""

    def absolute(text: str | None) -> str | None:
        return Path(text).expanduser().resolve().as_posix() if text is not None and Path(text).expanduser().exists() else text

    features = config.data.feature_folder
    data = replace(config.data, root=absolute(config.data.root) or "", images=absolute(config.data.images))
    data = replace(data, cache_folder=Path(data.cache_folder).expanduser().absolute().as_posix() if data.cache_folder else None)  # made later
    data = replace(data, feature_folder=Path(features).expanduser().resolve().as_posix() if features is not None else None)  # it is made where it is missing
    data = replace(data, mix={with_folder(name, lambda folder: absolute(folder) or folder): share for name, share in data.mix.items()})
    below = Path(data.root).parent if Path(data.root).is_file() else Path(data.root)
    entries: dict[str, Any] = {name: tuple(e if (below / e).exists() else absolute(e) or "" for e in given) for name in ("train", "val", "test") if (given := getattr(data, name)) is not None}
    data = replace(data, **entries)  # entries are looked for below the root first
    weights = Path(config.backbone.weights).expanduser()
    backbone = replace(config.backbone, weights=weights.resolve().as_posix()) if weights.is_file() or (weights / "config.yaml").is_file() else config.backbone
    return replace(config, data=data, backbone=backbone, detector=replace(config.detector, weights=absolute(config.detector.weights)))


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, list | tuple) else value


def _build(kind: Any, values: Any, where: str, prefix: str) -> Any:
    hints = get_type_hints(kind)
    known = {f.name for f in fields(kind)}
    unknown = sorted(set(values) - known)
    if unknown:
        raise UsageError(f"{where} has settings that this version does not know: {', '.join(prefix + key for key in unknown)}; use the version that wrote it, or take them out")
    return kind(**{key: _value(hints[key], item, where, f"{prefix}{key}.") for key, item in values.items()})


def _value(hint: Any, value: Any, where: str, prefix: str) -> Any:
    if is_dataclass(hint):
        return _build(hint, value or {}, where, prefix)
    options = get_args(hint) if get_origin(hint) in (Union, types.UnionType) else (hint,)
    return tuple(value) if isinstance(value, list) and any(get_origin(option) is tuple for option in options) else value
