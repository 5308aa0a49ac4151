"""Input that cannot be rendered is refused with a message that says what is wrong with it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from multiface.core.errors import ArgumentError
from multiface.geometry import Topology
from multiface.render import backend_names, interpolate, rasterize, render_mesh
from render_scenes import Scene, soup

SCENE = soup(0, triangles=4, size=(8, 9))


def render(scene: Scene, interpolation="perspective", backend=None):
    return render_mesh(scene.vertices, scene.projection, scene.topology, scene.texture, scene.size, interpolation, backend)


BAD = {
    "vertices without a batch": ({"vertices": SCENE.vertices[0]}, r"vertices has the wrong shape.*\(B, V, 3\).*\(12, 3\)"),
    "vertices of two coordinates": ({"vertices": SCENE.vertices[..., :2]}, "vertices has the wrong shape"),
    "vertices of integers": ({"vertices": SCENE.vertices.int()}, "vertices has the wrong type.*float32.*int32"),
    "vertices of half precision": ({"vertices": SCENE.vertices.half()}, "vertices has the wrong type"),
    "vertices as an array": ({"vertices": SCENE.vertices.numpy()}, "vertices must be a tensor.*ndarray"),
    "too few vertices": ({"vertices": SCENE.vertices[:, :-1]}, "vertices that the mesh does not have.*12 vertices.*11"),
    "no items": ({"vertices": SCENE.vertices[:0]}, "batch"),
    "square projection": ({"projection": torch.eye(4)[None]}, r"projection has the wrong shape.*\(B, 3, 4\)"),
    "projections of another batch": ({"projection": SCENE.projection[[0, 1, 0]]}, r"batch sizes of vertices.*\[2, 3\]"),
    "projection elsewhere": ({"projection": SCENE.projection.to("meta")}, "projection and vertices must be on one device"),
    "textures of another batch": ({"texture": SCENE.texture[[0, 1, 0]]}, r"texture must be equal.*\[2, 2, 3\]"),
    "texture without channels": ({"texture": SCENE.texture[:, :0]}, "texture size"),
    "texture without rows": ({"texture": SCENE.texture[:, :, :0]}, "texture size"),
    "texture of bytes": ({"texture": SCENE.texture.byte()}, "texture has the wrong type"),
    "texture elsewhere": ({"texture": SCENE.texture.to("meta")}, "texture and vertices must be on one device.*cpu.*meta"),
    "picture without rows": ({"size": (0, 9)}, r"picture size cannot be used.*\(0, 9\)"),
    "picture of negative width": ({"size": (9, -1)}, "picture size"),
    "picture too large": ({"size": (100000, 100000)}, "picture size"),
    "size of one number": ({"size": 8}, "picture size is not a pair"),
    "size of three numbers": ({"size": (8, 9, 3)}, "picture size is not a pair"),
    "topology as faces": ({"topology": SCENE.topology.faces}, "topology has the wrong type.*Topology.*ndarray"),
    "uvs not finite": (
        {"topology": Topology(SCENE.topology.faces, SCENE.topology.uvs * np.nan, SCENE.topology.uv_faces)},
        "uvs.*not finite",
    ),
}  # fmt: skip


@pytest.mark.parametrize("changes, message", BAD.values(), ids=BAD.keys())
@pytest.mark.parametrize("backend", backend_names())
def test_bad_input_is_refused(changes, message, backend):
    with pytest.raises(ArgumentError, match=message):
        render(replace(SCENE, **changes), backend=backend)


def test_unknown_interpolation_and_backend():
    with pytest.raises(ArgumentError, match=r"unknown interpolation.*'perspective' or 'affine'.*'linear'"):
        render(SCENE, "linear")
    with pytest.raises(ArgumentError, match=r"unknown render backend.*'reference'.*'numba'.*'cuda'"):
        render(SCENE, backend="cuda")


def test_backend_on_a_device_it_does_not_run_on():
    scene = Scene(SCENE.vertices.to("meta"), SCENE.projection.to("meta"), SCENE.topology, SCENE.texture.to("meta"), SCENE.size)
    with pytest.raises(ArgumentError, match=r"'numba' does not run on this device.*cpu.*meta"):
        render(scene, backend="numba")


FACES = torch.tensor([[0, 1, 2], [3, 4, 5]])


@pytest.mark.parametrize(
    "faces, message",
    [
        (FACES - 1, "negative vertex index.*-1"),
        (FACES + 9, "vertices that the mesh does not have.*15.*12"),
        (FACES[:, :2], r"faces has the wrong shape.*\(F, 3\)"),
        (FACES.float(), "faces has the wrong type"),
        (FACES.float().numpy(), "faces has the wrong type"),
        ([[0, 1, 2]], "faces must be a tensor"),
    ],
)
def test_bad_faces_are_refused(faces, message):
    with pytest.raises(ArgumentError, match=message):
        rasterize(SCENE.vertices, SCENE.projection, faces, SCENE.size)
    with pytest.raises(ArgumentError, match=message):
        interpolate(SCENE.vertices, faces, rasterize(SCENE.vertices, SCENE.projection, FACES, SCENE.size))


def test_faces_changed_in_place_are_checked_again():
    faces = FACES.clone()
    rasterize(SCENE.vertices, SCENE.projection, faces, SCENE.size)
    faces[0, 0] = 99
    with pytest.raises(ArgumentError, match="vertices that the mesh does not have"):
        rasterize(SCENE.vertices, SCENE.projection, faces, SCENE.size)


@pytest.mark.parametrize("kind", [np.int32, np.int64, torch.int32, torch.int64])
def test_faces_of_any_integer_kind(kind):
    faces = FACES.to(kind) if isinstance(kind, torch.dtype) else FACES.numpy().astype(kind)
    expected = rasterize(SCENE.vertices, SCENE.projection, FACES, SCENE.size)
    assert torch.equal(rasterize(SCENE.vertices, SCENE.projection, faces, SCENE.size).triangle, expected.triangle)


def test_attributes_of_another_batch():
    raster = rasterize(SCENE.vertices, SCENE.projection, FACES, SCENE.size)
    with pytest.raises(ArgumentError, match=r"another batch size than the raster.*2 or 1.*3"):
        interpolate(torch.zeros(3, 12, 1), FACES, raster)


def test_attributes_on_another_device():
    raster = rasterize(SCENE.vertices, SCENE.projection, FACES, SCENE.size)
    with pytest.raises(ArgumentError, match=r"attributes and raster must be on one device.*cpu.*meta"):
        interpolate(torch.zeros(2, 12, 1, device="meta"), FACES, raster)


def test_types_of_the_result_follow_the_vertices():
    single = render(SCENE)
    assert [t.dtype for t in single] == [torch.float32, torch.int32, torch.float32]
    double = render(replace(SCENE, vertices=SCENE.vertices.double()))
    assert [t.dtype for t in double] == [torch.float64, torch.int32, torch.float64]
