"""The readers on real files of the release, and on a rendered capture that none of this code wrote."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from multiface.capture import (
    Capture,
    image_size,
    inspect_capture,
    read_frame_list,
    read_head_pose,
    read_image,
    read_krt,
    read_obj,
    read_vertices,
    write_head_pose,
    write_krt,
    write_obj,
    write_vertices,
)
from multiface.geometry import is_rotation, project_points, projection_matrix

pytestmark = pytest.mark.real


def test_the_real_calibration_reads_and_survives_a_round_trip(shared: Path, tmp_path: Path) -> None:
    cameras = read_krt(shared / "real" / "KRT")
    assert len(cameras) == 38
    assert (shared / "real" / "camera.txt").read_text().strip() in cameras
    assert all(is_rotation(camera.Rt[:, :3]) and len(camera.distortion) == 5 for camera in cameras.values())
    write_krt(tmp_path / "KRT", cameras)
    again = read_krt(tmp_path / "KRT")
    assert list(again) == list(cameras)
    assert all(
        np.array_equal(again[name].Rt, camera.Rt) and np.array_equal(again[name].K, camera.K)
        for name, camera in cameras.items()
    )


def test_the_real_mesh_and_topology(shared: Path, tmp_path: Path) -> None:
    vertices = read_vertices(shared / "real" / "021924.bin", 7306)
    mesh = read_obj(shared / "real" / "face_topology.obj")
    assert mesh.vertices.shape == vertices.shape == (7306, 3)
    assert mesh.topology.uvs.shape == (5779, 2)
    assert mesh.topology.faces.shape == (11432, 3)
    assert len(np.unique(mesh.topology.faces)) == 5741
    write_obj(tmp_path / "x.obj", vertices, mesh.topology)
    again = read_obj(tmp_path / "x.obj")
    assert np.array_equal(again.vertices, vertices)
    assert np.array_equal(again.topology.uvs, mesh.topology.uvs)
    write_vertices(tmp_path / "x.bin", vertices)
    assert (tmp_path / "x.bin").read_bytes() == (shared / "real" / "021924.bin").read_bytes()


def test_the_real_pictures(shared: Path) -> None:
    assert image_size(shared / "real" / "021924.png") == read_image(shared / "real" / "021924.png").shape[:2] == (2048, 1334)
    average = read_image(shared / "real" / "021924_avgtex.png")
    assert average.shape == (1024, 1024, 3)
    assert (average == 0).all(-1).any()


def test_the_real_head_lands_on_the_face_in_the_photo(shared: Path, tmp_path: Path) -> None:
    folder = shared / "real"
    pose = read_head_pose(folder / "021924_transform.txt")
    write_head_pose(tmp_path / "t.txt", pose)
    assert np.array_equal(read_head_pose(tmp_path / "t.txt"), pose)
    camera = read_krt(folder / "KRT")[(folder / "camera.txt").read_text().strip()]
    used = np.unique(read_obj(folder / "face_topology.obj").topology.faces)
    vertices = read_vertices(folder / "021924.bin")[used]
    pixels, depth = project_points(projection_matrix(camera, pose), vertices)
    assert (depth > 500).all()
    inside = (pixels > 0).all(-1) & (pixels < (1334, 2048)).all(-1)
    photo = read_image(folder / "021924.png")
    columns, rows = np.floor(pixels[inside]).astype(int).T
    lit = photo[rows, columns].max(-1) > 20  # the background is dark
    assert inside.mean() > 0.9
    assert lit.mean() > 0.95


def test_the_shipped_frame_list(shared: Path) -> None:
    frames = read_frame_list(shared / "release" / "mini_frame_list.txt")
    assert len(frames) == 115
    assert {key.segment for key in frames} == {"E057_Cheeks_Puffed", "E061_Lips_Puffed"}


def test_the_rendered_capture(shared: Path) -> None:
    capture = Capture(shared / "capture")
    assert (len(capture.frames), len(capture.segments), len(capture.cameras)) == (40, 4, 8)
    assert all(camera.size == (512, 334) for camera in capture.cameras.values())
    assert (capture.n_vertices, len(capture.topology.faces)) == (7306, 11432)
    key = capture.frames[7]
    for name in capture.cameras:
        pixels, _ = project_points(capture.projection(key, name), capture.vertices(key)[np.unique(capture.topology.faces)])
        photo = capture.photo(key, name)
        inside = (pixels > 0).all(-1) & (pixels < (334, 512)).all(-1)
        columns, rows = np.floor(pixels[inside]).astype(int).T
        assert (photo[rows, columns].max(-1) > 0).mean() > 0.95


def test_inspection_of_the_rendered_capture(shared: Path) -> None:
    report = inspect_capture(shared / "capture", quick=True)
    assert {problem.file for problem in report.problems} == {
        "tex_mean.png",
        "tex_var.txt",
        "vert_mean.bin",
        "vert_var.txt",
        "unwrapped_uv_1024",
    }
    assert report.sizes["photos"] == {(512, 334): 320}
    assert report.gaps == []
