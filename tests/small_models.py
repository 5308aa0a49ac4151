"""Small models and inputs for tests."""

from __future__ import annotations

import torch
from torch import Tensor

from multiface.models import FaceModel

ARCHS = ("base", "res", "warp", "non", "bilinear")
SMALL = {"tex_size": 256, "mesh_inp_size": 300, "nlatent": 16, "n_cams": 5}


def random_inputs(frames: int = 2, tex_size: int = 256, n_vertices: int = 100) -> tuple[Tensor, Tensor, Tensor]:
    """avg_tex, verts and unit view directions, one view per frame."""
    view = torch.nn.functional.normalize(torch.randn(frames, 3), dim=1)
    return torch.randn(frames, 3, tex_size, tex_size), torch.randn(frames, n_vertices, 3), view


def perturb(model: FaceModel) -> FaceModel:
    """Move every parameter off its initial value, so that biases, gains and colour correction matter."""
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.02 * torch.randn_like(parameter))
    return model
