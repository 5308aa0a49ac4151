from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from multiface.capture import read_head_pose, write_head_pose
from multiface.core.errors import ArgumentError, FormatError


@settings(max_examples=40)
@given(arrays(np.float64, (3, 4), elements=st.floats(allow_nan=False, allow_infinity=False)))
def test_what_is_written_reads_back_exactly(scratch: Path, pose: np.ndarray) -> None:
    write_head_pose(scratch / "x_transform.txt", pose)
    assert np.array_equal(read_head_pose(scratch / "x_transform.txt"), pose)


def test_blanks_and_line_ends_vary(tmp_path: Path) -> None:
    (tmp_path / "t.txt").write_bytes(b"\xef\xbb\xbf1  0\t0 4\r\n\r\n 0 1 0 5 \r\n0 0 1e0 6")
    assert read_head_pose(tmp_path / "t.txt")[:, 3].tolist() == [4, 5, 6]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "found 0 rows"),
        ("1 0 0 0\n0 1 0 0\n", "found 2 rows"),
        ("1 0 0 0\n0 1 0 0\n0 0 1 0\n0 0 0 1\n", "found 4 rows"),
        ("1 0 0 0\n0 1 0\n0 0 1 0\n", "line 2: row 2 of the head pose is incomplete"),
        ("1 0 0 0\n0 1 0 0 0\n0 0 1 0\n", "line 2: row 2 of the head pose has too many"),
        ("1 0 0 0\n0 1 0 0\n0 0 1 nan\n", "line 3: "),
        ("1 0 0 0\n0 1 0 0\n0 0 1 x\n", "'x'"),
    ],
)
def test_faults_are_named(tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "t.txt").write_text(text)
    with pytest.raises(FormatError) as caught:
        read_head_pose(tmp_path / "t.txt")
    assert words in str(caught.value)


@pytest.mark.parametrize("pose", [np.eye(3), np.eye(4), np.full((3, 4), np.inf)])
def test_writer_refuses(tmp_path: Path, pose: np.ndarray) -> None:
    with pytest.raises(ArgumentError):
        write_head_pose(tmp_path / "t.txt", pose)
