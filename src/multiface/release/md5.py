"""MD5 whose state can be written down, so that a stream can be checked across the end of a process.

``hashlib`` cannot do that: its state lives in the C library and dies with the process. This one is nine tenths as fast, and
runs without the interpreter lock.
"""

from __future__ import annotations

import struct

import numpy as np

from multiface.core.errors import ArgumentError

_START = (0x67452301, 0xEFCDAB89, 0x98BADCFE, 0x10325476)
_BLOCK = 64


class Md5:
    """MD5 of a stream of bytes (RFC 1321)."""

    def __init__(self) -> None:
        from multiface.release.md5_kernel import compress  # compiles: one or two seconds, once for each installation

        self._compress = compress
        self._state = np.array(_START, np.uint32)
        self._rest = b""
        self.length = 0

    def update(self, data: bytes | memoryview) -> None:
        """Add ``data``."""
        self.length += len(data)
        if self._rest:
            missing = _BLOCK - len(self._rest)
            head, data = bytes(data[:missing]), data[missing:]
            self._rest += head
            if len(self._rest) < _BLOCK:
                return
            self._compress(self._state, np.frombuffer(self._rest, "<u4"))
            self._rest = b""
        whole = len(data) // _BLOCK * _BLOCK
        if whole:
            self._compress(self._state, _words(data, whole // 4))
        if whole < len(data):
            self._rest = bytes(data[whole:])

    def hexdigest(self) -> str:
        """The digest of what has been added; more may be added after."""
        padding = b"\x80" + b"\0" * (-(self.length + 9) % _BLOCK) + struct.pack("<Q", self.length * 8 % 2**64)
        state = self._state.copy()
        self._compress(state, np.frombuffer(self._rest + padding, "<u4"))
        return state.astype("<u4").tobytes().hex()

    def state(self) -> str:
        """Everything that is needed to go on, as text; between whole blocks of 64 bytes it is 32 hexadecimal digits."""
        return self._state.astype("<u4").tobytes().hex() + self._rest.hex()

    @classmethod
    def resumed(cls, state: str, length: int) -> Md5:
        """Go on from :meth:`state` after ``length`` bytes.

        Raises:
            ArgumentError: this is no state after so many bytes.
        """
        digest = cls()
        try:
            data = bytes.fromhex(state)
        except ValueError:
            data = b""
        if len(data) != 16 + length % _BLOCK:
            raise ArgumentError("not the state of an MD5", expected=f"{2 * (16 + length % _BLOCK)} digits", found=state[:40])
        digest._state = np.frombuffer(data[:16], "<u4").astype(np.uint32)
        digest._rest, digest.length = data[16:], length
        return digest


def _words(data: bytes | memoryview, count: int) -> np.ndarray:
    """The first ``count`` words of ``data``; copied only when they do not begin where words in memory do."""
    words = np.frombuffer(data, "<u4", count)
    return words if words.flags.aligned else np.frombuffer(bytes(data[: 4 * count]), "<u4")
