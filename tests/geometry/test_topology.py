from __future__ import annotations

import numpy as np
import pytest

from multiface.core.errors import ArgumentError
from multiface.geometry import Topology

FACES = np.array([[0, 1, 2], [0, 2, 5]])
UVS = np.zeros((4, 2))
UV_FACES = np.array([[0, 1, 2], [0, 2, 3]])


def test_arrays_become_contiguous_and_typed() -> None:
    topology = Topology(faces=np.asfortranarray(FACES), uvs=UVS.tolist(), uv_faces=UV_FACES)  # type: ignore[arg-type]
    assert topology.faces.dtype == topology.uv_faces.dtype == np.int32
    assert topology.uvs.dtype == np.float32
    assert topology.faces.flags.c_contiguous
    assert topology.n_vertices == 6


def test_a_topology_may_be_empty() -> None:
    none = np.zeros((0, 3), int)
    assert Topology(faces=none, uvs=np.zeros((0, 2)), uv_faces=none).n_vertices == 0


@pytest.mark.parametrize(
    ("faces", "uvs", "uv_faces"),
    [
        (FACES[:, :2], UVS, UV_FACES[:, :2]),
        (FACES[0], UVS, UV_FACES[0]),
        (FACES, UVS, UV_FACES[:1]),
        (FACES, np.zeros((4, 3)), UV_FACES),
        (FACES - 1, UVS, UV_FACES),
        (FACES, UVS, UV_FACES - 1),
        (FACES, UVS, UV_FACES + 1),
    ],
)
def test_what_does_not_fit_is_refused(faces: np.ndarray, uvs: np.ndarray, uv_faces: np.ndarray) -> None:
    with pytest.raises(ArgumentError, match="topology"):
        Topology(faces=faces, uvs=uvs, uv_faces=uv_faces)
