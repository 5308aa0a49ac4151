from __future__ import annotations

import os
import pickle
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from multiface.capture import Capture, FrameKey, read_audio, write_frame_list, write_image, write_obj, write_vertices
from multiface.core.errors import ArgumentError, CaptureError, FormatError
from multiface.geometry import project_points
from small_capture import SEGMENTS, grid_topology, write_small_capture

KEY = FrameKey("E001_Neutral_Eyes_Open", "000102")


def again(capture: Capture) -> Capture:
    """The same folder, looked at afresh."""
    return Capture(capture.path)


def test_what_is_there(capture: Capture) -> None:
    assert capture.name == "m--20200101--0000--42--GHS"
    assert capture.entity == "42"
    assert list(capture.cameras) == ["400002", "400003", "400004"]
    assert [capture.camera_index(name) for name in capture.cameras] == [0, 1, 2]
    assert {name: len(keys) for name, keys in capture.segments.items()} == SEGMENTS
    assert capture.frames[0] == KEY
    assert str(KEY) == "E001_Neutral_Eyes_Open/000102"
    assert capture.n_vertices == 25
    assert capture.topology.faces.shape == (32, 3)
    assert capture.texture_size == 16


def test_content_has_the_promised_shapes_and_types(capture: Capture) -> None:
    assert capture.vertices(KEY).shape == (25, 3)
    assert capture.head_pose(KEY).shape == (3, 4)
    assert capture.photo(KEY, "400003").shape == (24, 16, 3)
    assert capture.texture(KEY, "400003").shape == capture.texture(KEY, "average").shape == (16, 16, 3)
    assert capture.projection(KEY, "400003").dtype == capture.view(KEY, "400003").dtype == np.float32
    assert capture.statistics.tex_mean.shape == (16, 16, 3)
    assert read_audio(capture.audio("SEN_a_voice") or "")[1] == 8000
    assert capture.audio("E001_Neutral_Eyes_Open") is None


def test_projection_puts_the_head_into_the_photo_and_scales_with_its_size(capture: Capture) -> None:
    vertices = capture.vertices(KEY)
    for camera in capture.cameras:
        pixels, depth = project_points(capture.projection(KEY, camera), vertices)
        assert (depth > 800).all()
        assert (pixels > 0).all()
        assert (pixels < (16, 24)).all()
        doubled, _ = project_points(capture.projection(KEY, camera, (48, 32)), vertices)
        np.testing.assert_allclose(doubled, 2 * pixels, rtol=1e-4)


def test_views_point_to_the_cameras(capture: Capture) -> None:
    assert [round(float(capture.view(KEY, camera)[0]), 2) for camera in capture.cameras] == [-0.48, 0.0, 0.48]


def test_presence_is_known_from_names(capture: Capture) -> None:
    capture.layout.photo(KEY, "400002").unlink()
    capture.layout.texture(KEY, "average").unlink()
    capture.layout.vertices(KEY).unlink()
    assert not capture.has_photo(KEY, "400002")
    assert capture.has_photo(KEY, "400003")
    assert not capture.has_texture(KEY, "average")
    assert capture.has_texture(KEY, "400002")
    assert not capture.has_mesh(KEY)
    assert capture.has_head_pose(KEY)
    assert not capture.has_photo(FrameKey("NO_such", "1"), "400002")


