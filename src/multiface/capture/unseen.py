"""Which texels of a texture were not seen, carried along in lossy formats.

In textures an exact 0 in a channel means *not seen* (docs/conventions.md), and no lossy format keeps exact values. A
texture in such a format therefore has the set of these texels in its EXIF data, losslessly, and reading it puts the zeros
back and leaves no other value at 0.
"""

from __future__ import annotations

import io
import zlib

import numpy as np
from PIL import Image

TAG = 65000
"""EXIF tag; numbers from 65000 are free for private use (TIFF 6.0, section 2)."""
_SIGNATURE = b"multiface unseen 1\0"


def unseen_to_exif(pixels: np.ndarray) -> bytes:
    """EXIF data that tells where ``pixels`` (H, W, 3) uint8 are exactly 0, channel by channel."""
    planes = (pixels == 0).transpose(2, 0, 1)
    planes = np.stack([planes[0], planes[1] ^ planes[0], planes[2] ^ planes[0]])  # mostly the same: the rest is nearly empty
    exif = Image.Exif()
    exif[TAG] = _SIGNATURE + zlib.compress(np.packbits(planes).tobytes(), 9)
    return exif.tobytes()


def restore_unseen(pixels: np.ndarray, exif: bytes | None) -> np.ndarray:
    """``pixels`` (H, W, 3) uint8 as decoded, with the zeros put back that the file's EXIF data tells of, if it does.

    Raises:
        ValueError: the data is damaged.
    """
    if not exif or _SIGNATURE not in exif:
        return pixels
    content = Image.Exif()
    content.load(exif)
    packed = content.get(TAG)
    if not isinstance(packed, bytes) or not packed.startswith(_SIGNATURE):
        raise ValueError("the texels that were not seen cannot be told")
    height, width = pixels.shape[:2]
    size = (3 * height * width + 7) // 8
    decompressor = zlib.decompressobj()
    bits = decompressor.decompress(packed[len(_SIGNATURE) :], size)
    if len(bits) != size:
        raise ValueError("the texels that were not seen cannot be told")
    planes = np.unpackbits(np.frombuffer(bits, np.uint8), count=3 * height * width).reshape(3, height, width).astype(bool)
    planes[1:] ^= planes[0]
    restored = np.maximum(pixels, 1)
    restored[planes.transpose(1, 2, 0)] = 0
    return restored


def encode_image(pixels: np.ndarray, format: str, quality: int, *, exif: bytes = b"") -> bytes:
    """``pixels`` (H, W, 3) uint8 RGB as JPEG or AVIF, colours at full resolution.

    Raises:
        ValueError, OSError: the format is not known here, or cannot hold ``exif``.
    """
    buffer = io.BytesIO()
    image = Image.fromarray(np.ascontiguousarray(pixels))
    more = {"exif": exif} if exif else {}
    if format == "jpeg":
        image.save(buffer, "JPEG", quality=quality, subsampling=0, optimize=True, **more)
    else:
        image.save(buffer, "AVIF", quality=quality, subsampling="4:4:4", speed=8, max_threads=1, **more)
    return buffer.getvalue()
