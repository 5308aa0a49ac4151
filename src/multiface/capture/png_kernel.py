"""What decoding a PNG needs besides decompression, compiled (Numba). Imported when the first PNG is decoded."""

from __future__ import annotations

import numba
import numpy as np

CUT_SHORT = -1
TRANSPARENT = -2

_BYTES = numba.types.Array(numba.types.uint8, 1, "C")
_SEEN_BYTES = numba.types.Array(numba.types.uint8, 1, "C", readonly=True)
_ROWS = numba.types.Array(numba.types.uint8, 2, "C")
_SEEN_ROWS = numba.types.Array(numba.types.uint8, 2, "C", readonly=True)


def _compiled(*arguments):
    def compile_it(function):
        signature = numba.types.int64(*arguments)
        try:
            return numba.njit(signature, nogil=True, cache=True)(function)
        except RuntimeError:  # there is no folder that compiled code could be kept in
            return numba.njit(signature, nogil=True)(function)

    return compile_it


@numba.njit(inline="always")
def _number(data, at):
    number = np.int64(0)
    for i in range(4):
        number = number * 256 + data[at + i]
    return number


@numba.njit(inline="always")
def _is(data, at, a, b, c, d):
    return data[at] == a and data[at + 1] == b and data[at + 2] == c and data[at + 3] == d


@numba.njit(inline="always")
def _copy(source, target):
    """Four times as fast as assigning to a slice, which is not vectorised."""
    for i in range(len(target)):
        target[i] = source[i]


@_compiled(_SEEN_BYTES, _BYTES)
def join_compressed(data, out):
    """The contents of all chunks IDAT one after the other (PNG specification, section 10.1).

    Args:
        data: (N,) uint8, the file.
        out: (N,) uint8, written.

    Returns:
        Bytes written; ``CUT_SHORT`` when the file ends before its last chunk does; ``TRANSPARENT`` when it has tRNS.
    """
    position, filled, n = np.int64(8), np.int64(0), np.int64(len(data))
    while True:
        if position + 12 > n:
            return CUT_SHORT
        length, kind, start = _number(data, position), position + 4, position + 8
        if length > n - position - 12:
            return CUT_SHORT
        if _is(data, kind, 73, 68, 65, 84):  # IDAT
            _copy(data[start : start + length], out[filled : filled + length])
            filled += length
        elif _is(data, kind, 116, 82, 78, 83):  # tRNS
            return TRANSPARENT
        elif _is(data, kind, 73, 69, 78, 68):  # IEND
            return filled
        position = start + length + 4


@numba.njit(inline="always")
def _paeth(left, up, corner):
    """Without branches, which pictures would mispredict all the time: masks of all ones where a difference is negative.

    With ``t = 3 corner - left - up``, the predictor is the smaller of left and up where t is at least the larger of them,
    the larger where t is at most the smaller, and the corner between.
    """
    sign = np.int32(31)
    t = corner + corner + corner - left - up
    difference = left - up
    above_up = difference & (difference >> sign)
    smaller, larger = up + above_up, left - above_up
    below = smaller ^ ((smaller ^ corner) & ((t - larger) >> sign))
    return larger ^ ((larger ^ below) & ((smaller - t) >> sign))


@numba.njit(inline="always")
def _undo_paeth(source, above, target):
    zero = np.int32(0)
    a, b, c, corner_a, corner_b, corner_c = zero, zero, zero, zero, zero, zero
    for x in range(0, len(target), 3):
        up_a, up_b, up_c = np.int32(above[x]), np.int32(above[x + 1]), np.int32(above[x + 2])
        a = (np.int32(source[x]) + _paeth(a, up_a, corner_a)) & np.int32(255)
        b = (np.int32(source[x + 1]) + _paeth(b, up_b, corner_b)) & np.int32(255)
        c = (np.int32(source[x + 2]) + _paeth(c, up_c, corner_c)) & np.int32(255)
        target[x], target[x + 1], target[x + 2] = np.uint8(a), np.uint8(b), np.uint8(c)
        corner_a, corner_b, corner_c = up_a, up_b, up_c


@_compiled(_SEEN_ROWS, _ROWS)
def undo_filters(rows, out):
    """Pixels from filtered rows of three bytes per pixel (PNG specification, section 9.2).

    Args:
        rows: (H, 1 + 3 W) uint8, each beginning with the number of its filter.
        out: (H, 3 W) uint8, written.

    Returns:
        -1, or the first row whose filter does not exist; rows before it are done.
    """
    height, length = out.shape
    above = np.zeros(length, np.uint8)
    for y in range(height):
        kind, source, target = rows[y, 0], rows[y, 1:], out[y]
        if kind == 0:
            _copy(source, target)
        elif kind == 1:
            a, b, c = np.uint8(0), np.uint8(0), np.uint8(0)
            for x in range(0, length, 3):
                a, b, c = np.uint8(a + source[x]), np.uint8(b + source[x + 1]), np.uint8(c + source[x + 2])
                target[x], target[x + 1], target[x + 2] = a, b, c
        elif kind == 2:
            for x in range(length):
                target[x] = np.uint8(source[x] + above[x])
        elif kind == 3:
            for x in range(length):
                left = np.int32(target[x - 3]) if x >= 3 else np.int32(0)
                target[x] = np.uint8(np.int32(source[x]) + ((left + np.int32(above[x])) >> 1))
        elif kind == 4:
            _undo_paeth(source, above, target)
        else:
            return y
        above = target
    return -1
