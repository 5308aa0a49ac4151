"""Forward and backward joined for PyTorch."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch.autograd.function import once_differentiable

from multiface.render.cpu.backward import Scene, find_gradients
from multiface.render.cpu.forward import find_colours, find_triangles
from multiface.render.layout import Layout
from multiface.render.results import Rendering
from multiface.render.screen import project, project_backward


def render(vertices, projection, layout: Layout, texture, size: tuple[int, int], perspective: bool) -> Rendering:
    """See :func:`multiface.render.render_mesh`."""
    image, triangle, depth = _Render.apply(vertices, projection, texture, layout, size, perspective)
    return Rendering(image.to(vertices.dtype), triangle, depth.to(vertices.dtype))


class _Render(torch.autograd.Function):
    """Picture and depth (float32) of a mesh. Positions are computed in float64, colours in float32."""

    @staticmethod
    def forward(ctx: Any, vertices, projection, texture, layout: Layout, size, perspective: bool):
        screen = project(vertices, projection).numpy()
        faces, uvs, uv_faces = (part.numpy() for part in (layout.faces, layout.uvs, layout.uv_faces))
        triangle, depth = find_triangles(screen, faces, size, perspective)
        image = find_colours(screen, faces, uvs, uv_faces, _single(texture), triangle, perspective)
        image, triangle, depth = (torch.from_numpy(array) for array in (image, triangle, depth))
        ctx.save_for_backward(vertices, projection, texture, triangle, depth)
        ctx.layout, ctx.perspective = layout, perspective
        ctx.set_materialize_grads(False)
        ctx.mark_non_differentiable(triangle)
        return image, triangle, depth

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, image_gradient, _, depth_gradient):
        needs_vertices, needs_projection, needs_texture = ctx.needs_input_grad[:3]
        if image_gradient is None and depth_gradient is None:
            return (None,) * 6
        vertices, projection, texture, triangle, depth = ctx.saved_tensors
        screen = project(vertices, projection)
        layout, colours = ctx.layout, _single(texture)
        if image_gradient is None:
            image_gradient = torch.zeros(len(triangle), colours.shape[1], *triangle.shape[1:])
        scene = Scene(
            screen.numpy(), layout.faces.numpy(), layout.uvs.numpy(), layout.uv_faces.numpy(), colours,
            triangle.numpy(), depth.detach().numpy(), ctx.perspective,
        )  # fmt: skip
        screen_gradient, texture_gradient = find_gradients(
            scene,
            _single(image_gradient),
            None if depth_gradient is None else _single(depth_gradient),
            for_screen=needs_vertices or needs_projection,
            for_texture=needs_texture,
        )
        of_vertices = of_projection = of_texture = None
        if screen_gradient is not None:
            of_vertices, of_projection = (
                gradient.to(vertices.dtype)
                for gradient in project_backward(torch.from_numpy(screen_gradient), screen, vertices, projection)
            )
        if texture_gradient is not None:
            of_texture = torch.from_numpy(texture_gradient).to(texture.dtype)
        return of_vertices, of_projection, of_texture, None, None, None


def _single(tensor: torch.Tensor) -> np.ndarray:
    return tensor.detach().to(torch.float32).contiguous().numpy()
