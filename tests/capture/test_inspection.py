from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from multiface.capture import (
    Capture,
    CaptureLayout,
    FrameKey,
    inspect_capture,
    write_frame_list,
    write_head_pose,
    write_image,
    write_krt,
    write_obj,
    write_scalar,
    write_vertices,
)
from multiface.capture.inspection import find_gaps
from multiface.core.errors import CaptureError, FormatError
from small_capture import SEGMENTS

SEGMENT = "E001_Neutral_Eyes_Open"
KEY = FrameKey(SEGMENT, "000102")
CAMERA = "400003"


def problems(capture: Capture, quick: bool = False) -> dict[str, str]:
    """File -> what, for captures with at most one problem a file."""
    found = inspect_capture(capture.path, quick=quick).problems
    assert len({problem.file for problem in found}) == len(found)
    return dict(found)


@pytest.mark.parametrize("quick", [True, False])
def test_nothing_is_wrong_with_a_good_capture(capture: Capture, quick: bool) -> None:
    report = inspect_capture(capture.path, quick=quick)
    assert report.problems == []
    assert report.quick == quick
    assert (report.frames, report.entity, report.segments) == (6, "42", SEGMENTS)
    assert report.cameras == ["400002", "400003", "400004"]
    assert report.sizes["photos"] == {(24, 16): 18}
    assert report.sizes["textures"] == {(16, 16): 24}
    assert (report.sizes["vertices"], report.sizes["triangles"]) == (25, 32)
    assert report.audio == {"SEN_a_voice": {"seconds": 0.1, "rate": 8000, "channels": 1}}
    sentence = report.details["SEN_a_voice"]
    assert (sentence.kind, sentence.first, sentence.last, sentence.step) == ("SEN", "000102", "000105", 3)
    assert (sentence.photos, sentence.textures, sentence.averages, sentence.audio_seconds) == (6, 6, 2, 0.1)


def test_json_has_what_programs_rely_on(capture: Capture) -> None:
    capture.layout.photo(KEY, CAMERA).write_bytes(b"")
    result = json.loads(json.dumps(inspect_capture(capture.path).to_json()))
    assert result["frames"] == 6
    assert result["segments"] == SEGMENTS
    assert result["cameras"] == 3
    assert result["camera_names"] == ["400002", "400003", "400004"]
    assert [set(problem) for problem in result["problems"]] == [{"file", "what"}]
    assert result["problems"][0]["file"] == f"images/{SEGMENT}/{CAMERA}/000102.png"


def test_progress_ends_at_the_total(capture: Capture) -> None:
    calls: list[tuple[int, int]] = []
    inspect_capture(capture.path, progress=lambda done, total: calls.append((done, total)))
    assert calls[-1] == (48, 48)
    assert calls == sorted(calls)


# Pictures


def test_a_truncated_picture_is_found_quick_or_not(capture: Capture) -> None:
    for path in (capture.layout.photo(KEY, CAMERA), capture.layout.average(KEY)):
        path.write_bytes(path.read_bytes()[:-20])
    expected = {f"images/{SEGMENT}/{CAMERA}/000102.png", f"unwrapped_uv_16/{SEGMENT}/average/000102.png"}
    for quick in (True, False):
        found = problems(capture, quick)
        assert set(found) == expected
        assert all("truncated" in what for what in found.values())


def test_damage_inside_a_picture_needs_the_full_inspection(capture: Capture) -> None:
    path = capture.layout.photo(KEY, CAMERA)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 255
    path.write_bytes(data)
    assert problems(capture, quick=True) == {}
    assert set(problems(capture)) == {f"images/{SEGMENT}/{CAMERA}/000102.png"}


@pytest.mark.parametrize("quick", [True, False])
def test_empty_files_and_broken_links(capture: Capture, quick: bool) -> None:
    capture.layout.photo(KEY, CAMERA).write_bytes(b"")
    link = capture.layout.texture(KEY, CAMERA)
    link.unlink()
    link.symlink_to("nowhere.png")
    found = problems(capture, quick)
    assert "empty" in found[f"images/{SEGMENT}/{CAMERA}/000102.png"]
    assert found[f"unwrapped_uv_16/{SEGMENT}/{CAMERA}/000102.png"] == "link leads nowhere (to nowhere.png)"
    assert len(found) == 2


