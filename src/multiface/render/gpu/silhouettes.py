"""Silhouette gradients as a PyTorch operator."""

from __future__ import annotations

import torch
import triton
from torch import Tensor

from multiface.render.gpu import geometry_backward, setup_kernels, silhouette_kernels
from multiface.render.gpu.launch import on_device

_BLOCK = 128
_TILE_Y, _TILE_X, _WARPS = 8, 16, 4
# what is decided has to be decided as in the reference, so without fused multiply-add
_EXACT = {"enable_fp_fusion": False}


@torch.library.custom_op("multiface::triton_silhouette_gradients", mutates_args=())
def silhouette_gradients(
    vertices: Tensor, projection: Tensor, faces: Tensor, twins: Tensor, triangle: Tensor, image: Tensor,
    image_gradient: Tensor, perspective: bool,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """See :class:`multiface.render.backends.Backend`."""
    (batch, n_vertices), (height, width) = vertices.shape[:2], triangle.shape[1:]
    of_projection = torch.zeros(batch, 3, 4, dtype=torch.float64, device=vertices.device)
    if not len(faces):
        return torch.zeros_like(vertices), of_projection.to(projection.dtype)
    screen = torch.empty(batch, n_vertices, 3, dtype=torch.float64, device=vertices.device)
    homogeneous, of_vertices = torch.zeros_like(screen), torch.empty_like(vertices)
    blocks = (batch * triton.cdiv(n_vertices, _BLOCK),)
    with on_device(vertices):
        setup_kernels.project_kernel[blocks](vertices, projection, screen, n_vertices, BLOCK=_BLOCK, **_EXACT)
        tiles = batch * triton.cdiv(height, _TILE_Y) * triton.cdiv(width, _TILE_X)
        silhouette_kernels.silhouette_kernel[(tiles, 2)](
            screen, faces, twins, triangle, image, image_gradient, homogeneous,
            n_vertices, height, width, *image.stride(), *image_gradient.stride(),
            CHANNELS=image.shape[1], PERSPECTIVE=perspective, TILE_Y=_TILE_Y, TILE_X=_TILE_X, num_warps=_WARPS, **_EXACT,
        )  # fmt: skip
        geometry_backward.vertex_backward_kernel[blocks](
            vertices, projection, homogeneous, of_vertices, of_projection, n_vertices, BLOCK=_BLOCK
        )
    return of_vertices, of_projection.to(projection.dtype)


@silhouette_gradients.register_fake
def _(vertices, projection, faces, twins, triangle, image, image_gradient, perspective):
    return torch.empty_like(vertices), torch.empty_like(projection)