def test_each_folder_is_listed_once(capture: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    listed: list[str] = []
    scandir = os.scandir
    monkeypatch.setattr(os, "scandir", lambda folder: listed.append(str(folder)) or scandir(folder))
    for _ in range(3):
        for key in capture.frames:
            for camera in capture.calibrated:
                capture.has_photo(key, camera)
                capture.has_texture(key, camera)
    assert listed
    assert len(listed) == len(set(listed))


def test_making_one_lists_nothing_and_opens_only_the_calibration(capture: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "scandir", lambda folder: pytest.fail(f"listed {folder}"))
    (capture.path / "frame_list.txt").write_text("not yet read")
    assert again(capture).calibrated == ("400002", "400003", "400004")


def test_it_survives_the_way_to_another_process(capture: Capture) -> None:
    capture.has_photo(KEY, "400002")
    assert capture.cameras["400002"].size == (24, 16)
    other = pickle.loads(pickle.dumps(capture))
    assert other.frames == capture.frames
    assert np.array_equal(other.photo(KEY, "400002"), capture.photo(KEY, "400002"))
    assert np.array_equal(other.projection(KEY, "400004"), capture.projection(KEY, "400004"))
    before = len(pickle.dumps(Capture(capture.path)))
    for camera in capture.calibrated:
        capture.has_texture(KEY, camera)
    assert len(pickle.dumps(again(capture))) == before


def test_threads_may_share_it(capture: Capture) -> None:
    def read(i: int) -> float:
        key, camera = capture.frames[i % len(capture.frames)], capture.calibrated[i % 3]
        return float(
            capture.photo(key, camera).mean() + capture.texture(key, camera).mean() + capture.projection(key, camera)[0, 0]
        )

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(read, range(60))) == [read(i) for i in range(60)]


def test_capture_room_does_not_import_torch() -> None:
    code = "import sys, multiface.capture; sys.exit(any(m in sys.modules for m in ('torch', 'numba', 'cv2', 'tyro', 'rich')))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


# Frames


def test_without_a_frame_list_the_meshes_tell_the_frames(capture: Capture) -> None:
    listed = capture.frames
    (capture.path / "frame_list.txt").unlink()
    assert set(again(capture).frames) == set(listed)
    shutil.rmtree(capture.path / "tracked_mesh")
    with pytest.raises(CaptureError, match="no frames"):
        _ = again(capture).frames


def test_frames_keep_the_order_of_the_list_and_segments_that_of_numbers(capture: Capture) -> None:
    keys = [FrameKey("B", "000105"), FrameKey("A", "9"), FrameKey("B", "000102"), FrameKey("A", "10"), FrameKey("B", "000105")]
    write_frame_list(capture.path / "frame_list.txt", keys)
    assert again(capture).frames == tuple(keys[:4])
    assert again(capture).segments == {"B": (keys[2], keys[0]), "A": (keys[1], keys[3])}


# Pictures


def test_the_largest_textures_are_used_unless_told_otherwise(capture: Capture) -> None:
    for size in (8, 128):
        write_image(
            capture.path / f"unwrapped_uv_{size}/{KEY.segment}/average/{KEY.frame}.png", np.zeros((size, size, 3), np.uint8)
        )
    (capture.path / "unwrapped_uv_old").mkdir()
    assert again(capture).texture_sizes == (8, 16, 128)
    assert again(capture).texture(KEY, "average").shape[0] == 128
    small = Capture(capture.path, texture_size=8)
    assert small.texture_size == 8
    assert small.texture(KEY, "average").shape[0] == 8
    assert not small.has_texture(KEY, "400002")


def test_without_textures(tmp_path: Path) -> None:
    capture = write_small_capture(tmp_path / "me", tex_size=None)
    assert capture.entity is None
    assert capture.texture_size is None
    assert capture.n_vertices == 25
    assert not capture.has_texture(KEY, "400002")
    with pytest.raises(CaptureError, match="missing"):
        capture.texture(KEY, "400002")
    with pytest.raises(CaptureError, match="multiface unwrap"):
        _ = capture.statistics


def test_a_texture_of_the_wrong_size_is_refused(capture: Capture) -> None:
    write_image(capture.layout.texture(KEY, "400002"), np.zeros((8, 16, 3), np.uint8))
    with pytest.raises(FormatError, match=r"400002/000102\.png: texture has the wrong size \(expected 16 x 16.*found 16 x 8"):
        capture.texture(KEY, "400002")


def test_transcoded_pictures_are_found(capture: Capture) -> None:
    path = capture.layout.photo(KEY, "400002")
    Image.fromarray(capture.photo(KEY, "400002")).save(path.with_suffix(".webp"), lossless=True)
    before = capture.photo(KEY, "400002")
    path.unlink()
    assert again(capture).has_photo(KEY, "400002")
    assert np.array_equal(again(capture).photo(KEY, "400002"), before)


