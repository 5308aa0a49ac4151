"""Random rotations, poses and cameras for the property tests of geometry."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st

from multiface.geometry import Camera

coordinates = st.floats(-1000, 1000)
vectors = st.tuples(coordinates, coordinates, coordinates).map(np.array)
photo_sizes = st.tuples(st.integers(1, 4000), st.integers(1, 4000))


@st.composite
def rotations(draw) -> np.ndarray:
    """(3, 3) rotation from a unit quaternion."""
    part = st.floats(-1, 1)
    q = np.array(draw(st.tuples(part, part, part, part).filter(lambda q: np.linalg.norm(q) > 0.1)))
    w, x, y, z = q / np.linalg.norm(q)
    return np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
            [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
            [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
        ]
    )


@st.composite
def poses(draw) -> np.ndarray:
    """(3, 4) rigid motion."""
    return np.column_stack([draw(rotations()), draw(vectors)])


@st.composite
def cameras(draw) -> Camera:
    """A camera anywhere, looking anywhere."""
    height, width = draw(photo_sizes)
    K = np.array(
        [
            [draw(st.floats(10, 1e4)), draw(st.floats(-5, 5)), draw(st.floats(0, 1)) * width],
            [0, draw(st.floats(10, 1e4)), draw(st.floats(0, 1)) * height],
            [0, 0, 1],
        ]
    )
    return Camera("c", K, draw(poses()), (height, width))
