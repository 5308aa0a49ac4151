"""Silhouette gradients: what the edges of shapes in a picture tell vertices and projection.

A rendered picture jumps where its edges are, so its gradient at fixed visibility says nothing about moving them. Averaged over
the area of each pixel it would not jump. Between two neighbouring pixels A and B (to the right of A or below it) that are on
different sides of an edge, an edge that moves by d from A towards B turns an area d from the colour of B into that of A:

    dL = 1/2 (dL/dI_A + dL/dI_B) . (I_A - I_B) d

This is the gradient of a micro-edge in Pidhorskyi et al., "Rasterized Edge Gradients: Handling Discontinuities
Differentiably" (ECCV 2024); the mean over both pixels lets the edge feel also those it has not reached yet.

What moves, and how fast, is found on the mesh. From the centre of A its surface is followed straight towards B, over shared
edges from triangle to triangle, until it ends: at a border, or at a fold, where the next triangle turns back. The same from B
towards A. Then

* the surface of A continues to the very triangle of B: there is no edge, and no gradient;
* one of the two ends: the edge is its last one; if both do, that of them which is nearer to the camera. Where both end at one
  place (:data:`~multiface.render.rules.SAME_PLACE`) it is a seam between vertices in the same position: no gradient;
* both continue, one above and one below the other: they intersect, and the edge is the line where the planes of the
  triangles of A and B are equally deep.

With n the normal of that edge in the picture and v the velocity of its point on the line through A and B, d = (n . v) n_x for
pixels side by side and (n . v) n_y for pixels one above the other. A smooth curve crosses |n_x| rows and |n_y| columns of
pixels per length, so that these add up to the integral of (n . v) times the jump along the edge, whatever its direction; motion
along an edge gives nothing. Of a mesh edge v is interpolated between its ends; of an intersection, with depth planes a and b
(of 1/z, or of z if affine) and f = a - b, (n . v) n = -df grad f / |grad f|^2.

The picture is not changed. Colours that jump along a seam of the texture within a surface are not edges in this sense.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch.autograd.function import once_differentiable

from multiface.render.results import Rendering

Pass = Callable[..., tuple[torch.Tensor, torch.Tensor]]
"""``(vertices, projection, faces, twins, triangle, image, image_gradient, perspective)`` to the gradients of the first two."""


def attach_silhouettes(
    drawn: Rendering, vertices: torch.Tensor, projection: torch.Tensor, faces, twins, perspective: bool, differentiate: Pass
) -> Rendering:
    """``drawn`` with a picture whose gradient also goes to vertices and projection by way of its edges.

    Args:
        drawn: Picture (B, C, H, W) and triangles (B, H, W) of the mesh.
        vertices: (B, V, 3); projection: (B, 3, 4); faces: (F, 3) int32.
        twins: (3 F,) int32, see :func:`multiface.render.adjacency.half_edge_twins`.
        perspective: The interpolation that was drawn with.
        differentiate: The pass of a backend.
    """
    image = _Silhouettes.apply(drawn.image, vertices, projection, drawn.triangle, faces, twins, perspective, differentiate)
    return drawn._replace(image=image)


class _Silhouettes(torch.autograd.Function):
    """The identity on the picture."""

    @staticmethod
    def forward(ctx: Any, image, vertices, projection, triangle, faces, twins, perspective: bool, differentiate: Pass):
        ctx.save_for_backward(vertices, projection, faces, twins, triangle, image)
        ctx.perspective, ctx.differentiate = perspective, differentiate
        return image.view_as(image)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, image_gradient):
        of_image, for_vertices, for_projection = ctx.needs_input_grad[:3]
        of_vertices = of_projection = None
        if for_vertices or for_projection:
            of_vertices, of_projection = ctx.differentiate(*ctx.saved_tensors, image_gradient, ctx.perspective)
        return (
            image_gradient if of_image else None,
            of_vertices if for_vertices else None,
            of_projection if for_projection else None,
            None, None, None, None, None,
        )  # fmt: skip
