"""Small scenes for the tests of the renderer, made from a seed."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch

from multiface.geometry import Topology

FLAT = torch.eye(3, 4)[None]
"""Projection of (u * z, v * z, z) to the pixel (u, v): places vertices in the picture directly."""


@dataclass(frozen=True)
class Scene:
    """Arguments of render_mesh."""

    vertices: torch.Tensor
    projection: torch.Tensor
    topology: Topology
    texture: torch.Tensor
    size: tuple[int, int]

    def with_gradients(self) -> Scene:
        return replace(
            self,
            vertices=self.vertices.detach().clone().requires_grad_(),
            projection=self.projection.detach().clone().requires_grad_(),
            texture=self.texture.detach().clone().requires_grad_(),
        )


def camera(size: tuple[int, int], distance: float = 300.0) -> torch.Tensor:
    """(3, 4) a camera in front of the origin that sees about 200 mm across."""
    height, width = size
    focal = 1.4 * min(size) * distance / 300.0
    K = torch.tensor([[focal, 0.0, width / 2], [0.0, focal, height / 2], [0.0, 0.0, 1.0]])
    return K @ torch.tensor([[1.0, 0, 0, 0], [0, -1.0, 0, 0], [0, 0, -1.0, distance]])


def soup(seed: int, triangles: int = 60, batch: int = 2, channels: int = 3, size=(37, 50), extent: float = 60.0) -> Scene:
    """Triangles anywhere in a box of 200 mm, uvs anywhere around the unit square, a smooth texture."""
    random = torch.Generator().manual_seed(seed)
    centres = (torch.rand(triangles, 1, 3, generator=random) - 0.5) * 200
    offsets = (torch.rand(batch, triangles, 3, 3, generator=random) - 0.5) * extent
    faces = np.arange(3 * triangles).reshape(-1, 3)
    uvs = torch.rand(3 * triangles, 2, generator=random).numpy() * 3 - 1
    return Scene(
        (centres + offsets).reshape(batch, -1, 3),
        torch.stack([camera(size, 300.0 + 20 * i) for i in range(batch)]),
        Topology(faces, uvs, faces[:, [1, 2, 0]]),
        torch.rand(batch, channels, 9, 14, generator=random),
        size,
    )


def ball(size=(64, 48), rings: int = 12, segments: int = 20, channels: int = 3, texture: int = 32) -> Scene:
    """A bumpy ball of 80 mm whose vertices are shared and whose texture has a seam."""
    latitude = np.linspace(0, np.pi, rings + 1)[:, None]
    longitude = np.linspace(0, 2 * np.pi, segments + 1)[None]
    radius = 80 * (1 + 0.1 * np.sin(3 * longitude) * np.sin(latitude) ** 2)
    points = np.stack(
        [
            radius * np.sin(latitude) * np.cos(longitude),
            radius * np.cos(latitude) + 0 * longitude,
            radius * np.sin(latitude) * np.sin(longitude),
        ],
        -1,
    )
    uvs = np.stack(np.broadcast_arrays(longitude / (2 * np.pi) + 0.3, 1 - latitude / np.pi), -1).reshape(-1, 2)
    uv_faces, faces = [], []
    for r in range(rings):
        for s in range(segments):
            a, b = r * (segments + 1) + s, (r + 1) * (segments + 1) + s
            for corners in ((a, b, b + 1), (a, b + 1, a + 1)):
                uv_faces.append(corners)
                faces.append([c // (segments + 1) * segments + c % (segments + 1) % segments for c in corners])
    vertices = points[:, :segments].reshape(-1, 3)
    random = torch.Generator().manual_seed(0)
    colours = torch.rand(1, channels, texture, texture, generator=random) * 255
    return Scene(
        torch.from_numpy(vertices).float()[None],
        camera(size)[None],
        Topology(np.array(faces), uvs, np.array(uv_faces)),
        colours,
        size,
    )


def flat_triangles(*triangles, size=(16, 16), channels: int = 1, texture: torch.Tensor | None = None) -> Scene:
    """Triangles given by three (u, v) or (u, v, z) in pixels (and mm); the colour of triangle i is i + 1 everywhere."""
    corners = torch.tensor([[(*c, 1.0) if len(c) == 2 else c for c in t] for t in triangles], dtype=torch.float64)
    corners = corners.reshape(-1, 3)
    vertices = torch.cat([corners[:, :2] * corners[:, 2:], corners[:, 2:]], -1)
    count = max(len(triangles), 1)
    faces = np.arange(3 * len(triangles)).reshape(-1, 3)
    uvs = np.stack([(np.repeat(np.arange(count), 3) + 0.5) / count, np.full(3 * count, 0.5)], -1)
    if texture is None:
        texture = torch.arange(1.0, count + 1).expand(1, channels, 1, count).clone()
    return Scene(vertices[None], FLAT.double(), Topology(faces, uvs, faces), texture, size)
