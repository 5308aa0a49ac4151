"""The colours of errors: monotone, fixed scale, the right difference."""

from __future__ import annotations

import numpy as np
import pytest

from multiface.core.errors import ArgumentError
from multiface.show.colormap import colour_map, difference_table, legend_strip, mean_difference


def lightness(colours: np.ndarray) -> np.ndarray:
    """CIE L* of sRGB bytes: another formula than the one that makes the table."""
    encoded = colours / 255
    linear = np.where(encoded <= 0.04045, encoded / 12.92, ((encoded + 0.055) / 1.055) ** 2.4)
    luminance = linear @ [0.2126, 0.7152, 0.0722]
    return np.where(luminance > 0.008856, 116 * np.cbrt(luminance) - 16, 903.3 * luminance)


def test_more_error_is_always_lighter():
    steps = np.diff(lightness(difference_table())[::4])
    assert (steps > 0).all()
    assert lightness(difference_table())[0] < 2 and lightness(difference_table())[-1] > 94


def test_lightness_is_close_to_even():
    values = lightness(difference_table())
    assert np.abs(values - np.linspace(values[0], values[-1], 256)).max() < 9


def test_the_scale_is_fixed_and_saturates():
    assert np.array_equal(colour_map(np.array([0.0, 16.0, 32.0, 500.0]), 32), difference_table()[[0, 128, 255, 255]])
    assert np.array_equal(colour_map(np.array([np.nan]), 32)[0], difference_table()[0])


@pytest.mark.parametrize("scale", [0, -1, float("nan"), float("inf")])
def test_a_scale_that_means_nothing_is_refused(scale):
    with pytest.raises(ArgumentError, match="scale"):
        colour_map(np.zeros(1), scale)


def test_difference_of_bytes_does_not_wrap_and_respects_the_mask():
    truth = np.array([[[0, 10, 20], [255, 255, 255]]], np.uint8)
    prediction = np.array([[[3, 10, 14], [0, 0, 0]]], np.uint8)
    assert mean_difference(prediction, truth).tolist() == [[3.0, 255.0]]
    assert mean_difference(prediction, truth, np.array([[1, 0]])).tolist() == [[3.0, 0.0]]
    with pytest.raises(ArgumentError, match="mask"):
        mean_difference(prediction, truth, np.ones((2, 1)))


def test_the_legend_shows_the_whole_map():
    strip = legend_strip(300, 4)
    assert strip.shape == (4, 300, 3)
    assert np.array_equal(strip[:, 0], np.repeat(difference_table()[:1], 4, 0))
    assert np.array_equal(strip[0, -1], difference_table()[-1])


def test_the_mean_over_three_channels_is_exact():
    random = np.random.default_rng(0)
    for dtype in (np.uint8, np.float32):
        prediction, truth = (random.uniform(0, 256, (9, 11, 3)).astype(dtype) for _ in range(2))
        expected = np.abs(prediction.astype(np.float32) - truth.astype(np.float32)).mean(axis=-1)
        np.testing.assert_array_equal(mean_difference(prediction, truth), expected)
