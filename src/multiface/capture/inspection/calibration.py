"""Calibrations that can be read but not be right."""

from __future__ import annotations

import numpy as np

from multiface.capture.capture import Capture
from multiface.capture.inspection.report import InspectionReport
from multiface.geometry import Camera, is_rotation, rotation_error


def check_calibration(capture: Capture, report: InspectionReport) -> None:
    """Note rotations that are none, and intrinsics that do not fit the photos."""
    for camera in capture.cameras.values():
        for what in _faults(camera):
            report.add(capture.layout.krt, f"camera {camera.name}: {what}")


def _faults(camera: Camera) -> list[str]:
    faults = []
    R, K = camera.Rt[:, :3], camera.K
    height, width = camera.size
    if not is_rotation(R):
        faults.append(f"R is not a rotation (R R^T differs from the identity by {rotation_error(R):.3g})")
    if K[0, 0] <= 0 or K[1, 1] <= 0 or not np.allclose(K[2], [0, 0, 1]):
        faults.append("K is not that of a pinhole camera (focal lengths > 0, last row 0 0 1)")
    elif not (0 <= K[0, 2] <= width and 0 <= K[1, 2] <= height):
        faults.append(
            f"principal point ({K[0, 2]:.6g}, {K[1, 2]:.6g}) lies outside its photos of {width} x {height}; "
            "is the calibration for pictures of another size?"
        )
    return faults
