"""Cameras, head pose, projection and uv: pure functions in millimetres and pixels (see docs/conventions.md)."""

from multiface.geometry.camera import Camera
from multiface.geometry.head_pose import is_rotation, rotation_error, to_head, to_world, view_direction
from multiface.geometry.projection import project_points, projection_matrix, resize_intrinsics
from multiface.geometry.topology import Topology
from multiface.geometry.uv import flip_rows, texel_centres

__all__ = [
    "Camera",
    "Topology",
    "flip_rows",
    "is_rotation",
    "project_points",
    "projection_matrix",
    "resize_intrinsics",
    "rotation_error",
    "texel_centres",
    "to_head",
    "to_world",
    "view_direction",
]
