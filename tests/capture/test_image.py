from __future__ import annotations

import io
import os
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image

from multiface.capture import image_size, read_image, write_image
from multiface.core.errors import ArgumentError, CaptureError, FormatError

sizes = st.tuples(st.integers(1, 12), st.integers(1, 12), st.just(3))


def noise(height: int = 20, width: int = 30) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)


def png(pixels: np.ndarray | None = None) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(noise() if pixels is None else pixels).save(buffer, "PNG")
    return buffer.getvalue()


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def empty_png(width: int, height: int) -> bytes:
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


@settings(max_examples=40)
@given(arrays(np.uint8, sizes), st.integers(0, 9))
def test_what_is_written_reads_back(scratch: Path, pixels: np.ndarray, compression: int) -> None:
    write_image(scratch / "x.png", pixels, compression)
    assert np.array_equal(read_image(scratch / "x.png"), pixels)
    assert image_size(scratch / "x.png") == pixels.shape[:2]


def test_same_pixels_same_bytes(tmp_path: Path) -> None:
    write_image(tmp_path / "a.png", noise())
    write_image(tmp_path / "b.png", np.asfortranarray(noise()))
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


@settings(max_examples=60)
@given(st.floats(0, 1, exclude_max=True))
def test_no_beginning_of_a_png_is_taken_for_the_whole(scratch: Path, part: float) -> None:
    whole = png()
    (scratch / "cut.png").write_bytes(whole[: int(part * len(whole))])
    with pytest.raises(FormatError, match=r"cut\.png: image is truncated or damaged"):
        read_image(scratch / "cut.png")


