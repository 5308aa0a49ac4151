"""``multiface show`` on the real frame: it says that the calibration is right, and where it is not."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from multiface.capture import write_krt
from multiface.show.config import ShowConfig
from multiface.show.frame_report import show_frame

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "benchmarks"))


@pytest.mark.real
def test_the_mesh_sits_on_the_face_and_a_turned_camera_is_found(shared: Path, tmp_path: Path) -> None:
    from one_frame_capture import write_one_frame_capture

    if not (shared / "expressions" / "expressions.npz").is_file():
        pytest.skip(f"no expression shapes at {shared / 'expressions'}")
    capture = write_one_frame_capture(shared, tmp_path / "capture", size=(1024, 667), texture_size=512)
    right = show_frame(ShowConfig(capture=capture.path, out=tmp_path / "right"))
    ((name, found),) = right.cameras.items()
    assert right.verdict == "good" and found.error_mm < 0.2 and found.points > 400
    assert found.psnr > 31 and found.silhouette_iou is not None and found.silhouette_iou > 0.96

    camera = capture.cameras[name]
    turned = cv2.Rodrigues(np.deg2rad([0.0, 0.3, 0.0]))[0] @ camera.Rt
    write_krt(tmp_path / "KRT", [replace(camera, Rt=turned)])
    wrong = show_frame(ShowConfig(capture=capture.path, out=tmp_path / "wrong", krt=tmp_path / "KRT"))
    expected = np.deg2rad(0.3) * camera.K[0, 0]  # pixels that the picture moves by
    assert wrong.verdict == "wrong" and wrong.misfits == [name]
    assert abs(wrong.cameras[name].shift_px[0]) == pytest.approx(expected, rel=0.05)
