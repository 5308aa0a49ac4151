"""Averages and statistics, against small cases worked out by hand and plain NumPy."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis.extra.numpy import arrays

from multiface.core.errors import ArgumentError, CaptureError
from multiface.prepare import TextureAverage, TextureStatistics, VertexStatistics


def average(textures, cosines):
    total = TextureAverage(textures[0].shape[0])
    for texture, cosine in zip(textures, cosines):
        total.add(texture, np.asarray(cosine, np.float32))
    return total.result()


def test_the_average_is_weighted_by_the_cosine_and_leaves_out_the_unseen():
    first, second = np.full((2, 2, 3), 100, np.uint8), np.full((2, 2, 3), 200, np.uint8)
    first[0, 1] = second[1, 0] = first[1, 1] = second[1, 1] = 0
    result = average([first, second], [np.full((2, 2), 0.75), np.full((2, 2), 0.25)])
    assert result[..., 0].tolist() == [[125, 200], [100, 0]]


def test_seen_texels_stay_above_zero_and_nothing_is_divided_by_zero():
    faint = np.ones((1, 1, 3), np.uint8)
    assert average([faint, faint], [[[0.2]], [[0.9]]]).min() == 1
    assert average([faint], [[[0.0]]]).max() == 0


def test_textures_of_another_size_are_refused():
    with pytest.raises(ArgumentError, match="average"):
        TextureAverage(4).add(np.zeros((2, 2, 3), np.uint8), np.zeros((2, 2), np.float32))
    with pytest.raises(ArgumentError, match="statistics"):
        TextureStatistics(4).add(np.zeros((2, 2, 3), np.uint8))
    with pytest.raises(ArgumentError, match="statistics"):
        TextureStatistics(4).add(np.zeros((4, 4, 3)))


def test_texture_statistics_by_hand():
    statistics = TextureStatistics(1)
    for value in ([10, 0, 7], [13, 0, 7], [0, 0, 7]):
        statistics.add(np.array([[value]], np.uint8))
    assert statistics.mean().tolist() == [[[12, 0, 7]]]  # 11.5 is rounded up; a zero does not count
    assert statistics.variance() == pytest.approx((2**2 + 1**2 + 0) / 5)
    assert statistics.n_textures == 3


@given(arrays(np.uint8, (4, 3, 3, 3)))
@settings(max_examples=50, deadline=None)
def test_texture_statistics_are_those_of_the_values_seen(textures):
    if not textures.any():
        return
    forward, backward = TextureStatistics(3), TextureStatistics(3)
    for texture in textures:
        forward.add(texture)
    for texture in textures[::-1]:
        backward.add(texture)
    seen = np.ma.masked_equal(textures.astype(np.int64), 0)
    mean = np.ma.filled(np.floor(seen.mean(axis=0) + 0.5), 0)
    np.testing.assert_array_equal(forward.mean(), mean)
    assert forward.variance() == pytest.approx(float(((seen - mean) ** 2).mean()))
    assert forward.variance() == backward.variance()


def test_statistics_of_nothing_are_refused():
    empty = TextureStatistics(2)
    empty.add(np.zeros((2, 2, 3), np.uint8))
    with pytest.raises(CaptureError, match="no texture shows anything"):
        empty.variance()
    with pytest.raises(CaptureError, match="no frame has a mesh"):
        VertexStatistics().mean()


def test_vertex_statistics_keep_millimetres_far_from_the_origin():
    random = np.random.default_rng(0)
    meshes = (1000 + random.normal(0, 0.5, (40, 9, 3))).astype(np.float32)
    statistics = VertexStatistics()
    for mesh in meshes:
        statistics.add(mesh)
    exact = meshes.astype(np.float64)
    np.testing.assert_allclose(statistics.mean(), exact.mean(0), atol=1e-4)
    assert statistics.variance() == pytest.approx(exact.var(axis=0).mean(), rel=1e-9)
    assert statistics.n_frames == 40


def test_meshes_of_another_size_are_refused():
    statistics = VertexStatistics()
    statistics.add(np.zeros((3, 3), np.float32))
    with pytest.raises(ArgumentError, match="mesh"):
        statistics.add(np.zeros((4, 3), np.float32))