@pytest.mark.parametrize("quick", [True, False])
def test_wrong_sizes(capture: Capture, quick: bool) -> None:
    write_image(capture.layout.photo(KEY, CAMERA), np.zeros((12, 8, 3), np.uint8))
    write_image(capture.layout.texture(KEY, CAMERA), np.zeros((16, 8, 3), np.uint8))
    assert problems(capture, quick) == {
        f"images/{SEGMENT}/{CAMERA}/000102.png": "photo is 8 x 12, the others of camera 400003 are 16 x 24",
        f"unwrapped_uv_16/{SEGMENT}/{CAMERA}/000102.png": "texture has the wrong size (expected 16 x 16, found 8 x 16)",
    }


def test_cameras_may_differ_in_size(capture: Capture) -> None:
    for key in capture.frames:
        write_image(capture.layout.photo(key, CAMERA), np.zeros((30, 30, 3), np.uint8))
    assert problems(capture) == {}


def test_textures_of_every_size_are_looked_at(capture: Capture) -> None:
    small = CaptureLayout(capture.path, 8)
    for key in capture.frames:
        write_image(small.average(key), np.zeros((8, 8, 3), np.uint8))
    write_image(small.texture(KEY, CAMERA), np.zeros((9, 9, 3), np.uint8))
    assert set(problems(capture)) == {f"unwrapped_uv_8/{SEGMENT}/{CAMERA}/000102.png"}


# Names


def test_pictures_of_a_camera_without_calibration(capture: Capture) -> None:
    for name in ("images", "unwrapped_uv_16"):
        for segment in SEGMENTS:
            shutil.copytree(capture.path / name / segment / CAMERA, capture.path / name / segment / "400099")
    found = problems(capture)
    assert set(found) == {f"images/{SEGMENT}/400099", f"unwrapped_uv_16/{SEGMENT}/400099"} or len(found) == 2
    assert all(what == "camera 400099 has no calibration in KRT (6 pictures in 3 segments)" for what in found.values())


def test_a_calibration_without_pictures(capture: Capture) -> None:
    write_krt(capture.layout.krt, [*capture.cameras.values(), replace(capture.cameras[CAMERA], name="400098")])
    assert problems(capture) == {"KRT": "camera 400098 has a calibration but no pictures"}


def test_files_of_listed_frames_that_are_missing(capture: Capture) -> None:
    for path in (capture.layout.vertices(KEY), capture.layout.head_pose(KEY), capture.layout.average(KEY)):
        path.unlink()
    assert problems(capture) == {
        f"tracked_mesh/{SEGMENT}/000102.bin": "missing: this frame has no mesh",
        f"tracked_mesh/{SEGMENT}/000102_transform.txt": "missing: this frame has no head pose",
        f"unwrapped_uv_16/{SEGMENT}/average/000102.png": "missing: this frame has no average texture",
    }


def test_a_camera_may_lack_frames(capture: Capture) -> None:
    capture.layout.photo(KEY, CAMERA).unlink()
    capture.layout.texture(KEY, CAMERA).unlink()
    assert problems(capture) == {}


def test_a_segment_without_anything_is_one_problem_a_kind(capture: Capture) -> None:
    shutil.rmtree(capture.path / "tracked_mesh" / SEGMENT)
    found = [problem for problem in inspect_capture(capture.path).problems if "tracked_mesh" in problem.file]
    assert {problem.file for problem in found} == {f"tracked_mesh/{SEGMENT}"}
    assert len(found) == 2


def test_files_that_are_not_listed(capture: Capture) -> None:
    write_vertices(capture.layout.vertices(FrameKey(SEGMENT, "000999")), np.zeros((25, 3)))
    write_image(capture.layout.photo(FrameKey(SEGMENT, "000998"), CAMERA), np.zeros((24, 16, 3), np.uint8))
    for frame in ("000500", "000503"):
        write_image(capture.layout.average(FrameKey(SEGMENT, frame)), np.zeros((16, 16, 3), np.uint8))
    write_image(capture.layout.photo(FrameKey("E999_Other", "000102"), CAMERA), np.zeros((24, 16, 3), np.uint8))
    (capture.path / "images" / SEGMENT / CAMERA / "notes.txt").write_text("x")
    assert problems(capture) == {
        f"tracked_mesh/{SEGMENT}/000999.bin": "file of a frame not listed in frame_list.txt",
        f"images/{SEGMENT}/{CAMERA}/000998.png": "file of a frame not listed in frame_list.txt",
        f"unwrapped_uv_16/{SEGMENT}": "2 files of frames not listed in frame_list.txt (average/000500.png, average/000503.png)",
        "images/E999_Other": "segment has no frames in frame_list.txt",
        f"images/{SEGMENT}/{CAMERA}/notes.txt": "unexpected file",
    }


