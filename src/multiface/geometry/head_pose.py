"""Head pose: the rigid motion [R_f | t_f] from head space to world space, millimetres."""

from __future__ import annotations

import numpy as np


def to_world(head_pose: np.ndarray, points: np.ndarray) -> np.ndarray:
    """World coordinates (..., 3) of head-space ``points`` (..., 3): ``R_f x + t_f``."""
    return points @ head_pose[:, :3].T + head_pose[:, 3]


def to_head(head_pose: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Head-space coordinates (..., 3) of world ``points`` (..., 3): ``R_f^T (x - t_f)``."""
    return (points - head_pose[:, 3]) @ head_pose[:, :3]


def view_direction(camera_center: np.ndarray, head_pose: np.ndarray) -> np.ndarray:
    """(..., 3) float32 unit vectors in head space from the head origin to camera centres (..., 3) (world, mm).

    ``head_pose`` is (..., 3, 4). A camera at the head origin has no direction; the face's own axis (0, 0, 1) stands in for it.
    """
    pose = np.asarray(head_pose, np.float64)
    d = np.matmul((np.asarray(camera_center, np.float64) - pose[..., 3])[..., None, :], pose[..., :3])[..., 0, :]
    length = np.sqrt(np.square(d).sum(-1, keepdims=True))
    is_there = length >= 1e-12  # mm; below that the squares underflow and the quotient is no unit vector any more
    return np.where(is_there, d / np.where(is_there, length, 1.0), [0.0, 0.0, 1.0]).astype(np.float32)


def rotation_error(R: np.ndarray) -> float:
    """How far a (3, 3) matrix is from a proper rotation: the largest entry of ``|R R^T - I|``, infinite for reflections."""
    R = np.asarray(R, np.float64)
    if not np.isfinite(R).all() or np.linalg.det(R) <= 0:
        return float("inf")
    return float(np.abs(R @ R.T - np.eye(3)).max())


def is_rotation(R: np.ndarray, tolerance: float = 1e-3) -> bool:
    """Whether a (3, 3) matrix is a proper rotation to within ``tolerance`` (files round to a few digits)."""
    return rotation_error(R) <= tolerance
