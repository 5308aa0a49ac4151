"""Takes the photos: the head in a pose, seen by every camera of the rig."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch

from multiface.geometry import Camera, Topology, projection_matrix, to_head
from multiface.prepare.stage.lighting import Lamps
from multiface.prepare.stage.materials import Materials
from multiface.prepare.stage.shading import develop
from multiface.prepare.uv_map import vertex_normals
from multiface.render import rasterize

CAMERA_RESPONSE = np.array([1.1 / 1.4, 1.0, 1.1 / 1.6])
"""Natural colour to camera value per channel: the inverse of the gains by which the published display transform shows it."""
_BACKGROUND = np.array([2.4, 2.8, 3.0]) / 255.0
_SAMPLES = 2  # rays per pixel along each side


@dataclass(frozen=True, eq=False)
class Set:
    """What stays the same while filming.

    Attributes:
        topology: Triangles and uv of the head.
        materials: What its surface is made of.
        lamps: The lamps.
        cameras: The rig, in KRT order.
        gains: (C, 3) factor of each camera and channel.
    """

    topology: Topology
    materials: Materials
    lamps: Lamps
    cameras: tuple[Camera, ...]
    gains: np.ndarray


class Film:
    """Photographs one :class:`Set`; may be used from several threads."""

    def __init__(self, scene: Set) -> None:
        self.scene = scene
        self._maps = _maps_for(scene)
        topology = scene.topology
        self._faces = torch.from_numpy(topology.faces)
        self._uvs = topology.uvs.astype(np.float64)

    def photos(self, vertices: np.ndarray, head_pose: np.ndarray, access: np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
        """Name and (H, W, 3) uint8 photo, linear camera values, of every camera, in KRT order.

        Args:
            vertices: (V, 3) mm, head space.
            head_pose: (3, 4) head -> world.
            access: (V, L + 1) float32 share of each lamp and of the surroundings reaching every vertex.
        """
        vertices = np.ascontiguousarray(vertices, np.float32)
        normals = vertex_normals(vertices, self.scene.topology.faces)
        for index, camera in enumerate(self.scene.cameras):
            yield camera.name, self._photo(index, vertices, normals, head_pose, access)

    def _photo(self, index: int, vertices, normals, head_pose: np.ndarray, access: np.ndarray) -> np.ndarray:
        scene, camera = self.scene, self.scene.cameras[index]
        height, width = camera.size
        projection = projection_matrix(camera, head_pose, (height * _SAMPLES, width * _SAMPLES))
        raster = rasterize(
            torch.from_numpy(vertices)[None],
            torch.from_numpy(projection)[None],
            self._faces,
            (height * _SAMPLES, width * _SAMPLES),
        )
        gain = scene.gains[index]
        picture = develop(
            raster.triangle[0].numpy(), raster.barycentric[0].numpy(),
            scene.topology.faces, scene.topology.uv_faces, self._uvs,
            vertices, normals, access, scene.materials.kind, self._maps,
            to_head(head_pose, camera.center), to_head(head_pose, scene.lamps.positions),
            scene.lamps.colors, scene.lamps.radii, scene.lamps.sky, scene.lamps.ground,
            CAMERA_RESPONSE * gain, _BACKGROUND * gain, _SAMPLES,
        )  # fmt: skip
        return np.rint(255.0 * np.clip(picture, 0.0, 1.0)).astype(np.uint8)


def _maps_for(scene: Set) -> np.ndarray:
    """The material maps at about one texel per ray, so that fine detail does not flicker."""
    materials = scene.materials
    # At the usual distance a photo shows the face with about 0.6 of its height, the atlas with half of its own.
    while materials.color.shape[0] > 2.6 * max(camera.size[0] for camera in scene.cameras) and materials.color.shape[0] > 512:
        materials = materials.halved()
    return np.ascontiguousarray(materials.packed(), np.float32)
