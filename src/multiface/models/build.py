"""New models."""

from __future__ import annotations

from multiface.models.info import ModelInfo
from multiface.models.initialisation import initialise
from multiface.models.model import FaceModel


def build_model(
    arch: str,
    tex_size: int = 1024,
    mesh_inp_size: int = 21918,
    nlatent: int = 256,
    n_cams: int = 38,
) -> FaceModel:
    """A freshly initialised model, weights drawn from torch's global generator.

    Its state_dict has the keys, shapes and order of the published checkpoints (without their ``module.`` prefix).

    Args:
        arch: ``"base"``, ``"res"``, ``"warp"``, ``"non"`` or ``"bilinear"``.
        tex_size: Texture size T: 512 or 1024 as published, or 256 or 2048 by the same rule.
        mesh_inp_size: 3 x number of vertices.
        nlatent: Latent size Z.
        n_cams: Number of cameras in the colour correction.

    Raises:
        ArgumentError: an unknown architecture or an impossible size; the message lists the choices.
    """
    model = FaceModel(ModelInfo(arch, tex_size, mesh_inp_size, nlatent, n_cams))
    initialise(model)
    return model
