"""The display transform: published values, no overflow."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from multiface.core.errors import ArgumentError
from multiface.show.display import display_table, to_display


def formula(value: float, channel: int) -> float:
    scale = (1.4, 1.1, 1.6)[channel] / 1.1
    black = 3 / 255
    exposed = min(max(scale * value / 255 - black, 0), 2)
    return 255 * min(max((0.95 / (1 - black) * exposed) ** 0.5 - 15 / 255, 0), 2)


def test_every_value_follows_the_published_formula_and_saturates():
    for channel in range(3):
        wanted = [int(min(formula(value, channel), 255)) for value in range(256)]
        assert display_table()[:, channel].tolist() == wanted


def test_published_end_points():
    assert formula(255, 1) == pytest.approx(233.5, abs=0.1)
    assert formula(255, 0) == pytest.approx(265.75, abs=0.05)
    assert to_display(np.full((1, 1, 3), 255, np.uint8)).tolist() == [[[255, 233, 255]]]


def test_no_channel_wraps_round():
    assert (np.diff(display_table().astype(int), axis=0) >= 0).all()


@given(st.floats(allow_nan=True, allow_infinity=True, width=32), st.integers(0, 2))
def test_floats_are_clamped_and_truncated_first(value, channel):
    picture = np.zeros((1, 1, 3), np.float32)
    picture[0, 0, channel] = value
    whole = 0 if np.isnan(value) else int(min(max(value, 0), 255))
    assert to_display(picture)[0, 0, channel] == display_table()[whole, channel]


def test_batches_and_views_keep_their_shape():
    pictures = np.random.default_rng(0).integers(0, 256, (2, 3, 5, 7, 3), dtype=np.uint8)
    shown = to_display(pictures[:, :, ::-1])
    assert shown.shape == pictures.shape
    assert np.array_equal(shown, display_table()[pictures[:, :, ::-1], np.arange(3)])


def test_a_grey_picture_is_refused():
    with pytest.raises(ArgumentError, match="three channels"):
        to_display(np.zeros((4, 4), np.uint8))
