"""Silhouette gradients on the CPU: one task for each picture of the batch."""

from __future__ import annotations

import numpy as np
import torch

from multiface.render.cpu.forward import double, find_positions
from multiface.render.cpu.schedule import for_items
from multiface.render.cpu.silhouette_kernels import differentiate_edges
from multiface.render.cpu.vertex_kernels import unproject_gradients


def silhouette_gradients(
    vertices, projection, faces, twins, triangle, image, image_gradient, perspective: bool
) -> tuple[torch.Tensor, torch.Tensor]:
    """See :class:`multiface.render.backends.Backend`."""
    points, matrices = double(vertices), double(projection)
    screen = find_positions(points, matrices)
    faces, twins, triangle = faces.numpy(), twins.numpy(), triangle.numpy()
    colours, pulls = (tensor.detach().contiguous().numpy() for tensor in (image, image_gradient))
    of_screen = np.zeros_like(screen)
    of_vertices, of_projection = np.empty_like(points), np.empty_like(matrices)

    def task(item: int) -> None:
        differentiate_edges(screen, faces, twins, perspective, triangle, colours, pulls, item, item, of_screen)
        unproject_gradients(points, matrices, screen, of_screen, item, item, of_vertices, of_projection)

    for_items(task, len(points))
    return torch.from_numpy(of_vertices).to(vertices.dtype), torch.from_numpy(of_projection).to(projection.dtype)
