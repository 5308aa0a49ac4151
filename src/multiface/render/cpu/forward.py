"""The forward passes: which triangle, what colour."""

from __future__ import annotations

import numpy as np
import torch

from multiface.render.cpu.raster_kernels import bound_triangles, rasterize_rows
from multiface.render.cpu.schedule import for_parts
from multiface.render.cpu.shade_kernels import shade_rows, weigh_rows
from multiface.render.results import Raster
from multiface.render.screen import project

ROWS_AT_LEAST = 16
TRIANGLES_AT_LEAST = 512


def find_bounds(screen: np.ndarray, faces: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """(B, F, 4) int32 first and last row, first and last column that each triangle could cover."""
    bounds = np.empty((len(screen), len(faces), 4), np.int32)
    for_parts(
        lambda item, first, last: bound_triangles(screen, faces, *size, item, first, last, bounds),
        len(screen), len(faces), TRIANGLES_AT_LEAST,
    )  # fmt: skip
    return bounds


def find_triangles(screen: np.ndarray, faces: np.ndarray, size: tuple[int, int], perspective: bool):
    """(B, H, W) int32 triangle and float32 depth of every pixel."""
    bounds = find_bounds(screen, faces, size)
    triangle = np.empty((len(screen), *size), np.int32)
    depth = np.empty((len(screen), *size), np.float32)
    for_parts(
        lambda item, first, last: rasterize_rows(screen, faces, bounds, perspective, item, first, last, triangle, depth),
        len(screen), size[0], ROWS_AT_LEAST,
    )  # fmt: skip
    return triangle, depth


def find_colours(screen, faces, uvs, uv_faces, texture, triangle: np.ndarray, perspective: bool) -> np.ndarray:
    """(B, C, H, W) float32 picture."""
    image = np.empty((len(triangle), texture.shape[1], *triangle.shape[1:]), np.float32)
    for_parts(
        lambda item, first, last: shade_rows(
            screen, faces, uvs, uv_faces, texture, perspective, triangle, item, first, last, image
        ),
        len(triangle), triangle.shape[1], ROWS_AT_LEAST,
    )  # fmt: skip
    return image


def rasterize(vertices, projection, faces, size: tuple[int, int], perspective: bool) -> Raster:
    """See :func:`multiface.render.rasterize`."""
    screen, indices = project(vertices, projection).numpy(), faces.numpy()
    triangle, depth = find_triangles(screen, indices, size, perspective)
    barycentric = np.empty((*triangle.shape, 3), np.float32)
    for_parts(
        lambda item, first, last: weigh_rows(screen, indices, perspective, triangle, item, first, last, barycentric),
        len(triangle), size[0], ROWS_AT_LEAST,
    )  # fmt: skip
    return Raster(torch.from_numpy(triangle), torch.from_numpy(depth), torch.from_numpy(barycentric))
