"""Pack a training of a text detector for a machine without network: code, the pictures and annotations that it reads, a teacher's maps, and start weights.

    python tools/pack_training.py CONFIG.yaml --out pack.tar [--limit 60]
    # there, with the packages of setup.cfg installed:
    tar xf pack.tar && python pack/train.py --train.accelerator gpu --data.workers 12 [--minutes 9]
    # again: it goes on where it stopped; pack/result.tar holds float16 weights, log, figures and curves

Only pictures of the training and validation splits travel, never those of the test split. Maps travel as 8 bits and are unpacked to float16 there.
"""

from __future__ import annotations

import argparse
import io
import json
import subprocess
import sys
import tarfile
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import asdict, replace
from itertools import compress
from pathlib import Path

import numpy as np
import torch
import yaml

from backbones.errors import FinetuneError, UsageError
from finetune.build import build_detector, build_preprocess
from finetune.config import RunConfig
from finetune.config_file import config_from_dict, config_to_dict
from finetune.data.findings import Findings
from finetune.data.held_out import HeldOut
from finetune.data.mix_names import split_name
from finetune.data.teacher_store import TeacherStore
from finetune.data.text.raw import RawText
from finetune.data.text.splits import gather_text
from finetune.detector_defaults import with_detector_defaults
from finetune.pictures import drawn_names, find_pictures, relative_names
from finetune.settings_file import read_settings
from finetune.start_weights import load_start_weights
from finetune.weights_file import WeightsInfo, save_weights

ROOT = Path(__file__).resolve().parents[1]
CODE = ("backbones", "detectors", "finetune", "configs", "setup.cfg", "pyproject.toml", "README.md", "LICENSE")


class Pack:
    """A tar file that knows what takes how much of it."""

    def __init__(self, target: Path) -> None:
        self._tar = tarfile.open(target, "w")  # noqa: SIM115
        self.sizes: Counter[str] = Counter()

    def put(self, name: str, content: bytes) -> None:
        """One file."""
        entry = tarfile.TarInfo(f"pack/{name}")
        entry.size = len(content)
        self._tar.addfile(entry, io.BytesIO(content))
        self.sizes[name.partition("/")[0] if "/" in name else "settings"] += len(content)

    def close(self) -> None:
        """Finish the file."""
        self._tar.close()


def pack(config: RunConfig, target: Path) -> Counter[str]:
    """Write everything; returns bytes by part."""
    out = Pack(target)
    archive = subprocess.run(["git", "-C", str(ROOT), "archive", "HEAD", *CODE], check=True, capture_output=True).stdout
    with tarfile.open(fileobj=io.BytesIO(archive)) as code:
        for member in code.getmembers():
            if member.isfile() and (stream := code.extractfile(member)) is not None:
                out.put(f"code/{member.name}", stream.read())
    root = Path(config.data.root).expanduser().absolute()
    raws = gather_text(config.data, config.seed, Findings()).raws
    for path in files_of(raws):
        out.put(f"data/{path.absolute().relative_to(root).as_posix()}", path.read_bytes())
    held_out = HeldOut([image.path for split in ("val", "test") if split in raws for image in raws[split].images])
    places = list(put_sources(config, held_out, out))
    mix = dict(zip(places, config.data.mix.values(), strict=True))
    packed = replace(config, data=replace(config.data, root="data", mix=mix), detector=replace(config.detector, weights="weights/start.safetensors"))
    out.put("weights/start.safetensors", start_weights(config, packed))
    out.put("config.yaml", yaml.safe_dump(config_to_dict(packed), sort_keys=False).encode())
    out.put("train.py", (ROOT / "tools" / "packed_training.py").read_bytes())
    out.close()
    return out.sizes


