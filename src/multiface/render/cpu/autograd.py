"""Forward and backward joined for PyTorch."""

from __future__ import annotations

from typing import Any

import torch
from torch.autograd.function import once_differentiable

from multiface.render.cpu.backward import Scene, find_gradients
from multiface.render.cpu.forward import double, find_colours, find_planes, find_positions, find_triangles, single
from multiface.render.layout import Layout
from multiface.render.results import Rendering


def render(vertices, projection, layout: Layout, texture, size: tuple[int, int], perspective: bool) -> Rendering:
    """See :func:`multiface.render.render_mesh`."""
    image, triangle, depth = _Render.apply(vertices, projection, texture, layout, size, perspective)
    return Rendering(image.to(vertices.dtype), triangle, depth.to(vertices.dtype))


class _Render(torch.autograd.Function):
    """Picture and depth (float32) of a mesh. Positions are computed in float64, colours in float32."""

    @staticmethod
    def forward(ctx: Any, vertices, projection, texture, layout: Layout, size, perspective: bool):
        screen = find_positions(double(vertices), double(projection))
        faces, uvs, uv_faces = (part.numpy() for part in (layout.faces, layout.uvs, layout.uv_faces))
        triangle, depth = find_triangles(screen, faces, size, perspective)
        image = find_colours(find_planes(screen, faces, uvs, uv_faces, perspective), single(texture), triangle)
        image, triangle, depth = (torch.from_numpy(array) for array in (image, triangle, depth))
        ctx.save_for_backward(vertices, projection, texture, triangle)
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
        vertices, projection, texture, triangle = ctx.saved_tensors
        if image_gradient is None:
            image_gradient = torch.zeros(len(triangle), texture.shape[1], *triangle.shape[1:])
        gradients = find_gradients(
            _scene(vertices, projection, texture, triangle, ctx.layout, ctx.perspective),
            single(image_gradient),
            None if depth_gradient is None else single(depth_gradient),
            geometry=needs_vertices or needs_projection,
            texture=needs_texture,
        )
        return (
            torch.from_numpy(gradients.vertices).to(vertices.dtype) if needs_vertices else None,
            torch.from_numpy(gradients.projection).to(projection.dtype) if needs_projection else None,
            torch.from_numpy(gradients.texture).to(texture.dtype) if needs_texture else None,
            None,
            None,
            None,
        )


def _scene(vertices, projection, texture, triangle, layout: Layout, perspective: bool) -> Scene:
    points, matrices = double(vertices), double(projection)
    return Scene(
        vertices=points,
        projection=matrices,
        screen=find_positions(points, matrices),
        faces=layout.faces.numpy(),
        uvs=layout.uvs.numpy(),
        uv_faces=layout.uv_faces.numpy(),
        texture=single(texture),
        triangle=triangle.numpy(),
        perspective=perspective,
    )
