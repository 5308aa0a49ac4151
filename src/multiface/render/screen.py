"""Positions in the picture, in float64 whatever comes in."""

from __future__ import annotations

import torch


def project(vertices: torch.Tensor, projection: torch.Tensor) -> torch.Tensor:
    """(..., V, 3) float64 pixel coordinates u, v and camera z (mm) of vertices (..., V, 3) under projection (..., 3, 4).

    Where z is 0 or an input is not finite, so is the result not finite.
    """
    x, y, z = vertices.double().split(1, dim=-1)
    m = projection.double()[..., None, :, :]
    # not a matrix product: the order of additions is then the same for every shape and backend
    q = x * m[..., 0] + y * m[..., 1] + z * m[..., 2] + m[..., 3]
    return torch.cat([q[..., :2] / q[..., 2:], q[..., 2:]], dim=-1)


def pixel_centres(triangle: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    """Where ``triangle`` (B, H, W) is not -1: item (N,), row (N,), column (N,) and sample position (N, 2) float64."""
    item, row, column = (triangle >= 0).nonzero(as_tuple=True)
    return item, row, column, torch.stack([column, row], dim=-1).double() + 0.5
