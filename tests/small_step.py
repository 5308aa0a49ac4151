"""What a training step needs beside a network, made up: for tests that need no capture."""

from __future__ import annotations

import numpy as np

from multiface.capture import Statistics
from multiface.data import Normalisation
from multiface.geometry import Topology


def small_normalisation(n_vertices: int = 5, size: int = 256) -> Normalisation:
    """Of noise about grey."""
    noise = np.random.default_rng(0)
    mean = noise.integers(100, 156, (size, size, 3), dtype=np.uint8)
    vertices = noise.standard_normal((n_vertices, 3)).astype(np.float32)
    return Normalisation(Statistics(tex_mean=mean, tex_var=70.0**2, vert_mean=vertices, vert_var=1.0), size)


def small_topology() -> Topology:
    """One triangle."""
    face = np.array([[0, 1, 2]], dtype=np.int32)
    return Topology(face, np.array([[0, 0], [1, 0], [0, 1]], dtype=np.float32), face)
