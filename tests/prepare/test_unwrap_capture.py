"""Unwrapping whole captures: complete, resumable, the same bytes every time, and broken files named."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from multiface.capture import Capture, FrameKey, read_image, write_image
from multiface.core.errors import CaptureError
from multiface.prepare import unwrap_capture
from small_capture import write_small_capture

T = 16
SEGMENTS = {"E001_Neutral_Eyes_Open": 2, "EXP_ROM07_Facial_Expressions": 1}
KEY = FrameKey("E001_Neutral_Eyes_Open", "000102")


@pytest.fixture
def raw(tmp_path) -> Path:
    """A capture without textures and statistics."""
    write_small_capture(tmp_path / "raw", segments=SEGMENTS, tex_size=None)
    return tmp_path / "raw"


def results(root: Path) -> dict[str, bytes]:
    """Bytes of everything that unwrapping writes."""
    files = [path for path in root.rglob("*") if path.is_file() and path.relative_to(root).parts[0].startswith("unwrapped_uv_")]
    files += [root / name for name in ("tex_mean.png", "tex_var.txt", "vert_mean.bin", "vert_var.txt")]
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in files if path.exists()}


def test_the_result_is_a_complete_capture(raw):
    seen = []
    report = unwrap_capture(raw, T, workers=2, progress=lambda done, total: seen.append((done, total)))
    assert (report.frames, report.textures, report.written, report.skipped) == (3, 9, 9, [])
    assert seen == [(1, 3), (2, 3), (3, 3)]
    capture = Capture(raw)
    assert capture.texture_size == T
    textures = np.stack([capture.texture(key, camera) for key in capture.frames for camera in capture.cameras])
    seen_values = np.ma.masked_equal(textures.astype(float), 0)
    np.testing.assert_array_equal(capture.statistics.tex_mean, np.ma.filled(np.floor(seen_values.mean(0) + 0.5), 0))
    assert capture.statistics.tex_var == pytest.approx(((seen_values - capture.statistics.tex_mean) ** 2).mean())
    meshes = np.stack([capture.vertices(key) for key in capture.frames]).astype(float)
    np.testing.assert_allclose(capture.statistics.vert_mean, meshes.mean(0), atol=1e-4)
    assert capture.statistics.vert_var == pytest.approx(meshes.var(0).mean())
    average = capture.texture(KEY, "average")
    np.testing.assert_array_equal(average.any(-1), textures[:3].any(axis=(0, -1)))


def test_the_number_of_threads_changes_no_byte(raw, tmp_path):
    write_small_capture(tmp_path / "other", segments=SEGMENTS, tex_size=None)
    unwrap_capture(raw, T, workers=0)
    unwrap_capture(tmp_path / "other", T, workers=4)
    assert results(raw) == results(tmp_path / "other")


def test_a_second_run_writes_nothing_and_overwrite_writes_all(raw):
    unwrap_capture(raw, T)
    first = results(raw)
    assert unwrap_capture(raw, T).written == 0
    assert unwrap_capture(raw, T, overwrite=True).written == 9
    assert results(raw) == first


def test_an_interrupted_run_goes_on_where_it_stopped(raw, tmp_path):
    def interrupt(done, total):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        unwrap_capture(raw, T, workers=1, progress=interrupt)
    assert not (raw / "tex_mean.png").exists() and not list(raw.rglob(".*.png"))
    assert unwrap_capture(raw, T).textures == 9
    write_small_capture(tmp_path / "whole", segments=SEGMENTS, tex_size=None)
    unwrap_capture(tmp_path / "whole", T)
    assert results(raw) == results(tmp_path / "whole")


def test_a_capture_unwrapped_in_parts_is_the_same_as_at_once(raw, tmp_path):
    cameras = tuple(Capture(raw).cameras)
    assert unwrap_capture(raw, T, segments=["EXP_ROM07_Facial_Expressions"]).textures == 3
    assert unwrap_capture(raw, T, cameras=cameras[:1]).textures == 5
    assert unwrap_capture(raw, T).textures == 9
    write_small_capture(tmp_path / "whole", segments=SEGMENTS, tex_size=None)
    unwrap_capture(tmp_path / "whole", T)
    assert results(raw) == results(tmp_path / "whole")


def test_textures_and_statistics_of_others_are_kept(tmp_path):
    write_small_capture(tmp_path, segments=SEGMENTS, tex_size=T)
    before = results(tmp_path)
    report = unwrap_capture(tmp_path, T)
    assert (report.textures, report.written) == (9, 0)
    assert results(tmp_path) == before


def test_a_truncated_texture_is_made_again(raw):
    unwrap_capture(raw, T)
    first = results(raw)
    for camera in ("400002", "average"):
        path = raw / f"unwrapped_uv_{T}" / KEY.segment / camera / f"{KEY.frame}.png"
        path.write_bytes(path.read_bytes()[:60])
    assert unwrap_capture(raw, T).written == 1
    assert results(raw) == first


def test_broken_and_missing_photos_are_named_and_left_out(raw):
    folder = raw / "images" / KEY.segment
    broken, missing, odd = (folder / camera / f"{KEY.frame}.png" for camera in ("400002", "400003", "400004"))
    broken.write_bytes(broken.read_bytes()[:-30])
    missing.unlink()
    write_image(odd.with_name("000105.png"), np.full((30, 20, 3), 9, np.uint8))
    report = unwrap_capture(raw, T)
    assert (report.frames, report.textures) == (3, 6)
    named = {entry.file: entry.reason for entry in report.skipped}
    assert "truncated" in named[broken.relative_to(raw).as_posix()]
    assert named[missing.relative_to(raw).as_posix()] == "no photo"
    assert "size" in named[odd.with_name("000105.png").relative_to(raw).as_posix()]
    assert not (raw / f"unwrapped_uv_{T}" / KEY.segment / "400002" / f"{KEY.frame}.png").exists()
    average = read_image(raw / f"unwrapped_uv_{T}" / KEY.segment / "average" / f"{KEY.frame}.png")
    assert average.any()


@pytest.mark.parametrize("suffix", [".bin", "_transform.txt"])
def test_a_frame_without_mesh_or_pose_is_named_and_left_out(raw, suffix):
    (raw / "tracked_mesh" / KEY.segment / (KEY.frame + suffix)).unlink()
    report = unwrap_capture(raw, T)
    assert (report.frames, report.textures) == (2, 6)
    assert [entry.file for entry in report.skipped] == [f"tracked_mesh/{KEY.segment}/{KEY.frame}{suffix}"]


def test_a_broken_pose_is_named_with_its_line(raw):
    pose = raw / "tracked_mesh" / KEY.segment / f"{KEY.frame}_transform.txt"
    lines = pose.read_text().splitlines()
    pose.write_text("\n".join([lines[0], lines[1].replace(lines[1].split()[0], "x", 1), lines[2]]))
    (entry,) = unwrap_capture(raw, T).skipped
    assert entry.file == f"tracked_mesh/{KEY.segment}/{KEY.frame}_transform.txt" and entry.reason.startswith("line 2: ")


def test_a_missing_frame_list_is_written(raw):
    expected = (raw / "frame_list.txt").read_text()
    (raw / "frame_list.txt").unlink()
    unwrap_capture(raw, T)
    assert sorted((raw / "frame_list.txt").read_text().splitlines()) == sorted(expected.splitlines())


def test_a_single_frame_has_usable_statistics(tmp_path):
    write_small_capture(tmp_path, n_cameras=1, segments={"E057_Cheeks_Puffed": 1}, tex_size=None)
    unwrap_capture(tmp_path, T)
    statistics = Capture(tmp_path).statistics
    assert statistics.vert_var == 1.0 and statistics.tex_var == 1.0
    np.testing.assert_array_equal(
        statistics.tex_mean, Capture(tmp_path).texture(FrameKey("E057_Cheeks_Puffed", "000102"), "average")
    )


def test_another_texture_size_gets_a_folder_and_statistics_of_its_own(raw):
    unwrap_capture(raw, T)
    unwrap_capture(raw, 2 * T)
    assert read_image(raw / "tex_mean.png").shape == (2 * T, 2 * T, 3)
    unwrap_capture(raw, T)
    assert read_image(raw / "tex_mean.png").shape == (T, T, 3)


def test_what_cannot_be_done_is_refused(raw, tmp_path):
    with pytest.raises(CaptureError, match="no cameras 999999"):
        unwrap_capture(raw, T, cameras=["999999"])
    with pytest.raises(CaptureError, match="no segments E999"):
        unwrap_capture(raw, T, segments=["E999"])
    with pytest.raises(CaptureError, match="no such folder"):
        unwrap_capture(tmp_path / "nowhere", T)
    for photo in (raw / "images").rglob("*.png"):
        photo.unlink()
    with pytest.raises(CaptureError, match="nothing could be unwrapped"):
        unwrap_capture(raw, T)
    assert not results(raw)
