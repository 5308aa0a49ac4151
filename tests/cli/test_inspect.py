from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from multiface.capture import Capture
from multiface.cli import run
from small_capture import SEGMENTS


@pytest.fixture
def capture(small_capture_folder: Path, tmp_path: Path) -> Capture:
    return Capture(shutil.copytree(small_capture_folder, tmp_path / small_capture_folder.name))


def break_photo(capture: Capture) -> str:
    path = capture.layout.photo(capture.frames[0], "400002")
    path.write_bytes(path.read_bytes()[:40])
    return path.relative_to(capture.path).as_posix()


def test_a_good_capture(capture: Capture, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["inspect", str(capture.path)]) == 0
    out, err = capsys.readouterr()
    assert out == ""
    for words in ("entity 42", "6 frames in 3 segments", "3 cameras", "18 of 16 x 24", "25 vertices", "no problems found"):
        assert words in err
    for segment in SEGMENTS:
        assert segment[:12] in err


def test_json_is_the_last_line_of_stdout(capture: Capture, capsys: pytest.CaptureFixture[str]) -> None:
    broken = break_photo(capture)
    assert run(["inspect", str(capture.path), "--json", "--quick"]) == 0
    out, err = capsys.readouterr()
    result = json.loads(out)
    assert out.count("\n") == 1
    assert result["frames"] == 6
    assert result["segments"] == SEGMENTS
    assert result["cameras"] == 3
    assert result["camera_names"] == ["400002", "400003", "400004"]
    assert [problem["file"] for problem in result["problems"]] == [broken]
    assert "1 problem" in err


@pytest.mark.parametrize(("options", "status"), [([], 0), (["--strict"], 1), (["--strict", "--quick"], 1)])
def test_problems_fail_the_command_only_when_asked(capture: Capture, options: list[str], status: int) -> None:
    break_photo(capture)
    assert run(["inspect", str(capture.path), *options]) == status


def test_strict_is_content_with_a_good_capture(capture: Capture) -> None:
    assert run(["inspect", "--strict", str(capture.path)]) == 0


@pytest.mark.parametrize("spelling", ["--max_problems", "--max-problems", "--max"])
def test_long_lists_of_problems_are_cut(capture: Capture, capsys: pytest.CaptureFixture[str], spelling: str) -> None:
    for name in ("tex_mean.png", "tex_var.txt", "vert_var.txt"):
        (capture.path / name).unlink()
    assert run(["inspect", str(capture.path), spelling, "1"]) == 0
    err = capsys.readouterr().err
    assert "3 problems" in err
    assert "and 2 more" in err


@pytest.mark.parametrize("options", [["--nope"], ["--max_problems", "many"], ["extra"]])
def test_wrong_options(capture: Capture, capsys: pytest.CaptureFixture[str], options: list[str]) -> None:
    assert run(["inspect", str(capture.path), *options]) == 2
    assert "Traceback" not in capsys.readouterr().err


def test_wrong_captures_are_one_message(tmp_path: Path, capture: Capture, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["inspect", str(tmp_path / "nowhere")]) == 2
    assert "no such folder" in capsys.readouterr().err
    capture.layout.krt.write_text(capture.layout.krt.read_text() + "\n400009\n1 0 0\n")
    assert run(["inspect", str(capture.path), "--json"]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    assert "KRT, line" in err
    assert "incomplete" in err


def test_hostile_names_reach_neither_terminal_nor_markup(capture: Capture, capsys: pytest.CaptureFixture[str]) -> None:
    (capture.path / "images" / "evil\x1b[2J[red]x").mkdir()
    assert run(["inspect", str(capture.path)]) == 0
    err = capsys.readouterr().err
    assert "\x1b[2J" not in err
    assert "\\x1b[2J[red]x" in err


def test_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["inspect", "--help"]) == 0
    out = capsys.readouterr().out
    for option in ("--quick", "--json", "--strict", "--max_problems"):
        assert option in out
