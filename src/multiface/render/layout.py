"""Faces and uv layout as tensors on a device, checked once and kept as long as the topology lives."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from multiface.core.errors import ArgumentError
from multiface.geometry import Topology


@dataclass(frozen=True, eq=False)
class Layout:
    """A topology on a device.

    Attributes:
        faces: (F, 3) int32 vertex indices.
        uvs: (U, 2) float32.
        uv_faces: (F, 3) int32 indices into ``uvs``.
        n_vertices: The smallest number of vertices a mesh may have.
    """

    faces: torch.Tensor
    uvs: torch.Tensor
    uv_faces: torch.Tensor
    n_vertices: int


def layout_on(topology: Topology, device: torch.device) -> Layout:
    """``topology`` on ``device``, copied and checked on first use only.

    Raises:
        ArgumentError: ``topology`` is not a Topology, or a uv that a triangle uses is not finite.
    """
    if not isinstance(topology, Topology):
        raise ArgumentError("topology has the wrong type", expected="Topology", found=type(topology).__name__)
    id(topology)  # makes compiled code look at whether it is still the same one
    return topology.derived(_build, device)


def _build(topology: Topology, device: torch.device) -> Layout:
    if not np.isfinite(topology.uvs[topology.uv_faces.ravel()]).all():
        raise ArgumentError("topology uvs used by a triangle are not finite")
    # copied: the arrays of a topology may be read-only or change, tensors that share their memory would not know
    faces, uvs, uv_faces = (
        torch.from_numpy(array.copy()).to(device) for array in (topology.faces, topology.uvs, topology.uv_faces)
    )
    return Layout(faces, uvs, uv_faces, topology.n_vertices)
