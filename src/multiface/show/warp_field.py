"""The warp field of ``warp`` models, as pictures."""

from __future__ import annotations

import torch
import torch.nn.functional as F

from multiface.models import FaceModel
from multiface.show.colormap import difference_table
from multiface.show.text import INK, PAPER

LINES = 32
"""Squares of the drawn grid along each side."""


class WarpPictures:
    """Draws fields (B, T, T, 2) as :class:`~multiface.models.Decoded` has them, upright like texture files.

    Args:
        model: A ``warp`` model.
        device: Where the fields are.

    Attributes:
        scale: Displacement, in texels, that gets the brightest colour: a thirty-second of the texture.
    """

    def __init__(self, model: FaceModel, device: torch.device) -> None:
        if model.warp is None:
            raise ValueError("this model has no warp field")
        self._size = model.tex_size
        self._identity = model.warp.normal_grid.to(device).permute(0, 2, 3, 1)
        self._colours = torch.from_numpy(difference_table().copy()).to(device)
        self._drawing = _grid_drawing(self._size).to(device)
        self.scale = self._size / 32

    def grid(self, field: torch.Tensor) -> torch.Tensor:
        """(B, T, T, 3) uint8: straight lines as the field moves them."""
        drawing = self._drawing.expand(len(field), -1, -1, -1)
        moved = F.grid_sample(drawing, field, mode="bilinear", padding_mode="border", align_corners=False)
        return moved.flip(2).permute(0, 2, 3, 1).round().clamp(0, 255).to(torch.uint8)

    def displacement(self, field: torch.Tensor) -> torch.Tensor:
        """(B, T, T, 3) uint8: colour of how far each texel is read from its own place, ``scale`` texels the brightest."""
        texels = (field - self._identity).norm(dim=-1) * (self._size / 2)
        index = (texels * (255 / self.scale) + 0.5).clamp(0, 255).to(torch.uint8)
        return self._colours[index.flip(1).int()]


def _grid_drawing(size: int) -> torch.Tensor:
    """(1, 3, T, T) float 0..255: light lines on a dark ground."""
    pixel = torch.arange(size)
    cell = size / LINES
    near = (pixel % cell) < max(1.0, size / 512)
    line = near[:, None] | near[None, :]
    ink, paper = (torch.tensor(colour, dtype=torch.float32)[:, None, None] for colour in (INK, PAPER))
    return torch.where(line[None], ink, paper)[None]
