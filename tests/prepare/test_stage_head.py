"""The procedural head: a sound mesh that is a face, the same one for the same seed."""

from __future__ import annotations

import numpy as np
import pytest

from multiface.prepare.stage.head import Head
from multiface.prepare.stage.identity import Identity, random_stream, sample_identity
from multiface.prepare.uv_map import UvMap, vertex_normals


@pytest.fixture(scope="module", params=[0, 3])
def head(request: pytest.FixtureRequest) -> Head:
    return Head(sample_identity(request.param))


def directed_edges(faces: np.ndarray) -> np.ndarray:
    return np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]])


def test_mesh_is_of_a_heads_size_and_of_the_published_resolution(head: Head) -> None:
    size = np.ptp(head.neutral[: head.sheet.vertex_count], axis=0)
    chin = head.neutral[(head.regions.part == 0) & (head.neutral[:, 2] > 60.0), 1].min()
    assert 3000 <= len(head.neutral) <= 7500
    assert 130 < size[0] < 185
    assert 180 < size[2] < 230
    assert 220 < head.neutral[:, 1].max() - chin < 240


def test_no_triangle_is_degenerate_and_every_vertex_is_used(head: Head) -> None:
    a, b, c = (head.neutral[head.topology.faces[:, k]] for k in range(3))
    assert np.linalg.norm(np.cross(b - a, c - a), axis=1).min() > 0.05
    assert len(np.unique(head.topology.faces)) == len(head.neutral)


def test_neighbouring_triangles_turn_the_same_way(head: Head) -> None:
    edges = directed_edges(head.topology.faces)
    assert len(np.unique(edges, axis=0)) == len(edges)


def test_normals_point_outwards(head: Head) -> None:
    normals = vertex_normals(head.neutral.astype(np.float32), head.topology.faces)
    region = head.regions
    skin = (region.part == 0) & (region.mouth_ring == 0) & (region.lid_ring == 0)
    axis = head.neutral * [0.0, 1.0, 0.0]  # a vertical line inside the head
    outward = ((head.neutral - axis) * normals).sum(1)
    assert (outward[skin & (region.t > 2)] > 0).mean() > 0.97
    for name, center in (("eyeball_L", head.marks.eye_center), ("eyeball_R", head.marks.eye_center * [-1, 1, 1])):
        ball = head.part_slice(name)
        assert (((head.neutral[ball] - center) * normals[ball]).sum(1) > 0).all()


def test_uv_stays_inside_and_charts_do_not_overlap(head: Head) -> None:
    topology = head.topology
    assert topology.uvs.min() >= 0.0
    assert topology.uvs.max() <= 1.0
    a, b, c = (topology.uvs[topology.uv_faces[:, k]].astype(np.float64) for k in range(3))
    area = 0.5 * ((b - a)[:, 0] * (c - a)[:, 1] - (b - a)[:, 1] * (c - a)[:, 0])
    assert area.min() > 0.0
    covered = UvMap(topology, 512).covered.mean()
    assert area.sum() == pytest.approx(covered, rel=2e-3)  # overlapping triangles would add up to more than they cover


def test_face_gets_most_of_the_texels(head: Head) -> None:
    surface = UvMap(head.topology, 256)
    position = surface.surface(head.neutral.astype(np.float32)).position
    seen = surface.covered
    assert ((position[..., 2] > 0) & seen).sum() > 0.5 * seen.sum()


def test_neutral_is_symmetric(head: Head) -> None:
    skin = head.neutral[: head.sheet.vertex_count]
    mirrored = skin * [-1.0, 1.0, 1.0]
    order, mirrored_order = (np.lexsort(np.round(p, 3).T) for p in (skin, mirrored))
    assert np.abs(skin[order] - mirrored[mirrored_order]).max() < 2e-3


def test_features_are_where_faces_have_them(head: Head) -> None:
    skin = head.neutral[(head.regions.part == 0) & (np.abs(head.neutral[:, 0]) < 3.0) & (head.neutral[:, 2] > 40.0)]
    nose_tip = skin[skin[:, 2].argmax()]
    assert -42 < nose_tip[1] < -28
    for side in (1.0, -1.0):
        pupil = head.neutral[head.part_slice("eyeball_L" if side > 0 else "eyeball_R")][0]
        assert pupil[0] * side == pytest.approx(head.marks.eye_x, abs=1.0)
        assert abs(pupil[1]) < 5.0
        assert pupil[2] < nose_tip[2] - 15.0


def test_identity_follows_the_seed_and_all_share_one_topology() -> None:
    one, other = Head(sample_identity(1)), Head(sample_identity(2))
    assert sample_identity(1) == sample_identity(1)
    assert np.abs(one.neutral - other.neutral).max() > 1.0
    np.testing.assert_array_equal(one.topology.faces, other.topology.faces)
    np.testing.assert_array_equal(one.neutral, Head(sample_identity(1)).neutral)


def test_average_identity_lies_within_the_sampled_ones() -> None:
    people = [sample_identity(seed) for seed in range(60)]
    for trait, value in vars(Identity()).items():
        values = [getattr(person, trait) for person in people]
        assert min(values) <= value <= max(values), trait


def test_random_streams_depend_on_seed_and_purpose_only() -> None:
    assert random_stream(4, "rig").random() == random_stream(4, "rig").random()
    assert random_stream(4, "rig").random() != random_stream(4, "gains").random()
    assert random_stream(4, "rig").random() != random_stream(5, "rig").random()
