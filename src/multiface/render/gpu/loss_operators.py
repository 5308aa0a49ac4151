"""The screen loss as a PyTorch operator: gradients are computed along with the value, and scaled on the way back."""

from __future__ import annotations

import torch
from torch import Tensor

from multiface.render.gpu import launch
from multiface.render.gpu.launch import Mesh


@torch.library.custom_op("multiface::triton_screen_loss", mutates_args=())
def screen_loss(
    vertices: Tensor, projection: Tensor, faces: Tensor, uvs: Tensor, uv_faces: Tensor, texture: Tensor,
    weight: Tensor | None, photo: Tensor, perspective: bool, attached: bool, with_image: bool,
    for_geometry: bool, for_texture: bool,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:  # fmt: skip
    """Mean over B x H x W x 3 (float32 scalar), picture, and gradients of vertices, projection and texture.

    The gradient of the texture is packed (B or 1, h, w, 4) float32. What is not asked for is empty.
    """
    mesh, size = Mesh(vertices, projection, faces, uvs, uv_faces), (photo.shape[1], photo.shape[2])
    image, of_vertices, of_projection = vertices.new_empty(0), vertices.new_empty(0), projection.new_empty(0)
    with launch.on_device(vertices):
        seen = launch.find_visible(mesh, size, perspective)
        gradients = launch.empty_gradients(mesh, texture, for_geometry, for_texture)
        factor = 1.0 / photo.numel()
        total = launch.screen_loss_sums(mesh, seen, texture, weight, photo, gradients, factor, perspective, attached)
        if gradients.moments is not None:
            of_vertices, of_projection = launch.geometry_backward_of(mesh, seen, gradients.moments, perspective)
        if with_image:
            image, _ = launch.shade(mesh, seen, texture, perspective)
        packed = gradients.texture if gradients.texture is not None else texture.new_empty(0, dtype=torch.float32)
        loss = (total * factor).float()
    return loss, image, of_vertices, of_projection.to(projection.dtype), packed


@screen_loss.register_fake
def _(
    vertices, projection, faces, uvs, uv_faces, texture, weight, photo, perspective, attached, with_image,
    for_geometry, for_texture,
):  # fmt: skip
    items, channels, height, width = texture.shape
    image = (photo.shape[0], 3, photo.shape[1], photo.shape[2]) if with_image else (0,)
    packed = (items, height, width, launch.padded_channels(channels)) if for_texture else (0,)
    return (
        vertices.new_empty((), dtype=torch.float32),
        vertices.new_empty(image),
        torch.empty_like(vertices) if for_geometry else vertices.new_empty(0),
        torch.empty_like(projection) if for_geometry else projection.new_empty(0),
        texture.new_empty(packed, dtype=torch.float32),
    )


@torch.library.custom_op("multiface::triton_unpack_gradient", mutates_args=())
def unpack_gradient(packed: Tensor, texture: Tensor, factor: Tensor) -> Tensor:
    """``packed`` (B or 1, h, w, 4) times ``factor``, in shape, dtype and memory format of ``texture``."""
    with launch.on_device(texture):
        return launch.unpack_texture_gradient(packed, texture, factor)


@unpack_gradient.register_fake
def _(packed, texture, factor):
    return torch.empty_like(texture)


def _keep_for_backward(ctx, inputs, output):
    _, *others = output
    ctx.mark_non_differentiable(*others)
    ctx.set_materialize_grads(False)
    ctx.save_for_backward(inputs[5], *others[1:])


def _backward(ctx, loss_gradient, *_):
    if loss_gradient is None:
        return (None,) * 13
    texture, of_vertices, of_projection, packed = ctx.saved_tensors
    for_vertices, for_projection, _, _, _, for_texture, *_ = ctx.needs_input_grad
    return (
        of_vertices * loss_gradient.to(of_vertices.dtype) if for_vertices else None,
        of_projection * loss_gradient.to(of_projection.dtype) if for_projection else None,
        None, None, None,
        unpack_gradient(packed, texture, loss_gradient) if for_texture else None,
        None, None, None, None, None, None, None,
    )  # fmt: skip


screen_loss.register_autograd(_backward, setup_context=_keep_for_backward)
