"""The average texture of a frame: what all its cameras saw, those that saw it more squarely counting more."""

from __future__ import annotations

import numpy as np

from multiface.core.errors import ArgumentError


class TextureAverage:
    """Cosine-weighted mean of the textures of one frame, added one camera at a time.

    Camera colours are averaged as they are: gains between cameras are left in the data, for the model's colour correction.
    """

    def __init__(self, size: int) -> None:
        self._sum = np.zeros((size, size, 3), np.float32)
        self._weight = np.zeros((size, size), np.float32)

    def add(self, texture: np.ndarray, cosine: np.ndarray) -> None:
        """Add one camera.

        Args:
            texture: (T, T, 3) uint8, zero where unseen.
            cosine: (T, T) float32 weight of each texel, not negative, in the same row order as ``texture``.

        Raises:
            ArgumentError: sizes differ from those of this average.
        """
        if texture.shape != self._sum.shape or cosine.shape != self._weight.shape:
            raise ArgumentError(
                "a texture does not fit the average", expected=self._sum.shape, found=f"{texture.shape} and {cosine.shape}"
            )
        weight = np.where(texture.any(axis=-1), cosine, np.float32(0))
        self._sum += texture * weight[..., None]
        self._weight += weight

    def result(self) -> np.ndarray:
        """(T, T, 3) uint8 mean, exactly zero where no camera saw anything."""
        mean = self._sum / np.where(self._weight > 0, self._weight, np.float32(1))[..., None]
        return (mean + 0.5).astype(np.uint8)
