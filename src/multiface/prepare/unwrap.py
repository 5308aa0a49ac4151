"""Unwrapping: the texture of a mesh as one photo shows it."""

from __future__ import annotations

import threading
from collections.abc import Sequence

import cv2
import numba
import numpy as np
import torch

from multiface.core.errors import ArgumentError
from multiface.prepare.average import TextureAverage
from multiface.prepare.uv_map import SurfaceMap, UvMap
from multiface.render import rasterize

MIN_COSINE = 0.15
"""Texels whose normal makes a smaller cosine with the direction to the camera are left out (seen at more than 81 degrees)."""

DEPTH_TOLERANCE = 1.0
"""Millimetres by which a texel's depth may differ from that of the nearest surface and still count as that surface."""

ROUNDING = 0.01
"""Pixels by which a texel may lie beyond the outermost pixel centres, and weight up to which a pixel is not looked at."""

_RASTERIZER = threading.Lock()  # Numba's simplest threading layer does not survive being entered by two threads


def unwrap_photo(
    surface: SurfaceMap,
    projection: np.ndarray,
    photo: np.ndarray,
    *,
    min_cosine: float = MIN_COSINE,
    depth_tolerance: float = DEPTH_TOLERANCE,
) -> np.ndarray:
    """Texture that ``photo`` shows of a mesh.

    A texel is seen where it faces the camera and where all the pixels that its colour is interpolated from (up to four) are
    inside the picture and show the mesh at its depth, give or take ``depth_tolerance`` and the surface's own slope over a
    pixel and a half. So neither what hides it nor what shows beside it, behind a silhouette, gets into its colour. Photos
    much finer than the texture are averaged down first, so that the texture is not aliased.

    Args:
        surface: The mesh at every texel, from :meth:`UvMap.surface`.
        projection: (3, 4) head space (mm) -> homogeneous pixels of ``photo``, depth in mm; pixel centres at +0.5.
        photo: (H, W, 3) uint8, linear camera values.
        min_cosine: Smallest cosine between normal and direction to the camera.
        depth_tolerance: Millimetres.

    Returns:
        (T, T, 3) uint8, rows as in a texture file (row 0 at v = 1): exactly 0 where unseen, at least 1 in every channel
        where seen, since a zero means "missing" in the format.

    Raises:
        ArgumentError: the photo is not uint8 (H, W, 3), or the projection is not an invertible (3, 4).
    """
    photo = np.asarray(photo)
    if photo.dtype != np.uint8 or photo.ndim != 3 or photo.shape[2] != 3 or min(photo.shape[:2]) < 2:
        raise ArgumentError(
            "a photo has the wrong shape", expected="uint8 (H, W, 3), 2x2 or more", found=f"{photo.dtype} {photo.shape}"
        )
    projection = _checked_projection(projection)
    photo, projection = _match_resolution(surface, projection, photo)
    focal = float(np.sqrt(abs(np.linalg.det(projection[:, :3]))))
    return _sample(
        surface.uv_map.triangle,
        surface.position,
        surface.normal,
        projection,
        camera_center(projection),
        photo,
        _depth(surface, projection, photo.shape[:2]),
        np.array([min_cosine, depth_tolerance, 1.5 / focal]),
    )


def unwrap_frame(
    uv_map: UvMap, vertices: np.ndarray, projections: Sequence[np.ndarray], photos: Sequence[np.ndarray]
) -> tuple[list[np.ndarray], np.ndarray]:
    """All textures of a frame: one for each of ``photos`` under its projection, and their average.

    Arguments and results as in :func:`unwrap_photo`; ``vertices`` (V, 3) in head space, millimetres.
    """
    surface = uv_map.surface(vertices)
    textures = [unwrap_photo(surface, projection, photo) for projection, photo in zip(projections, photos, strict=True)]
    average = TextureAverage(uv_map.size)
    for projection, texture in zip(projections, textures, strict=True):
        average.add(texture, view_cosine(surface, projection))
    return textures, average.result()


def view_cosine(surface: SurfaceMap, projection: np.ndarray) -> np.ndarray:
    """(T, T) float32 cosine between each texel's normal and the direction to the camera; rows as in a texture file.

    0 where the texel faces away or has no surface. Occlusion is not looked at.
    """
    center = camera_center(_checked_projection(projection))
    return _cosines(surface.uv_map.triangle, surface.position, surface.normal, center)


def camera_center(projection: np.ndarray) -> np.ndarray:
    """(3,) float64 point that a (3, 4) projection maps to nothing: the optical centre in the space it projects from."""
    return -np.linalg.solve(projection[:, :3], projection[:, 3])


def _checked_projection(projection: np.ndarray) -> np.ndarray:
    projection = np.ascontiguousarray(projection, np.float64)
    if projection.shape != (3, 4) or not np.isfinite(projection).all() or np.linalg.det(projection[:, :3]) == 0:
        raise ArgumentError("a projection cannot be used", expected="an invertible (3, 4) matrix", found=projection.tolist())
    return projection


