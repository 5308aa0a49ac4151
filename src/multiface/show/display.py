"""The display transform: linear camera values to the colours that people look at, here and nowhere else.

Everything measured is in linear camera units (0..255), everything shown went through :func:`to_display` once.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from multiface.core.errors import ArgumentError

if TYPE_CHECKING:
    import torch

CHANNEL_SCALE = (1.4 / 1.1, 1.1 / 1.1, 1.6 / 1.1)
"""White balance of the published pictures, red, green, blue."""

BLACK_LEVEL = 3 / 255
WHITE_LEVEL = 0.95
OFFSET = 15 / 255


@lru_cache(maxsize=1)
def display_table() -> np.ndarray:
    """(256, 3) uint8: display value of each linear 8-bit value, per channel (red, green, blue).

    For x = value / 255 and black level b: ``255 * clip(sqrt(0.95 / (1 - b) * clip(s x - b, 0, 2)) - 15 / 255, 0, 2)``,
    truncated. The published code stores that in 8 bits without saturation, so bright red and blue wrap round to
    nearly black; here they stay at 255.
    """
    linear = np.arange(256, dtype=np.float64)[:, None] / 255
    exposed = np.clip(np.asarray(CHANNEL_SCALE) * linear - BLACK_LEVEL, 0, 2)
    display = np.clip(np.sqrt(WHITE_LEVEL / (1 - BLACK_LEVEL) * exposed) - OFFSET, 0, 2)
    table = np.minimum(255 * display, 255).astype(np.uint8)
    table.setflags(write=False)
    return table


def to_display(picture: np.ndarray) -> np.ndarray:
    """Display colours of a picture in linear camera colours.

    Args:
        picture: (..., W, 3) red, green, blue, 0..255, any integer or floating dtype. Values are clamped to 0..255 and
            truncated to whole numbers first, as published; NaN counts as 0.

    Returns:
        uint8 array of the same shape.

    Raises:
        ArgumentError: the last dimension is not 3.
    """
    import cv2

    picture = np.asarray(picture)
    if picture.ndim < 2 or picture.shape[-1] != 3:
        raise ArgumentError("a picture needs three channels last", expected="(..., W, 3)", found=picture.shape)
    rows = to_bytes(picture).reshape(-1, picture.shape[-2], 3)
    if rows.size == 0:
        return np.zeros(picture.shape, np.uint8)
    return cv2.LUT(np.ascontiguousarray(rows), display_table()[None]).reshape(picture.shape)


def to_display_tensor(picture: torch.Tensor) -> torch.Tensor:
    """:func:`to_display` of uint8 tensors (..., H, W, 3) on any device; the same values to the last bit."""
    import torch

    if picture.device.type == "cpu":
        return torch.from_numpy(to_display(picture.numpy()))
    table = torch.from_numpy(display_table().copy()).to(picture.device).flatten()
    channel = torch.arange(3, dtype=torch.int32, device=picture.device)
    return table[picture.int() * 3 + channel]


def to_bytes(picture: np.ndarray) -> np.ndarray:
    """``picture`` (0..255) clamped and truncated to uint8; NaN becomes 0, bytes pass through untouched."""
    picture = np.asarray(picture)
    if picture.dtype == np.uint8:
        return picture
    return np.fmin(np.fmax(picture, 0), 255).astype(np.uint8)
