"""Checksums and zlib streams with the fastest library that is there."""

from __future__ import annotations

import functools
import zlib
from types import ModuleType

import numpy as np


@functools.cache
def imagecodecs() -> ModuleType | None:
    """The optional package ``imagecodecs`` (``pip install 'multiface[fast]'``), or None."""
    try:
        import imagecodecs as module
    except ImportError:
        return None
    return module


def crc32(data: bytes | bytearray | memoryview, start: int = 0) -> int:
    """CRC-32 (that of zlib and PNG), continuing from ``start``."""
    fast = imagecodecs()
    if fast is None or len(data) == 0:
        return zlib.crc32(data, start)
    return int(fast.deflate_crc32(data, start))


def inflate(data: bytes | bytearray | memoryview, out: np.ndarray) -> None:
    """Decompress a zlib stream into ``out`` (N,) uint8, which it has to fill exactly; no more than N bytes are ever made.

    Raises:
        ValueError: it is damaged, ends early, or holds more or less.
    """
    fast = imagecodecs()
    if fast is not None:
        try:
            n = len(fast.deflate_decode(data, out=out))
        except fast.DeflateError as error:
            raise ValueError(f"its compressed data is damaged ({error})") from error
    else:
        stream = zlib.decompressobj()
        try:
            made = stream.decompress(data, out.size + 1)
        except zlib.error as error:
            raise ValueError(f"its compressed data is damaged ({error})") from error
        n = len(made)
        if n == out.size and stream.eof:
            out[:] = np.frombuffer(made, np.uint8)
        else:
            n = n if n != out.size else -1
    if n != out.size:
        raise ValueError("its compressed data has the wrong length")
