"""The screen loss: a rendered picture against a photo, weighted in texture space."""

from __future__ import annotations

from typing import NamedTuple

import torch

from multiface.core.errors import ArgumentError
from multiface.geometry import Topology
from multiface.render.backends import Backend, find_backend
from multiface.render.checks import check_scene, check_tensor, check_texture, check_vertex_count, common_batch
from multiface.render.layout import Layout, layout_on
from multiface.render.operations import Interpolation


class ScreenLoss(NamedTuple):
    """What :func:`screen_loss` returns.

    Attributes:
        loss: Scalar, differentiable.
        image: (B, 3, H, W) rendered picture, 0..1 linear, 0 where nothing, without gradient; None unless asked for.
    """

    loss: torch.Tensor
    image: torch.Tensor | None


def screen_loss(
    vertices: torch.Tensor,
    projection: torch.Tensor,
    topology: Topology,
    texture: torch.Tensor,
    photo: torch.Tensor,
    *,
    weight: torch.Tensor | None = None,
    tex_std: float | torch.Tensor = 255.0,
    detach_weight: bool = False,
    return_image: bool = False,
    interpolation: Interpolation = "perspective",
    backend: str | None = None,
) -> ScreenLoss:
    """Mean over B x H x W x 3 of ``(picture - photo)^2 weight``, times ``255^2 / tex_std^2``.

    Formula of the published system (Wuu et al., "Multiface: A Dataset for Neural Face Rendering", 2022). The weight image
    lives in texture space and is rendered with the same mesh, so that pixels off the mesh have weight 0. The Triton backend
    stores neither picture nor weights.

    Args:
        vertices: (B, V, 3) float32 or float64, mm.
        projection: (B, 3, 4) float32 or float64, to homogeneous pixels of the photo.
        topology: Triangles and uv layout.
        texture: (B, 3, h, w), 0..1 linear, not necessarily clamped, row 0 at v = 0.
        photo: (B, H, W, 3) uint8, linear; its size is that of the picture.
        weight: (1 or 3, h', w') floating, 0..1, row 0 at v = 0, of a size of its own; receives no gradient. None: 1.
        tex_std: Standard deviation of the capture's textures in 0..255 units; a tensor is not waited for.
        detach_weight: If false, as published, the gradient also moves the mesh towards weights that make the loss smaller.
        return_image: Also return the picture.
        interpolation, backend: As in :func:`multiface.render.render_mesh`.

    Raises:
        ArgumentError: shapes, types, devices, batches or indices that do not fit; unknown interpolation or backend.
    """
    check_tensor(photo, "photo", "(B, H, W, 3)", (torch.uint8,))
    vertices, projection, _, perspective = check_scene(vertices, projection, photo.shape[1:3], interpolation)
    check_texture(texture, vertices.device)
    _check_loss_inputs(texture, photo, weight, vertices.device)
    batch = common_batch(vertices=vertices, projection=projection, texture=texture, photo=photo)
    if len(photo) != batch:
        raise ArgumentError("there must be a photo for each item", expected=f"batch of {batch}", found=len(photo))
    layout = layout_on(topology, vertices.device)
    check_vertex_count(layout.n_vertices, vertices.shape[1])
    chosen = find_backend(backend, vertices.device)
    vertices = vertices.expand(batch, -1, -1).contiguous()
    projection = projection.expand(batch, -1, -1).contiguous()
    weight = None if weight is None else weight.detach()
    compute = chosen.screen_loss or _composed(chosen)
    loss, image = compute(
        vertices, projection, layout, texture, photo.contiguous(), weight, perspective, not detach_weight, return_image
    )
    return ScreenLoss(loss * (255.0**2 / tex_std**2), image)


def _check_loss_inputs(texture, photo, weight, device: torch.device) -> None:
    if texture.shape[1] != 3:
        raise ArgumentError("the texture must have the channels of the photo", expected=3, found=texture.shape[1])
    if photo.device != device:
        raise ArgumentError("photo and vertices must be on one device", expected=device, found=photo.device)
    if weight is None:
        return
    check_tensor(weight, "weight", "(C, h, w)", (torch.float32, torch.float64, torch.float16, torch.bfloat16))
    if weight.device != device:
        raise ArgumentError("weight and vertices must be on one device", expected=device, found=weight.device)
    if weight.shape[0] not in (1, 3) or min(weight.shape) < 1:
        raise ArgumentError("weight has the wrong shape", expected="(1 or 3, h, w)", found=tuple(weight.shape))


def _composed(backend: Backend):
    """The loss by way of the pictures of texture and weight, for backends without one of their own."""

    def compute(vertices, projection, layout: Layout, texture, photo, weight, perspective, attached, with_image):
        size = (photo.shape[1], photo.shape[2])
        texture = texture.contiguous()
        shown = backend.render(vertices, projection, layout, texture, size, perspective)
        if weight is None:
            share = (shown.triangle >= 0)[:, None].to(shown.image.dtype)
        else:
            weight = weight[None].to(shown.image.dtype).contiguous()
            share = backend.render(vertices, projection, layout, weight, size, perspective).image
        share = share if attached else share.detach()
        difference = shown.image - photo.permute(0, 3, 1, 2).to(shown.image.dtype) / 255.0
        loss = (difference.square() * share).sum() / photo.numel()
        return loss, shown.image.detach() if with_image else None

    return compute
