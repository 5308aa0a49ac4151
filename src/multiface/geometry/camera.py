"""A calibrated pinhole camera."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from multiface.geometry.projection import resize_intrinsics


@dataclass(frozen=True, eq=False)
class Camera:
    """One camera of a capture.

    Attributes:
        name: Name as in the KRT file, for example ``"400002"``.
        K: (3, 3) float64 intrinsics in pixels of a picture of ``size``; the centre of pixel (row i, column j) is at
            ``(u, v) = (j + 0.5, i + 0.5)``.
        Rt: (3, 4) float64 extrinsics, world -> camera, millimetres; x right, y down, z forward.
        size: (height, width) in pixels of the pictures that ``K`` belongs to.
        distortion: Lens coefficients as read. Photos are treated as pinhole everywhere; they are carried, not used.
    """

    name: str
    K: np.ndarray
    Rt: np.ndarray
    size: tuple[int, int]
    distortion: tuple[float, ...] = (0.0, 0.0, 0.0, 0.0, 0.0)

    @property
    def center(self) -> np.ndarray:
        """(3,) optical centre in world space, millimetres: ``-R^T t``."""
        return -self.Rt[:, :3].T @ self.Rt[:, 3]

    def resized(self, size: tuple[int, int]) -> Camera:
        """The same camera for pictures of another (height, width)."""
        return replace(self, K=resize_intrinsics(self.K, self.size, size), size=size)
