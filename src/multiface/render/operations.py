"""The public operations: check the input, choose a backend, run it."""

from __future__ import annotations

from typing import Literal

import numpy as np
import torch

from multiface.core.errors import ArgumentError
from multiface.geometry import Topology
from multiface.render.adjacency import twins_on
from multiface.render.backends import find_backend
from multiface.render.checks import (
    check_faces,
    check_scene,
    check_tensor,
    check_texture,
    check_vertex_count,
    common_batch,
)
from multiface.render.layout import layout_on
from multiface.render.reference.silhouettes import silhouette_gradients as silhouettes_by_reference
from multiface.render.results import Raster, Rendering
from multiface.render.screen import pixel_centres
from multiface.render.silhouettes import attach_silhouettes

Interpolation = Literal["perspective", "affine"]


def render_mesh(
    vertices: torch.Tensor,
    projection: torch.Tensor,
    topology: Topology,
    texture: torch.Tensor,
    size: tuple[int, int],
    interpolation: Interpolation = "perspective",
    backend: str | None = None,
    *,
    silhouette_gradients: bool = False,
) -> Rendering:
    """Picture of a textured mesh, differentiable in ``vertices``, ``projection`` and ``texture``.

    Each batch may be 1 to be shared by all items. What is drawn where is defined in :mod:`multiface.render`.

    Args:
        vertices: (B, V, 3) float32 or float64, mm, in the space that ``projection`` starts from (head space in a capture).
        projection: (B, 3, 4) float32 or float64, to homogeneous pixels; the third row gives camera z in mm.
        topology: Triangles and uv layout.
        texture: (B, C, h, w), any range, any C, row 0 at v = 0; float32 or float64 (half types are widened).
        size: (height, width) of the picture in pixels.
        interpolation: ``"perspective"``, or ``"affine"`` as in the published system.
        backend: None for the best one on the device, or a name from :func:`multiface.render.backend_names`.
        silhouette_gradients: Whether the gradient of the picture also reaches vertices and projection by way of silhouettes,
            occlusions and intersections (:mod:`multiface.render.silhouettes`). The picture is the same; depth has none of
            this. With a texture of ones, (1, 1, 1, 1), the picture is the coverage: that makes a loss on silhouettes.

    Returns:
        The picture, the triangle each pixel shows, and its depth.

    Raises:
        ArgumentError: shapes, types, devices, batches or indices that do not fit; unknown interpolation or backend.
    """
    vertices, projection, size, perspective = check_scene(vertices, projection, size, interpolation)
    check_texture(texture, vertices.device)
    batch = common_batch(vertices=vertices, projection=projection, texture=texture)
    layout = layout_on(topology, vertices.device)
    check_vertex_count(layout.n_vertices, vertices.shape[1])
    chosen = find_backend(backend, vertices.device)
    vertices, projection = vertices.expand(batch, -1, -1), projection.expand(batch, -1, -1)
    texture = texture if chosen.takes_strides else texture.contiguous()
    vertices, projection = vertices.contiguous(), projection.contiguous()
    drawn = chosen.render(vertices, projection, layout, texture, size, perspective)
    if silhouette_gradients and torch.is_grad_enabled() and (vertices.requires_grad or projection.requires_grad):
        twins, differentiate = twins_on(topology, vertices.device), chosen.silhouette_gradients or silhouettes_by_reference
        return attach_silhouettes(drawn, vertices, projection, layout.faces, twins, perspective, differentiate)
    return drawn


def rasterize(
    vertices: torch.Tensor,
    projection: torch.Tensor,
    faces: torch.Tensor | np.ndarray,
    size: tuple[int, int],
    *,
    interpolation: Interpolation = "perspective",
    backend: str | None = None,
) -> Raster:
    """Which triangle each pixel shows and where on it; not differentiable.

    With vertices (uv * T, 1) and the projection [I | 0] this rasterises a uv layout: pixel centres are texel centres.

    Args:
        vertices: (B, V, 3) float32 or float64, mm.
        projection: (B, 3, 4) float32 or float64, to homogeneous pixels.
        faces: (F, 3) int32 or int64 vertex indices.
        size: (height, width) in pixels.
        interpolation: Whether the barycentrics are perspective correct or affine in the picture.
        backend: As in :func:`render_mesh`.

    Raises:
        ArgumentError: as :func:`render_mesh`.
    """
    vertices, projection, size, perspective = check_scene(vertices, projection, size, interpolation)
    faces = check_faces(faces, vertices.shape[1], vertices.device)
    chosen = find_backend(backend, vertices.device)
    return chosen.rasterize(vertices.detach().contiguous(), projection.detach().contiguous(), faces, size, perspective)


def interpolate(attributes: torch.Tensor, faces: torch.Tensor | np.ndarray, raster: Raster) -> torch.Tensor:
    """(B, C, H, W) attributes at the pixels of a raster, 0 where there is no triangle; differentiable in ``attributes``.

    Args:
        attributes: (B, V, C), one row per vertex; a batch of 1 is shared by all items.
        faces: (F, 3) indices into the rows of ``attributes``, in the order of the triangles that were rasterised. For
            attributes with seams these are not the faces that were rasterised (``topology.uv_faces`` for uv).
        raster: From :func:`rasterize`.

    Raises:
        ArgumentError: shapes, types, devices or indices that do not fit.
    """
    check_tensor(attributes, "attributes", "(B, V, C)")
    batch, height, width = raster.triangle.shape
    if len(attributes) not in (1, batch):
        raise ArgumentError(
            "attributes have another batch size than the raster", expected=f"{batch} or 1", found=len(attributes)
        )
    if attributes.device != raster.triangle.device:
        raise ArgumentError(
            "attributes and raster must be on one device", expected=raster.triangle.device, found=attributes.device
        )
    faces = check_faces(faces, attributes.shape[1], attributes.device)
    item, row, column, _ = pixel_centres(raster.triangle)
    shown = raster.triangle[item, row, column].long()
    weights = raster.barycentric[item, row, column].to(attributes.dtype)
    source = item if len(attributes) > 1 else torch.zeros_like(item)
    corners = attributes[source[:, None], faces.long()[shown]]
    values = (weights[..., None] * corners).sum(1)
    picture = values.new_zeros(batch, height, width, attributes.shape[2]).index_put((item, row, column), values)
    return picture.permute(0, 3, 1, 2)
