"""How entries of a store are packed: codecs by name, decoded straight into arrays.

``imagecodecs`` (``pip install 'multiface[fast]'``) is used where it is there; everything but ``zstd`` also works without.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from types import ModuleType

import numpy as np

from multiface.capture.inflate import imagecodecs
from multiface.capture.png import decode_plain_png, parse_plain_png
from multiface.core.errors import ArgumentError, DependencyError
from multiface.core.lazy import optional_import

CODECS = ("raw", "lz4", "zstd", "png", "jpeg", "avif")
"""Names, in the order of the numbers that stand for them in an index."""
LOSSY = ("jpeg", "avif")
"""Codecs that change pixels. What was exactly zero (not seen) is kept beside them, and stays exactly zero."""
QUALITY = {"jpeg": 95, "avif": 80}
"""Usual quality of each lossy codec, 1 to 100."""

Payload = bytes | bytearray | memoryview


def check_codec(codec: str) -> None:
    """Refuse a codec that is unknown, or that this installation cannot write.

    Raises:
        ArgumentError: unknown.
        DependencyError: a package is missing.
    """
    if codec not in CODECS:
        raise ArgumentError("there is no such codec", expected=", ".join(CODECS), found=codec)
    if codec == "zstd":
        _zstd()
    if codec == "avif" and imagecodecs() is None and not _pillow_has_avif():
        raise DependencyError("AVIF needs a newer Pillow, or imagecodecs", remedy="pip install 'multiface[fast]'")


def encode(array: np.ndarray, codec: str, quality: int | None = None) -> bytes:
    """Pack an array; ``png``, ``jpeg`` and ``avif`` take (H, W, 3) uint8 only."""
    return _ENCODERS[codec](np.ascontiguousarray(array), QUALITY.get(codec, 0) if quality is None else quality)


def decode(payload: Payload, codec: str, out: np.ndarray) -> None:
    """Unpack into ``out``, C-contiguous, whose shape and type are those of what was packed.

    Raises:
        ValueError: the payload is damaged, or is that of another shape; ``out`` may then hold anything.
    """
    _DECODERS[codec](payload, out)


def pack_zeros(pixels: np.ndarray) -> bytes:
    """Which bytes of a picture are exactly zero, one bit each, packed."""
    return _lz4_encode(np.packbits(pixels.reshape(-1) != 0), 0)


def restore_zeros(packed: Payload, pixels: np.ndarray) -> None:
    """Make zero what :func:`pack_zeros` saw as zero, and nothing else.

    Raises:
        ValueError: the packed bits are damaged.
    """
    flat = pixels.reshape(-1)
    bits = np.empty((flat.size + 7) // 8, np.uint8)
    _lz4_decode(packed, bits)
    np.maximum(flat, 1, out=flat)
    np.multiply(flat, np.unpackbits(bits, count=flat.size), out=flat)


def _raw_encode(array: np.ndarray, quality: int) -> bytes:
    return array.tobytes()


def _raw_decode(payload: Payload, out: np.ndarray) -> None:
    if len(payload) != out.nbytes:
        raise ValueError(f"{len(payload):,} bytes instead of {out.nbytes:,}")
    _bytes_of(out)[:] = np.frombuffer(payload, np.uint8)


def _lz4_encode(array: np.ndarray, quality: int) -> bytes:
    import lz4.block

    return lz4.block.compress(_bytes_of(array), store_size=False)


def _lz4_decode(payload: Payload, out: np.ndarray) -> None:
    fast = imagecodecs()
    if fast is not None:
        try:
            size = len(fast.lz4_decode(payload, out=_bytes_of(out)))
        except fast.Lz4Error as error:
            raise ValueError(str(error)) from error
        if size != out.nbytes:
            raise ValueError(f"{size:,} bytes instead of {out.nbytes:,}")
        return
    import lz4.block

    try:
        data = lz4.block.decompress(payload, uncompressed_size=out.nbytes)
    except lz4.block.LZ4BlockError as error:
        raise ValueError(str(error)) from error
    _raw_decode(data, out)


def _zstd() -> ModuleType:
    return optional_import("imagecodecs", purpose="The codec zstd", install="multiface[fast]")


def _zstd_encode(array: np.ndarray, quality: int) -> bytes:
    return _zstd().zstd_encode(_bytes_of(array), level=3)


def _zstd_decode(payload: Payload, out: np.ndarray) -> None:
    codecs = _zstd()
    try:
        size = len(codecs.zstd_decode(payload, out=_bytes_of(out)))
    except codecs.ZstdError as error:
        raise ValueError(str(error)) from error
    if size != out.nbytes:
        raise ValueError(f"{size:,} bytes instead of {out.nbytes:,}")


def _png_encode(array: np.ndarray, quality: int) -> bytes:
    from PIL import Image

    file = io.BytesIO()
    Image.fromarray(array).save(file, format="PNG", compress_level=3)
    return file.getvalue()


def _png_decode(payload: Payload, out: np.ndarray) -> None:
    try:
        png = parse_plain_png(payload)
        if png is None:
            _pillow_decode(payload, out, "PNG")
            return
        if (png.height, png.width, 3) != out.shape:
            raise ValueError("not a PNG of this size")
        decode_plain_png(png, out)
    except OSError as error:
        raise ValueError(str(error)) from error


def _jpeg_encode(array: np.ndarray, quality: int) -> bytes:
    from PIL import Image

    file = io.BytesIO()
    Image.fromarray(array).save(file, format="JPEG", quality=quality, subsampling="4:4:4")
    return file.getvalue()


def _jpeg_decode(payload: Payload, out: np.ndarray) -> None:
    fast = imagecodecs()
    if fast is None:
        _pillow_decode(payload, out, "JPEG")
        return
    try:
        made = fast.jpeg8_decode(payload, out=out)
    except (fast.Jpeg8Error, TypeError, ValueError) as error:
        raise ValueError(str(error)) from error
    if made.shape != out.shape:
        raise ValueError("a JPEG of another size")


def _avif_encode(array: np.ndarray, quality: int) -> bytes:
    fast = imagecodecs()
    if fast is not None:
        return fast.avif_encode(array, level=quality, speed=8, numthreads=1)
    from PIL import Image

    file = io.BytesIO()
    Image.fromarray(array).save(file, format="AVIF", quality=quality, speed=8, max_threads=1)
    return file.getvalue()


def _avif_decode(payload: Payload, out: np.ndarray) -> None:
    fast = imagecodecs()
    if fast is None:
        _pillow_decode(payload, out, "AVIF")
        return
    try:
        made = fast.avif_decode(payload, out=out, numthreads=1)
    except (fast.AvifError, TypeError, ValueError) as error:
        raise ValueError(str(error)) from error
    if made.shape != out.shape:
        raise ValueError("an AVIF of another size")


def _pillow_decode(payload: Payload, out: np.ndarray, kind: str) -> None:
    from PIL import Image

    try:
        with Image.open(io.BytesIO(payload), formats=[kind]) as image:
            if (image.height, image.width, 3) != out.shape:
                raise ValueError(f"a {kind} of another size")
            out[:] = np.asarray(image.convert("RGB"))
    except (OSError, SyntaxError, KeyError, IndexError, TypeError) as error:
        raise ValueError(str(error)) from error


def _pillow_has_avif() -> bool:
    from PIL import Image

    Image.init()
    return "AVIF" in Image.SAVE


def _bytes_of(array: np.ndarray) -> np.ndarray:
    return array.reshape(-1).view(np.uint8)


_ENCODERS: dict[str, Callable[[np.ndarray, int], bytes]] = {
    "raw": _raw_encode,
    "lz4": _lz4_encode,
    "zstd": _zstd_encode,
    "png": _png_encode,
    "jpeg": _jpeg_encode,
    "avif": _avif_encode,
}
_DECODERS: dict[str, Callable[[Payload, np.ndarray], None]] = {
    "raw": _raw_decode,
    "lz4": _lz4_decode,
    "zstd": _zstd_decode,
    "png": _png_decode,
    "jpeg": _jpeg_decode,
    "avif": _avif_decode,
}
