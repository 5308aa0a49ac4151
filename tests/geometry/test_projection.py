from __future__ import annotations

import numpy as np
from hypothesis import assume, given
from hypothesis import strategies as st

from geometry_strategies import cameras, photo_sizes, poses, vectors
from multiface.geometry import Camera, project_points, projection_matrix, resize_intrinsics, to_head, to_world

K = np.array([[1000.0, 0, 300], [0, 1000, 400], [0, 0, 1]])
STRAIGHT = np.eye(3, 4)


def test_a_point_on_the_axis_is_at_the_principal_point() -> None:
    camera = Camera("c", K, STRAIGHT, (800, 600))
    pixels, depth = project_points(projection_matrix(camera, STRAIGHT), np.array([[0, 0, 500.0], [10, 20, 1000]]))
    assert pixels.tolist() == [[300, 400], [310, 420]]
    assert depth.tolist() == [500, 1000]


@given(cameras(), poses(), vectors)
def test_it_is_head_pose_then_extrinsics_then_intrinsics(camera: Camera, pose: np.ndarray, x: np.ndarray) -> None:
    in_camera = camera.Rt[:, :3] @ to_world(pose, x) + camera.Rt[:, 3]
    assume(in_camera[2] > 1)
    p = camera.K @ in_camera
    pixels, depth = project_points(projection_matrix(camera, pose), x)
    scale = camera.K[0, 0] + camera.K[1, 1] + sum(camera.size)  # float32 keeps about seven digits
    np.testing.assert_allclose(depth, in_camera[2], atol=2e-3)
    np.testing.assert_allclose(pixels, p[:2] / p[2], atol=1e-3 * scale * (1 + np.abs(in_camera).max() / in_camera[2]))


@given(cameras(), poses(), st.floats(0.1, 0.9), st.floats(0.1, 0.9), st.floats(50, 2000))
def test_a_pixel_cast_into_space_projects_to_itself(
    camera: Camera, pose: np.ndarray, right: float, down: float, depth: float
) -> None:
    u, v = right * camera.size[1], down * camera.size[0]
    in_camera = depth * np.linalg.solve(camera.K, [u, v, 1])
    assume(np.abs(in_camera).max() < 1e4)
    world = camera.Rt[:, :3].T @ (in_camera - camera.Rt[:, 3])
    pixels, found = project_points(projection_matrix(camera, pose), to_head(pose, world))
    np.testing.assert_allclose(found, depth, rtol=1e-3, atol=5e-3)
    np.testing.assert_allclose(pixels, [u, v], atol=5e-5 * (camera.K.max() + 4000) * (1 + 2000 / depth))


@given(cameras(), poses(), photo_sizes, vectors)
def test_a_resized_photo_has_the_same_relative_positions(
    camera: Camera, pose: np.ndarray, size: tuple[int, int], x: np.ndarray
) -> None:
    full, depth = project_points(projection_matrix(camera, pose).astype(np.float64), x)
    assume(depth > 10)
    small, small_depth = project_points(projection_matrix(camera, pose, size).astype(np.float64), x)
    via_camera, _ = project_points(projection_matrix(camera.resized(size), pose).astype(np.float64), x)
    np.testing.assert_allclose(small_depth, depth, rtol=1e-6)
    np.testing.assert_allclose(small[0] / size[1], full[0] / camera.size[1], rtol=1e-3, atol=0.1)
    np.testing.assert_allclose(small[1] / size[0], full[1] / camera.size[0], rtol=1e-3, atol=0.1)
    np.testing.assert_allclose(via_camera, small)


@given(photo_sizes, photo_sizes, photo_sizes)
def test_resizing_composes_and_is_undone(a: tuple[int, int], b: tuple[int, int], c: tuple[int, int]) -> None:
    np.testing.assert_allclose(resize_intrinsics(resize_intrinsics(K, a, b), b, c), resize_intrinsics(K, a, c), rtol=1e-12)
    np.testing.assert_allclose(resize_intrinsics(resize_intrinsics(K, a, b), b, a), K, rtol=1e-12)
    assert np.array_equal(resize_intrinsics(K, a, a), K)


def test_halving_maps_pixel_corners_to_pixel_corners() -> None:
    camera = Camera("c", K, STRAIGHT, (800, 600)).resized((400, 300))
    assert camera.size == (400, 300)
    assert camera.K.tolist() == [[500, 0, 150], [0, 500, 200], [0, 0, 1]]


def test_points_in_the_plane_of_the_camera_do_not_warn() -> None:
    pixels, depth = project_points(projection_matrix(Camera("c", K, STRAIGHT, (8, 6)), STRAIGHT), np.array([[1.0, 0, 0]]))
    assert depth.tolist() == [0]
    assert not np.isfinite(pixels).all()


@given(cameras())
def test_the_centre_is_the_point_that_the_extrinsics_send_to_zero(camera: Camera) -> None:
    np.testing.assert_allclose(camera.Rt[:, :3] @ camera.center + camera.Rt[:, 3], 0, atol=1e-9)
