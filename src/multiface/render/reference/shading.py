"""Colour and depth of each pixel from the three corners of the triangle it shows, differentiably."""

from __future__ import annotations

import torch

from multiface.render.layout import Layout
from multiface.render.reference.visibility import visible_triangles
from multiface.render.results import Raster, Rendering
from multiface.render.screen import pixel_centres, project


def rasterize(vertices, projection, faces, size: tuple[int, int], perspective: bool) -> Raster:
    """See :func:`multiface.render.rasterize`."""
    with torch.no_grad():
        screen = project(vertices, projection)
        triangle = visible_triangles(screen, faces, size, perspective)
        item, row, column, samples = pixel_centres(triangle)
        corners = screen[item[:, None], faces.long()[triangle[item, row, column].long()]]
        weights = corner_weights(corners, samples, perspective)
        barycentric = torch.zeros(*triangle.shape, 3, device=vertices.device)
        depth = torch.zeros(triangle.shape, device=vertices.device)
        barycentric[item, row, column] = weights.float()
        depth[item, row, column] = (weights * corners[..., 2]).sum(-1).float()
    return Raster(triangle, depth, barycentric)


def render(vertices, projection, layout: Layout, texture, size: tuple[int, int], perspective: bool) -> Rendering:
    """See :func:`multiface.render.render_mesh`."""
    with torch.no_grad():
        triangle = visible_triangles(project(vertices, projection), layout.faces, size, perspective)
    item, row, column, samples = pixel_centres(triangle)
    shown = triangle[item, row, column].long()
    # corners are gathered before they are projected: vertices behind the camera or not finite then have no part in this
    corners = project(vertices[item[:, None], layout.faces.long()[shown]], projection[item])
    weights = corner_weights(corners, samples, perspective)
    uv = (weights[..., None] * layout.uvs.double()[layout.uv_faces.long()[shown]]).sum(1)
    colour = sample_texture(texture, item if len(texture) > 1 else torch.zeros_like(item), uv)
    image = colour.new_zeros(*triangle.shape, texture.shape[1]).index_put((item, row, column), colour)
    depth = colour.new_zeros(triangle.shape).index_put((item, row, column), (weights * corners[..., 2]).sum(-1))
    return Rendering(image.permute(0, 3, 1, 2).to(vertices.dtype).contiguous(), triangle, depth.to(vertices.dtype))


def corner_weights(corners: torch.Tensor, samples: torch.Tensor, perspective: bool) -> torch.Tensor:
    """(N, 3) weights, adding up to 1, of the corners (N, 3, 3) u, v, z of triangles at the samples (N, 2).

    The weight of a corner is the area of the triangle between the sample and the opposite edge; for perspective-correct
    weights divided by the depth of the corner (Heckbert and Moreton, Interpolation for polygon texture mapping, 1991).
    """
    u, v = (corners[..., :2] - samples[:, None]).unbind(-1)
    areas = torch.stack([u[:, i] * v[:, j] - v[:, i] * u[:, j] for i, j in ((1, 2), (2, 0), (0, 1))], dim=-1)
    weights = areas / corners[..., 2] if perspective else areas
    return weights / weights.sum(-1, keepdim=True)


def sample_texture(texture: torch.Tensor, item: torch.Tensor, uv: torch.Tensor) -> torch.Tensor:
    """(N, C) float64 bilinear look-ups with wrap-around in textures (B, C, h, w): texture ``item`` (N,) at ``uv`` (N, 2)."""
    height, width = texture.shape[2:]
    texels = texture.double().permute(0, 2, 3, 1)
    x, y = ((uv - uv.detach().floor()) * uv.new_tensor([width, height]) - 0.5).unbind(-1)
    left, top = x.detach().floor(), y.detach().floor()
    right_part, lower_part = (x - left)[:, None], (y - top)[:, None]
    columns = [(left.long() + step) % width for step in (0, 1)]
    rows = [(top.long() + step) % height for step in (0, 1)]
    upper, lower = (
        texels[item, row, columns[0]] * (1 - right_part) + texels[item, row, columns[1]] * right_part for row in rows
    )
    return upper * (1 - lower_part) + lower * lower_part
