"""Which point of the mesh each texel shows: the bridge between texture space and head space."""

from __future__ import annotations

from dataclasses import dataclass

import numba
import numpy as np
import torch

from multiface.core.errors import ArgumentError
from multiface.geometry import Topology, texel_centres
from multiface.render import rasterize


class UvMap:
    """Triangle and barycentrics of every texel of a square texture, row 0 at v = 0.

    Texels that touch a chart but have their centre outside it are filled as well, one texel wide, by continuing the
    nearest triangle beyond its edge: a bilinear lookup near a chart border then finds colour there and not "missing".

    Args:
        topology: Triangles and uv layout; uv beyond 0..1 is cut off.
        size: T, the number of texels along each side.

    Attributes:
        triangle: (T, T) int32 triangle index, -1 where no triangle is.
        barycentric: (T, T, 3) float32 weights of its corners; they sum to 1, and one may be negative in the border texels.
        covered: (T, T) bool, texels whose centre lies inside a triangle (the border texels are not).
        triangle_texels: (F,) float64 area of each triangle in texels.

    Raises:
        ArgumentError: size is not positive, or no triangle covers any texel.
    """

    def __init__(self, topology: Topology, size: int) -> None:
        if size < 1:
            raise ArgumentError("texture size must be positive", expected="at least 1 texel", found=size)
        self.topology = topology
        self.size = size
        triangle, barycentric = _rasterize_uv(topology, size)
        self.covered = triangle >= 0
        if not self.covered.any():
            raise ArgumentError(
                "the topology's uv layout covers no texel", expected="uvs within 0..1", found=_uv_range(topology)
            )
        corners = topology.uvs.astype(np.float64)[topology.uv_faces] * size
        self.triangle, self.barycentric = _add_border(triangle, barycentric, corners)
        self.triangle_texels = np.abs(_signed_area(corners))

    def surface(self, vertices: np.ndarray) -> SurfaceMap:
        """Positions and normals of the mesh ``vertices`` (V, 3), head space in millimetres, at every texel.

        Raises:
            ArgumentError: there are fewer vertices than the topology names, or they are not (V, 3).
        """
        vertices = np.ascontiguousarray(vertices, np.float32)
        if vertices.ndim != 2 or vertices.shape[1] != 3 or len(vertices) < self.topology.n_vertices:
            raise ArgumentError(
                "vertices do not fit the topology", expected=f"({self.topology.n_vertices} or more, 3)", found=vertices.shape
            )
        faces = self.topology.faces
        position = _interpolate(self.triangle, self.barycentric, faces, vertices)
        normal = _interpolate(self.triangle, self.barycentric, faces, vertex_normals(vertices, faces))
        normal /= np.maximum(np.linalg.norm(normal, axis=-1, keepdims=True), 1e-12)
        return SurfaceMap(uv_map=self, vertices=vertices, position=position, normal=normal)


@dataclass(frozen=True, eq=False)
class SurfaceMap:
    """One mesh seen from texture space; shared by all cameras of a frame.

    Attributes:
        uv_map: Where each texel lies on the mesh.
        vertices: (V, 3) float32 the mesh, head space, millimetres.
        position: (T, T, 3) float32 head-space point of each texel, millimetres, row 0 at v = 0; 0 where there is none.
        normal: (T, T, 3) float32 outward unit normal there, interpolated between the vertices; 0 where there is none.
    """

    uv_map: UvMap
    vertices: np.ndarray
    position: np.ndarray
    normal: np.ndarray


def vertex_normals(vertices: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """(V, 3) float32 outward unit normals, weighted by triangle area; 0 for vertices without triangles.

    Triangles are taken to turn counter-clockwise seen from outside. A mesh that encloses a clearly negative volume
    turns the other way, and is flipped.
    """
    corners = vertices.astype(np.float64)[faces]
    doubled_area = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    area = np.linalg.norm(doubled_area, axis=1).sum() / 2
    volume = ((corners[:, 0] - corners.mean(axis=(0, 1))) * doubled_area).sum() / 6
    if volume < -0.02 * area**1.5:  # a sphere has 0.094, heads half of that
        doubled_area = -doubled_area
    normals = np.stack(
        [np.bincount(faces.ravel(), np.repeat(doubled_area[:, axis], 3), len(vertices)) for axis in range(3)], axis=1
    )
    return (normals / np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-12)).astype(np.float32)


def _rasterize_uv(topology: Topology, size: int) -> tuple[np.ndarray, np.ndarray]:
    uvs = torch.from_numpy(np.pad(topology.uvs, ((0, 0), (0, 1))))[None]
    to_texels = torch.tensor([[[size, 0, 0, 0], [0, size, 0, 0], [0, 0, 0, 1]]], dtype=torch.float32)
    raster = rasterize(uvs, to_texels, torch.from_numpy(topology.uv_faces), (size, size))
    return raster.triangle[0].numpy(), raster.barycentric[0].numpy()


def _uv_range(topology: Topology) -> str:
    return f"{topology.uvs.min():g}..{topology.uvs.max():g}" if topology.uvs.size else "no uvs"


def _signed_area(corners: np.ndarray) -> np.ndarray:
    a, b = corners[..., 1, :] - corners[..., 0, :], corners[..., 2, :] - corners[..., 0, :]
    return (a[..., 0] * b[..., 1] - a[..., 1] * b[..., 0]) / 2


def _add_border(triangle: np.ndarray, barycentric: np.ndarray, corners: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Give each empty texel beside a covered one the neighbouring triangle that it is least far outside of."""
    size = len(triangle)
    centres = texel_centres(size, size) * size
    grown, weights = triangle.copy(), barycentric.astype(np.float32)
    best = np.full(triangle.shape, -np.inf)
    padded = np.pad(triangle, 1, constant_values=-1)
    for row, column in ((r, c) for r in (0, 1, 2) for c in (0, 1, 2)):
        candidate = padded[row : row + size, column : column + size]
        where = (triangle < 0) & (candidate >= 0)
        outside = _barycentric(corners[candidate[where]], centres[where])
        nearer = outside.min(axis=-1) > best[where]
        chosen = tuple(index[nearer] for index in np.nonzero(where))
        best[chosen] = outside.min(axis=-1)[nearer]
        grown[chosen] = candidate[chosen]
        weights[chosen] = outside[nearer]
    return grown, weights


def _barycentric(corners: np.ndarray, points: np.ndarray) -> np.ndarray:
    """(N, 3) weights of ``points`` (N, 2) in triangles (N, 3, 2); -inf for triangles without area."""
    area = _signed_area(corners)
    weights = np.stack(
        [_signed_area(np.stack([points, corners[:, (k + 1) % 3], corners[:, (k + 2) % 3]], axis=1)) for k in range(3)], axis=1
    )
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(np.abs(area)[:, None] > 1e-9, weights / area[:, None], -np.inf)


@numba.njit(cache=True, nogil=True)
def _interpolate(triangle, barycentric, faces, values):
    height, width = triangle.shape
    out = np.zeros((height, width, 3), np.float32)
    for row in range(height):
        for column in range(width):
            t = triangle[row, column]
            if t < 0:
                continue
            for corner in range(3):
                weight = barycentric[row, column, corner]
                vertex = faces[t, corner]
                for axis in range(3):
                    out[row, column, axis] += weight * values[vertex, axis]
    return out
