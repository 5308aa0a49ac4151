"""The compression function of MD5 (RFC 1321, section 3.4), compiled."""

from __future__ import annotations

import numba
import numpy as np

_u32 = np.uint32


@numba.njit(nogil=True)
def _turn(value, bits):
    return _u32(_u32(value << _u32(bits)) | _u32(value >> _u32(32 - bits)))


@numba.njit(nogil=True)
def _f(a, b, c, d, word, bits, constant):
    return _u32(b + _turn(_u32(a + (d ^ (b & (c ^ d))) + word + _u32(constant)), bits))


@numba.njit(nogil=True)
def _g(a, b, c, d, word, bits, constant):
    return _u32(b + _turn(_u32(a + (c ^ (d & (b ^ c))) + word + _u32(constant)), bits))


@numba.njit(nogil=True)
def _h(a, b, c, d, word, bits, constant):
    return _u32(b + _turn(_u32(a + (b ^ c ^ d) + word + _u32(constant)), bits))


@numba.njit(nogil=True)
def _i(a, b, c, d, word, bits, constant):
    return _u32(b + _turn(_u32(a + (c ^ (b | ~d)) + word + _u32(constant)), bits))


def _compress(state, words):
    """Update ``state`` (4,) uint32 with ``words`` (16 n,) uint32."""
    first, second, third, fourth = state[0], state[1], state[2], state[3]
    for n in range(0, words.shape[0] - 15, 16):
        a, b, c, d = first, second, third, fourth
        a = _f(a, b, c, d, words[n], 7, 0xD76AA478)
        d = _f(d, a, b, c, words[n + 1], 12, 0xE8C7B756)
        c = _f(c, d, a, b, words[n + 2], 17, 0x242070DB)
        b = _f(b, c, d, a, words[n + 3], 22, 0xC1BDCEEE)
        a = _f(a, b, c, d, words[n + 4], 7, 0xF57C0FAF)
        d = _f(d, a, b, c, words[n + 5], 12, 0x4787C62A)
        c = _f(c, d, a, b, words[n + 6], 17, 0xA8304613)
        b = _f(b, c, d, a, words[n + 7], 22, 0xFD469501)
        a = _f(a, b, c, d, words[n + 8], 7, 0x698098D8)
        d = _f(d, a, b, c, words[n + 9], 12, 0x8B44F7AF)
        c = _f(c, d, a, b, words[n + 10], 17, 0xFFFF5BB1)
        b = _f(b, c, d, a, words[n + 11], 22, 0x895CD7BE)
        a = _f(a, b, c, d, words[n + 12], 7, 0x6B901122)
        d = _f(d, a, b, c, words[n + 13], 12, 0xFD987193)
        c = _f(c, d, a, b, words[n + 14], 17, 0xA679438E)
        b = _f(b, c, d, a, words[n + 15], 22, 0x49B40821)
        a = _g(a, b, c, d, words[n + 1], 5, 0xF61E2562)
        d = _g(d, a, b, c, words[n + 6], 9, 0xC040B340)
        c = _g(c, d, a, b, words[n + 11], 14, 0x265E5A51)
        b = _g(b, c, d, a, words[n], 20, 0xE9B6C7AA)
        a = _g(a, b, c, d, words[n + 5], 5, 0xD62F105D)
        d = _g(d, a, b, c, words[n + 10], 9, 0x02441453)
        c = _g(c, d, a, b, words[n + 15], 14, 0xD8A1E681)
        b = _g(b, c, d, a, words[n + 4], 20, 0xE7D3FBC8)
        a = _g(a, b, c, d, words[n + 9], 5, 0x21E1CDE6)
        d = _g(d, a, b, c, words[n + 14], 9, 0xC33707D6)
        c = _g(c, d, a, b, words[n + 3], 14, 0xF4D50D87)
        b = _g(b, c, d, a, words[n + 8], 20, 0x455A14ED)
        a = _g(a, b, c, d, words[n + 13], 5, 0xA9E3E905)
        d = _g(d, a, b, c, words[n + 2], 9, 0xFCEFA3F8)
        c = _g(c, d, a, b, words[n + 7], 14, 0x676F02D9)
        b = _g(b, c, d, a, words[n + 12], 20, 0x8D2A4C8A)
        a = _h(a, b, c, d, words[n + 5], 4, 0xFFFA3942)
        d = _h(d, a, b, c, words[n + 8], 11, 0x8771F681)
        c = _h(c, d, a, b, words[n + 11], 16, 0x6D9D6122)
        b = _h(b, c, d, a, words[n + 14], 23, 0xFDE5380C)
        a = _h(a, b, c, d, words[n + 1], 4, 0xA4BEEA44)
        d = _h(d, a, b, c, words[n + 4], 11, 0x4BDECFA9)
        c = _h(c, d, a, b, words[n + 7], 16, 0xF6BB4B60)
        b = _h(b, c, d, a, words[n + 10], 23, 0xBEBFBC70)
        a = _h(a, b, c, d, words[n + 13], 4, 0x289B7EC6)
        d = _h(d, a, b, c, words[n], 11, 0xEAA127FA)
        c = _h(c, d, a, b, words[n + 3], 16, 0xD4EF3085)
        b = _h(b, c, d, a, words[n + 6], 23, 0x04881D05)
        a = _h(a, b, c, d, words[n + 9], 4, 0xD9D4D039)
        d = _h(d, a, b, c, words[n + 12], 11, 0xE6DB99E5)
        c = _h(c, d, a, b, words[n + 15], 16, 0x1FA27CF8)
        b = _h(b, c, d, a, words[n + 2], 23, 0xC4AC5665)
        a = _i(a, b, c, d, words[n], 6, 0xF4292244)
        d = _i(d, a, b, c, words[n + 7], 10, 0x432AFF97)
        c = _i(c, d, a, b, words[n + 14], 15, 0xAB9423A7)
        b = _i(b, c, d, a, words[n + 5], 21, 0xFC93A039)
        a = _i(a, b, c, d, words[n + 12], 6, 0x655B59C3)
        d = _i(d, a, b, c, words[n + 3], 10, 0x8F0CCC92)
        c = _i(c, d, a, b, words[n + 10], 15, 0xFFEFF47D)
        b = _i(b, c, d, a, words[n + 1], 21, 0x85845DD1)
        a = _i(a, b, c, d, words[n + 8], 6, 0x6FA87E4F)
        d = _i(d, a, b, c, words[n + 15], 10, 0xFE2CE6E0)
        c = _i(c, d, a, b, words[n + 6], 15, 0xA3014314)
        b = _i(b, c, d, a, words[n + 13], 21, 0x4E0811A1)
        a = _i(a, b, c, d, words[n + 4], 6, 0xF7537E82)
        d = _i(d, a, b, c, words[n + 11], 10, 0xBD3AF235)
        c = _i(c, d, a, b, words[n + 2], 15, 0x2AD7D2BB)
        b = _i(b, c, d, a, words[n + 9], 21, 0xEB86D391)
        first, second, third, fourth = _u32(first + a), _u32(second + b), _u32(third + c), _u32(fourth + d)
    state[0], state[1], state[2], state[3] = first, second, third, fourth


def _compiled():
    # Compiled when this module is imported, for exactly these types: threads that meet it later find it ready.
    signature = "void(uint32[::1], Array(uint32, 1, 'C', readonly=True))"
    try:
        return numba.njit(signature, nogil=True, cache=True)(_compress)
    except RuntimeError:  # there is no folder to keep it in
        return numba.njit(signature, nogil=True)(_compress)


compress = _compiled()
