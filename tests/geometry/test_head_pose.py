from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from geometry_strategies import poses, rotations, vectors
from multiface.geometry import is_rotation, rotation_error, to_head, to_world, view_direction


@given(poses(), st.lists(vectors, min_size=1, max_size=5))
def test_to_world_and_back(pose: np.ndarray, points: list[np.ndarray]) -> None:
    x = np.stack(points)
    np.testing.assert_allclose(to_head(pose, to_world(pose, x)), x, atol=1e-9)
    np.testing.assert_allclose(to_world(pose, to_head(pose, x)), x, atol=1e-9)


def test_the_pose_rotates_first_and_moves_then() -> None:
    pose = np.array([[0, -1, 0, 10], [1, 0, 0, 20], [0, 0, 1, 30]], float)
    assert to_world(pose, np.array([1.0, 0, 0])).tolist() == [10, 21, 30]
    assert to_head(pose, np.array([10.0, 21, 30])).tolist() == [1, 0, 0]


def test_points_may_have_any_leading_shape() -> None:
    pose = np.column_stack([np.eye(3), [1, 2, 3]])
    assert to_world(pose, np.zeros((4, 5, 3))).shape == to_head(pose, np.zeros((4, 5, 3))).shape == (4, 5, 3)


@given(poses(), vectors, vectors)
def test_motion_is_rigid(pose: np.ndarray, a: np.ndarray, b: np.ndarray) -> None:
    moved = np.linalg.norm(to_world(pose, a) - to_world(pose, b))
    np.testing.assert_allclose(moved, np.linalg.norm(a - b), atol=1e-9)


@given(poses(), vectors)
def test_the_view_is_a_unit_vector_that_leads_to_the_camera(pose: np.ndarray, center: np.ndarray) -> None:
    view = view_direction(center, pose)
    assert view.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(view), 1, atol=1e-6)
    distance = np.linalg.norm(center - pose[:, 3])
    np.testing.assert_allclose(to_world(pose, distance * view.astype(np.float64)), center, atol=1e-3)


@given(poses(), rotations(), vectors)
def test_the_view_does_not_depend_on_the_world(pose: np.ndarray, turn: np.ndarray, center: np.ndarray) -> None:
    assume(np.linalg.norm(center - pose[:, 3]) > 1)
    turned = turn @ pose
    np.testing.assert_allclose(view_direction(turn @ center, turned), view_direction(center, pose), atol=1e-4)


def test_a_camera_in_the_head_has_a_view_all_the_same() -> None:
    pose = np.column_stack([np.eye(3), [1, 2, 3]])
    assert view_direction(np.array([1.0, 2, 3]), pose).tolist() == [0, 0, 1]


@given(rotations(), rotations())
def test_rotations_form_a_group(a: np.ndarray, b: np.ndarray) -> None:
    for R in (a, b, a @ b, a.T, np.eye(3)):
        assert is_rotation(R, 1e-9)
    np.testing.assert_allclose(a @ a.T, np.eye(3), atol=1e-12)


@given(rotations(), st.floats(1.01, 10))
def test_scaled_and_mirrored_ones_are_none(R: np.ndarray, scale: float) -> None:
    assert not is_rotation(R * scale)
    assert not is_rotation(R / scale)
    assert rotation_error(-R) == np.inf
    assert rotation_error(R[[1, 0, 2]]) == np.inf


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_what_is_not_finite_is_no_rotation(value: float) -> None:
    R = np.eye(3)
    R[0, 1] = value
    assert not is_rotation(R)


def test_rounding_to_a_few_digits_is_forgiven() -> None:
    angle = 0.3
    R = np.array([[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]])
    assert is_rotation(R.round(4))
    assert not is_rotation(R.round(1))
