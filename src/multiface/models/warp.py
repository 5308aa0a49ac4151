"""The warp field of architecture ``warp``: where in the decoded texture each texel of the result is read from."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from multiface.models import forms
from multiface.models.architecture import Sizes
from multiface.models.layers import SLOPE, NormalisedLinear, UpBlock

FIELD_SIZE = 512
"""Resolution of the decoded field, whatever the texture size."""


class WarpField(nn.Module):
    """Latent code -> sampling grid. Always the plain blocks, whatever the texture decoder has."""

    normal_grid: Tensor

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        self.tex_size = sizes.tex_size
        self.register_buffer("normal_grid", identity_grid(sizes.tex_size))
        self.mlp = nn.Sequential(NormalisedLinear(sizes.nlatent, 256), nn.LeakyReLU(SLOPE), NormalisedLinear(256, 1024))
        self.upsample = nn.Sequential(
            UpBlock(256, 128, 128, 2),
            UpBlock(128, 128, 64, 8),
            UpBlock(64, 64, 32, 32),
            UpBlock(32, 32, 16, 128),
            _resize(sizes.tex_size),
            nn.Conv2d(16, 2, 3, padding=1),
        )

    def forward(self, z: Tensor) -> Tensor:
        """(B, Z) -> (B, T, T, 2) grid for :func:`resample`: (x, y) in -1..1, the identity plus the field over T."""
        features = F.leaky_relu(self.mlp(z), SLOPE).unflatten(1, (256, 2, 2))
        field = self._field(features)
        # Normalised coordinates of a 1024 texture need float32: half precision would move texels by whole pixels.
        field = field.to(self.normal_grid.dtype)
        return (field / self.tex_size + self.normal_grid).permute(0, 2, 3, 1)

    def _field(self, features: Tensor) -> Tensor:
        """(B, 256, 2, 2) -> (B, 2, T, T)."""
        if not (forms.on_gpu(features) and self.tex_size == 2 * FIELD_SIZE):
            return self.upsample(features)
        *blocks, _, last = self.upsample
        for block in blocks:
            features = block(features)
        return forms.doubled_and_convolved(features, last.get_parameter("weight"), last.get_parameter("bias"))


def identity_grid(size: int) -> Tensor:
    """(1, 2, size, size) float32, channel 0 = x over columns, 1 = y over rows, end points exactly -1 and 1.

    Computed in float64 and then rounded: a float32 linspace differs by 1e-7, which a noisy texture turns into 1e-4.
    """
    line = torch.from_numpy(np.linspace(-1.0, 1.0, size).astype(np.float32))
    y, x = torch.meshgrid(line, line, indexing="ij")
    return torch.stack((x, y))[None].contiguous()


def resample(texture: Tensor, grid: Tensor) -> Tensor:
    """Read ``texture`` (B, C, T, T) at ``grid`` (B, T, T, 2): bilinear, zeros outside, half-pixel centres.

    The end-to-end identity of :func:`identity_grid` and half-pixel centres do not match: a zero field stretches the
    texture by half a pixel at each border and mixes the outermost texels with zero. Published checkpoints need it so.
    """
    return F.grid_sample(texture.to(grid.dtype), grid, mode="bilinear", padding_mode="zeros", align_corners=False)


def _resize(size: int) -> nn.Module:
    if size == FIELD_SIZE:
        return nn.Identity()
    return nn.Upsample(size=(size, size), mode="bilinear", align_corners=False)