def _match_resolution(surface: SurfaceMap, projection: np.ndarray, photo: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Halve the photo until a texel that is seen frontally covers about one pixel (0.7 to 1.4)."""
    halvings = int(np.clip(np.round(np.log2(_pixels_per_texel(surface, projection))), 0, 6))
    height, width = (max(2, round(side / 2**halvings)) for side in photo.shape[:2])
    if (height, width) == photo.shape[:2]:
        return np.ascontiguousarray(photo), projection
    scale = np.diag([width / photo.shape[1], height / photo.shape[0], 1.0])
    return cv2.resize(photo, (width, height), interpolation=cv2.INTER_AREA), scale @ projection


def _pixels_per_texel(surface: SurfaceMap, projection: np.ndarray) -> float:
    """Median side of a texel, in pixels, over the triangles that face the camera to within 60 degrees."""
    corners = surface.vertices.astype(np.float64)[surface.uv_map.topology.faces]
    normal = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    ray = camera_center(projection) - corners.mean(axis=1)
    cosine = np.abs((normal * ray).sum(1)) / np.maximum(np.linalg.norm(normal, axis=1) * np.linalg.norm(ray, axis=1), 1e-12)
    homogeneous = corners @ projection[:, :3].T + projection[:, 3]
    texels = surface.uv_map.triangle_texels
    usable = (homogeneous[..., 2] > 0).all(axis=1) & (cosine > 0.5) & (texels > 1e-6)
    if not usable.any():
        return 1.0
    pixels = homogeneous[usable, :, :2] / homogeneous[usable, :, 2:]
    a, b = pixels[:, 1] - pixels[:, 0], pixels[:, 2] - pixels[:, 0]
    area = np.abs(a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]) / 2
    return float(np.sqrt(max(np.median(area / texels[usable]), 1e-6)))


def _depth(surface: SurfaceMap, projection: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """(H, W) float32 depth of the nearest surface in mm, 0 where there is none."""
    vertices = torch.from_numpy(surface.vertices)[None]
    matrix = torch.from_numpy(projection.astype(np.float32))[None]
    with _RASTERIZER:
        raster = rasterize(vertices, matrix, torch.from_numpy(surface.uv_map.topology.faces), size)
    return np.ascontiguousarray(raster.depth[0].numpy())


@numba.njit(cache=True, nogil=True)
def _cosine(position, normal, center):
    x, y, z = center[0] - position[0], center[1] - position[1], center[2] - position[2]
    length = np.sqrt(x * x + y * y + z * z)
    if length == 0.0:
        return 0.0
    return (x * normal[0] + y * normal[1] + z * normal[2]) / length


@numba.njit(cache=True, nogil=True)
def _cosines(triangle, position, normal, center):
    size = triangle.shape[0]
    out = np.zeros((size, size), np.float32)
    for row in range(size):
        for column in range(size):
            if triangle[row, column] >= 0:
                out[size - 1 - row, column] = max(0.0, _cosine(position[row, column], normal[row, column], center))
    return out


@numba.njit(cache=True, nogil=True)
def _sample(triangle, position, normal, projection, center, photo, depth, limits):
    min_cosine, depth_tolerance, slope_pixels = limits
    size, height, width = triangle.shape[0], photo.shape[0], photo.shape[1]
    out = np.zeros((size, size, 3), np.uint8)
    q = np.zeros(3)
    for row in range(size):
        for column in range(size):
            if triangle[row, column] < 0:
                continue
            p = position[row, column]
            cosine = _cosine(p, normal[row, column], center)
            if cosine < min_cosine or cosine <= 0.0:
                continue
            for k in range(3):
                q[k] = projection[k, 0] * p[0] + projection[k, 1] * p[1] + projection[k, 2] * p[2] + projection[k, 3]
            if q[2] <= 0.0:
                continue
            u, v = q[0] / q[2] - 0.5, q[1] / q[2] - 0.5
            if not (-ROUNDING <= u <= width - 1 + ROUNDING and -ROUNDING <= v <= height - 1 + ROUNDING):
                continue
            u, v = min(max(u, 0.0), width - 1.0), min(max(v, 0.0), height - 1.0)
            tangent = np.sqrt(max(0.0, 1.0 - cosine * cosine)) / cosine
            tolerance = depth_tolerance + slope_pixels * q[2] * tangent
            j, i = min(int(u), width - 2), min(int(v), height - 2)
            if _is_nearest(depth, i, j, v - i, u - j, q[2], tolerance):
                _bilinear(photo, i, j, v - i, u - j, out[size - 1 - row, column])
    return out


@numba.njit(cache=True, nogil=True)
def _is_nearest(depth, i, j, fv, fu, z, tolerance):
    """Whether the nearest surface is at depth ``z`` in each of the four pixels that take part in the interpolation."""
    for di in range(2):
        for dj in range(2):
            weight = (fv if di else 1.0 - fv) * (fu if dj else 1.0 - fu)
            if weight > ROUNDING and not abs(depth[i + di, j + dj] - z) <= tolerance:
                return False
    return True


@numba.njit(cache=True, nogil=True)
def _bilinear(photo, i, j, fv, fu, out):
    for channel in range(3):
        top = photo[i, j, channel] * (1.0 - fu) + photo[i, j + 1, channel] * fu
        bottom = photo[i + 1, j, channel] * (1.0 - fu) + photo[i + 1, j + 1, channel] * fu
        out[channel] = max(1, int(top * (1.0 - fv) + bottom * fv + 0.5))
