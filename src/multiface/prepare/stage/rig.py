"""The cameras: on an arc about a metre from the head, most of them in front, as in the published rig."""

from __future__ import annotations

import numpy as np

from multiface.geometry import Camera
from multiface.prepare.stage.identity import random_stream

CAMERA_NAMES = tuple(
    f"4000{n:02d}"
    for n in (
        2, 4, 6, 7, 8, 9, 10, 12, 13, 14, 15, 16, 17, 18, 19, 23, 24, 25, 26, 27, 28, 29, 30, 31, 35, 37, 39, 41, 42, 48, 49,
        50, 51, 53, 55, 59, 60, 61, 63, 64,
    )
)  # fmt: skip
"""Forty names of the first published rig."""

REST_POSE = np.array([[1.0, 0.0, 0.0, 0.0], [0.0, -1.0, 0.0, 0.0], [0.0, 0.0, -1.0, 1030.0]])
"""(3, 4) head -> world of the resting head. World: x to the subject's left, y down, z away from the front camera, mm."""

# (azimuth towards the subject's left, elevation) in degrees, the most useful first, so that any number covers the face.
_DIRECTIONS = [
    (7, 3), (-27, 4), (31, 6), (-8, -26), (12, 33), (-54, -5), (53, -8), (-11, 18), (12, -16), (-31, -15), (29, -18), (-9, 2),
    (11, 18), (41, 2), (-41, 5), (73, 3), (-74, 7), (23, -28), (-26, -27), (-8, 36), (4, -44), (13, -9), (-13, -10), (29, 20),
    (-30, 20), (98, 2), (-99, 0), (-15, -17), (61, 14), (-62, 15), (5, 9), (-4, 8), (86, -12), (-87, -10), (40, -27),
    (-42, -24), (118, 10), (-120, 12), (4, 55), (170, 42),
]  # fmt: skip
_FULL_SIZE = (2048, 1334)
_FOCAL_LENGTH = 7350.0  # pixels of a full-size photo
_AIM = np.array([0.0, -14.0, 12.0])  # head space, mm


def build_rig(count: int, size: tuple[int, int], seed: int, rest_pose: np.ndarray = REST_POSE) -> tuple[Camera, ...]:
    """``count`` (1..40) calibrated cameras for photos of ``size`` (height, width), aimed at a head in ``rest_pose``."""
    rng = random_stream(seed, "rig")
    noise = rng.normal(size=(len(_DIRECTIONS), 10))
    return tuple(_camera(CAMERA_NAMES[k], _DIRECTIONS[k], noise[k], size, rest_pose) for k in range(count))


def camera_gains(count: int, seed: int, sigma: float = 0.06) -> np.ndarray:
    """(count, 3) colour gain of each camera, log-normal with deviation ``sigma`` about 1."""
    return np.exp(sigma * random_stream(seed, "gains").normal(size=(len(_DIRECTIONS), 3)))[:count]


def _camera(name: str, direction: tuple[int, int], noise: np.ndarray, size: tuple[int, int], rest_pose: np.ndarray) -> Camera:
    azimuth, elevation = np.radians(np.array(direction) + 0.8 * noise[:2])
    toward = np.array([np.sin(azimuth) * np.cos(elevation), np.sin(elevation), np.cos(azimuth) * np.cos(elevation)])
    center = rest_pose[:, :3] @ (_AIM + (1060.0 + 14.0 * noise[2]) * toward) + rest_pose[:, 3]
    aim = rest_pose[:, :3] @ (_AIM + 3.0 * noise[3:6]) + rest_pose[:, 3]
    forward = (aim - center) / np.linalg.norm(aim - center)
    down = rest_pose[:, :3] @ np.array([0.0, -1.0, 0.0])
    right = np.cross(down, forward)
    right /= np.linalg.norm(right)
    roll = np.radians(1.2 * noise[6])
    x = np.cos(roll) * right + np.sin(roll) * np.cross(forward, right)
    rotation = np.stack([x, np.cross(forward, x), forward])
    K = _intrinsics(size, noise[7:10])
    return Camera(name, K, np.hstack([rotation, (-rotation @ center)[:, None]]), size)


def _intrinsics(size: tuple[int, int], noise: np.ndarray) -> np.ndarray:
    """(3, 3) for photos of ``size``: square pixels, and the head fits whatever the shape of the picture."""
    scale = min(size[0] / _FULL_SIZE[0], size[1] / _FULL_SIZE[1])
    focal = _FOCAL_LENGTH * (1.0 + 0.006 * noise[0]) * scale
    cx, cy = 0.5 * size[1] + 18.0 * scale * noise[1], 0.5 * size[0] + 18.0 * scale * noise[2]
    return np.array([[focal, 0.0, cx], [0.0, focal, cy], [0.0, 0.0, 1.0]])


def pose_at_focus(cameras: tuple[Camera, ...]) -> np.ndarray:
    """(3, 4) upright pose at the point nearest to all optical axes, facing the cameras' side.

    One camera, or parallel ones, have no such point; a metre before the first camera stands in for it.
    """
    normal, right_side = np.zeros((3, 3)), np.zeros(3)
    for camera in cameras:
        axis = camera.Rt[2, :3]
        across = np.eye(3) - np.outer(axis, axis)
        normal += across
        right_side += across @ camera.center
    if np.linalg.cond(normal) < 1e3:
        focus = np.linalg.solve(normal, right_side)
    else:
        focus = cameras[0].center + 1000.0 * cameras[0].Rt[2, :3]
    return np.hstack([np.diag([1.0, -1.0, -1.0]), focus[:, None]])
