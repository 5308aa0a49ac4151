from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from multiface.capture import Capture, CaptureLayout, Statistics, read_scalar, read_statistics, write_scalar, write_statistics
from multiface.core.errors import ArgumentError, CaptureError, FormatError


@settings(max_examples=40)
@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_number_reads_back_exactly(scratch: Path, value: float) -> None:
    write_scalar(scratch / "x.txt", value)
    assert read_scalar(scratch / "x.txt") == value


@pytest.mark.parametrize("content", [b"12.5", b"\n 12.5 \r\n\r\n", b"\xef\xbb\xbf1.25e1\n"])
def test_variations_are_understood(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x.txt").write_bytes(content)
    assert read_scalar(tmp_path / "x.txt") == 12.5


@pytest.mark.parametrize("text", ["", "\n", "1 2", "1\n2\n", "nan", "inf", "x", "1,5"])
def test_anything_but_one_finite_number_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "x.txt").write_text(text)
    with pytest.raises(FormatError, match=r"x\.txt"):
        read_scalar(tmp_path / "x.txt")


def test_statistics_read_back(tmp_path: Path) -> None:
    mean = np.random.default_rng(0).integers(0, 256, (8, 8, 3), np.uint8)
    written = Statistics(mean, 123.5, np.arange(12, dtype=np.float32).reshape(4, 3), 0.25)
    write_statistics(CaptureLayout(tmp_path), written)
    read = read_statistics(CaptureLayout(tmp_path), n_vertices=4)
    assert np.array_equal(read.tex_mean, mean)
    assert np.array_equal(read.vert_mean, written.vert_mean)
    assert (read.tex_std, read.vert_std) == (math.sqrt(123.5), 0.5)


def test_writer_refuses_a_variance_of_zero_and_writes_nothing(tmp_path: Path) -> None:
    for bad in (0.0, -1.0, math.nan):
        with pytest.raises(ArgumentError, match="tex_var"):
            write_statistics(CaptureLayout(tmp_path), Statistics(np.zeros((2, 2, 3), np.uint8), bad, np.zeros((1, 3)), 1.0))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["tex_mean.png", "tex_var.txt", "vert_mean.bin", "vert_var.txt"])
def test_a_missing_file_is_named_with_what_to_run(capture: Capture, name: str) -> None:
    (capture.path / name).unlink()
    with pytest.raises(CaptureError) as caught:
        _ = Capture(capture.path).statistics
    assert f"lacks its statistics: {name}. " in str(caught.value)
    assert "multiface unwrap" in str(caught.value)


@pytest.mark.parametrize("value", ["0", "-3"])
def test_variances_must_be_positive(capture: Capture, value: str) -> None:
    (capture.path / "vert_var.txt").write_text(value)
    with pytest.raises(FormatError, match=r"vert_var\.txt: variance must be positive"):
        _ = Capture(capture.path).statistics
