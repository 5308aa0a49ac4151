"""PNG files of 8-bit RGB, the kind captures are made of, decoded straight into an array.

Two to three times as fast as the libraries measured in docs/benchmarks.md: the decompressor is theirs, the filters are
undone by compiled code. PNG of any other kind is left to Pillow.
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from multiface.capture.inflate import crc32, inflate

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_RGB8 = bytes([8, 2, 0, 0, 0])  # bits, colour type, compression, filter method, no interlacing
_local = threading.local()


class PlainPng(NamedTuple):
    """The parts of a PNG that decoding needs."""

    height: int
    width: int
    compressed: bytes


def parse_plain_png(data: bytes) -> PlainPng | None:
    """Chunks of a PNG of 8-bit RGB without transparency; None for any other file, and where Numba cannot be used.

    Raises:
        OSError: a chunk is missing or has a wrong checksum.
    """
    if data[:8] != _SIGNATURE or data[12:16] != b"IHDR" or data[24:29] != _RGB8 or _kernel() is None:
        return None
    parts = []
    for kind, body in chunks(data):
        if kind == b"IDAT":
            parts.append(body)
        elif kind == b"tRNS":
            return None
    width, height = (int.from_bytes(data[at : at + 4], "big") for at in (16, 20))
    return PlainPng(height, width, b"".join(parts))


def chunks(data: bytes) -> list[tuple[bytes, memoryview]]:
    """Kind and content of every chunk to the last one.

    Raises:
        OSError: the file ends before its last chunk does, or a checksum is wrong.
    """
    view = memoryview(data)
    found, position, kind = [], 8, b""
    while kind != b"IEND":
        kind = data[position + 4 : position + 8]
        end = position + 12 + int.from_bytes(data[position : position + 4], "big")
        if len(kind) < 4 or end > len(data):
            raise OSError(f"the file ends after {len(data):,} bytes, before the picture does")
        if crc32(view[position + 4 : end - 4]) != int.from_bytes(data[end - 4 : end], "big"):
            raise OSError(f"wrong checksum in the part from byte {position:,} to {end:,}")
        found.append((kind, view[position + 8 : end - 4]))
        position = end
    return found


def decode_plain_png(png: PlainPng, out: np.ndarray | None = None) -> np.ndarray:
    """Pixels (H, W, 3) uint8, in ``out`` when given (C-contiguous, of that shape).

    Raises:
        OSError: the compressed data is damaged.
    """
    if out is None:
        out = np.empty((png.height, png.width, 3), np.uint8)
    rows = _scratch(png.height * (3 * png.width + 1))
    try:
        inflate(png.compressed, rows)
    except ValueError as error:
        raise OSError(str(error)) from error
    kernel = _kernel()
    wrong = 0 if kernel is None else kernel(rows.reshape(png.height, -1), out.reshape(png.height, -1))
    if wrong >= 0:
        raise OSError(f"row {wrong} has a filter that does not exist")
    return out


def _scratch(size: int) -> np.ndarray:
    """Memory of this thread, used again: fresh memory costs as much as a third of the decompression."""
    have: np.ndarray | None = getattr(_local, "rows", None)
    if have is None or len(have) < size:
        have = _local.rows = np.empty(size, np.uint8)
    return have[:size]


@functools.cache
def _kernel() -> Callable[[np.ndarray, np.ndarray], int] | None:
    try:
        from multiface.capture.png_kernel import undo_filters
    except ImportError:  # a NumPy that is newer than Numba knows
        return None
    return undo_filters
