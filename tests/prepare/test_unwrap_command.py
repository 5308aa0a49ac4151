"""``multiface unwrap`` as a user types it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from multiface.capture import Capture
from multiface.cli import run
from multiface.core.errors import CaptureError
from multiface.prepare import link_capture
from small_capture import write_small_capture


@pytest.fixture
def raw(tmp_path) -> Path:
    write_small_capture(tmp_path / "m--20180227--0000--6795937--GHS", segments={"SEN_a_voice": 2}, tex_size=None)
    return tmp_path / "m--20180227--0000--6795937--GHS"


def names(root: Path) -> list[str]:
    return sorted(path.relative_to(root).as_posix() for path in root.rglob("*"))


@pytest.mark.parametrize("copy", [False, True])
def test_out_leaves_the_capture_alone_and_is_complete(raw, tmp_path, capsys, copy):
    before, out = names(raw), tmp_path / "out"
    argv = ["unwrap", str(raw), "--tex_size", "16", "--out", str(out), "--json", "--workers", "1"]
    assert run(argv + ["--copy"] * copy) == 0
    result = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert result["capture"] == str(out) and result["texture_size"] == 16
    assert (result["frames"], result["textures"], result["skipped"]) == (2, 6, [])
    assert names(raw) == before
    capture = Capture(out)
    assert capture.texture(capture.frames[0], "average").any() and capture.statistics.tex_var > 0
    assert capture.photo(capture.frames[0], "400002").shape == (24, 16, 3)
    assert capture.audio("SEN_a_voice") is not None
    assert (out / "images").is_symlink() != copy
    assert run(argv + ["--copy"] * copy) == 0, "a second run goes on from the first"


def test_broken_photos_are_told_to_people_and_programs(raw, capsys):
    broken = raw / "images" / "SEN_a_voice" / "400003" / "000105.png"
    broken.write_bytes(b"no picture")
    assert run(["unwrap", str(raw), "--tex-size", "16", "--json"]) == 0
    printed = capsys.readouterr()
    assert [entry["file"] for entry in json.loads(printed.out)["skipped"]] == ["images/SEN_a_voice/400003/000105.png"]
    assert "400003/000105.png" in printed.err


def test_a_mistake_is_one_message_and_status_2(tmp_path, raw, capsys):
    assert run(["unwrap", str(tmp_path / "nowhere")]) == 2
    message = capsys.readouterr().err
    assert "nowhere" in message and "Traceback" not in message and len(message.splitlines()) == 1
    assert run(["unwrap", str(tmp_path / "nowhere"), "--out", str(tmp_path / "out")]) == 2
    assert not (tmp_path / "out").exists()


def test_a_folder_with_another_capture_is_refused(raw, tmp_path):
    write_small_capture(tmp_path / "other", tex_size=None, n_cameras=2)
    before = names(tmp_path / "other")
    with pytest.raises(CaptureError, match="not of the capture"):
        link_capture(raw, tmp_path / "other")
    with pytest.raises(CaptureError, match="not of the capture"):
        link_capture(raw, tmp_path / "other", copy=True)
    assert names(tmp_path / "other") == before


def test_linking_a_capture_to_itself_changes_nothing(raw):
    before = names(raw)
    link_capture(raw, raw)
    assert names(raw) == before
