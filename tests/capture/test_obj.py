from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from multiface.capture import Topology, read_obj, write_obj
from multiface.core.errors import ArgumentError, FormatError

finite = st.floats(width=32, allow_nan=False, allow_infinity=False)

HEAD = "v 0 0 0\nv 1 0 0\nv 1 1 0\nv 0 1 0\nvt 0 0\nvt 1 0\nvt 1 1\nvt 0 1\n"


def write(folder: Path, text: str) -> Path:
    path = folder / "x.obj"
    path.write_text(text, newline="")
    return path


@st.composite
def meshes(draw) -> tuple[np.ndarray, Topology]:
    n, u, f = draw(st.integers(1, 12)), draw(st.integers(1, 12)), draw(st.integers(1, 12))
    vertices = draw(arrays(np.float32, (n, 3), elements=finite))
    uvs = draw(arrays(np.float32, (u, 2), elements=finite))
    faces = draw(arrays(np.int32, (f, 3), elements=st.integers(0, n - 1)))
    uv_faces = draw(arrays(np.int32, (f, 3), elements=st.integers(0, u - 1)))
    return vertices, Topology(faces=faces, uvs=uvs, uv_faces=uv_faces)


@settings(max_examples=50)
@given(meshes())
def test_what_is_written_reads_back_exactly(scratch: Path, mesh: tuple[np.ndarray, Topology]) -> None:
    vertices, topology = mesh
    write_obj(scratch / "x.obj", vertices, topology)
    read = read_obj(scratch / "x.obj")
    assert np.array_equal(read.vertices, vertices)
    assert np.array_equal(read.topology.uvs, topology.uvs)
    assert np.array_equal(read.topology.faces, topology.faces)
    assert np.array_equal(read.topology.uv_faces, topology.uv_faces)


@pytest.mark.parametrize(
    "text",
    [
        HEAD + "f 1/1 2/2 3/3\n",
        HEAD + "f 1/1 2/2 3/3",
        (HEAD + "f 1/1 2/2 3/3\n").replace("\n", "\r\n"),
        (HEAD + "f  1/1   2/2\t3/3  \n").replace(" ", "  "),
        HEAD + "f 1/1/7 2/2/8 3/3/9\n",
        HEAD + "f 1/1/ 2/2/ 3/3/\n",
        HEAD + "f -4/-4 -3/-3 -2/-2\n",
        "# a comment\nmtllib x.mtl\no head\n" + HEAD + "vn 0 0 1\ns off\nusemtl skin\ng all\nf 1/1 2/2 3/3 # here\nl 1 2\n",
        HEAD.replace("v 0 0 0", "v 0 0 0 0.5 0.5 0.5").replace("vt 0 0", "vt 0 0 0") + "f 1/1 2/2 3/3\n",
        "f 1/1 2/2 3/3\n" + HEAD,
    ],
    ids=[
        "plain",
        "no_last_newline",
        "crlf",
        "blanks",
        "normals",
        "empty_normals",
        "relative",
        "other_lines",
        "extras",
        "faces_first",
    ],
)
def test_variations_are_understood(tmp_path: Path, text: str) -> None:
    mesh = read_obj(write(tmp_path, text))
    assert mesh.vertices.shape == (4, 3)
    assert mesh.topology.faces.tolist() == [[0, 1, 2]]
    assert mesh.topology.uv_faces.tolist() == [[0, 1, 2]]
    assert mesh.topology.faces.dtype == np.int32


def test_polygons_become_a_fan_of_triangles(tmp_path: Path) -> None:
    topology = read_obj(write(tmp_path, HEAD + "f 1/4 2/3 3/2 4/1\n")).topology
    assert topology.faces.tolist() == [[0, 1, 2], [0, 2, 3]]
    assert topology.uv_faces.tolist() == [[3, 2, 1], [3, 1, 0]]


@pytest.mark.parametrize(
    ("bad", "words"),
    [
        ("f 1 2 3", "without texture coordinate"),
        ("f 1//1 2//1 3//1", "without texture coordinate"),
        ("f 1/1 2/2", "too few corners"),
        ("f", "too few corners"),
        ("f 1/1 2/2 5/3", "vertex that does not exist"),
        ("f 1/1 2/2 3/5", "texture coordinate that does not exist"),
        ("f 0/1 2/2 3/3", "does not exist"),
        ("f -5/-1 2/2 3/3", "does not exist"),
        ("f 1/1 2/2 99999999999999999999/3", "cannot be read"),
        ("f 1/1 2/2 3/x", "cannot be read"),
        ("f 1/1 2/2 3/1_0", "cannot be read"),
        ("v 1 2", "incomplete"),
        ("v 1 2 nan", "nan"),
        ("vt 1", "incomplete"),
        ("vt a b", "'a'"),
    ],
)
def test_each_fault_is_named_with_its_line(tmp_path: Path, bad: str, words: str) -> None:
    path = write(tmp_path, HEAD + "f 1/1 2/2 3/3\n" + bad + "\nf 1/1 2/2 3/3\n")
    with pytest.raises(FormatError) as caught:
        read_obj(path)
    assert f"{path}, line 10: " in str(caught.value)
    assert words in str(caught.value)


@pytest.mark.parametrize("text", ["", HEAD, "f 1/1 2/2 3/3\n", HEAD.replace("v 1 1 0", "v 1e39 1 0") + "f 1/1 2/2 3/3\n"])
def test_files_without_a_usable_mesh_are_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(FormatError):
        read_obj(write(tmp_path, text))


def test_writer_refuses_a_mesh_that_does_not_fit(tmp_path: Path) -> None:
    topology = Topology(faces=np.array([[0, 1, 2]]), uvs=np.zeros((3, 2)), uv_faces=np.array([[0, 1, 2]]))
    for vertices in (np.zeros((2, 3)), np.zeros((3, 2)), np.full((3, 3), np.nan)):
        with pytest.raises(ArgumentError):
            write_obj(tmp_path / "x.obj", vertices, topology)
