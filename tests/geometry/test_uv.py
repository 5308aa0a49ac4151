from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from multiface.geometry import flip_rows, texel_centres


@given(arrays(np.uint8, array_shapes(min_dims=2, max_dims=4)))
def test_flipping_twice_changes_nothing(texture: np.ndarray) -> None:
    flipped = flip_rows(texture)
    assert flipped.flags.c_contiguous
    assert np.array_equal(flipped[0], texture[-1])
    assert np.array_equal(flip_rows(flipped), texture)


@given(st.integers(1, 40), st.integers(1, 40))
def test_texels_tile_the_unit_square(height: int, width: int) -> None:
    uv = texel_centres(height, width)
    assert uv.shape == (height, width, 2)
    np.testing.assert_allclose(uv[0, 0], [0.5 / width, 0.5 / height])
    np.testing.assert_allclose(uv[-1, -1], [1 - 0.5 / width, 1 - 0.5 / height])
    np.testing.assert_allclose(uv.mean((0, 1)), [0.5, 0.5])
    assert (np.floor(uv * (width, height)) == np.stack(np.meshgrid(range(width), range(height)), -1)).all()
