"""Maps over pictures: where the colours are."""

from __future__ import annotations

import numpy as np
import pytest

from finetune.map_drawing import draw_maps


@pytest.mark.parametrize("channels", [1, 3])
def test_colours_lie_where_the_maps_are(channels: int) -> None:
    image = np.full((40, 60, channels), 200, np.uint8)
    maps, confidence = np.zeros((2, 20, 30), np.float32), np.ones((20, 30), np.float32)
    maps[0, 5, 5], maps[1, 5, 20] = 1, 1
    maps[0, 0, 0] = np.nan  # a network that went wrong is drawn all the same
    confidence[15:, 15:] = 0
    drawn = np.asarray(draw_maps(image, maps, confidence)).astype(int)
    assert drawn.shape == (40, 60, 3)
    assert drawn[11, 11, 0] > drawn[11, 11, 2] + 50
    assert drawn[11, 41, 2] > drawn[11, 41, 0] + 50
    assert (drawn[25, 5] == 110).all()
    assert (drawn[38, 58] < 105).all()
    assert np.ptp(drawn[38, 58]) == 0
