"""Which JPEG all decoders turn into the same pixels."""

from __future__ import annotations

import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from multiface.capture.store.jpeg_header import plain_jpeg_size


def jpeg(mode: str = "RGB", size: tuple[int, int] = (7, 5), **options) -> bytes:
    """Of (width, height)."""
    file, noise = io.BytesIO(), np.random.default_rng(0).integers(0, 256, (size[1], size[0], 3), np.uint8)
    Image.fromarray(noise).convert(mode).save(file, "JPEG", **{"subsampling": "4:4:4", **options})
    return file.getvalue()


WHOLE = jpeg()


@given(st.integers(1, 300), st.integers(1, 300), st.integers(1, 100))
def test_sizes_of_plain_files(height: int, width: int, quality: int) -> None:
    assert plain_jpeg_size(jpeg(size=(width, height), quality=quality)) == (height, width)


def test_segments_before_the_frame_are_passed() -> None:
    assert plain_jpeg_size(jpeg(comment=b"x" * 5000, icc_profile=b"y" * 9000, exif=b"Exif\0\0" + b"z" * 100)) == (5, 7)


@pytest.mark.parametrize("options", [
    {"subsampling": "4:2:0"}, {"subsampling": "4:2:2"}, {"progressive": True},
    {"mode": "L"}, {"mode": "CMYK"}, {"keep_rgb": True},
])  # fmt: skip
def test_others_are_left_to_the_host(options: dict) -> None:
    assert plain_jpeg_size(jpeg(**options)) is None


@given(st.binary(max_size=60))
def test_no_bytes_break_it(data: bytes) -> None:
    for start in (b"", b"\xff\xd8", b"\xff\xd8\xff\xc0\x00\x11\x08"):
        size = plain_jpeg_size(start + data)
        assert size is None or len(size) == 2


@given(st.data())
def test_a_file_cut_short_or_changed_gives_a_size_or_none(data) -> None:
    whole = bytearray(WHOLE)
    cut = data.draw(st.integers(0, len(whole)))
    at = data.draw(st.integers(0, len(whole) - 1))
    whole[at] = data.draw(st.integers(0, 255))
    for part in (bytes(whole), bytes(whole[:cut]), memoryview(np.frombuffer(bytes(whole), np.uint8))):
        size = plain_jpeg_size(part)
        assert size is None or all(0 <= side < 65536 for side in size)
