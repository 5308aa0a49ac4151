"""The lamps of the stage, and how much of each lamp and of the surroundings reaches every vertex of the head."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from multiface.geometry import Topology
from multiface.prepare.uv_map import vertex_normals
from multiface.render import rasterize

# Direction in the head's rest frame (x to the subject's left, y up, z out of the face), colour, angular radius in radians.
_LAMPS = [
    ((0.62, 0.55, 0.62), (1.08, 1.02, 0.96), 0.16),
    ((-0.66, 0.42, 0.66), (0.66, 0.68, 0.72), 0.18),
    ((0.00, 0.95, 0.40), (0.68, 0.68, 0.68), 0.20),
    ((0.98, 0.05, 0.05), (0.48, 0.48, 0.51), 0.20),
    ((-0.97, 0.12, 0.02), (0.57, 0.56, 0.53), 0.20),
    ((0.05, -0.55, 0.84), (0.29, 0.29, 0.29), 0.24),
]
_DISTANCE = 1300.0  # mm from the head's rest position
_OCCLUSION_DIRECTIONS = 40
_SHADOW_SIZE = 256  # pixels along each side of a shadow map
_FAR = 20000.0  # mm, where the shadow camera stands: nearly parallel rays


@dataclass(frozen=True, eq=False)
class Lamps:
    """L lamps: (L, 3) world positions in mm, (L, 3) linear colours, (L,) angular radii; ambient light from above and below."""

    positions: np.ndarray
    colors: np.ndarray
    radii: np.ndarray
    sky: np.ndarray
    ground: np.ndarray


def stage_lamps(rest_pose: np.ndarray) -> Lamps:
    """The lamps around a head whose rest pose (3, 4), head -> world, is ``rest_pose``; they stay where they are."""
    directions = np.array([lamp[0] for lamp in _LAMPS])
    directions = directions / np.linalg.norm(directions, axis=1, keepdims=True)
    positions = (_DISTANCE * directions) @ rest_pose[:, :3].T + rest_pose[:, 3]
    colors = np.array([lamp[1] for lamp in _LAMPS])
    radii = np.array([lamp[2] for lamp in _LAMPS])
    return Lamps(positions, colors, radii, np.array([0.60, 0.61, 0.64]), np.array([0.33, 0.30, 0.285]))


def light_access(vertices: np.ndarray, topology: Topology, lamps_in_head: np.ndarray) -> np.ndarray:
    """(V, L + 1) float32 share of each lamp (V, L), and of the surroundings (last column), that reaches every vertex.

    From shadow maps of ``vertices`` (V, 3) seen from the lamps (L, 3) and from directions all around, softened along the mesh.
    """
    normals = vertex_normals(vertices.astype(np.float32), topology.faces).astype(np.float64)
    lamps = lamps_in_head / np.linalg.norm(lamps_in_head, axis=1, keepdims=True)
    columns = [_lit(vertices, normals, topology, direction) for direction in lamps]
    ambient, weight = np.zeros(len(vertices)), np.full(len(vertices), 1e-6)
    for direction in _sphere(_OCCLUSION_DIRECTIONS):
        cosine = np.maximum(normals @ direction, 0.0)
        ambient += cosine * _lit(vertices, normals, topology, direction)
        weight += cosine
    access = np.stack([*columns, ambient / weight], axis=-1)
    return _smooth_along_mesh(access, topology.faces, rounds=3).astype(np.float32)


def _lit(vertices: np.ndarray, normals: np.ndarray, topology: Topology, direction: np.ndarray) -> np.ndarray:
    """(V,) 0..1: whether ``direction`` is free, from one shadow map, averaged over 3 x 3 of its pixels."""
    side = np.cross(direction, [0.0, 1.0, 0.0] if abs(direction[1]) < 0.9 else [1.0, 0.0, 0.0])
    side /= np.linalg.norm(side)
    rotation = np.stack([side, np.cross(-direction, side), -direction])
    center = 0.5 * (vertices.max(0) + vertices.min(0))
    reach = np.linalg.norm(vertices - center, axis=1).max()
    focal = 0.5 * _SHADOW_SIZE / reach * (_FAR - reach)
    K = np.array([[focal, 0.0, 0.5 * _SHADOW_SIZE], [0.0, focal, 0.5 * _SHADOW_SIZE], [0.0, 0.0, 1.0]])
    translation = -rotation @ center + [0.0, 0.0, _FAR]
    projection = K @ np.hstack([rotation, translation[:, None]])
    raster = rasterize(
        torch.from_numpy(vertices.astype(np.float32))[None],
        torch.from_numpy(projection.astype(np.float32))[None],
        topology.faces,
        (_SHADOW_SIZE, _SHADOW_SIZE),
    )
    depth = raster.depth[0].numpy()
    depth = np.where(depth == 0.0, np.inf, depth)
    # Points start a little outside the surface, so that it does not shade itself.
    q = (vertices + 1.5 * normals) @ projection[:, :3].T + projection[:, 3]
    column, row = (np.floor(q[:, k] / q[:, 2]).astype(int) for k in (0, 1))
    total = np.zeros(len(vertices))
    for dr in (-1, 0, 1):
        for dc in (-1, 0, 1):
            r, c = np.clip(row + dr, 0, _SHADOW_SIZE - 1), np.clip(column + dc, 0, _SHADOW_SIZE - 1)
            total += q[:, 2] < depth[r, c] + 1.2
    return total / 9.0


def _sphere(count: int) -> np.ndarray:
    """(count, 3) directions spread evenly: a Fibonacci spiral."""
    k = np.arange(count) + 0.5
    y = 1.0 - 2.0 * k / count
    angle = k * np.pi * (3.0 - np.sqrt(5.0))
    radius = np.sqrt(1.0 - y**2)
    return np.stack([radius * np.cos(angle), y, radius * np.sin(angle)], axis=-1)


def _smooth_along_mesh(values: np.ndarray, faces: np.ndarray, rounds: int) -> np.ndarray:
    """Average each vertex with its neighbours ``rounds`` times."""
    pairs = np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]])
    count = np.bincount(pairs.ravel(), minlength=len(values)).astype(np.float64)
    for _ in range(rounds):
        total = np.zeros_like(values)
        for k in range(values.shape[1]):
            total[:, k] = np.bincount(pairs[:, 0], values[pairs[:, 1], k], len(values))
            total[:, k] += np.bincount(pairs[:, 1], values[pairs[:, 0], k], len(values))
        neighbours = total / np.maximum(count, 1.0)[:, None]
        values = np.where((count > 0)[:, None], 0.5 * values + 0.5 * neighbours, values)
    return values
