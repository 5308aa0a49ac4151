"""The layers a painter fills for a set of points of the surface."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass
class Layers:
    """(N, 3) reflectance, (N,) height of the fine relief in mm, (N,) gloss and (N,) roughness at N points."""

    color: np.ndarray
    height: np.ndarray
    gloss: np.ndarray
    roughness: np.ndarray

    @classmethod
    def empty(cls, count: int) -> Layers:
        """N points of ordinary skin gloss without colour."""
        return cls(np.zeros((count, 3)), np.zeros(count), np.ones(count), np.full(count, 0.42))

    def put(self, where: np.ndarray, other: Layers) -> None:
        """Copy the points of ``other`` to the indices ``where``."""
        self.color[where], self.height[where] = other.color, other.height
        self.gloss[where], self.roughness[where] = other.gloss, other.roughness

    def glaze(self, color: tuple[float, float, float] | np.ndarray, amount: np.ndarray) -> None:
        """Lay an opaque ``color`` over the points with ``amount`` (N,) in 0..1."""
        amount = np.clip(amount, 0.0, 1.0)[:, None]
        self.color = self.color * (1.0 - amount) + np.asarray(color) * amount

    def tint(self, factor: tuple[float, float, float], amount: np.ndarray) -> None:
        """Multiply the colour by ``factor``, with ``amount`` (N,) of 0..1 of its effect."""
        self.color = self.color * (1.0 + (np.asarray(factor) - 1.0) * np.clip(amount, 0.0, 1.0)[:, None])
