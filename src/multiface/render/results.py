"""What the operations of this room return."""

from __future__ import annotations

from typing import NamedTuple

import torch


class Raster(NamedTuple):
    """Which triangle each pixel shows, and where on it.

    Attributes:
        triangle: (B, H, W) int32 index into the faces, -1 where nothing.
        depth: (B, H, W) float32 camera z in mm, 0 where nothing.
        barycentric: (B, H, W, 3) float32 weights of the three corners, perspective correct or affine as asked for;
            0 where nothing, else their sum is 1.
    """

    triangle: torch.Tensor
    depth: torch.Tensor
    barycentric: torch.Tensor


class Rendering(NamedTuple):
    """A rendered batch.

    Attributes:
        image: (B, C, H, W) in the units of the texture and the dtype of the vertices, 0 where nothing.
        triangle: (B, H, W) int32 index into the faces, -1 where nothing.
        depth: (B, H, W) camera z in mm in the dtype of the vertices, 0 where nothing.
    """

    image: torch.Tensor
    triangle: torch.Tensor
    depth: torch.Tensor
