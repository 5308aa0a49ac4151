"""The operators behind the interface that all backends share."""

from __future__ import annotations

import torch

from multiface.render.gpu import loss_operators, operators
from multiface.render.layout import Layout
from multiface.render.results import Raster, Rendering


def rasterize(vertices, projection, faces, size: tuple[int, int], perspective: bool) -> Raster:
    """See :func:`multiface.render.rasterize`."""
    return Raster(*operators.rasterize(vertices, projection, faces, *size, perspective))


def render(vertices, projection, layout: Layout, texture, size: tuple[int, int], perspective: bool) -> Rendering:
    """See :func:`multiface.render.render_mesh`."""
    image, depth, triangle, _, _ = operators.render(
        vertices, projection, layout.faces, layout.uvs, layout.uv_faces, texture, *size, perspective
    )
    return Rendering(image, triangle, depth)


def screen_loss(
    vertices, projection, layout: Layout, texture, photo, weight, perspective: bool, attached: bool, with_image: bool
) -> tuple[torch.Tensor, torch.Tensor | None]:
    """See :class:`multiface.render.backends.Backend`."""
    differentiated = torch.is_grad_enabled()
    for_geometry = differentiated and (vertices.requires_grad or projection.requires_grad)
    for_texture = differentiated and texture.requires_grad
    loss, image, *_ = loss_operators.screen_loss(
        vertices, projection, layout.faces, layout.uvs, layout.uv_faces, texture, weight, photo,
        perspective, attached, with_image, for_geometry, for_texture,
    )  # fmt: skip
    return loss.to(vertices.dtype), image if with_image else None
