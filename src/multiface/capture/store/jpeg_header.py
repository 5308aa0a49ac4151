"""Size of a JPEG, for those of the plainest kind only, which all decoders turn into the same pixels."""

from __future__ import annotations

_START, _SCAN, _BASELINE, _ADOBE = 0xD8, 0xDA, 0xC0, 0xEE
_OTHER_FRAMES = frozenset(range(0xC1, 0xD0)) - {0xC4, 0xC8, 0xCC}
_YCBCR = (1, 2, 3)
_MOST_SEGMENTS = 64


def plain_jpeg_size(data: bytes | bytearray | memoryview) -> tuple[int, int] | None:
    """(height, width) of a baseline JPEG of 8-bit Y, Cb and Cr, all at full resolution; None for any other file.

    Nothing is decoded (ITU-T T.81, annex B). With chroma at half resolution, decoders differ in how they enlarge it.
    """
    if bytes(data[:2]) != bytes((0xFF, _START)):
        return None
    at = 2
    for _ in range(_MOST_SEGMENTS):
        head = bytes(data[at : at + 4])
        if len(head) < 4 or head[0] != 0xFF:
            return None
        marker, length = head[1], int.from_bytes(head[2:], "big")
        segment = bytes(data[at + 4 : at + 2 + length]) if length < 1 << 10 else b""
        if marker == _BASELINE:
            return _size(segment)
        if marker == _SCAN or marker in _OTHER_FRAMES or length < 2 or _is_not_ycbcr(marker, segment):
            return None
        at += 2 + length
    return None


def _size(segment: bytes) -> tuple[int, int] | None:
    if len(segment) != 15 or segment[0] != 8 or segment[5] != 3:
        return None
    components = [segment[6 + 3 * k : 9 + 3 * k] for k in range(3)]
    if tuple(c[0] for c in components) != _YCBCR or any(c[1] != 0x11 for c in components):
        return None
    return int.from_bytes(segment[1:3], "big"), int.from_bytes(segment[3:5], "big")


def _is_not_ycbcr(marker: int, segment: bytes) -> bool:
    return marker == _ADOBE and segment[:5] == b"Adobe" and segment[11:12] != b"\x01"