def test_frame_list_missing_or_repeating(capture: Capture) -> None:
    write_frame_list(capture.layout.frame_list, [*capture.frames, KEY])
    assert problems(capture) == {"frame_list.txt": f"1 frames are listed more than once ({KEY})"}
    capture.layout.frame_list.unlink()
    assert problems(capture) == {"frame_list.txt": "missing; the tracked meshes stand in for it"}


# Meshes, calibration, statistics, audio


@pytest.mark.parametrize("quick", [True, False])
def test_vertex_counts(capture: Capture, quick: bool) -> None:
    write_vertices(capture.layout.vertices(KEY), np.zeros((24, 3)))
    write_vertices(capture.layout.vert_mean, np.zeros((26, 3)))
    other = capture.frames[1]
    capture.layout.vertices(other).write_bytes(b"1234567")
    found = problems(capture, quick)
    assert found[f"tracked_mesh/{SEGMENT}/000102.bin"] == "mesh has 24 vertices, the others of this capture have 25"
    assert "found 7 bytes" in found[f"tracked_mesh/{SEGMENT}/{other.frame}.bin"]
    assert "300 bytes (25 vertices)" in found["vert_mean.bin"]
    assert len(found) == 3


def test_topology_beyond_the_vertices(capture: Capture) -> None:
    for key in capture.frames:
        write_vertices(capture.layout.vertices(key), np.zeros((20, 3)))
    write_vertices(capture.layout.vert_mean, np.zeros((20, 3)))
    assert problems(capture, quick=True) == {"tracked_mesh": "topology refers to 25 vertices, meshes have 20"}


def test_mesh_values_and_topologies_need_the_full_inspection(capture: Capture) -> None:
    capture.layout.vertices(KEY).write_bytes(np.full(75, np.nan, "<f4").tobytes())
    other = capture.frames[3]
    topology = replace(capture.topology, faces=capture.topology.faces[:, ::-1])
    write_obj(capture.layout.mesh(other), capture.vertices(other), topology)
    capture.layout.mesh(capture.frames[5]).write_text("f 1 2 3\n")
    assert problems(capture, quick=True) == {}
    found = problems(capture)
    assert "not finite" in found[f"tracked_mesh/{SEGMENT}/000102.bin"]
    assert "another topology" in found[f"tracked_mesh/{other.segment}/{other.frame}.obj"]
    assert found[f"tracked_mesh/{capture.frames[5].segment}/{capture.frames[5].frame}.obj"].startswith("line 1: ")
    assert len(found) == 3


@pytest.mark.parametrize("quick", [True, False])
def test_poses_that_are_not_rotations(capture: Capture, quick: bool) -> None:
    pose = capture.head_pose(KEY)
    write_head_pose(capture.layout.head_pose(KEY), pose * 1.1)
    mirrored = np.diag([-1.0, 1, 1]) @ pose
    write_head_pose(capture.layout.head_pose(capture.frames[1]), mirrored)
    capture.layout.head_pose(capture.frames[2]).write_text("1 2 3\n")
    found = problems(capture, quick)
    assert "differs from the identity by 0.21" in found[f"tracked_mesh/{SEGMENT}/000102_transform.txt"]
    assert "not a rotation" in found[f"tracked_mesh/{SEGMENT}/000105_transform.txt"]
    assert "wrong number of rows" in found["tracked_mesh/SEN_a_voice/000102_transform.txt"]
    assert len(found) == 3


