from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from multiface.capture import FrameKey, read_frame_list, write_frame_list
from multiface.core.errors import ArgumentError, FormatError

words = st.text("abcXYZ0123456789_-.é", min_size=1, max_size=20).filter(lambda word: word.strip("."))


def write(folder: Path, content: str | bytes) -> Path:
    path = folder / "frame_list.txt"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


@settings(max_examples=60)
@given(st.lists(st.tuples(words, words), min_size=1, max_size=20))
def test_what_is_written_reads_back(scratch: Path, frames: list[tuple[str, str]]) -> None:
    keys = [FrameKey(*pair) for pair in frames]
    write_frame_list(scratch / "frame_list.txt", keys)
    assert list(read_frame_list(scratch / "frame_list.txt")) == keys


@pytest.mark.parametrize(
    "text",
    [
        "S 000102\nS 000105\n",
        "S 000102\nS 000105",
        "S 000102\r\nS 000105\r\n",
        "\ufeff  S \t 000102  \n\n\n\tS   000105\n\n",
        "# frames\nS 000102 # first\n#S 000103\nS 000105#last\n",
    ],
)
def test_variations_are_understood(tmp_path: Path, text: str) -> None:
    assert read_frame_list(write(tmp_path, text)) == (("S", "000102"), ("S", "000105"))


def test_one_line_is_one_frame(tmp_path: Path) -> None:
    assert read_frame_list(write(tmp_path, "E001_Neutral 000102")) == (FrameKey("E001_Neutral", "000102"),)


def test_order_and_leading_zeros_are_kept(tmp_path: Path) -> None:
    keys = read_frame_list(write(tmp_path, "B 000009\nA 3\nA 0003\n"))
    assert [str(key) for key in keys] == ["B/000009", "A/3", "A/0003"]


@pytest.mark.parametrize("bad", ["S", "S 1 2", "../S 1", "S ../../etc/passwd", "S a\\b", "S C:x", ".. 1", "S \x07"])
def test_a_bad_line_is_named(tmp_path: Path, bad: str) -> None:
    path = write(tmp_path, f"S 1\n\n{bad}\nS 2\n")
    with pytest.raises(FormatError) as caught:
        read_frame_list(path)
    assert f"{path}, line 3" in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"\n# nothing\n", b"\x00\x01\xff"])
def test_a_list_without_frames_is_refused(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(FormatError):
        read_frame_list(write(tmp_path, content))


@pytest.mark.parametrize("key", [("a b", "1"), ("a", ""), ("a#", "1"), ("..", "1"), ("a\n", "1")])
def test_writer_refuses_names_that_would_not_read_back(tmp_path: Path, key: tuple[str, str]) -> None:
    with pytest.raises(ArgumentError):
        write_frame_list(tmp_path / "frame_list.txt", [FrameKey(*key)])
