from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from multiface.capture import read_vertices, write_vertices
from multiface.core.errors import ArgumentError, CaptureError, FormatError

finite = st.floats(width=32, allow_nan=False, allow_infinity=False)


@settings(max_examples=50)
@given(arrays(np.float32, st.tuples(st.integers(1, 30), st.just(3)), elements=finite))
def test_what_is_written_reads_back(scratch: Path, vertices: np.ndarray) -> None:
    write_vertices(scratch / "x.bin", vertices)
    read = read_vertices(scratch / "x.bin", len(vertices))
    assert read.dtype == np.float32
    assert np.array_equal(read, vertices)


def test_bytes_are_little_endian_vertex_major(tmp_path: Path) -> None:
    write_vertices(tmp_path / "x.bin", np.array([[1, 2, 3], [4, 5, 6]]))
    assert (tmp_path / "x.bin").read_bytes() == np.array([1, 2, 3, 4, 5, 6], "<f4").tobytes()


def test_the_result_can_be_written_to(tmp_path: Path) -> None:
    write_vertices(tmp_path / "x.bin", np.zeros((2, 3)))
    read_vertices(tmp_path / "x.bin")[0] = 1


@pytest.mark.parametrize("size", [0, 11, 13, 87671])
def test_a_wrong_length_is_refused(tmp_path: Path, size: int) -> None:
    (tmp_path / "x.bin").write_bytes(bytes(size))
    with pytest.raises(FormatError, match=f"found {size:,} bytes"):
        read_vertices(tmp_path / "x.bin")


def test_another_vertex_count_is_refused_with_both_numbers(tmp_path: Path) -> None:
    write_vertices(tmp_path / "x.bin", np.zeros((5, 3)))
    with pytest.raises(FormatError, match=r"x\.bin.*72 bytes \(6 vertices\).*found 60 bytes"):
        read_vertices(tmp_path / "x.bin", 6)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_values_that_are_not_finite_are_refused(tmp_path: Path, value: float) -> None:
    vertices = np.zeros((4, 3), "<f4")
    vertices[2, 1] = value
    (tmp_path / "x.bin").write_bytes(vertices.tobytes())
    with pytest.raises(FormatError, match="vertex 2"):
        read_vertices(tmp_path / "x.bin")


def test_huge_file_is_refused_before_memory_is_taken(tmp_path: Path) -> None:
    with (tmp_path / "x.bin").open("wb") as file:
        file.truncate(12 << 30)
    with pytest.raises(FormatError, match="too large"):
        read_vertices(tmp_path / "x.bin")


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(CaptureError, match="missing"):
        read_vertices(tmp_path / "x.bin")


@pytest.mark.parametrize("vertices", [np.zeros((0, 3)), np.zeros((3, 2)), np.zeros(4), np.full((1, 3), 1e39)])
def test_writer_refuses(tmp_path: Path, vertices: np.ndarray) -> None:
    with pytest.raises(ArgumentError):
        write_vertices(tmp_path / "x.bin", vertices)