def test_calibrations_that_cannot_be_right(capture: Capture) -> None:
    a, b, c = capture.cameras.values()
    scaled = replace(a, K=np.diag([10.0, 10, 1]) @ a.K)
    skewed = replace(b, Rt=b.Rt * 2)
    negative = replace(c, K=np.diag([-1.0, 1, 1]) @ c.K)
    write_krt(capture.layout.krt, [scaled, skewed, negative])
    found = [what for file, what in inspect_capture(capture.path).problems if file == "KRT"]
    assert [what.split(":")[0] for what in found] == ["camera 400002", "camera 400003", "camera 400004"]
    assert "another size" in found[0]
    assert "not a rotation" in found[1]
    assert "pinhole" in found[2]


def test_statistics(capture: Capture) -> None:
    write_image(capture.layout.tex_mean, np.zeros((32, 32, 3), np.uint8))
    write_scalar(capture.layout.tex_var, 0.0)
    capture.layout.vert_var.write_text("x")
    capture.layout.vert_mean.unlink()
    found = problems(capture)
    assert found["tex_mean.png"] == "mean texture has the wrong size (expected 16 x 16, found 32 x 32)"
    assert found["tex_var.txt"] == "variance must be positive (found 0)"
    assert found["vert_var.txt"].startswith("line 1: ")
    assert found["vert_mean.bin"].startswith("missing")
    assert len(found) == 4


def _cut(capture: Capture) -> None:
    path = capture.layout.audio("SEN_a_voice")
    path.write_bytes(path.read_bytes()[:-5])


def _rename(capture: Capture) -> None:
    capture.layout.audio("SEN_a_voice").rename(capture.layout.audio("SEN_other"))


@pytest.mark.parametrize(
    ("damage", "files"),
    [(_cut, {"audio/SEN_a_voice.wav"}), (_rename, {"audio/SEN_a_voice.wav", "audio/SEN_other.wav"})],
)
def test_audio(capture: Capture, damage: Callable[[Capture], None], files: set[str]) -> None:
    damage(capture)
    assert set(problems(capture)) == files


def test_a_capture_without_any_audio_is_fine(capture: Capture) -> None:
    shutil.rmtree(capture.layout.sounds)
    assert problems(capture) == {}


def test_before_unwrapping(capture: Capture) -> None:
    shutil.rmtree(capture.layout.textures)
    for name in ("tex_mean.png", "tex_var.txt", "vert_mean.bin", "vert_var.txt"):
        (capture.path / name).unlink()
    found = problems(capture)
    assert set(found) == {"tex_mean.png", "tex_var.txt", "vert_mean.bin", "vert_var.txt", "unwrapped_uv_1024"}
    assert all("multiface unwrap" in what for what in found.values())


def test_what_cannot_be_inspected_at_all(capture: Capture) -> None:
    with pytest.raises(CaptureError):
        inspect_capture(capture.path / "images")
    capture.layout.krt.write_text("400002\n1 0 0\n")
    with pytest.raises(FormatError, match="line 2"):
        inspect_capture(capture.path)


# Gaps


def keys(*numbers: int) -> tuple[FrameKey, ...]:
    return tuple(FrameKey("s", f"{number:06d}") for number in numbers)


@pytest.mark.parametrize(
    ("numbers", "step", "gaps"),
    [
        ((102, 105, 108), 3, []),
        ((102, 105, 108, 117, 120), 3, [("000108", "000117", 2)]),
        ((1, 2, 3, 5, 9), 1, [("000003", "000005", 1), ("000005", "000009", 3)]),
        ((10, 20), 10, []),
        ((5,), None, []),
        ((), None, []),
    ],
)
def test_gaps(numbers: tuple[int, ...], step: int | None, gaps: list[tuple[str, str, int]]) -> None:
    found_step, found = find_gaps(keys(*numbers))
    assert found_step == step
    assert [(gap.after, gap.before, gap.missing) for gap in found] == gaps


@given(st.integers(1, 9), st.integers(0, 9999), st.sets(st.integers(1, 38), max_size=8))
def test_left_out_frames_are_counted(step: int, start: int, left_out: set[int]) -> None:
    numbers = [start + step * i for i in range(40) if i not in left_out]
    found_step, found = find_gaps(keys(*numbers))
    assert found_step == step
    assert sum(gap.missing for gap in found) == len(left_out)
    assert {int(gap.after) for gap in found} <= set(numbers)
