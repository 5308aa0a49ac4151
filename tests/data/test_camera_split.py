"""Camera splits: from a file or derived from the textures."""

from __future__ import annotations

import json
import shutil

import pytest

from multiface.capture import Capture
from multiface.core.errors import CaptureError, FormatError
from multiface.data import load_camera_split
from small_capture import write_small_capture

NAMES = ("400002", "400003", "400004")


@pytest.fixture
def capture(tmp_path, monkeypatch) -> Capture:
    monkeypatch.chdir(tmp_path)
    return write_small_capture(tmp_path / "m--20180227--0000--6795937--GHS")


def write(path, content):
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(content))
    return path


def test_a_split_is_derived_from_all_segments_and_checked_against_krt(capture):
    textures = capture.path / "unwrapped_uv_16"
    shutil.rmtree(textures / "E001_Neutral_Eyes_Open" / "400002")
    shutil.rmtree(textures / "E001_Neutral_Eyes_Open" / "average")
    shutil.copytree(textures / "SEN_a_voice" / "400003", textures / "SEN_a_voice" / "999999")
    split = load_camera_split(Capture(capture.path))
    assert split.train == split.test == split.used == NAMES
    assert split.visual == NAMES[:2]
    assert "textures" in split.source


def test_cameras_without_any_texture_are_not_derived(capture):
    for folder in (capture.path / "unwrapped_uv_16").glob("*/400003"):
        shutil.rmtree(folder)
    assert load_camera_split(Capture(capture.path)).train == ("400002", "400004")


def test_a_capture_without_textures_says_what_to_run(tmp_path):
    capture = write_small_capture(tmp_path / "raw", tex_size=None)
    with pytest.raises(CaptureError, match="multiface unwrap"):
        load_camera_split(capture)


def test_the_published_file_is_found_by_entity(capture, tmp_path):
    file = tmp_path / "camera_configs" / "camera-split-config_6795937.json"
    write(file, {"full": {"train": ["400004", "400002"], "test": ["400003"], "visual": ["400002"]}})
    split = load_camera_split(capture)
    assert (split.train, split.test, split.visual) == (("400004", "400002"), ("400003",), ("400002",))
    assert split.used == ("400004", "400002", "400003")
    assert file.name in split.source


def test_settings_and_a_file_without_them(capture, tmp_path):
    roles = {"train": ["400002", "400003"], "test": ["400003", "400004"]}
    by_setting = write(tmp_path / "a.json", {"full": {"train": [], "test": []}, "half": roles})
    plain = write(tmp_path / "b.json", roles)
    for split in (load_camera_split(capture, by_setting, "half"), load_camera_split(capture, plain)):
        assert split.train == ("400002", "400003") and split.test == split.visual == ("400003", "400004")
    with pytest.raises(FormatError, match=r"no setting 'third'.*full, half"):
        load_camera_split(capture, by_setting, "third")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"full": {"train": ["400002"]}}, "'test'"),
        ({"full": {"train": "400002", "test": []}}, "'train'"),
        ({"full": {"train": [400002], "test": []}}, "'train'"),
        ({"full": {"train": ["400002", "400002"], "test": []}}, "twice.*400002"),
        ({"full": 3}, "no setting"),
        ([], "no setting"),
    ],
)
def test_files_of_another_form_are_refused(capture, tmp_path, content, message):
    with pytest.raises(FormatError, match=message):
        load_camera_split(capture, write(tmp_path / "split.json", content))


def test_cameras_that_krt_lacks_are_named(capture, tmp_path):
    file = write(tmp_path / "split.json", {"full": {"train": ["400002", "400026"], "test": ["400002"], "visual": ["400099"]}})
    with pytest.raises(CaptureError, match=r"400026, 400099.*split\.json|split\.json.*400026, 400099"):
        load_camera_split(capture, file)


def test_a_file_that_is_not_there_or_not_json_is_refused(capture, tmp_path):
    with pytest.raises(FormatError, match="cannot be read"):
        load_camera_split(capture, tmp_path / "nowhere.json")
    (tmp_path / "broken.json").write_text("{")
    with pytest.raises(FormatError, match=r"broken\.json, line 1"):
        load_camera_split(capture, tmp_path / "broken.json")


def test_any_folder_name_will_do(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert load_camera_split(write_small_capture(tmp_path / "plain")).train == NAMES
