"""What the surface is made of, per texel: colour, fine slope, gloss and roughness."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from multiface.prepare.uv_map import SurfaceMap

SKIN, EYE, TOOTH = 0, 1, 2
"""Kinds of surface, which scatter light differently below it."""


@dataclass(frozen=True, eq=False)
class Materials:
    """Maps of the neutral head, (T, T, ...) float32 with row 0 at v = 0.

    Attributes:
        color: (T, T, 3) diffuse reflectance 0..1, linear, in natural colours (the camera's response comes later).
        slope: (T, T, 3) gradient along the surface of the fine relief (pores, creases), mm per mm, in head space.
        gloss: (T, T) strength of the highlights, 1 = ordinary skin.
        roughness: (T, T) width of the highlights, 0.1 wet .. 0.6 matt.
        kind: (F,) int32 per triangle: SKIN, EYE or TOOTH.
    """

    color: np.ndarray
    slope: np.ndarray
    gloss: np.ndarray
    roughness: np.ndarray
    kind: np.ndarray

    def packed(self) -> np.ndarray:
        """(T, T, 8) float32: colour, slope, gloss, roughness; one lookup for all in the shader."""
        return np.concatenate([self.color, self.slope, self.gloss[..., None], self.roughness[..., None]], -1)

    def halved(self) -> Materials:
        """The maps at half the size, each texel the mean of four."""

        def half(image: np.ndarray) -> np.ndarray:
            return (0.25 * (image[::2, ::2] + image[1::2, ::2] + image[::2, 1::2] + image[1::2, 1::2])).astype(np.float32)

        return Materials(half(self.color), half(self.slope), half(self.gloss), half(self.roughness), self.kind)


def slope_of(height: np.ndarray, surface: SurfaceMap, limit: float = 0.8) -> np.ndarray:
    """(T, T, 3) gradient along the surface of ``height`` (T, T) mm, from differences between neighbouring texels.

    0 where a neighbour lies in another chart or nowhere; not steeper than ``limit``.
    """
    position = surface.position.astype(np.float64)
    covered = surface.uv_map.covered
    du, dv = _differences(position, height, axis=1), _differences(position, height, axis=0)
    (pu, hu), (pv, hv) = du, dv
    # Solve g . pu = hu, g . pv = hv for g in the plane of pu and pv.
    uu, uv, vv = (pu * pu).sum(-1), (pu * pv).sum(-1), (pv * pv).sum(-1)
    determinant = uu * vv - uv**2
    sound = covered & (determinant > 1e-3 * uu * vv) & (uu < 16.0) & (vv < 16.0) & (uu > 0) & (vv > 0)
    determinant = np.where(sound, determinant, 1.0)
    a, b = (hu * vv - hv * uv) / determinant, (hv * uu - hu * uv) / determinant
    slope = np.where(sound[..., None], a[..., None] * pu + b[..., None] * pv, 0.0)
    length = np.linalg.norm(slope, axis=-1, keepdims=True)
    return (slope * np.minimum(1.0, limit / np.maximum(length, 1e-9))).astype(np.float32)


def _differences(position: np.ndarray, height: np.ndarray, axis: int) -> tuple[np.ndarray, np.ndarray]:
    following, before = np.roll(position, -1, axis), np.roll(position, 1, axis)
    higher, lower = np.roll(height, -1, axis), np.roll(height, 1, axis)
    return 0.5 * (following - before), 0.5 * (higher - lower)


def fill_gutter(image: np.ndarray, covered: np.ndarray, width: int = 6) -> np.ndarray:
    """Continue the charts of ``image`` (T, T, ...) outwards by ``width`` texels, so that lookups near a border stay inside."""
    image, covered = image.copy(), covered.copy()
    for _ in range(width):
        total, count = np.zeros(image.shape), np.zeros(covered.shape)
        for axis, step in ((0, 1), (0, -1), (1, 1), (1, -1)):
            there = np.roll(covered, step, axis)
            total += np.where(there.reshape(there.shape + (1,) * (image.ndim - 2)), np.roll(image, step, axis), 0.0)
            count += there
        new = ~covered & (count > 0)
        divisor = count[new].reshape((-1,) + (1,) * (image.ndim - 2))
        image[new] = (total[new] / divisor).astype(image.dtype)
        covered |= new
    return image
