"""The row filters of PNG undone, compiled (Numba). Imported when the first PNG is decoded."""

from __future__ import annotations

import numba
import numpy as np

_U8 = numba.types.uint8
_SIGNATURE = numba.types.int64(numba.types.Array(_U8, 2, "C", readonly=True), numba.types.Array(_U8, 2, "C"))


def _compiled(function):
    try:
        return numba.njit(_SIGNATURE, nogil=True, cache=True)(function)
    except RuntimeError:  # there is no folder that compiled code could be kept in
        return numba.njit(_SIGNATURE, nogil=True)(function)


@numba.njit(inline="always")
def _paeth(left, up, corner):
    to_left, to_up, to_corner = abs(up - corner), abs(left - corner), abs(left + up - corner - corner)
    return left if (to_left <= to_up and to_left <= to_corner) else (up if to_up <= to_corner else corner)


@numba.njit(inline="always")
def _undo_paeth(source, above, target):
    zero = np.int32(0)
    a, b, c, corner_a, corner_b, corner_c = zero, zero, zero, zero, zero, zero
    for x in range(0, len(target), 3):
        up_a, up_b, up_c = np.int32(above[x]), np.int32(above[x + 1]), np.int32(above[x + 2])
        a = (np.int32(source[x]) + _paeth(a, up_a, corner_a)) & 255
        b = (np.int32(source[x + 1]) + _paeth(b, up_b, corner_b)) & 255
        c = (np.int32(source[x + 2]) + _paeth(c, up_c, corner_c)) & 255
        target[x], target[x + 1], target[x + 2] = np.uint8(a), np.uint8(b), np.uint8(c)
        corner_a, corner_b, corner_c = up_a, up_b, up_c


@_compiled
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
            target[:] = source
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
