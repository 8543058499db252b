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


def is_cached(hub: str | None, url: str | None) -> bool:
    """Whether weights at a hub repository ("owner/name") or at an address are on this machine."""
    if hub:
        snapshots = hub_folder() / f"models--{hub.replace('/', '--')}" / "snapshots"
        if snapshots.is_dir() and any(file.suffix in (".safetensors", ".bin") for file in snapshots.glob("*/*")):
            return True
    return bool(url) and (torch_folder() / str(url).rpartition("/")[2]).is_file()
