"""pytorchcv's networks as backbones: their weights, and what is said when something is missing."""

from __future__ import annotations

import hashlib
import logging
import zipfile
from pathlib import Path

import pytest
import torch

from backbones import UsageError, check_backbone, create_backbone, pytorchcv_provider
from backbones.pytorchcv_provider import pytorchcv_network_on_meta, pytorchcv_record

SMALL = "pytorchcv:shufflenet_g1_wd4"
ADDRESS = "https://github.com/osmr/imgclsmob/releases/download/v0.0.134/shufflenet_g1_wd4-3729-47dbd0f2.pth.zip"


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[str]:
    """A site that serves one file of weights, known by its checksum; gives the addresses that were asked for."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")  # so that no host is looked up
    network = pytorchcv_network_on_meta(SMALL).to_empty(device="cpu")
    torch.manual_seed(3)
    entries = {key: torch.rand_like(value) if value.is_floating_point() else torch.zeros_like(value) for key, value in network.state_dict().items()}
    served = tmp_path / "shufflenet_g1_wd4-3729-47dbd0f2.pth"
    torch.save(entries, served)
    rows = {name: dict(row) for name, row in pytorchcv_provider._rows().items()}
    rows["shufflenet_g1_wd4"]["checksum"] = "47dbd0f2" + "0" * 32
    monkeypatch.setattr(pytorchcv_provider, "_rows", lambda: rows)
    asked: list[str] = []

    def fetch(address: str, target: str) -> None:
        asked.append(address)
        with zipfile.ZipFile(target, "w") as archive:
            archive.write(served, served.name)

    monkeypatch.setattr(torch.hub, "download_url_to_file", fetch)
    sha1 = hashlib.sha1

    class Known:
        """The published checksum for the file that is served, the true one for any other."""

        def __init__(self, content: bytes) -> None:
            self.right = content == served.read_bytes()
            self.true = sha1(content, usedforsecurity=False).hexdigest()

        def hexdigest(self) -> str:
            return rows["shufflenet_g1_wd4"]["checksum"] if self.right else self.true

    monkeypatch.setattr(pytorchcv_provider.hashlib, "sha1", lambda content, usedforsecurity: Known(content))
    return asked


def test_weights_come_when_asked_for_and_it_is_said_first(site: list[str], tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    create_backbone(SMALL, weights="none")
    assert not site
    with caplog.at_level(logging.WARNING, "backbones"):
        backbone = create_backbone(SMALL)
    assert site == [ADDRESS]
    assert f"downloading pretrained weights from {ADDRESS}" in caplog.text
    entries = torch.load(tmp_path / "shufflenet_g1_wd4-3729-47dbd0f2.pth", weights_only=True)
    loaded = {key.removeprefix("body.graph."): value for key, value in backbone.state_dict().items()}  # type: ignore[attr-defined]
    assert torch.equal(loaded["features.init_block.conv.weight"], entries["features.init_block.conv.weight"])
    assert all(torch.equal(value, entries[key]) for key, value in loaded.items())
    caplog.clear()
    with caplog.at_level(logging.WARNING, "backbones"):
        create_backbone(SMALL)
    assert len(site) == 1, "the file was fetched twice"
    assert not caplog.text
    folder = tmp_path / "torch" / "hub" / "checkpoints"
    assert [file.name for file in folder.iterdir()] == ["shufflenet_g1_wd4-3729-47dbd0f2.pth"]


def test_a_damaged_file_is_not_read(site: list[str], tmp_path: Path) -> None:
    create_backbone(SMALL)
    file = tmp_path / "torch" / "hub" / "checkpoints" / "shufflenet_g1_wd4-3729-47dbd0f2.pth"
    file.write_bytes(file.read_bytes() + b"x")
    with pytest.raises(UsageError, match=r"its SHA-1 is .* delete the file"):
        create_backbone(SMALL)


def test_another_number_of_channels() -> None:
    check_backbone(create_backbone(SMALL, weights="none", in_channels=1), in_channels=1)


def test_what_is_missing_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError, match=r"no such ImageNet model; did you mean pytorchcv:peleenet"):
        create_backbone("pytorchcv:pelenet", weights="none")
    with pytest.raises(UsageError, match="one set of weights"):
        create_backbone(SMALL, weights="v2")
    with pytest.raises(UsageError, match="no taps of the SSD-lite papers"):
        create_backbone(SMALL, weights="none", taps="ssd")
    monkeypatch.setattr(pytorchcv_provider, "find_spec", lambda name: None)
    with pytest.raises(UsageError, match=r"pytorchcv is not installed; pip install 'finetune-light\[pytorchcv\]'"):
        create_backbone(SMALL, weights="none")


def test_the_record_names_licence_and_address() -> None:
    assert pytorchcv_record(SMALL) == {"license": "mit", "url": ADDRESS}
