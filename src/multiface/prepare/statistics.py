"""The four statistics of a capture, gathered in one pass over its frames and cameras.

Texture sums are exact integers, so the result does not depend on the order in which textures arrive.
"""

from __future__ import annotations

import numba
import numpy as np

from multiface.core.errors import ArgumentError, CaptureError


class TextureStatistics:
    """Mean texture and scalar variance over all camera textures; texels that a camera did not see do not count."""

    def __init__(self, size: int) -> None:
        self.n_textures = 0
        self._count = np.zeros((size, size, 3), np.int64)
        self._sum = np.zeros((size, size, 3), np.int64)
        self._squares = np.zeros((size, size, 3), np.int64)

    def add(self, texture: np.ndarray) -> None:
        """Add one (T, T, 3) uint8 texture; a zero is a missing value, in each channel of its own.

        Raises:
            ArgumentError: its size or type is another.
        """
        if texture.shape != self._sum.shape or texture.dtype != np.uint8:
            raise ArgumentError(
                "a texture does not fit the statistics",
                expected=f"uint8 {self._sum.shape}",
                found=f"{texture.dtype} {texture.shape}",
            )
        _accumulate(np.ascontiguousarray(texture), self._count, self._sum, self._squares)
        self.n_textures += 1

    def mean(self) -> np.ndarray:
        """(T, T, 3) uint8 mean of the values seen, rounded; 0 where no camera of any frame saw anything."""
        count = np.maximum(self._count, 1)
        return ((2 * self._sum + count) // (2 * count)).astype(np.uint8)

    def variance(self) -> float:
        """Mean over all values seen of the squared distance to :meth:`mean`, in (0..255) squared.

        Raises:
            CaptureError: no texture has any value.
        """
        seen = int(self._count.sum())
        if not seen:
            raise CaptureError("no texture shows anything", remedy="Check the calibration and head poses")
        mean = self.mean().astype(np.int64)
        return int((self._squares - 2 * mean * self._sum + self._count * mean**2).sum()) / seen


class VertexStatistics:
    """Mean mesh and scalar variance over all frames."""

    def __init__(self) -> None:
        self.n_frames = 0
        self._origin = np.zeros((0, 3))
        self._sum = np.zeros((0, 3))
        self._squares = np.zeros((0, 3))

    def add(self, vertices: np.ndarray) -> None:
        """Add one (V, 3) mesh, head space, millimetres.

        Raises:
            ArgumentError: it has another number of vertices than those before.
        """
        if not self.n_frames:  # sums about the first mesh keep their digits: meshes differ by millimetres, not by decimetres
            self._origin = vertices.astype(np.float64)
            self._sum, self._squares = np.zeros_like(self._origin), np.zeros_like(self._origin)
        if vertices.shape != self._origin.shape:
            raise ArgumentError("a mesh does not fit the others", expected=self._origin.shape, found=vertices.shape)
        difference = vertices - self._origin
        self._sum += difference
        self._squares += difference**2
        self.n_frames += 1

    def mean(self) -> np.ndarray:
        """(V, 3) float32 mean mesh, millimetres.

        Raises:
            CaptureError: no mesh was added.
        """
        self._check()
        return (self._origin + self._sum / self.n_frames).astype(np.float32)

    def variance(self) -> float:
        """Mean over frames, vertices and axes of the squared distance to the mean mesh, square millimetres."""
        self._check()
        return float((self._squares / self.n_frames - (self._sum / self.n_frames) ** 2).clip(min=0).mean())

    def _check(self) -> None:
        if not self.n_frames:
            raise CaptureError("no frame has a mesh to take statistics of", remedy="Check the folder tracked_mesh")


@numba.njit(cache=True, nogil=True)
def _accumulate(texture, count, total, squares):
    height, width, channels = texture.shape
    for row in range(height):
        for column in range(width):
            for channel in range(channels):
                value = np.int64(texture[row, column, channel])
                if value > 0:
                    count[row, column, channel] += 1
                    total[row, column, channel] += value
                    squares[row, column, channel] += value * value
