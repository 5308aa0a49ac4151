"""The encoder: average texture and mesh of a frame -> distribution of its latent code."""

from __future__ import annotations

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from multiface.models.architecture import Architecture, Sizes
from multiface.models.layers import SLOPE, DownBlock, NormalisedLinear

CHANNELS = (3, 16, 32, 64, 128)
MEAN_FACTOR = 0.1
LOGSTD_FACTOR = 0.01


class TextureEncoder(nn.Module):
    """Four down blocks, (B, 3, T, T) -> (B, 128, T/256, T/256)."""

    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        self.downsample = nn.Sequential(
            *(DownBlock(n_in, n_out, n_out, residual=architecture.residual) for n_in, n_out in pairwise(CHANNELS))
        )

    def forward(self, texture: Tensor) -> Tensor:
        return self.downsample(texture)


class Encoder(nn.Module):
    """Average texture and mesh -> mean and log standard deviation of the latent code."""

    def __init__(self, architecture: Architecture, sizes: Sizes) -> None:
        super().__init__()
        self.texture_encoder = TextureEncoder(architecture)
        self.texture_fc = NormalisedLinear(CHANNELS[-1] * sizes.feature_size**2, 256)
        self.mesh_fc = NormalisedLinear(sizes.mesh_inp_size, 256)
        self.fc = NormalisedLinear(512, 2 * sizes.nlatent)

    def forward(self, avg_tex: Tensor, verts: Tensor) -> tuple[Tensor, Tensor]:
        """Encode F frames.

        Args:
            avg_tex: (F, 3, T, T) normalised average texture, row 0 at v = 0.
            verts: (F, V, 3) normalised vertices.

        Returns:
            mean (F, Z) and logstd (F, Z), at least float32 under autocast too.
        """
        return self.join(self.texture_code(avg_tex), verts)

    def texture_code(self, avg_tex: Tensor) -> Tensor:
        """(F, 256) what the textures say; the other half of the work is :meth:`join`."""
        return F.leaky_relu(self.texture_fc(self.texture_encoder(avg_tex).flatten(1)), SLOPE)

    def join(self, texture_code: Tensor, verts: Tensor) -> tuple[Tensor, Tensor]:
        """As :meth:`forward`, from the :meth:`texture_code` of the textures."""
        mesh_code = F.leaky_relu(self.mesh_fc(verts.flatten(1)), SLOPE)
        code = self.fc(torch.cat((texture_code, mesh_code), dim=1))
        mean, logstd = code.to(torch.promote_types(code.dtype, torch.float32)).chunk(2, dim=1)
        return MEAN_FACTOR * mean, LOGSTD_FACTOR * logstd
