"""Texels on triangles."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from multiface.core.errors import ArgumentError
from multiface.geometry import Topology, texel_centres
from multiface.prepare import UvMap
from multiface.prepare.uv_map import vertex_normals
from small_capture import dome, grid_topology

TETRAHEDRON = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1]], np.float32)
OUTWARD = np.array([[0, 2, 1], [0, 1, 3], [0, 3, 2], [1, 2, 3]])


def triangle_chart(corners) -> Topology:
    return Topology(faces=np.array([[0, 1, 2]]), uvs=np.array(corners, np.float32), uv_faces=np.array([[0, 1, 2]]))


def test_positions_follow_the_uv_with_row_0_at_v_0():
    topology = grid_topology(3)
    vertices = np.column_stack([topology.uvs * [80, 100], np.zeros(len(topology.uvs))])
    position = UvMap(topology, 10).surface(vertices).position
    np.testing.assert_allclose(position[..., :2], texel_centres(10, 10) * [80, 100], atol=1e-4)


@given(st.integers(1, 40), st.integers(1, 6))
@settings(max_examples=25, deadline=None)
def test_a_full_layout_covers_every_texel_with_inner_weights(size, cells):
    uv_map = UvMap(grid_topology(cells), size)
    assert uv_map.covered.all()
    assert (uv_map.barycentric >= -1e-5).all()
    np.testing.assert_allclose(uv_map.barycentric.sum(-1), 1, atol=1e-5)


def test_the_border_is_one_texel_wide_and_continues_the_triangle():
    uv_map = UvMap(triangle_chart([[0.25, 0.25], [0.75, 0.25], [0.25, 0.75]]), 16)
    filled = uv_map.triangle >= 0
    assert uv_map.covered[filled].sum() < filled.sum()
    padded = np.pad(uv_map.covered, 1)
    neighbours = np.any([padded[r : r + 16, c : c + 16] for r in range(3) for c in range(3)], axis=0)
    np.testing.assert_array_equal(filled, neighbours)
    vertices = np.array([[25, 25, 7], [75, 25, 7], [25, 75, 7]], np.float32)
    position = uv_map.surface(vertices).position
    np.testing.assert_allclose(position[filled][:, :2], texel_centres(16, 16)[filled] * 100, atol=1e-3)
    assert not position[~filled].any()


def test_border_texels_belong_to_the_triangle_they_are_nearest_to():
    uvs = np.array([[0, 0], [0.5, 0], [0.5, 1], [0.6, 0], [1, 0], [1, 1]], np.float32)
    faces = np.array([[0, 1, 2], [3, 4, 5]])
    uv_map = UvMap(Topology(faces=faces, uvs=uvs, uv_faces=faces), 20)
    assert set(uv_map.triangle[0, :10]) == {0}
    assert uv_map.triangle[0, 10] == 0  # centre at u = 0.525: outside both, nearer to the first
    assert uv_map.triangle[0, 11] == 1  # centre at u = 0.575


def test_triangle_areas_are_in_texels():
    assert UvMap(triangle_chart([[0, 0], [1, 0], [0, 1]]), 8).triangle_texels == pytest.approx([32])


@pytest.mark.parametrize("faces", [OUTWARD, OUTWARD[:, ::-1]], ids=["counter-clockwise", "clockwise"])
def test_normals_point_outward_whichever_way_the_triangles_turn(faces):
    normals = vertex_normals(TETRAHEDRON, faces)
    assert ((TETRAHEDRON - TETRAHEDRON.mean(0)) * normals).sum(1).min() > 0
    np.testing.assert_allclose(np.linalg.norm(normals, axis=1), 1, atol=1e-6)


def test_a_sheet_keeps_the_side_its_triangles_turn_to():
    topology = grid_topology(4)
    assert (vertex_normals(dome(topology), topology.faces)[:, 2] > 0).all()
    flipped = vertex_normals(dome(topology, bulge=0), topology.faces[:, ::-1])
    assert (flipped[:, 2] < 0).all()


def test_vertices_without_triangles_have_no_normal():
    assert not vertex_normals(np.vstack([TETRAHEDRON, [[9, 9, 9]]]), OUTWARD)[4].any()


def test_what_cannot_be_used_is_refused():
    with pytest.raises(ArgumentError, match="texture size"):
        UvMap(grid_topology(), 0)
    with pytest.raises(ArgumentError, match="covers no texel"):
        UvMap(triangle_chart([[2, 2], [3, 2], [2, 3]]), 8)
    with pytest.raises(ArgumentError, match="vertices do not fit"):
        UvMap(grid_topology(2), 8).surface(np.zeros((4, 3)))
