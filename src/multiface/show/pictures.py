"""Pictures inside a page: compressed and written into the HTML itself."""

from __future__ import annotations

import base64
import io

import numpy as np

from multiface.core.errors import ArgumentError
from multiface.core.parallel import Background
from multiface.show.panels import fit_width

TYPES = {"webp": "image/webp", "jpeg": "image/jpeg", "png": "image/png"}


def picture_uri(picture: np.ndarray, *, kind: str = "webp", quality: int = 86, max_width: int = 1600) -> str:
    """``data:`` address of a picture.

    Args:
        picture: uint8 (H, W, 3), display colours.
        kind: ``"webp"`` (JPEG where Pillow was built without it), ``"jpeg"`` or ``"png"`` (exact).
        quality: Of the lossy kinds, 1..100.
        max_width: Wider pictures are scaled down to this many pixels.
    """
    from PIL import Image, WebPImagePlugin, features  # noqa: F401 - else Pillow imports all its kinds to find this one

    if kind not in TYPES:
        raise ArgumentError("unknown kind of picture", expected=", ".join(TYPES), found=kind)
    check_picture(picture)
    if kind == "webp" and not features.check("webp"):
        kind = "jpeg"
    buffer = io.BytesIO()
    options = {} if kind == "png" else {"quality": quality}
    Image.fromarray(np.ascontiguousarray(fit_width(picture, max_width))).save(buffer, kind, **options)
    return data_uri(buffer.getvalue(), TYPES[kind])


def check_picture(picture: np.ndarray) -> None:
    """Raise an ArgumentError unless ``picture`` is uint8 (H, W, 3)."""
    if picture.dtype != np.uint8 or picture.ndim != 3 or picture.shape[2] != 3 or 0 in picture.shape:
        raise ArgumentError("not a picture", expected="uint8 (H, W, 3)", found=f"{picture.dtype} {picture.shape}")


class PictureSource:
    """The :func:`picture_uri` of a picture that is compressed in the background; ``str`` waits for it."""

    def __init__(self, picture: np.ndarray, max_width: int, background: Background) -> None:
        check_picture(picture)
        self._uri = background.add(picture_uri, picture.copy(), max_width=max_width)

    def __str__(self) -> str:
        return self._uri.result()


def data_uri(data: bytes, media_type: str) -> str:
    """``data:`` address of any bytes."""
    return f"data:{media_type};base64,{base64.b64encode(data).decode('ascii')}"