def test_a_broken_picture_names_itself(capture: Capture) -> None:
    path = capture.layout.photo(KEY, "400002")
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(FormatError, match=str(path)):
        capture.photo(KEY, "400002")


# Cameras


def test_camera_sizes_come_from_photos(capture: Capture) -> None:
    for key in capture.frames:
        write_image(capture.layout.photo(key, "400003"), np.zeros((10, 20, 3), np.uint8))
    shutil.rmtree(capture.path / "images" / "EXP_ROM07_Facial_Expressions" / "400004")
    (capture.layout.photo(KEY, "400002")).write_bytes(b"")
    sizes = {name: camera.size for name, camera in again(capture).cameras.items()}
    assert sizes == {"400002": (24, 16), "400003": (10, 20), "400004": (24, 16)}
    shutil.rmtree(capture.path / "images")
    assert {camera.size for camera in again(capture).cameras.values()} == {(2048, 1334)}


def test_an_unknown_camera_is_named_with_the_known_ones(capture: Capture) -> None:
    for ask in (lambda: capture.camera_index("7"), lambda: capture.view(KEY, "7"), lambda: capture.projection(KEY, "7")):
        with pytest.raises(CaptureError, match=r"no camera '7'.*400002 400003 400004"):
            ask()


def test_hostile_names_do_not_leave_the_capture(capture: Capture) -> None:
    for ask in (
        lambda: capture.photo(FrameKey("..", "x"), "400002"),
        lambda: capture.texture(KEY, "../../.."),
        lambda: capture.vertices(FrameKey("a", "../../KRT")),
        lambda: capture.has_photo(FrameKey("a/b", "x"), "c"),
        lambda: capture.audio("../x"),
    ):
        with pytest.raises(ArgumentError):
            ask()


# Meshes


def test_a_mesh_of_another_length_is_refused(capture: Capture) -> None:
    write_vertices(capture.layout.vertices(KEY), np.zeros((24, 3)))
    with pytest.raises(FormatError, match=r"000102\.bin.*expected 300 bytes.*found 288 bytes"):
        capture.vertices(KEY)


def test_topology_is_that_of_the_first_readable_obj(capture: Capture) -> None:
    capture.layout.mesh(KEY).write_text("v 1 2\n")
    assert again(capture).topology.faces.shape == (32, 3)


def test_topology_may_lie_beside_the_calibration(capture: Capture) -> None:
    for key in capture.frames:
        capture.layout.mesh(key).unlink()
    with pytest.raises(CaptureError, match="no topology"):
        _ = again(capture).topology
    write_obj(capture.path / "head.obj", np.zeros((25, 3)), grid_topology())
    assert again(capture).topology.uvs.shape == (25, 2)


def test_when_no_obj_is_readable_the_first_fault_is_told(capture: Capture) -> None:
    for key in capture.frames:
        capture.layout.mesh(key).write_text("v 1 2\n")
    with pytest.raises(FormatError, match="line 1"):
        _ = again(capture).topology


# Folders


def test_what_is_no_capture_is_refused_with_what_one_holds(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    (tmp_path / "empty").mkdir()
    for path, what in (("absent", "no such folder"), ("file", "no folder"), ("empty", "no KRT file")):
        with pytest.raises(CaptureError, match=rf"{what}.*frame_list\.txt"):
            Capture(tmp_path / path)


def test_a_name_relative_to_the_working_folder(capture: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(capture.path)
    assert Capture(".").entity == "42"
    assert Capture(".").photo(KEY, "400002").shape == (24, 16, 3)


def test_hidden_files_do_not_count(capture: Capture) -> None:
    path = capture.layout.photo(KEY, "400002")
    path.rename(path.with_name(".000102.png"))
    assert not again(capture).has_photo(KEY, "400002")


def test_links_that_go_in_circles_are_no_folders(capture: Capture) -> None:
    loop = capture.path / "images" / "loop"
    loop.symlink_to(loop)
    assert again(capture).has_photo(KEY, "400002")
    assert again(capture).cameras["400002"].size == (24, 16)
