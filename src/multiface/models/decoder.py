"""The decoder: latent code and view direction -> mesh and view-dependent texture."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from multiface.models.architecture import Architecture, Sizes
from multiface.models.layers import SLOPE, NormalisedLinear, UpBlock

VIEW_CODE = 8
LATENT_CODE = 256


class TextureDecoder(nn.Module):
    """Four up blocks, (B, Z, T/256, T/256) -> (B, 3, T, T)."""

    def __init__(self, architecture: Architecture, sizes: Sizes) -> None:
        super().__init__()
        first, side = sizes.nlatent, sizes.feature_size
        channels = ((first, first, 64), (64, 64, 32), (32, 32, 16), (16, 16, 3))
        self.upsample = nn.Sequential(
            *(
                UpBlock(
                    *block,
                    side * 4**position,
                    residual=architecture.residual,
                    per_texel_bias=architecture.per_texel_bias,
                    nearest=architecture.nearest_upsampling,
                    last=position == len(channels) - 1,
                )
                for position, block in enumerate(channels)
            )
        )

    def forward(self, features: Tensor) -> Tensor:
        return self.upsample(features)


class Decoder(nn.Module):
    """Latent code and view -> texture seen from there, and mesh (which does not depend on the view)."""

    def __init__(self, architecture: Architecture, sizes: Sizes) -> None:
        super().__init__()
        self.feature_shape = (sizes.nlatent, sizes.feature_size, sizes.feature_size)
        self.texture_decoder = TextureDecoder(architecture, sizes)
        self.view_fc = NormalisedLinear(3, VIEW_CODE)
        self.z_fc = NormalisedLinear(sizes.nlatent, LATENT_CODE)
        self.mesh_fc = NormalisedLinear(LATENT_CODE, sizes.mesh_inp_size)
        self.texture_fc = NormalisedLinear(VIEW_CODE + LATENT_CODE, sizes.nlatent * sizes.feature_size**2)

    def forward(self, z: Tensor, view: Tensor) -> tuple[Tensor, Tensor]:
        """Decode B views.

        Args:
            z: (B, Z) latent codes.
            view: (B, 3) unit vectors from the head origin to the camera, head space.

        Returns:
            texture (B, 3, T, T) and vertices (B, V, 3), both normalised.
        """
        view_code = F.leaky_relu(self.view_fc(view), SLOPE)
        z_code = F.leaky_relu(self.z_fc(z), SLOPE)
        vertices = self.mesh_fc(z_code).unflatten(1, (-1, 3))
        features = F.leaky_relu(self.texture_fc(torch.cat((view_code, z_code), dim=1)), SLOPE)
        return self.texture_decoder(features.unflatten(1, self.feature_shape)), vertices