@settings(max_examples=60)
@given(st.integers(0, 8 * len(png()) - 1))
def test_no_flipped_bit_goes_unnoticed(scratch: Path, bit: int) -> None:
    data = bytearray(png())
    data[bit // 8] ^= 1 << bit % 8
    (scratch / "flipped.png").write_bytes(data)
    try:
        pixels = read_image(scratch / "flipped.png")
    except FormatError:
        return
    assert np.array_equal(pixels, noise())  # the bit was one that does not matter


def test_last_rows_missing_in_a_png_with_valid_checksums_is_refused(tmp_path: Path) -> None:
    data = png()
    at = data.index(b"IDAT")
    length = struct.unpack(">I", data[at - 4 : at])[0]
    short = data[at + 4 : at + 4 + length // 2]
    (tmp_path / "x.png").write_bytes(data[: at - 4] + chunk(b"IDAT", short) + chunk(b"IEND", b""))
    with pytest.raises(FormatError, match="truncated or damaged"):
        read_image(tmp_path / "x.png")


@pytest.mark.parametrize("content", [b"", b"hello", b"\x89PNG\r\n\x1a\n", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n"])
def test_files_that_are_no_picture_are_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x.png").write_bytes(content)
    for read in (read_image, image_size):
        with pytest.raises(FormatError, match=r"x\.png"):
            read(tmp_path / "x.png")


@pytest.mark.parametrize("size", [(9500, 9500), (60000, 60000)])
@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
def test_pixel_bombs_are_refused_before_decoding(tmp_path: Path, size: tuple[int, int]) -> None:
    (tmp_path / "x.png").write_bytes(empty_png(*size))
    with pytest.raises(FormatError):
        read_image(tmp_path / "x.png")


def test_missing_file_folder_and_huge_file(tmp_path: Path) -> None:
    with pytest.raises(CaptureError, match="missing"):
        read_image(tmp_path / "x.png")
    with pytest.raises(FormatError, match="not a file"):
        read_image(tmp_path)
    with (tmp_path / "huge.png").open("wb") as file:
        file.truncate(10 << 30)
    with pytest.raises(FormatError, match="too large"):
        read_image(tmp_path / "huge.png")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_a_pipe_does_not_block(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "x.png")
    with pytest.raises(FormatError, match="not a file"):
        image_size(tmp_path / "x.png")


def test_the_header_is_enough_for_the_size(tmp_path: Path) -> None:
    (tmp_path / "x.png").write_bytes(png()[:60])
    assert image_size(tmp_path / "x.png") == (20, 30)


@pytest.mark.parametrize("mode", ["L", "P", "RGBA", "LA", "1"])
def test_equivalent_kinds_become_rgb(tmp_path: Path, mode: str) -> None:
    image = Image.fromarray(np.repeat(np.array([[0, 255, 255], [255, 0, 0]], np.uint8)[..., None], 3, -1)).convert(mode)
    image.save(tmp_path / "x.png")
    pixels = read_image(tmp_path / "x.png")
    assert pixels.dtype == np.uint8
    assert pixels[..., 0].tolist() == pixels[..., 2].tolist() == [[0, 255, 255], [255, 0, 0]]


def test_transparency_and_16_bit_grey_are_refused(tmp_path: Path) -> None:
    rgba = np.dstack([noise(), np.full((20, 30), 200, np.uint8)])
    Image.fromarray(rgba).save(tmp_path / "alpha.png")
    Image.fromarray(np.full((4, 4), 1000, np.uint16)).save(tmp_path / "deep.png")
    for name, found in (("alpha.png", "transparent"), ("deep.png", "kind I")):
        with pytest.raises(FormatError, match=found):
            read_image(tmp_path / name)


def test_jpeg_is_read(tmp_path: Path) -> None:
    Image.fromarray(np.full((8, 9, 3), 100, np.uint8)).save(tmp_path / "x.jpg", quality=95)
    assert abs(read_image(tmp_path / "x.jpg").astype(int) - 100).max() <= 2
    data = (tmp_path / "x.jpg").read_bytes()
    (tmp_path / "x.jpg").write_bytes(data[: len(data) - 30])
    with pytest.raises(FormatError):
        read_image(tmp_path / "x.jpg")


@pytest.mark.parametrize(
    "pixels", [np.zeros((3, 3)), np.zeros((3, 3, 3)), np.zeros((3, 3, 4), np.uint8), np.zeros((0, 3, 3), np.uint8)]
)
def test_writer_refuses_other_arrays(tmp_path: Path, pixels: np.ndarray) -> None:
    with pytest.raises(ArgumentError):
        write_image(tmp_path / "x.png", pixels)


def test_writer_refuses_other_suffixes(tmp_path: Path) -> None:
    with pytest.raises(ArgumentError, match="PNG"):
        write_image(tmp_path / "x.jpg", noise())


def test_without_numba_pillow_decodes(tmp_path, monkeypatch):
    from multiface.capture import png

    pixels = np.random.default_rng(0).integers(0, 256, (9, 7, 3), np.uint8)
    write_image(tmp_path / "a.png", pixels)
    monkeypatch.setattr(png, "_kernels", lambda: None)
    np.testing.assert_array_equal(read_image(tmp_path / "a.png"), pixels)


@pytest.mark.parametrize("kind", range(5))
def test_every_filter_of_png_is_undone(tmp_path, kind):
    """Rows filtered by hand as the specification tells (section 9), read back by us and by Pillow."""
    pixels = np.random.default_rng(kind).integers(0, 256, (6, 5, 3), np.uint8)
    left = np.pad(pixels, ((0, 0), (1, 0), (0, 0)))[:, :-1].astype(int)
    up = np.pad(pixels, ((1, 0), (0, 0), (0, 0)))[:-1].astype(int)
    corner = np.pad(pixels, ((1, 0), (1, 0), (0, 0)))[:-1, :-1].astype(int)
    distance = np.abs(np.stack([up - corner, left - corner, left + up - 2 * corner]))
    paeth = np.choose(distance.argmin(0), [left, up, corner])
    predicted = [0, left, up, (left + up) // 2, paeth][kind]
    rows = ((pixels.astype(int) - predicted) % 256).astype(np.uint8).reshape(6, 15)
    body = np.concatenate([np.full((6, 1), kind, np.uint8), rows], 1).tobytes()

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = struct.pack(">IIBBBBB", 5, 6, 8, 2, 0, 0, 0)
    parts = [chunk(b"IHDR", header), chunk(b"IDAT", zlib.compress(body)), chunk(b"IEND", b"")]
    (tmp_path / "a.png").write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(parts))
    out = np.zeros((6, 5, 3), np.uint8)
    assert read_image(tmp_path / "a.png", out) is out
    np.testing.assert_array_equal(out, pixels)
    np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "a.png")), pixels)
