"""What one photo shows of a mesh, against cases worked out by hand and against the renderer."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from multiface.core.errors import ArgumentError
from multiface.geometry import Topology, flip_rows, projection_matrix
from multiface.prepare import UvMap, unwrap_frame, unwrap_photo, view_cosine
from multiface.prepare.unwrap import camera_center
from multiface.render import render_mesh
from small_capture import arc_cameras, dome, grid_topology, head_pose

DEPTH = 1000.0
STRAIGHT = np.array([[DEPTH, 0, 0, 0], [0, DEPTH, 0, 0], [0, 0, 1, 0]])
"""A camera at the origin that looks along +z and maps (x, y, DEPTH) to pixel (x, y)."""


def screen(width: float, height: float, z: float = DEPTH, cells: int = 2) -> tuple[Topology, np.ndarray]:
    """A sheet that fills the picture of STRAIGHT and faces the camera: x = u * width, y = v * height."""
    topology = grid_topology(cells)
    sheet = Topology(faces=topology.faces[:, ::-1], uvs=topology.uvs, uv_faces=topology.uv_faces[:, ::-1])
    return sheet, np.column_stack([sheet.uvs * [width, height], np.full(len(sheet.uvs), z)]).astype(np.float32)


def join(parts: list[tuple[Topology, np.ndarray]]) -> tuple[Topology, np.ndarray]:
    """Several sheets as one mesh, their uv layouts side by side."""
    faces, uvs, vertices, start = [], [], [], 0
    for i, (topology, corners) in enumerate(parts):
        faces.append(topology.faces + start)
        uvs.append((topology.uvs + [i, 0]) / [len(parts), 1])
        vertices.append(corners)
        start += len(corners)
    faces = np.concatenate(faces)
    return Topology(faces=faces, uvs=np.concatenate(uvs), uv_faces=faces), np.concatenate(vertices)


def random_photo(height, width, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


def test_texels_on_pixels_take_their_values_and_black_becomes_1():
    topology, vertices = screen(12, 12)
    photo = random_photo(12, 12)
    photo[3, 4] = 0
    texture = unwrap_photo(UvMap(topology, 12).surface(vertices), STRAIGHT, photo)
    np.testing.assert_array_equal(texture, flip_rows(np.maximum(photo, 1)))


def test_texels_between_pixels_are_interpolated():
    topology, vertices = screen(4, 4)
    photo = np.full((4, 4, 3), 50, np.uint8)
    photo[1:3, 1:3, 0] = [[16, 32], [48, 64]]
    vertices[:, :2] -= [0.25, 0.5]  # the texel of row 2, column 2 then lies at pixel coordinate (2.25, 2.0)
    texture = unwrap_photo(UvMap(topology, 4).surface(vertices), STRAIGHT, photo)
    assert flip_rows(texture)[2, 2].tolist() == [44, 50, 50]  # (0.25 * 16 + 0.75 * 32 + 0.25 * 48 + 0.75 * 64) / 2


@pytest.mark.parametrize("move", [(-6, 0), (0, 7), (20, 0)])
def test_texels_outside_the_picture_are_unseen(move):
    topology, vertices = screen(12, 12)
    vertices[:, :2] += move
    texture = unwrap_photo(UvMap(topology, 12).surface(vertices), STRAIGHT, random_photo(12, 12))
    column, row = np.meshgrid(np.arange(12) + move[0], np.arange(12) + move[1])
    inside = (column >= 0) & (column < 12) & (row >= 0) & (row < 12)
    np.testing.assert_array_equal(texture.any(-1), flip_rows(inside))


def wall_and_plate(side: float) -> tuple[Topology, np.ndarray]:
    """A wall of 20 x 40 pixels, and 3 mm before it a square plate from pixel (6, 6) on; each half of the texture wide."""
    plate, corners = screen(side, side, DEPTH - 3)
    corners[:, :2] = (corners[:, :2] + 6) * (DEPTH - 3) / DEPTH
    return join([screen(20, 40), (plate, corners)])


def test_what_is_behind_something_is_unseen():
    topology, vertices = wall_and_plate(8)
    texture = unwrap_photo(UvMap(topology, 40).surface(vertices), STRAIGHT, np.full((40, 20, 3), 100, np.uint8))
    in_view = np.ones((40, 20), bool)
    in_view[6:14, 6:14] = False
    np.testing.assert_array_equal(flip_rows(texture)[:, :20].any(-1), in_view)
    assert texture[3:-3, 23:-3].all()


def test_pixels_that_show_something_farther_are_not_mixed_in():
    topology, vertices = wall_and_plate(8.4)  # texels of the plate near its edges lie between pixels of both
    photo = np.full((40, 20, 3), 10, np.uint8)
    photo[6:14, 6:14] = 200
    texture = unwrap_photo(UvMap(topology, 40).surface(vertices), STRAIGHT, photo)
    assert set(np.unique(texture[:, 20:])) == {0, 200} and set(np.unique(texture[:, :20])) == {0, 10}


def test_a_thin_fold_closer_than_the_tolerance_does_not_hide_and_a_farther_one_does():
    def seen_behind(gap):
        topology, vertices = join([screen(20, 20), screen(20, 20, DEPTH - gap)])
        texture = unwrap_photo(UvMap(topology, 40).surface(vertices), STRAIGHT, np.full((20, 20, 3), 9, np.uint8))
        return texture[20:, 5:15].any()

    assert seen_behind(0.5) and not seen_behind(2.0)


def test_back_sides_and_what_is_behind_the_camera_are_unseen():
    topology, vertices = screen(12, 12)
    turned = Topology(faces=topology.faces[:, ::-1], uvs=topology.uvs, uv_faces=topology.uv_faces[:, ::-1])
    photo = random_photo(12, 12)
    assert not unwrap_photo(UvMap(turned, 12).surface(vertices), STRAIGHT, photo).any()
    assert not unwrap_photo(UvMap(topology, 12).surface(vertices * [1, 1, -1]), STRAIGHT, photo).any()


def test_surfaces_seen_at_grazing_angles_are_left_out():
    topology, vertices = screen(12, 12)
    vertices[:, 2] = DEPTH + 10 * vertices[:, 0]
    surface = UvMap(topology, 12).surface(vertices)
    photo = np.full((12, 12, 3), 80, np.uint8)
    cosine = flip_rows(view_cosine(surface, STRAIGHT))
    assert 0.05 < cosine.min() and cosine.max() < 0.15
    assert not unwrap_photo(surface, STRAIGHT, photo).any()
    assert unwrap_photo(surface, STRAIGHT, photo, min_cosine=0.05).any()


def test_a_photo_finer_than_the_texture_is_averaged_not_aliased():
    topology, vertices = screen(128, 128)
    row, column = np.indices((128, 128))
    checks = np.repeat(((row + column) % 2 * 200)[..., None], 3, -1).astype(np.uint8)
    texture = unwrap_photo(UvMap(topology, 16).surface(vertices), STRAIGHT, checks)
    np.testing.assert_array_equal(texture, np.full((16, 16, 3), 100))


@given(seed=st.integers(0, 1000), turn=st.floats(-0.6, 0.6), camera=st.integers(0, 4))
@settings(max_examples=20, deadline=None)
def test_every_texel_is_seen_in_all_channels_or_in_none(seed, turn, camera):
    topology = grid_topology(4)
    projection = projection_matrix(arc_cameras(5, (48, 40))[camera], head_pose(turn))
    photo = random_photo(48, 40, seed) // 64
    texture = unwrap_photo(UvMap(topology, 24).surface(dome(topology)), projection, photo)
    np.testing.assert_array_equal((texture > 0).all(-1), (texture > 0).any(-1))
    assert texture.any()


@pytest.mark.parametrize("camera", range(5))
def test_unwrapping_a_rendered_picture_gives_the_texture_back(camera):
    topology, size = grid_topology(8), (240, 200)
    vertices = dome(topology)
    row, column = np.indices((64, 64))
    smooth = 128 + 60 * np.stack([np.sin(row / 9), np.cos(column / 7), np.sin((row + column) / 11)], -1)
    projection = projection_matrix(arc_cameras(5, size)[camera], head_pose(0.1))
    model_order = torch.from_numpy(smooth.transpose(2, 0, 1).copy()).float()[None]
    picture = render_mesh(torch.from_numpy(vertices)[None], torch.from_numpy(projection)[None], topology, model_order, size)
    photo = picture.image[0].permute(1, 2, 0).round().numpy().astype(np.uint8)
    texture = flip_rows(unwrap_photo(UvMap(topology, 64).surface(vertices), projection, photo))
    seen = texture.any(-1)
    assert seen.mean() > 0.7
    assert np.abs(texture[seen] - smooth[seen]).mean() < 1.5


def test_the_camera_centre_is_recovered_from_its_projection():
    camera, pose = arc_cameras(3, (48, 40))[2], head_pose(0.3)
    expected = (camera.center - pose[:, 3]) @ pose[:, :3]
    np.testing.assert_allclose(camera_center(projection_matrix(camera, pose).astype(float)), expected, atol=0.1)


def test_cosines_are_1_straight_on_and_in_file_order():
    topology, vertices = screen(12, 12)
    vertices[:, :2] -= 6
    cosine = view_cosine(UvMap(topology, 13).surface(vertices), STRAIGHT)
    assert cosine[6, 6] == pytest.approx(1, abs=1e-5)
    vertices[vertices[:, 1] > 5, 2] += 20  # bent away at large v: the top rows of a file
    bent = view_cosine(UvMap(topology, 13).surface(vertices), STRAIGHT)
    assert bent[0].max() < 0.95 < bent[12].min()


def test_a_frame_gives_all_textures_and_their_average():
    topology, size = grid_topology(4), (48, 40)
    projections = [projection_matrix(camera, head_pose(0.0)) for camera in arc_cameras(3, size)]
    photos = [np.full((*size, 3), value, np.uint8) for value in (60, 90, 120)]
    textures, average = unwrap_frame(UvMap(topology, 16), dome(topology), projections, photos)
    assert [np.unique(texture).tolist() for texture in textures] == [[0, 60], [0, 90], [0, 120]]
    seen = np.any([texture.any(-1) for texture in textures], axis=0)
    assert ((average >= 60) & (average <= 120))[seen].all() and not average[~seen].any()


@pytest.mark.parametrize(
    "photo", [np.zeros((8, 8), np.uint8), np.zeros((8, 8, 3)), np.zeros((1, 8, 3), np.uint8)], ids=["grey", "float", "row"]
)
def test_photos_of_another_kind_are_refused(photo):
    topology, vertices = screen(8, 8)
    with pytest.raises(ArgumentError, match="photo"):
        unwrap_photo(UvMap(topology, 8).surface(vertices), STRAIGHT, photo)


@pytest.mark.parametrize("projection", [np.zeros((3, 4)), np.eye(4), STRAIGHT * np.nan], ids=["singular", "4x4", "nan"])
def test_projections_without_a_camera_are_refused(projection):
    topology, vertices = screen(8, 8)
    with pytest.raises(ArgumentError, match="projection"):
        unwrap_photo(UvMap(topology, 8).surface(vertices), projection, random_photo(8, 8))
