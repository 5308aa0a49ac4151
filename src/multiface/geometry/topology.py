"""The triangles and uv layout that all meshes of a capture share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np

from multiface.core.errors import ArgumentError


@dataclass(frozen=True, eq=False)
class Topology:
    """Triangles and texture coordinates.

    Attributes:
        faces: (F, 3) int32 vertex index of each triangle corner.
        uvs: (U, 2) float32 texture coordinates, v = 0 is the *bottom* row of a texture file (row 0 after the flip).
        uv_faces: (F, 3) int32 index into ``uvs`` of each triangle corner; differs from ``faces`` along seams.

    Raises:
        ArgumentError: shapes do not fit, or an index is negative or beyond ``uvs``.
    """

    faces: np.ndarray
    uvs: np.ndarray
    uv_faces: np.ndarray

    def __post_init__(self) -> None:
        object.__setattr__(self, "faces", np.ascontiguousarray(self.faces, np.int32))
        object.__setattr__(self, "uvs", np.ascontiguousarray(self.uvs, np.float32))
        object.__setattr__(self, "uv_faces", np.ascontiguousarray(self.uv_faces, np.int32))
        if self.faces.ndim != 2 or self.faces.shape[1] != 3:
            raise ArgumentError("topology faces have the wrong shape", expected="(F, 3)", found=self.faces.shape)
        if self.uv_faces.shape != self.faces.shape:
            raise ArgumentError("topology uv_faces must match faces", expected=self.faces.shape, found=self.uv_faces.shape)
        if self.uvs.ndim != 2 or self.uvs.shape[1] != 2:
            raise ArgumentError("topology uvs have the wrong shape", expected="(U, 2)", found=self.uvs.shape)
        if self.faces.size and self.faces.min() < 0:
            raise ArgumentError("topology faces hold a negative vertex index", found=int(self.faces.min()))
        if self.uv_faces.size and not (0 <= self.uv_faces.min() and self.uv_faces.max() < len(self.uvs)):
            raise ArgumentError(
                "topology uv_faces hold an index outside uvs",
                expected=f"0..{len(self.uvs) - 1}",
                found=f"{self.uv_faces.min()}..{self.uv_faces.max()}",
            )

    @property
    def n_vertices(self) -> int:
        """The smallest number of vertices a mesh of this topology can have (highest index + 1)."""
        return int(self.faces.max()) + 1 if self.faces.size else 0

    def derived(self, make: Callable[..., Any], *arguments: Any) -> Any:
        """``make(self, *arguments)``, computed on first use and kept as long as this topology lives; ``make`` is a function."""
        kept = _derived.setdefault(self, {})
        key = (make, *arguments)
        if key not in kept:
            kept[key] = make(self, *arguments)
        return kept[key]

    derived._dynamo_marked_constant = True  # type: ignore[attr-defined]  # torch.compile calls it and keeps the result


_derived: WeakKeyDictionary[Topology, dict] = WeakKeyDictionary()
