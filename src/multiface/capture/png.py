"""PNG files of 8-bit RGB, the kind captures are made of, decoded straight into an array.

Two to three times as fast as the libraries measured in docs/benchmarks.md: the decompressor is theirs, the filters are
undone by compiled code. PNG of any other kind is left to Pillow.
"""

from __future__ import annotations

import functools
from types import ModuleType
from typing import NamedTuple

import numpy as np

from multiface.capture.inflate import crc32, inflate
from multiface.capture.scratch import scratch

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_LAST_FILTER = 4
_RGB8 = bytes([8, 2, 0, 0, 0])  # bits, colour type, compression, filter method, no interlacing


class PlainPng(NamedTuple):
    """The parts of a PNG that decoding needs.

    ``compressed`` is memory of this thread, valid until the thread parses another one.
    """

    height: int
    width: int
    compressed: memoryview


def parse_plain_png(data: bytes | bytearray | memoryview) -> PlainPng | None:
    """Chunks of a PNG of 8-bit RGB without transparency; None for any other file, and where Numba cannot be used.

    The checksum of the header is verified here. Those of compressed chunks are not: what they hold has a checksum of its
    own (Adler-32 of all that is decompressed, RFC 1950), which :func:`decode_plain_png` verifies.

    Raises:
        OSError: a chunk is missing or cut short, or the header has a wrong checksum.
    """
    if data[:8] != _SIGNATURE or data[12:16] != b"IHDR" or data[24:29] != _RGB8 or (kernels := _kernels()) is None:
        return None
    if crc32(data[12:29]) != int.from_bytes(data[29:33], "big"):
        raise OSError("wrong checksum in the header")
    compressed = scratch("compressed", len(data))
    n = kernels.join_compressed(np.frombuffer(data, np.uint8), compressed)
    if n == kernels.CUT_SHORT:
        raise _cut_short(len(data))
    if n == kernels.TRANSPARENT:
        return None
    width, height = (int.from_bytes(data[at : at + 4], "big") for at in (16, 20))
    return PlainPng(height, width, compressed[:n].data)


def check_chunks(data: bytes) -> None:
    """Verify the checksum of every chunk to the last one.

    Raises:
        OSError: the file ends before its last chunk does, or a checksum is wrong.
    """
    view = memoryview(data)
    position, kind = 8, b""
    while kind != b"IEND":
        kind = data[position + 4 : position + 8]
        end = position + 12 + int.from_bytes(data[position : position + 4], "big")
        if len(kind) < 4 or end > len(data):
            raise _cut_short(len(data))
        if crc32(view[position + 4 : end - 4]) != int.from_bytes(data[end - 4 : end], "big"):
            raise OSError(f"wrong checksum in the part from byte {position:,} to {end:,}")
        position = end


def decode_plain_png(png: PlainPng, out: np.ndarray | None = None, filters: np.ndarray | None = None) -> np.ndarray:
    """Pixels (H, W, 3) uint8, in ``out`` when given (C-contiguous, of that shape).

    Args:
        png: What :func:`parse_plain_png` found.
        out: Where to.
        filters: (H,) uint8: rows are only decompressed, and each row's filter (PNG specification, section 9) is written
            here for whoever undoes it; half of the work is left to them.

    Raises:
        OSError: the compressed data is damaged.
    """
    if out is None:
        out = np.empty((png.height, png.width, 3), np.uint8)
    rows = scratch("rows", png.height * (3 * png.width + 1)).reshape(png.height, -1)
    try:
        inflate(png.compressed, rows.reshape(-1))
    except ValueError as error:
        raise OSError(str(error)) from error
    kernels = _kernels()
    if filters is not None:
        filters[:] = rows[:, 0]
        out.reshape(png.height, -1)[:] = rows[:, 1:]
        wrong = int(np.argmax(filters > _LAST_FILTER)) if filters.max() > _LAST_FILTER else -1
    else:
        wrong = 0 if kernels is None else kernels.undo_filters(rows, out.reshape(png.height, -1))
    if wrong >= 0:
        raise OSError(f"row {wrong} has a filter that does not exist")
    return out


def _cut_short(size: int) -> OSError:
    return OSError(f"the file ends after {size:,} bytes, before the picture does")


@functools.cache
def _kernels() -> ModuleType | None:
    try:
        from multiface.capture import png_kernel
    except ImportError:  # a NumPy that is newer than Numba knows
        return None
    return png_kernel
