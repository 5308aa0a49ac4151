"""Photos and textures: 8-bit RGB pictures, decoded strictly."""

from __future__ import annotations

import functools
import io
import struct
import zlib
from pathlib import Path

import numpy as np
from PIL import Image

from multiface.capture.png import check_chunks, decode_plain_png, parse_plain_png
from multiface.capture.text import file_size, read_scratch
from multiface.capture.unseen import restore_unseen
from multiface.core.errors import ArgumentError, FormatError
from multiface.core.files import atomic_path

IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".avif")
"""File names a picture may end in, best first; the published ones are PNG, others come from transcoding."""

MAX_PIXELS = 89_000_000
"""Largest picture that is decoded; just under the number at which Pillow itself suspects a decompression bomb."""

_FORMATS = ("PNG", "JPEG", "WEBP", "AVIF")
_LIMIT = 512 << 20
_PILLOW_ERRORS = (
    OSError,
    SyntaxError,
    ValueError,
    TypeError,
    KeyError,
    IndexError,
    OverflowError,
    EOFError,
    MemoryError,
    struct.error,
    zlib.error,
    Image.DecompressionBombError,
)


def read_image(path: str | Path, out: np.ndarray | None = None, filters: np.ndarray | None = None) -> np.ndarray:
    """Pixels (H, W, 3) uint8, RGB, rows as in the file.

    Grey and palette pictures become RGB, a fully opaque alpha channel is dropped, colour of 16 bits is cut to its upper 8.

    Args:
        path: The file.
        out: (H, W, 3) uint8 C-contiguous array to decode into, which is then what is returned. When the picture turns out
            to have another size, it is left alone and a new array is returned.
        filters: (H,) uint8, only together with ``out`` of H rows: how far the picture has been decoded. Row y of what is
            returned is pixels where ``filters[y]`` is 0; else it is a row of PNG under that filter (PNG specification,
            section 9), to be undone by :func:`multiface.data.png_rows.undo_filters`.

    Raises:
        CaptureError: there is no such file.
        FormatError: it is truncated or damaged (checksums are verified), of another kind, transparent, or too large.
    """
    if filters is not None:
        filters[:] = 0
    data = read_scratch(path, limit=_LIMIT, kind="image")
    try:
        png = parse_plain_png(data)
        if png is not None and 0 < png.height * png.width <= MAX_PIXELS:
            fits = out is not None and out.shape == (png.height, png.width, 3)
            return decode_plain_png(png, out if fits else None, filters if fits else None)
        with _open(io.BytesIO(data), path) as image:
            if image.format == "PNG":  # decoding stops at the last row and never looks at checksums
                check_chunks(bytes(data))
            image.load()
            pixels = np.array(_as_rgb(image, path), np.uint8)
            if image.format != "PNG":
                pixels = restore_unseen(pixels, image.info.get("exif"))
    except _PILLOW_ERRORS as error:
        raise _broken(path, len(data), error) from error
    if out is None or out.shape != pixels.shape:
        return pixels
    out[:] = pixels
    return out


def image_size(path: str | Path) -> tuple[int, int]:
    """(height, width) in pixels, from the header alone.

    Raises:
        CaptureError: there is no such file.
        FormatError: it has no readable header.
    """
    size = file_size(path, limit=_LIMIT, kind="image")
    try:
        with Path(path).open("rb") as file, _open(file, path) as image:
            return image.height, image.width
    except _PILLOW_ERRORS as error:
        raise _broken(path, size, error) from error


def write_image(path: str | Path, pixels: np.ndarray, compression: int = 4) -> None:
    """Write (H, W, 3) uint8 RGB as PNG; the same pixels give the same bytes.

    Args:
        path: Where to, ending in ``.png``.
        pixels: (H, W, 3) uint8, rows as in the file.
        compression: 0 (none, fast) to 9 (small, slow).

    Raises:
        ArgumentError: another suffix, shape or type.
        StorageError: the file cannot be written.
    """
    pixels = np.asarray(pixels)
    if Path(path).suffix.lower() != ".png":
        raise ArgumentError("images are written as PNG", where=path, expected="a name that ends in .png")
    if pixels.ndim != 3 or pixels.shape[2] != 3 or pixels.dtype != np.uint8 or pixels.size == 0:
        raise ArgumentError(
            "pixels cannot be written", where=path, expected="(H, W, 3) uint8", found=f"{pixels.shape} {pixels.dtype}"
        )
    with atomic_path(path) as temporary:
        Image.fromarray(np.ascontiguousarray(pixels)).save(temporary, format="PNG", compress_level=compression)


def _open(file, path: str | Path) -> Image.Image:
    image = Image.open(file, formats=_known_formats())
    if image.width * image.height > MAX_PIXELS:
        raise FormatError(
            "image is too large to be one of a capture",
            where=path,
            expected=f"at most {MAX_PIXELS:,} pixels",
            found=f"{image.width} x {image.height}",
        )
    return image


@functools.cache
def _known_formats() -> tuple[str, ...]:
    """Those of ``_FORMATS`` that this Pillow can read; no others are ever tried, some of them start programs."""
    Image.init()
    return tuple(name for name in _FORMATS if name in Image.OPEN)


def _as_rgb(image: Image.Image, path: str | Path) -> Image.Image:
    if image.mode == "RGB" and "transparency" not in image.info:
        return image
    if image.mode in ("1", "L", "P", "LA", "PA", "RGB", "RGBA"):
        rgba = image.convert("RGBA")
        if rgba.getchannel("A").getextrema()[0] == 255:
            return rgba.convert("RGB")
        found = "transparent pixels"
    else:
        found = f"pixels of kind {image.mode}"
    raise FormatError(
        "image cannot be used as it is", where=path, expected="RGB with 8 bits", found=found, remedy="Convert it to 8-bit RGB"
    )


def _broken(path: str | Path, size: int, error: BaseException) -> FormatError:
    if isinstance(error, FormatError):
        return error
    detail = "the file is empty" if size == 0 else str(error).split("<_io")[0].strip() or type(error).__name__
    return FormatError(
        f"image is truncated or damaged: {detail}",
        where=path,
        expected="a whole 8-bit RGB picture",
        remedy="Fetch the file again, or leave that picture out",
    )
