"""Anchors against torchvision's generator and against the published shapes."""

from __future__ import annotations

import pytest
import torch
from torchvision.models.detection.anchor_utils import DefaultBoxGenerator
from torchvision.models.detection.image_list import ImageList

from backbones.errors import UsageError
from detectors.ssdlite.anchors import AnchorGenerator

CPU = torch.device("cpu")


@pytest.mark.parametrize(("size", "maps"), [((320, 320), [(20, 20), (10, 10), (5, 5), (3, 3), (2, 2), (1, 1)]), ((193, 250), [(13, 16), (7, 8), (4, 4), (1, 2)]), ((64, 512), [(4, 32), (1, 3)])])
def test_equal_torchvision_at_any_size(size: tuple[int, int], maps: list[tuple[int, int]]) -> None:
    theirs = DefaultBoxGenerator([[2, 3] for _ in maps], min_ratio=0.2, max_ratio=0.95)
    want = theirs(ImageList(torch.zeros(1, 3, *size), [size]), [torch.zeros(1, 1, *m) for m in maps])[0]
    anchors, levels = AnchorGenerator("ssd", len(maps))(maps, size, CPU)
    assert torch.equal(anchors, want)
    assert levels.bincount().tolist() == [6 * h * w for h, w in maps]


def test_three_on_the_first_map() -> None:
    """0.1 square, 0.2 at ratios 2 and 1/2 (TensorFlow's detection models with reduced boxes in the lowest layer)."""
    generator = AnchorGenerator("ssd-a3", 6)
    assert generator.per_cell == [3, 6, 6, 6, 6, 6]
    anchors, _ = generator([(20, 20), (10, 10), (5, 5), (3, 3), (2, 2), (1, 1)], (320, 320), CPU)
    first = (anchors[:3, 2:] - anchors[:3, :2]) / 320
    torch.testing.assert_close(first, torch.tensor([[0.1, 0.1], [0.2 * 2**0.5, 0.2 / 2**0.5], [0.2 / 2**0.5, 0.2 * 2**0.5]]))
    torch.testing.assert_close((anchors[3:6, :2] + anchors[3:6, 2:]) / 2, torch.tensor([[24.0, 8.0]]).expand(3, 2))


def test_squares_of_five_strides_in_cell_centres() -> None:
    anchors, levels = AnchorGenerator("square", 2)([(12, 16), (6, 8)], (96, 128), CPU)
    centres, sides = (anchors[:, :2] + anchors[:, 2:]) / 2, anchors[:, 2:] - anchors[:, :2]
    torch.testing.assert_close(sides, torch.where(levels[:, None] == 0, 40.0, 80.0).expand(-1, 2))
    torch.testing.assert_close(centres[:17], torch.tensor([[4.0 + 8 * (i % 16), 4.0 + 8 * (i // 16)] for i in range(17)]))


def test_unknown_kind() -> None:
    with pytest.raises(UsageError, match="ssd, ssd-a3 and square"):
        AnchorGenerator("circle", 3)  # type: ignore[arg-type]
