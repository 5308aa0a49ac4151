"""What the definitions in multiface.render say about a picture, for every backend by itself."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from multiface.geometry import Topology
from multiface.render import rasterize
from render_scenes import FLAT, Scene, ball, flat_triangles

FULL = ((-1, -1), (40, -1), (-1, 40))


def shown(target, *triangles, size=(16, 16)) -> np.ndarray:
    return target.render(flat_triangles(*triangles, size=size)).triangle[0].numpy()


def test_pixel_is_sampled_at_its_centre(target):
    tiny = 1e-4
    near = ((5.5 - tiny, 3.5 - tiny), (5.5 + 2 * tiny, 3.5 - tiny), (5.5 - tiny, 3.5 + 2 * tiny))
    assert np.argwhere(shown(target, near) == 0).tolist() == [[3, 5]]
    beside = tuple((u + 0.4, v) for u, v in near)
    assert (shown(target, beside) == -1).all()


def test_colour_depth_and_background(target):
    scene = flat_triangles(((2, 2, 700.0), (12, 2, 700.0), (2, 12, 700.0)), channels=2)
    result = target.render(scene)
    covered = result.triangle == 0
    assert 40 < covered.sum() < 60
    assert torch.allclose(result.image[:, 0][covered], torch.ones(()).double(), atol=1e-6)
    assert torch.allclose(result.depth[covered], torch.tensor(700.0).double(), rtol=1e-6)
    assert (result.image[:, :, ~covered[0]] == 0).all()
    assert (result.depth[~covered] == 0).all()
    assert (result.triangle[~covered] == -1).all()


def test_both_windings_are_drawn_alike(target):
    a, b, c = (2.3, 2.1), (13.7, 4.2), (5.1, 14.9)
    assert (shown(target, (a, b, c)) == shown(target, (a, c, b))).all()
    assert (shown(target, (a, b, c)) == 0).sum() > 30


def test_top_left_rule(target):
    square = shown(target, ((2.5, 2.5), (6.5, 2.5), (2.5, 6.5)), ((6.5, 2.5), (6.5, 6.5), (2.5, 6.5)))
    rows, columns = np.nonzero(square >= 0)
    assert {*rows} == {*columns} == {2, 3, 4, 5}
    assert len(rows) == 16
    # the diagonal runs down to the left through pixel centres: a right edge of triangle 0, a left edge of triangle 1
    assert [square[3 + k, 5 - k] for k in range(3)] == [1, 1, 1]
    assert square[2, 5] == 0


def lattice(seed: int, cells: int = 6, span: float = 24.0, on_centres: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """A crumpled but not folded grid over (0, span) squared that covers the square exactly; winding at random."""
    random = np.random.default_rng(seed)
    step = span / cells
    points = np.stack(np.meshgrid(np.arange(cells + 1.0), np.arange(cells + 1.0)), -1)
    points[1:-1, 1:-1] += random.uniform(-0.3, 0.3, (cells - 1, cells - 1, 2))
    points *= step
    if on_centres:
        points = np.floor(points) + 0.5
    index = np.arange((cells + 1) ** 2).reshape(cells + 1, cells + 1)
    a, b, c, d = index[:-1, :-1].ravel(), index[:-1, 1:].ravel(), index[1:, 1:].ravel(), index[1:, :-1].ravel()
    faces = np.concatenate([np.stack([a, b, c], -1), np.stack([a, c, d], -1)])
    flip = random.random(len(faces)) < 0.5
    faces[flip] = faces[flip][:, [0, 2, 1]]
    return points.reshape(-1, 2), np.stack([np.roll(face, random.integers(3)) for face in faces])


def times_covered(target, points: np.ndarray, faces: np.ndarray, size) -> np.ndarray:
    """How many triangles claim each pixel, each drawn on its own."""
    vertices = torch.from_numpy(np.concatenate([points, np.ones((len(points), 1))], -1))[None]
    count = np.zeros(size, int)
    for face in faces:
        raster = rasterize(
            vertices.to(target.device),
            FLAT.double().to(target.device),
            face[None].astype(np.int32),
            size,
            backend=target.backend,
        )
        count += (raster.triangle[0] >= 0).cpu().numpy()
    return count


@pytest.mark.parametrize("on_centres", [False, True])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_pixels_along_shared_edges_belong_to_exactly_one_triangle(target, seed, on_centres):
    points, faces = lattice(seed, on_centres=on_centres)
    count = times_covered(target, points, faces, (24, 24))
    assert count.max() == 1
    assert (count == 1).all()


def test_fan_around_a_pixel_centre_covers_it_once(target):
    angles = np.linspace(0, 2 * np.pi, 8)[:-1]
    rim = 8.5 + 6 * np.stack([np.cos(angles), np.sin(angles)], -1)
    points = np.concatenate([[[8.5, 8.5]], rim])
    faces = np.array([[0, 1 + k, 1 + (k + 1) % 7] for k in range(7)])
    count = times_covered(target, points, faces, (17, 17))
    assert count.max() == 1
    assert count[8, 8] == 1


@settings(max_examples=60, deadline=None)
@given(
    angles=st.lists(st.floats(0, 2 * math.pi), min_size=4, max_size=4),
    radii=st.tuples(st.floats(0.5, 40), st.floats(0.5, 40)),
    centre=st.tuples(st.floats(-5, 25), st.floats(-5, 25)),
    grid=st.sampled_from([None, 0.5, 0.25]),
)
def test_no_gap_and_no_overlap_whichever_diagonal_splits_a_quadrilateral(target, angles, radii, centre, grid):
    quad = np.stack([np.cos(np.sort(angles)), np.sin(np.sort(angles))], -1) * radii + centre
    if grid:
        quad = np.round(quad / grid) * grid  # corners on pixel centres and edges through them
    sides = np.roll(quad, -1, 0) - quad
    turns = sides[:, 0] * np.roll(sides, -1, 0)[:, 1] - sides[:, 1] * np.roll(sides, -1, 0)[:, 0]
    assume(turns.min() > 1e-3)
    splits = [np.array([[0, 1, 2], [0, 2, 3]]), np.array([[1, 2, 3], [3, 0, 1]])]
    first, second = (times_covered(target, quad, faces, (20, 20)) for faces in splits)
    assert first.max() <= 1
    assert (first == second).all()


def test_nearer_triangle_wins_whatever_the_order(target):
    near, far = tuple((*c, 500.0) for c in FULL), tuple((*c, 501.0) for c in FULL)
    assert (shown(target, near, far) == 0).all()
    assert (shown(target, far, near) == 1).all()


def test_depth_ties_go_to_the_lowest_index(target):
    far = tuple((*c, 900.0) for c in FULL)
    same = tuple((*c, 500.0) for c in FULL)
    assert (shown(target, far, same, same[::-1], same) == 1).all()


def test_depths_that_round_to_one_float32_are_ties(target):
    near, far = tuple((*c, 500.0) for c in FULL), tuple((*c, 500.000001) for c in FULL)
    assert (shown(target, far, near) == 0).all()


@pytest.mark.parametrize("z", [0.0, -5.0, 1e-3, math.nan, math.inf])
def test_triangle_with_a_vertex_not_in_front_of_the_camera_is_dropped(target, z):
    across = ((-1.0, -1.0, 500.0), (40.0, -1.0, 500.0), (-1.0, 40.0, z))
    assert (shown(target, across) == -1).all()
    behind = tuple((*c, -500.0) for c in FULL)
    assert (shown(target, behind, tuple((*c, 800.0) for c in FULL)) == 1).all()


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf, 1e300])
def test_triangle_with_a_vertex_that_is_nowhere_is_dropped(target, bad):
    scene = flat_triangles(((-1, -1), (40, -1), (-1, bad))).with_gradients()
    result = target.render(scene)
    assert (result.triangle == -1).all()
    assert (result.image == 0).all()
    result.image.sum().backward()
    assert (scene.vertices.grad == 0).all()
    assert (scene.texture.grad == 0).all()


@pytest.mark.parametrize(
    "flat",
    [
        ((3, 3), (3, 3), (3, 3)),
        ((2, 2), (12, 12), (2, 2)),
        ((0.5, 0.5), (8.5, 8.5), (15.5, 15.5)),
        ((0.1, 0.1), (0.7, 0.7), (15.3, 15.3)),
        ((0, 7.5), (8, 7.5), (16, 7.5)),
    ],
)
def test_triangle_without_area_covers_nothing(target, flat):
    assert (shown(target, flat) == -1).all()


@pytest.mark.parametrize("far", [1e3, 1e7, 1e11])
def test_huge_triangles_cover_the_picture(target, far):
    result = target.render(flat_triangles(((-far, -far), (3 * far, -far), (-far, 3 * far)), size=(9, 11)))
    assert (result.triangle == 0).all()
    assert torch.isfinite(result.image).all()


@pytest.mark.parametrize("du, dv", [(100, 0), (-100, 0), (0, 100), (0, -100), (1e7, 1e7), (-1e9, 3)])
def test_triangles_beside_the_picture(target, du, dv):
    assert (shown(target, ((du + 1, dv + 1), (du + 14, dv + 2), (du + 3, dv + 15))) == -1).all()


def test_mesh_without_triangles_is_background(target):
    scene = flat_triangles()
    empty = Scene(torch.zeros(2, 5, 3), FLAT, scene.topology, torch.rand(1, 3, 4, 4), (5, 6)).with_gradients()
    result = target.render(empty)
    assert result.image.shape == (2, 3, 5, 6)
    assert (result.triangle == -1).all()
    result.image.sum().backward()
    assert (empty.vertices.grad == 0).all()


def uv_square(offset=0.0, size=8):
    """Two triangles that show the unit square of uv, shifted, one texel a pixel for a texture of ``size``."""
    corners = torch.tensor([[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0]])
    vertices = torch.cat([corners * size, torch.ones(4, 1)], -1)[None]
    faces = np.array([[0, 1, 2], [0, 2, 3]])
    return vertices, Topology(faces, corners.numpy() + offset, faces)


@pytest.mark.parametrize("offset", [0.0, -3.0, 7.0])
def test_texel_centres_and_rows(target, offset):
    texture = torch.rand(1, 2, 8, 8, generator=torch.Generator().manual_seed(0))
    vertices, topology = uv_square(offset)
    image = target.render(Scene(vertices, FLAT, topology, texture, (8, 8))).image
    assert torch.allclose(image, texture, atol=1e-5)


def test_texture_wraps_around_at_its_borders(target):
    texture = torch.rand(1, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    vertices, topology = uv_square(offset=0.5 / 8)
    image = target.render(Scene(vertices, FLAT, topology, texture, (8, 8))).image
    between = (texture + texture.roll(-1, -1)) / 2
    assert torch.allclose(image, (between + between.roll(-1, -2)) / 2, atol=1e-5)


@pytest.mark.parametrize("interpolation", ["perspective", "affine"])
def test_interpolation_along_a_receding_plane(target, interpolation):
    """The floor quad runs from z = 1 at the left to z = 3 at the right; uv.x follows z there."""
    near, far, size = 1.0, 3.0, (4, 32)
    triangles = (
        ((0.0, -50.0, near), (32.0, -50.0, far), (32.0, 50.0, far)),
        ((0.0, -50.0, near), (32.0, 50.0, far), (0.0, 50.0, near)),
    )
    scene = flat_triangles(*triangles, size=size)
    u = np.array([[0, 0.5], [1, 0.5], [1, 0.5], [0, 0.5], [1, 0.5], [0, 0.5]]) * [0.5, 1] + [0.25, 0]
    ramp = (torch.arange(64.0) + 0.5)[None, None, None] / 64
    scene = Scene(scene.vertices, scene.projection, Topology(scene.topology.faces, u, scene.topology.faces), ramp, size)
    result = target.render(scene, interpolation)
    s = (torch.arange(32, dtype=torch.float64) + 0.5) / 32
    along = (s / far) / ((1 - s) / near + s / far) if interpolation == "perspective" else s
    assert torch.allclose(result.image[0, 0], (0.25 + 0.5 * along).expand(4, 32), atol=1e-5)
    assert torch.allclose(result.depth[0], (near + (far - near) * along).expand(4, 32), atol=1e-5)


def test_closed_mesh_has_no_holes(target):
    """Straight down on a ball: each row of the silhouette is one run of pixels."""
    covered = target.render(ball(size=(80, 60))).triangle[0] >= 0
    assert covered.sum() > 1000
    for row in covered.int():
        assert (torch.diff(row) == 1).sum() <= 1


def test_uv_layout_as_a_picture(target):
    """Vertices (uv * T, 1) under [I | 0]: pixel centres are texel centres, and flat depth is no problem."""
    scene = ball()
    T = 40
    uvs = torch.from_numpy(scene.topology.uvs).clone()
    uvs[:, 0] -= 0.3
    vertices = torch.cat([uvs * T, torch.ones(len(uvs), 1)], -1)[None]
    layout = Topology(scene.topology.uv_faces, scene.topology.uvs, scene.topology.uv_faces)
    raster = target.rasterize(Scene(vertices, FLAT, layout, scene.texture, (T, T)))
    assert (raster.triangle >= 0).all()
    assert (raster.depth == 1).all()
    corners = vertices[0].to(raster.barycentric)[
        torch.from_numpy(layout.faces).long()[raster.triangle[0].cpu().long()].to(raster.triangle.device)
    ]
    centres = (raster.barycentric[0][..., None] * corners).sum(-2)[..., :2].cpu()
    v, u = torch.meshgrid(torch.arange(T) + 0.5, torch.arange(T) + 0.5, indexing="ij")
    assert torch.allclose(centres, torch.stack([u, v], -1), atol=1e-3)


def test_same_input_same_bytes(target):
    results = []
    for _ in range(2):
        scene = ball().with_gradients()
        result = target.render(scene)
        result.image.square().sum().backward()
        results.append([*result, scene.vertices.grad, scene.projection.grad, scene.texture.grad])
    if target.device == "cpu":  # sums by atomic additions may differ in their last digits
        assert all(torch.equal(a, b) for a, b in zip(*results))
