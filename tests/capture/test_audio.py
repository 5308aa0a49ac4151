from __future__ import annotations

import wave
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from multiface.capture import read_audio, write_audio
from multiface.core.errors import ArgumentError, CaptureError, FormatError


@settings(max_examples=40)
@given(arrays(np.int16, st.tuples(st.integers(0, 30), st.integers(1, 3))), st.sampled_from([8000, 44100, 48000]))
def test_what_is_written_reads_back(scratch: Path, samples: np.ndarray, rate: int) -> None:
    write_audio(scratch / "x.wav", samples, rate)
    read, read_rate = read_audio(scratch / "x.wav")
    assert read.dtype == np.int16
    assert np.array_equal(read, samples)
    assert read_rate == rate


@pytest.mark.parametrize("width", [1, 2, 3, 4])
def test_all_widths_give_the_upper_16_bits(tmp_path: Path, width: int) -> None:
    upper = np.array([0, 256, -256, 32512, -32768], np.int64)
    raw = (upper + 32768 >> 8).astype(np.uint8).tobytes() if width == 1 else b""
    if width > 1:
        raw = b"".join(int(value << 8 * (width - 2)).to_bytes(width, "little", signed=True) for value in upper)
    with wave.open(str(tmp_path / "x.wav"), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(width)
        file.setframerate(8000)
        file.writeframes(raw)
    samples, rate = read_audio(tmp_path / "x.wav")
    assert samples[:, 0].tolist() == upper.tolist()
    assert rate == 8000


def test_a_single_channel_may_come_flat(tmp_path: Path) -> None:
    write_audio(tmp_path / "x.wav", np.arange(5, dtype=np.int16), 8000)
    assert read_audio(tmp_path / "x.wav")[0].shape == (5, 1)


@settings(max_examples=40)
@given(st.integers(0, 243))
def test_truncation_is_noticed(scratch: Path, length: int) -> None:
    write_audio(scratch / "x.wav", np.arange(100, dtype=np.int16), 8000)  # 244 bytes
    data = (scratch / "x.wav").read_bytes()
    (scratch / "x.wav").write_bytes(data[:length])
    with pytest.raises(FormatError, match=r"x\.wav"):
        read_audio(scratch / "x.wav")


def test_other_files(tmp_path: Path) -> None:
    (tmp_path / "x.wav").write_bytes(b"RIFF\xff\xff\xff\x7fWAVEfmt \xff\xff\xff\x7f")
    with pytest.raises(FormatError):
        read_audio(tmp_path / "x.wav")
    with pytest.raises(CaptureError, match="missing"):
        read_audio(tmp_path / "y.wav")
    with pytest.raises(ArgumentError):
        write_audio(tmp_path / "y.wav", np.zeros(4), 8000)
