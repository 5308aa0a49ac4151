"""Colour correction: a gain and an offset per camera and channel."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from multiface.models import forms
from multiface.models.gradients import correct


class ColourCorrection(nn.Module):
    """``texture * weight[camera] + bias[camera]`` on the normalised texture, channels independent.

    Camera 0 is the anchor: its gain and offset are stored and applied, but never trained.
    """

    def __init__(self, n_cams: int) -> None:
        super().__init__()
        self.weight_anchor = nn.Parameter(torch.empty(1, 3, 1, 1), requires_grad=False)
        self.bias_anchor = nn.Parameter(torch.empty(1, 3, 1, 1), requires_grad=False)
        self.weight = nn.Parameter(torch.empty(n_cams - 1, 3, 1, 1))
        self.bias = nn.Parameter(torch.empty(n_cams - 1, 3, 1, 1))

    def forward(self, texture: Tensor, cams: Tensor) -> Tensor:
        """Correct (B, 3, T, T) normalised textures for the cameras ``cams`` (B,) int64, 0..n_cams-1."""
        weight = torch.cat((self.weight_anchor, self.weight))[cams]
        bias = torch.cat((self.bias_anchor, self.bias))[cams]
        texture = texture.to(torch.promote_types(texture.dtype, bias.dtype))
        return correct(texture, weight, bias) if forms.on_gpu(texture) else torch.addcmul(bias, texture, weight)
