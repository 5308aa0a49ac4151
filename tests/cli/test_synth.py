"""``multiface synth`` on the command line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from multiface.capture import Capture
from multiface.cli import run

SMALL = ["--segments", "2", "--frames-per-segment", "1", "--n_cameras", "2", "--image-size", "48", "32", "--tex_size", "32"]


def test_writes_a_capture_and_reports_it_as_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "capture"
    assert run(["synth", str(out), *SMALL, "--seed", "4", "--json"]) == 0
    captured = capsys.readouterr()
    result = json.loads(captured.out.splitlines()[-1])
    assert {key: result[key] for key in ("capture", "frames", "segments", "cameras")} == {
        "capture": str(out),
        "frames": 2,
        "segments": 2,
        "cameras": 2,
    }
    assert result["seconds"] > 0
    assert "2 frames" in captured.err
    assert len(Capture(out).frames) == 2


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--segments", "0"], "--segments"),
        (["--n-cameras", "50"], "--n-cameras"),
        (["--mesh", "head.bin"], "--topology"),
        (["--mesh", "absent.bin", "--topology", "absent.obj", "--texture", "absent.png"], "absent.obj"),
    ],
)
def test_mistakes_are_one_message_and_leave_nothing(
    options: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["synth", str(tmp_path / "capture"), *options]) == 2
    message = capsys.readouterr().err
    assert said in message
    assert "Traceback" not in message
    assert list(tmp_path.iterdir()) == []


def test_a_folder_in_use_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "mine").touch()
    assert run(["synth", str(tmp_path), *SMALL]) == 2
    assert "not empty" in capsys.readouterr().err
