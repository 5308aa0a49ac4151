"""From vertices to the picture and, for gradients, back; float64 whatever comes in."""

from __future__ import annotations

import torch


def project(vertices: torch.Tensor, projection: torch.Tensor) -> torch.Tensor:
    """(..., V, 3) float64 pixel coordinates u, v and camera z (mm) of vertices (..., V, 3) under projection (..., 3, 4).

    Where z is 0 or an input is not finite, so is the result not finite.
    """
    vertices, projection = vertices.double(), projection.double()
    q = vertices @ projection[..., :3].mT + projection[..., None, :, 3]
    return torch.cat([q[..., :2] / q[..., 2:], q[..., 2:]], dim=-1)


def project_backward(
    screen_gradient: torch.Tensor, screen: torch.Tensor, vertices: torch.Tensor, projection: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Gradients of :func:`project` for the backends that write theirs by hand.

    Args:
        screen_gradient: (B, V, 3) float64 with respect to u, v, z.
        screen: (B, V, 3) float64, the result of :func:`project`.
        vertices: (B, V, 3); projection: (B, 3, 4).

    Returns:
        Gradients (B, V, 3) and (B, 3, 4), float64. Vertices that received none may be anything, not finite included.
    """
    used = (screen_gradient != 0).any(-1, keepdim=True)
    screen = torch.where(used, screen, 1.0)
    vertices = torch.where(used, vertices.double(), 0.0)
    uv, z = screen[..., :2], screen[..., 2:]
    q_uv = screen_gradient[..., :2] / z
    q_z = screen_gradient[..., 2:] - (q_uv * uv).sum(-1, keepdim=True)
    q = torch.cat([q_uv, q_z], dim=-1)
    linear = q.mT @ vertices
    return q @ projection[..., :3].double(), torch.cat([linear, q.sum(-2).unsqueeze(-1)], dim=-1)


def pixel_centres(triangle: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    """Where ``triangle`` (B, H, W) is not -1: item (N,), row (N,), column (N,) and sample position (N, 2) float64."""
    item, row, column = (triangle >= 0).nonzero(as_tuple=True)
    return item, row, column, torch.stack([column, row], dim=-1).double() + 0.5
