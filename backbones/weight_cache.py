"""Whether downloaded weights are on this machine already, looked up by file name: no torch, no hub client."""

from __future__ import annotations

import os
from pathlib import Path


def hub_folder() -> Path:
    """Where the Hugging Face client keeps its files."""
    home = Path(os.environ.get("HF_HOME") or Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "huggingface")
    return Path(os.environ.get("HF_HUB_CACHE") or home / "hub").expanduser()


def torch_folder() -> Path:
    """Where torch keeps the checkpoints that it downloads."""
    home = Path(os.environ.get("TORCH_HOME") or Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "torch")
    return (home / "hub" / "checkpoints").expanduser()


def cached_file(hub: str | None, url: str | None) -> Path | None:
    """The file of weights at a hub repository ("owner/name") or at an address, if it is on this machine."""
    if hub:
        snapshots = hub_folder() / f"models--{hub.replace('/', '--')}" / "snapshots"
        for name in ("model.safetensors", "pytorch_model.bin"):
            found = sorted(snapshots.glob(f"*/{name}")) if snapshots.is_dir() else []
            if found:
                return found[-1]
    file = torch_folder() / str(url).rpartition("/")[2].removesuffix(".zip") if url else None  # archives are unpacked
    return file if file is not None and file.is_file() else None
