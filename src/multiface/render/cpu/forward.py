"""The forward passes: which triangle, what colour."""

from __future__ import annotations

import numpy as np
import torch

from multiface.render.cpu.raster_kernels import bound_triangles, rasterize_rows
from multiface.render.cpu.schedule import for_bands, for_items
from multiface.render.cpu.shade_kernels import PLANES, plan_triangles, shade_rows, weigh_rows
from multiface.render.cpu.vertex_kernels import project_vertices
from multiface.render.results import Raster


def find_positions(vertices: np.ndarray, projection: np.ndarray) -> np.ndarray:
    """(B, V, 3) float64 u, v, z of vertices (B, V, 3) under projection (B, 3, 4), both float64."""
    screen = np.empty_like(vertices)
    for_items(lambda item: project_vertices(vertices, projection, item, screen), len(vertices))
    return screen


def find_bounds(screen: np.ndarray, faces: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """(B, F, 4) int32 first and last row, first and last column that each triangle could cover."""
    bounds = np.empty((len(screen), len(faces), 4), np.int32)
    for_items(lambda item: bound_triangles(screen, faces, *size, item, bounds), len(screen))
    return bounds


def find_planes(screen: np.ndarray, faces: np.ndarray, uvs: np.ndarray, uv_faces: np.ndarray, perspective: bool) -> np.ndarray:
    """(B, F, PLANES) float64 description of the triangles in the picture, see the kernels."""
    planes = np.empty((len(screen), len(faces), PLANES))
    for_items(lambda item: plan_triangles(screen, faces, uvs, uv_faces, perspective, item, planes), len(screen))
    return planes


def find_triangles(screen: np.ndarray, faces: np.ndarray, size: tuple[int, int], perspective: bool):
    """(B, H, W) int32 triangle and float32 depth of every pixel."""
    bounds = find_bounds(screen, faces, size)
    triangle = np.empty((len(screen), *size), np.int32)
    depth = np.empty((len(screen), *size), np.float32)
    for_bands(
        lambda item, first, last: rasterize_rows(screen, faces, bounds, perspective, item, first, last, triangle, depth),
        len(screen), size[0],
    )  # fmt: skip
    return triangle, depth


def find_colours(planes: np.ndarray, texture: np.ndarray, triangle: np.ndarray) -> np.ndarray:
    """(B, C, H, W) float32 picture."""
    image = np.empty((len(triangle), texture.shape[1], *triangle.shape[1:]), np.float32)
    for_bands(
        lambda item, first, last: shade_rows(planes, texture, triangle, item, first, last, image),
        len(triangle), triangle.shape[1],
    )  # fmt: skip
    return image


def rasterize(vertices, projection, faces, size: tuple[int, int], perspective: bool) -> Raster:
    """See :func:`multiface.render.rasterize`."""
    screen, indices = find_positions(double(vertices), double(projection)), faces.numpy()
    triangle, depth = find_triangles(screen, indices, size, perspective)
    barycentric = np.empty((*triangle.shape, 3), np.float32)
    for_bands(
        lambda item, first, last: weigh_rows(screen, indices, perspective, triangle, item, first, last, barycentric),
        len(triangle), size[0],
    )  # fmt: skip
    return Raster(torch.from_numpy(triangle), torch.from_numpy(depth), torch.from_numpy(barycentric))


def double(tensor: torch.Tensor) -> np.ndarray:
    """Contiguous float64 array of a CPU tensor."""
    return np.ascontiguousarray(tensor.detach().numpy(), np.float64)


def single(tensor: torch.Tensor) -> np.ndarray:
    """Contiguous float32 array of a CPU tensor of any floating type."""
    return tensor.detach().to(torch.float32).contiguous().numpy()
