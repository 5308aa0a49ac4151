"""Projection of head-space points to homogeneous pixels."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from multiface.geometry.camera import Camera


def resize_intrinsics(K: np.ndarray, size: tuple[int, int], new_size: tuple[int, int]) -> np.ndarray:
    """(3, 3) intrinsics for a picture resized from ``size`` to ``new_size``, both (height, width).

    Pixel coordinates measure from the outer corner of the picture, so a resize is a pure scaling of u and v.
    """
    scale = np.diag([new_size[1] / size[1], new_size[0] / size[0], 1.0])
    return scale @ K


def projection_matrix(camera: Camera, head_pose: np.ndarray, size: tuple[int, int] | None = None) -> np.ndarray:
    """(3, 4) float32 matrix from head space (mm) to homogeneous pixels: ``K [R R_f | R t_f + t]``.

    Args:
        camera: The camera.
        head_pose: (3, 4) head -> world, millimetres.
        size: (height, width) of the picture to project into; the camera's own when absent.
    """
    K = camera.K if size is None else resize_intrinsics(camera.K, camera.size, size)
    return compose_projection(K, np.asarray(camera.Rt, np.float64), head_pose)


def compose_projection(K: np.ndarray, Rt: np.ndarray, head_pose: np.ndarray) -> np.ndarray:
    """:func:`projection_matrix` of many: K (..., 3, 3), Rt (..., 3, 4), head_pose (..., 3, 4) to (..., 3, 4) float32."""
    pose = np.zeros((*head_pose.shape[:-2], 4, 4))
    pose[..., :3, :], pose[..., 3, 3] = head_pose, 1.0
    return np.matmul(K, np.matmul(Rt, pose)).astype(np.float32)


def project_points(projection: np.ndarray, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Pixels (..., 2) as (u, v) and depth (...) in mm of ``points`` (..., 3) under a (3, 4) projection."""
    q = points @ projection[:, :3].T + projection[:, 3]
    with np.errstate(divide="ignore", invalid="ignore"):
        return q[..., :2] / q[..., 2:3], q[..., 2]
