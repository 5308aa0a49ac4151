"""Texture space: texel (row r, column c), counted with row 0 at v = 0, is centred at uv ((c+.5)/width, (r+.5)/height)."""

from __future__ import annotations

import numpy as np


def flip_rows(texture: np.ndarray) -> np.ndarray:
    """Swap between file order (row 0 = top, v = 1) and model order (row 0 at v = 0). Its own inverse; (H, W, ...)."""
    return np.ascontiguousarray(texture[::-1])


def texel_centres(height: int, width: int) -> np.ndarray:
    """(height, width, 2) float64 uv of every texel centre, row 0 at v = 0."""
    u = (np.arange(width) + 0.5) / width
    v = (np.arange(height) + 0.5) / height
    return np.stack(np.meshgrid(u, v), axis=-1)
