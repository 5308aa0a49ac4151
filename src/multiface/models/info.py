"""What a checkpoint says about its model beyond the weights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from multiface.core.errors import ArgumentError
from multiface.geometry import Topology
from multiface.models.architecture import Sizes, find_architecture


@dataclass(frozen=True, eq=False)
class ModelInfo:
    """Everything needed to use a model without the capture it was trained on.

    Attributes:
        arch: ``"base"``, ``"res"``, ``"warp"``, ``"non"`` or ``"bilinear"``.
        tex_size: Texture size T.
        mesh_inp_size: 3 x number of vertices.
        nlatent: Latent size Z.
        n_cams: Number of cameras in the colour correction.
        camera_names: The name of each camera of the colour correction, anchor first; None in published checkpoints.
        statistics: Tensors that undo the normalisation (``multiface.data.Normalisation.state()``), or None.
        topology: Triangles and uv layout of the mesh, or None.
        licence: A note on what the weights may be used for; it belongs to the data they were trained on.
        training: How it was trained, as plain JSON values, or None.

    Raises:
        ArgumentError: sizes that no model has, or names and topology that do not fit them.
    """

    arch: str
    tex_size: int
    mesh_inp_size: int
    nlatent: int
    n_cams: int
    camera_names: tuple[str, ...] | None = None
    statistics: Mapping[str, Tensor] | None = None
    topology: Topology | None = None
    licence: str | None = None
    training: Mapping[str, Any] | None = field(default=None)

    def __post_init__(self) -> None:
        find_architecture(self.arch)
        Sizes(**self.sizes())
        if self.camera_names is not None and len(self.camera_names) != self.n_cams:
            raise ArgumentError(
                "the camera names do not fit the colour correction",
                expected=f"{self.n_cams} names",
                found=f"{len(self.camera_names)} names",
            )
        if self.topology is not None and 3 * self.topology.n_vertices > self.mesh_inp_size:
            raise ArgumentError(
                "the topology does not fit the mesh",
                expected=f"vertex indices below {self.mesh_inp_size // 3}",
                found=self.topology.n_vertices - 1,
            )

    def sizes(self) -> dict[str, int]:
        """The four numbers that, with ``arch``, :func:`multiface.models.build_model` takes."""
        return {
            "tex_size": self.tex_size,
            "mesh_inp_size": self.mesh_inp_size,
            "nlatent": self.nlatent,
            "n_cams": self.n_cams,
        }
