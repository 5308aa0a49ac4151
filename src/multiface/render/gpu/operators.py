"""The kernels as PyTorch operators: known to autograd, ``torch.compile``, CUDA graphs and ``torch.library.opcheck``."""

from __future__ import annotations

import torch
from torch import Tensor

from multiface.render.gpu import launch
from multiface.render.gpu.launch import Mesh, Visible


@torch.library.custom_op("multiface::triton_rasterize", mutates_args=())
def rasterize(
    vertices: Tensor, projection: Tensor, faces: Tensor, height: int, width: int, perspective: bool
) -> tuple[Tensor, Tensor, Tensor]:
    """Triangle (B, H, W) int32, depth (B, H, W) and barycentric (B, H, W, 3) float32."""
    mesh = Mesh(vertices, projection, faces, vertices, faces)
    with launch.on_device(vertices):
        seen = launch.find_visible(mesh, (height, width), perspective, textured=False)
        barycentric, depth = launch.find_barycentrics(mesh, seen, perspective)
    return seen.triangle, depth, barycentric


@rasterize.register_fake
def _(vertices, projection, faces, height, width, perspective):
    pixels = (vertices.shape[0], height, width)
    return (
        vertices.new_empty(pixels, dtype=torch.int32),
        vertices.new_empty(pixels, dtype=torch.float32),
        vertices.new_empty((*pixels, 3), dtype=torch.float32),
    )


@torch.library.custom_op("multiface::triton_render", mutates_args=())
def render(
    vertices: Tensor, projection: Tensor, faces: Tensor, uvs: Tensor, uv_faces: Tensor, texture: Tensor,
    height: int, width: int, perspective: bool,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:  # fmt: skip
    """Image, depth, triangle, and what the backward pass needs: screen and surface."""
    mesh = Mesh(vertices, projection, faces, uvs, uv_faces)
    with launch.on_device(vertices):
        seen = launch.find_visible(mesh, (height, width), perspective)
        image, depth = launch.shade(mesh, seen, texture, perspective)
    return image, depth, *seen


@render.register_fake
def _(vertices, projection, faces, uvs, uv_faces, texture, height, width, perspective):
    batch = vertices.shape[0]
    return (
        vertices.new_empty((batch, texture.shape[1], height, width)),
        vertices.new_empty((batch, height, width)),
        vertices.new_empty((batch, height, width), dtype=torch.int32),
        vertices.new_empty((batch, vertices.shape[1], 3), dtype=torch.float64),
        vertices.new_empty((batch, faces.shape[0], 16), dtype=launch.SURFACE_TYPE),
    )


@torch.library.custom_op("multiface::triton_render_backward", mutates_args=())
def render_backward(
    vertices: Tensor, projection: Tensor, faces: Tensor, uvs: Tensor, uv_faces: Tensor, texture: Tensor,
    triangle: Tensor, screen: Tensor, surface: Tensor, image_gradient: Tensor, depth_gradient: Tensor | None,
    perspective: bool, for_geometry: bool, for_texture: bool,
) -> tuple[Tensor, Tensor, Tensor]:  # fmt: skip
    """Gradients of vertices, projection and texture; empty where not asked for."""
    mesh, seen = Mesh(vertices, projection, faces, uvs, uv_faces), Visible(triangle, screen, surface)
    of_vertices, of_projection, of_texture = vertices.new_empty(0), projection.new_empty(0), texture.new_empty(0)
    with launch.on_device(vertices):
        one = torch.ones((), device=texture.device)
        whole = launch.empty_gradients(mesh, texture[:, :0], for_geometry, False)
        parts = []
        for first in range(0, texture.shape[1], launch.CHANNELS_AT_ONCE):
            channels = slice(first, first + launch.CHANNELS_AT_ONCE)
            part = texture[:, channels]
            gradients = launch.empty_gradients(mesh, part, False, for_texture)._replace(moments=whole.moments)
            launch.picture_backward(
                mesh, seen, part, image_gradient[:, channels], None if first else depth_gradient, gradients, perspective
            )
            if gradients.texture is not None:
                parts.append(launch.unpack_texture_gradient(gradients.texture, part, one))
        if whole.moments is not None:
            of_vertices, of_projection = launch.geometry_backward_of(mesh, seen, whole.moments, perspective)
            of_projection = of_projection.to(projection.dtype)
    if for_texture:
        of_texture = parts[0] if len(parts) == 1 else torch.cat(parts, 1)
    return of_vertices, of_projection, of_texture


@render_backward.register_fake
def _(
    vertices, projection, faces, uvs, uv_faces, texture, triangle, screen, surface, image_gradient, depth_gradient,
    perspective, for_geometry, for_texture,
):  # fmt: skip
    return _gradients_like(vertices, projection, texture, for_geometry, for_texture)


def _gradients_like(vertices, projection, texture, for_geometry: bool, for_texture: bool):
    return (
        torch.empty_like(vertices) if for_geometry else vertices.new_empty(0),
        torch.empty_like(projection) if for_geometry else projection.new_empty(0),
        torch.empty_like(texture) if for_texture else texture.new_empty(0),
    )


def _keep_for_backward(ctx, inputs, output):
    *tensors, _, _, perspective = inputs
    seen = output[2:]
    ctx.save_for_backward(*tensors, *seen)
    ctx.mark_non_differentiable(*seen)
    ctx.set_materialize_grads(False)
    ctx.perspective = perspective


def _render_backward(ctx, image_gradient, depth_gradient, *_):
    nothing = (None,) * 9
    if image_gradient is None and depth_gradient is None:
        return nothing
    vertices, _, _, _, _, texture, triangle, *_ = ctx.saved_tensors
    if image_gradient is None:
        batch, height, width = triangle.shape
        image_gradient = vertices.new_zeros(()).expand(batch, texture.shape[1], height, width)
    for_vertices, for_projection, _, _, _, for_texture, *_ = ctx.needs_input_grad
    of_vertices, of_projection, of_texture = render_backward(
        *ctx.saved_tensors, image_gradient, depth_gradient, ctx.perspective, for_vertices or for_projection, for_texture
    )
    return (
        of_vertices if for_vertices else None, of_projection if for_projection else None, None, None, None,
        of_texture if for_texture else None, None, None, None,
    )  # fmt: skip


render.register_autograd(_render_backward, setup_context=_keep_for_backward)
