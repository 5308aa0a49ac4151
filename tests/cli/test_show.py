"""``multiface show`` as a user runs it."""

from __future__ import annotations

import json
from pathlib import Path

from multiface.capture import Capture
from multiface.cli import run


def test_a_frame_is_shown_and_measured(small_capture_folder: Path, tmp_path, capsys):
    key = Capture(small_capture_folder).frames[1]
    words = [str(small_capture_folder), "--frame", str(key), "--out", str(tmp_path / "out"), "--cameras", "400003", "--json"]
    assert run(["show", *words]) == 0
    captured = capsys.readouterr()
    result = json.loads(captured.out.splitlines()[-1])
    assert result["frame"] == str(key) and list(result["cameras"]) == ["400003"]
    assert Path(result["page"]).is_file() and all(Path(file).is_file() for file in result["files"])
    # The photos of this capture are noise: the mesh cannot fit them, and the answer has to say so.
    assert result["verdict"] == "wrong" and result["misfits"] == ["400003"] and "wrong" in captured.err
    assert result["error_mm"] is None


def test_mistakes_are_one_clear_message(small_capture_folder: Path, tmp_path, capsys):
    for words, message in (
        ([], "no capture was given"),
        ([str(tmp_path / "nowhere")], "no such folder"),
        ([str(small_capture_folder), "--frame", "SEN_a_voise/000102"], "nearest SEN_a_voice"),
        ([str(small_capture_folder), "--frame", "SEN_a_voice/000103"], "nearest 000102"),
        ([str(small_capture_folder), "--cameras", "400002", "40"], "no camera 40"),
        ([str(small_capture_folder), "--krt", str(tmp_path / "KRT")], "KRT"),
    ):
        assert run(["show", *words, "--out", str(tmp_path / "out")]) == 2
        captured = capsys.readouterr()
        assert message in captured.err and captured.err.startswith("multiface show: ") and captured.err.count("\n") == 1
    assert not (tmp_path / "out").exists()