def start_weights(config: RunConfig, packed: RunConfig) -> bytes:
    """What the run would start from here, as a weights file: no pretrained weights need to be found there."""
    torch.manual_seed(config.seed)
    detector = build_detector(config, 1, weights="none" if config.detector.weights else None)
    if config.detector.weights:
        load_start_weights(detector, config.detector.weights, ("text",), keep_classes=False)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "start.safetensors"
        save_weights(file, detector.state_dict(), WeightsInfo(packed, ("text",), (1,), detector.image_stats, build_preprocess(config), 0))
        return file.read_bytes()


def files_of(raws: Mapping[str, RawText]) -> Iterator[Path]:
    """Pictures and annotation files of train and val."""
    for split in ("train", "val"):
        for image in raws[split].images:
            yield image.path
            yield image.annotation_file
            characters = image.annotation_file.with_name(f"chars_{image.path.stem}.json")
            if characters.is_file():
                yield characters


def put_sources(config: RunConfig, held_out: HeldOut, out: Pack) -> Iterator[str]:
    """Put each source of ``data.mix`` in; yields its name there."""
    for number, name in enumerate(config.data.mix):
        kind, where = split_name(name)
        place = f"sources/{number}"
        if not where:
            yield name
        elif kind:
            found = find_pictures([where])
            paths = list(compress(found, held_out.allow(found)))
            for path, free in zip(paths, drawn_names(relative_names(paths)), strict=True):
                out.put(f"{place}/{Path(free).stem}{path.suffix}", path.read_bytes())
            yield f"{kind}:{place}"
        elif TeacherStore.is_one(Path(name).expanduser()):
            put_store(TeacherStore.open(Path(name).expanduser()), place, held_out, out)
            yield place
        else:
            raise UsageError(f"data.mix: {name} cannot be packed yet; data sets of words are packed as data.root only")


def put_store(store: TeacherStore, place: str, held_out: HeldOut, out: Pack) -> None:
    """A teacher's pictures and maps, 8 bits and compressed."""
    lines = []
    done = [taught for taught in store.done if taught.maps]
    for number, taught in enumerate(compress(done, held_out.allow([Path(taught.picture) for taught in done]))):
        picture = Path(taught.picture)
        out.put(f"{place}/pictures/{number}{picture.suffix}", picture.read_bytes())
        packed = io.BytesIO()
        np.savez_compressed(packed, maps=np.rint(np.asarray(store.maps_of(taught), np.float32) * 255).astype(np.uint8))
        out.put(f"{place}/packed/{taught.maps}.npz", packed.getvalue())
        lines.append(json.dumps(asdict(replace(taught, picture=f"pictures/{number}{picture.suffix}"))) + "\n")
    out.put(f"{place}/pictures.jsonl", "".join(lines).encode())
    out.put(f"{place}/teacher.json", json.dumps({"format": 1, **asdict(replace(store.facts, pictures=len(lines)))}).encode())


def main() -> int:
    """Pack by the words of the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("config", help="settings of the run, as for finetune train --config")
    parser.add_argument("--out", type=Path, default=Path("pack.tar"))
    parser.add_argument("--limit", type=float, default=60, help="largest size in MB")
    given = parser.parse_args()
    try:
        settings, _ = read_settings(given.config)
        config = config_from_dict(with_detector_defaults(settings), given.config)
        temporary = given.out.with_name(f".{given.out.name}.tmp")
        sizes = pack(config, temporary)
    except FinetuneError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    whole = temporary.stat().st_size
    parts = ", ".join(f"{name} {size / 1e6:.1f} MB" for name, size in sizes.most_common())
    if whole > given.limit * 1e6:
        temporary.unlink()
        print(f"error: the pack has {whole / 1e6:.1f} MB, more than {given.limit:g} ({parts}): take sources out of data.mix, or raise --limit", file=sys.stderr)
        return 1
    temporary.replace(given.out)
    print(f"{given.out}: {whole / 1e6:.1f} MB ({parts})")
    return 0


if __name__ == "__main__":
    torch.set_num_threads(1)
    sys.exit(main())
