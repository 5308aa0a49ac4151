"""Sample lists: the published rules, and what is said about what they leave out."""

from __future__ import annotations

import pytest

from multiface.capture import Capture, FrameKey, read_frame_list
from multiface.core.errors import CaptureError
from multiface.data import Sample, Skipped, build_index, require_samples
from small_capture import SEGMENTS, write_small_capture

CAMERAS = ("400002", "400003", "400004")
FIRST = FrameKey("E001_Neutral_Eyes_Open", "000102")


@pytest.fixture
def capture(tmp_path) -> Capture:
    return write_small_capture(tmp_path)


def remove(capture: Capture, path: str) -> Capture:
    (capture.path / path).unlink()
    return Capture(capture.path)


def test_order_is_that_of_the_frame_list_then_of_the_camera_set(capture):
    keys = [capture.frames[4], capture.frames[0]]
    index = build_index(capture, keys, ["400004", "400002"])
    assert index.samples == tuple(Sample(key, camera) for key in keys for camera in ("400004", "400002"))
    assert index.skipped == () and len(index) == 4
    assert index.frames == tuple(keys) and index.cameras == ("400004", "400002")


def test_without_a_camera_set_all_of_krt_are_used_in_its_order(capture):
    assert build_index(capture, capture.frames[:1], None).cameras == CAMERAS


@pytest.mark.parametrize(
    ("only", "exclude", "segments"),
    [
        (None, None, list(SEGMENTS)),
        (["EXP_ROM", "EXP_free_face"], None, ["EXP_ROM07_Facial_Expressions"]),
        (None, ["EXP_ROM", "EXP_free_face"], ["E001_Neutral_Eyes_Open", "SEN_a_voice"]),
        (["E"], ["EXP"], ["E001_Neutral_Eyes_Open"]),
        (["exp_rom"], None, []),
        (None, ["exp_rom", "ROM"], list(SEGMENTS)),
        ([], None, []),
        (None, [""], []),
    ],
)
def test_segments_are_chosen_by_prefixes_in_which_case_matters(capture, only, exclude, segments):
    index = build_index(capture, capture.frames, None, only=only, exclude=exclude)
    assert list(dict.fromkeys(key.segment for key in index.frames)) == segments
    assert index.n_unselected == 6 - len(index.frames)


@pytest.mark.parametrize(
    ("file", "reason"),
    [
        ("unwrapped_uv_16/E001_Neutral_Eyes_Open/average/000102.png", "no average texture"),
        ("tracked_mesh/E001_Neutral_Eyes_Open/000102.bin", "no mesh"),
        ("tracked_mesh/E001_Neutral_Eyes_Open/000102_transform.txt", "no head pose"),
    ],
)
def test_frames_that_lack_something_are_skipped_with_the_reason(capture, file, reason):
    index = build_index(remove(capture, file), capture.frames, None)
    assert index.skipped == (Skipped(str(FIRST), reason),)
    assert FIRST not in index.frames and len(index) == 15


def test_cameras_without_texture_are_skipped_and_photos_matter_only_if_needed(capture):
    capture = remove(capture, f"unwrapped_uv_16/{FIRST.segment}/400003/{FIRST.frame}.png")
    capture = remove(capture, f"images/{FIRST.segment}/400004/{FIRST.frame}.png")
    index = build_index(capture, [FIRST], None)
    assert [sample.camera for sample in index.samples] == ["400002", "400004"]
    assert index.skipped == (Skipped(f"{FIRST}/400003", "no texture of this camera"),)
    with_photo = build_index(capture, [FIRST], None, need_photo=True)
    assert [sample.camera for sample in with_photo.samples] == ["400002"]
    assert with_photo.skipped_summary() == "1 x no texture of this camera, 1 x no photo of this camera"


def test_frames_that_the_capture_does_not_know_and_repeated_ones_are_skipped(capture):
    stranger = FrameKey("E002_Swallow", "000999")
    index = build_index(capture, [FIRST, stranger, FIRST], ["400002"])
    assert index.samples == (Sample(FIRST, "400002"),)
    assert index.skipped == (Skipped(str(stranger), "no such frame in the capture"), Skipped(str(FIRST), "listed twice"))


def test_a_frame_list_of_one_line_is_one_frame(capture, tmp_path):
    (tmp_path / "one.txt").write_text("E001_Neutral_Eyes_Open 000105")
    index = build_index(capture, read_frame_list(tmp_path / "one.txt"), None)
    assert index.frames == (FrameKey("E001_Neutral_Eyes_Open", "000105"),) and len(index) == 3


def test_cameras_without_calibration_are_refused_by_name(capture):
    with pytest.raises(CaptureError, match=r"400005.*400002"):
        build_index(capture, capture.frames, ["400002", "400005"])


def test_an_empty_index_is_refused_with_its_causes(capture):
    index = build_index(capture, capture.frames, None, only=["EXP_rom"])
    with pytest.raises(CaptureError, match=r"nothing for testing.*6 frames of other segments.*EXP_ROM07_Facial_Expressions"):
        require_samples(index, "testing", prefixes=["EXP_rom"])
    with pytest.raises(CaptureError, match="2 x no such frame"):
        require_samples(build_index(capture, [FrameKey("a", "1"), FrameKey("a", "2")], None), "training")
    full = build_index(capture, capture.frames, None)
    assert require_samples(full, "training") is full


def test_listings_are_enough_no_file_is_opened(capture, monkeypatch):
    from pathlib import Path

    fresh = Capture(capture.path)
    frames, cameras = fresh.frames, fresh.cameras
    monkeypatch.setattr(Path, "open", None)
    monkeypatch.setattr(Path, "stat", None)
    assert len(build_index(fresh, frames, list(cameras), need_photo=True)) == 18
