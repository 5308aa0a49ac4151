from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from multiface.capture import Camera, read_krt, write_krt
from multiface.core.errors import ArgumentError, CaptureError, FormatError

BLOCK = "{name}\n1000 0 600\n0 1000 900\n0 0 1\n{distortion}\n1 0 0 5\n0 1 0 6\n0 0 1 7\n"

numbers = st.floats(-1e12, 1e12)
camera_names = st.text("abcXYZ0123456789_-. é", min_size=1, max_size=12).filter(
    lambda name: name == name.strip() and name.strip(". ") and name != "average"
)
rotations_or_not = arrays(np.float64, (3, 4), elements=numbers)


@st.composite
def cameras(draw) -> list[Camera]:
    names = draw(st.lists(camera_names, min_size=1, max_size=5, unique=True))
    made = []
    for name in names:
        K = np.array([[draw(st.floats(1, 1e5)), draw(st.floats(-10, 10)), draw(st.floats(0, 4000))], [0, 0, 0], [0, 0, 1]])
        K[1, 1], K[1, 2] = draw(st.floats(1, 1e5)), draw(st.floats(0, 4000))
        distortion = tuple(draw(st.lists(numbers, max_size=8)))
        made.append(Camera(name, K, draw(rotations_or_not), (20, 10), distortion))
    return made


def block(name: str = "400002", distortion: str = "0 0 0 0 0") -> str:
    return BLOCK.format(name=name, distortion=distortion)


def write(folder: Path, content: str | bytes) -> Path:
    path = folder / "KRT"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


@settings(max_examples=60)
@given(cameras())
def test_what_is_written_reads_back_exactly(scratch: Path, written: list[Camera]) -> None:
    write_krt(scratch / "KRT", written)
    read = read_krt(scratch / "KRT", size=(20, 10))
    assert list(read) == [camera.name for camera in written]
    for camera in written:
        again = read[camera.name]
        assert np.array_equal(again.K, camera.K)
        assert np.array_equal(again.Rt, camera.Rt)
        assert again.distortion == camera.distortion
        assert again.size == (20, 10)


@pytest.mark.parametrize(
    "text",
    [
        block("a") + "\n" + block("b"),
        block("a") + block("b"),
        (block("a") + "\n" + block("b")).rstrip("\n"),
        "\n\n" + block("a") + "\n\n\n" + block("b") + "\n\n\n\n",
        (block("a") + "\n" + block("b")).replace("\n", "\r\n"),
        (block("a") + "\n" + block("b")).replace("\n", "\r"),
        (block("a") + "\n" + block("b")).replace(" ", "\t  "),
        "\ufeff" + block(" a ") + " \t\n" + block("b  "),
        block("a", "") + "\n" + block("b", ".1 -2e-3"),
        block("a", "1 2 3 4 5 6 7 8 9 10 11 12") + "\n" + block("b"),
    ],
    ids=[
        "plain",
        "separatorless",
        "no_last_newline",
        "blank_lines",
        "crlf",
        "cr",
        "tabs",
        "bom_and_blanks",
        "distortion_0_2",
        "distortion_12",
    ],
)
def test_variations_of_the_format_are_understood(tmp_path: Path, text: str) -> None:
    cameras = read_krt(write(tmp_path, text))
    assert list(cameras) == ["a", "b"]
    for camera in cameras.values():
        assert camera.K[0].tolist() == [1000, 0, 600]
        assert camera.Rt[:, 3].tolist() == [5, 6, 7]


def test_distortion_is_kept(tmp_path: Path) -> None:
    assert read_krt(write(tmp_path, block(distortion="0.5 -1e-3")))["400002"].distortion == (0.5, -1e-3)


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        (block("a") + "\n" + "b\n1 0 0\n0 1 0\n", 12, "incomplete"),
        (
            block("a") + "\n" + "b\n1 0 0\n0 1 0\n\n0 0 1\n0 0 0 0 0\n1 0 0 0\n0 1 0 0\n0 0 1 0\n",
            13,
            "row 3 of K of camera 'b'",
        ),
        (block("a").replace("0 1000 900", "0 1000"), 3, "3 numbers"),
        (block("a").replace("0 1000 900", "0 1000 900 1"), 3, "too many"),
        (block("a").replace("0 1 0 6", "0 1 zero 6"), 7, "zero"),
        (block("a").replace("0 1 0 6", "0 1 nan 6"), 7, "nan"),
        (block("a").replace("1000 0 600", "inf 0 600"), 2, "inf"),
        (block("a").replace("1000 0 600", "1_000 0 600"), 2, "1_000"),
        (block("a").replace("1000 0 600", "1e999 0 600"), 2, "1e999"),
        (block("a").replace("1000 0 600", "0 0 0"), 2, "inverted"),
        (block("a") + "\n" + block("a"), 10, "line 1 already"),
        (block("../x"), 1, "name of a camera"),
        (block("average"), 1, "name of a camera"),
        (block("a\x1b[31m"), 1, "name of a camera"),
    ],
)
def test_each_fault_is_named_with_its_line(tmp_path: Path, text: str, line: int, words: str) -> None:
    path = write(tmp_path, text)
    with pytest.raises(FormatError) as caught:
        read_krt(path)
    assert str(caught.value).startswith(f"{path}, line {line}: ")
    assert words in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"\n\n \n", b"\xff\xfe4\x000\x00", b"\x80\x81"])
def test_files_that_are_no_calibration_are_refused(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(FormatError, match="KRT"):
        read_krt(write(tmp_path, content))


def test_huge_file_is_refused_without_reading_it(tmp_path: Path) -> None:
    path = tmp_path / "KRT"
    with path.open("wb") as file:
        file.truncate(10 << 30)
    with pytest.raises(FormatError, match="too large"):
        read_krt(path)


def test_missing_file_and_folder(tmp_path: Path) -> None:
    with pytest.raises(CaptureError, match="missing"):
        read_krt(tmp_path / "KRT")
    with pytest.raises(FormatError, match="not a file"):
        read_krt(tmp_path)


def test_writer_refuses_what_could_not_be_read_again(tmp_path: Path) -> None:
    def camera(name: str, K: float = 1.0) -> Camera:
        return Camera(name, np.eye(3) * K, np.eye(3, 4), (2, 2))

    for bad in ([camera("a"), camera("a")], [camera("a/b")], [camera(" a")], [camera("average")], [camera("a", np.nan)]):
        with pytest.raises(ArgumentError):
            write_krt(tmp_path / "KRT", bad)
    assert list(tmp_path.iterdir()) == []
