"""A tracked mesh drawn on a photo: wireframe, normals, and the average texture as that camera would see it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from multiface.geometry import Topology, flip_rows, project_points
from multiface.render import interpolate, rasterize, render_mesh
from multiface.show.avatar import vertex_normals
from multiface.show.compositor import picture_bytes

WIRE = (64, 235, 205)
"""Display colour of the wireframe: none that skin has."""

LEGIBLE_EDGE = 10.0
"""Pixels; where edges are shorter on average, a wireframe hides the photo."""


@dataclass(frozen=True)
class MeshView:
    """A mesh as one camera sees it.

    Attributes:
        vertices: (V, 3) head space, mm.
        projection: (3, 4) to pixels.
        triangle: (H, W) int32 triangle shown by each pixel, -1 where none.
        depth: (H, W) camera z, mm.
        normals: (H, W, 3) unit normals, head space; 0 where no triangle is.
    """

    vertices: np.ndarray
    projection: np.ndarray
    triangle: np.ndarray
    depth: np.ndarray
    normals: np.ndarray

    @property
    def covered(self) -> np.ndarray:
        """(H, W) bool, where a triangle is."""
        return self.triangle >= 0


def view_mesh(vertices: np.ndarray, projection: np.ndarray, topology: Topology, size: tuple[int, int]) -> MeshView:
    """Rasterise ``vertices`` (V, 3) under ``projection`` (3, 4) into a picture of ``size`` (height, width)."""
    points, faces = torch.from_numpy(vertices)[None], torch.from_numpy(topology.faces.astype(np.int64))
    raster = rasterize(points, torch.from_numpy(projection)[None], faces, size)
    normals = torch.nn.functional.normalize(interpolate(vertex_normals(points, faces), faces, raster), dim=1)[0]
    arrays = (raster.triangle[0].numpy(), raster.depth[0].numpy(), normals.permute(1, 2, 0).numpy())
    return MeshView(vertices, projection, *arrays)


def render_texture(view: MeshView, topology: Topology, texture: np.ndarray) -> np.ndarray:
    """(H, W, 3) uint8 linear picture of the mesh with ``texture`` (T, T, 3) uint8, rows as in the file; 0 where nothing."""
    texels = torch.from_numpy(flip_rows(texture)).permute(2, 0, 1)[None].float() / 255.0
    vertices, projection = torch.from_numpy(view.vertices)[None], torch.from_numpy(view.projection)[None]
    rendering = render_mesh(vertices, projection, topology, texels, (view.depth.shape[0], view.depth.shape[1]))
    return picture_bytes(rendering.image)[0].numpy()


def draw_wireframe(photo: np.ndarray, view: MeshView, topology: Topology) -> np.ndarray:
    """``photo`` (uint8, display colours) with the edges of all triangles that can be seen, smoothly drawn.

    An edge is drawn when a triangle on either side of it shows at least one pixel. Where the mesh is too fine for the photo
    the picture is enlarged, up to four times each way and 2048 pixels, and the lines are fainter, so that the photo can be
    seen through them.
    """
    import cv2

    pixels, _ = project_points(view.projection, view.vertices)
    lines = pixels[visible_edges(view.triangle, topology.faces)]
    lines = lines[(np.abs(lines) < 16 * max(photo.shape[:2])).all(axis=(1, 2))]
    length = float(np.linalg.norm(np.diff(lines, axis=1), axis=-1).mean()) if len(lines) else LEGIBLE_EDGE
    scale = int(np.clip(np.ceil(LEGIBLE_EDGE / max(length, 1e-3)), 1, max(1, min(4, 2048 // max(photo.shape[:2])))))
    if scale > 1:
        photo = cv2.resize(photo, None, fx=scale, fy=scale, interpolation=cv2.INTER_CUBIC)
    # OpenCV puts the centre of the first pixel at 0, we at 0.5; with `shift` it draws in fractions of a pixel.
    shift = 4
    drawn = np.rint((lines * scale - 0.5) * (1 << shift)).astype(np.int32)
    ink = np.zeros(photo.shape[:2], np.uint8)
    cv2.polylines(ink, list(drawn), isClosed=False, color=255, thickness=1, lineType=cv2.LINE_AA, shift=shift)
    strength = min(0.65, 0.14 + 0.025 * length * scale)
    weight = (strength / 255 * ink.astype(np.float32))[..., None]
    return np.rint(photo * (1 - weight) + np.array(WIRE, np.float32) * weight).astype(np.uint8)


def visible_edges(triangle: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """(E, 2) vertex pairs, each once, of the triangles that occur in ``triangle`` (H, W)."""
    shown = np.unique(triangle[triangle >= 0])
    corners = faces[shown]
    edges = np.sort(np.concatenate([corners[:, [0, 1]], corners[:, [1, 2]], corners[:, [2, 0]]]), axis=1)
    return np.unique(edges, axis=0)


def draw_normals(photo: np.ndarray, view: MeshView, *, strength: float = 0.75) -> np.ndarray:
    """``photo`` (uint8, display colours) under the colours of the normals: red to the subject's left, green up, blue ahead."""
    colours = 255 * (0.5 + 0.5 * view.normals)
    mixed = (1 - strength) * photo + strength * colours
    return np.where(view.covered[..., None], np.rint(mixed), photo).astype(np.uint8)
