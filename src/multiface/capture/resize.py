"""Pictures in other sizes."""

from __future__ import annotations

import numpy as np


def resize_photo(photo: np.ndarray, size: tuple[int, int], out: np.ndarray | None = None) -> np.ndarray:
    """(H, W, 3) uint8 photo as a picture of ``size`` (height, width): area average when smaller, bilinear when larger."""
    if photo.shape[:2] == tuple(size):
        if out is None:
            return photo
        np.copyto(out, photo)
        return out
    import cv2

    smaller = size[0] <= photo.shape[0] and size[1] <= photo.shape[1]
    return cv2.resize(photo, (size[1], size[0]), dst=out, interpolation=cv2.INTER_AREA if smaller else cv2.INTER_LINEAR)


def resample_texture(texture: np.ndarray, mean: np.ndarray, size: int) -> np.ndarray:
    """A texture with holes as one of (size, size, 3) uint8, bilinear with half-pixel centres and no anti-aliasing.

    Holes (channels that are exactly 0) take part with the mean texture's values, so that normalising the result by
    the resized mean gives what resizing the normalised texture gives, up to rounding. A texel of the result is a hole
    where more than half of what it was made from was one; elsewhere it is at least 1.

    Args:
        texture: (T, T, 3) uint8.
        mean: (T, T, 3) uint8 mean texture.
        size: New side.
    """
    if len(texture) == size:
        return texture
    import cv2

    hole = texture == 0
    filled = cv2.resize(np.where(hole, mean, texture).astype(np.float32), (size, size), interpolation=cv2.INTER_LINEAR)
    holes = cv2.resize(hole.astype(np.float32), (size, size), interpolation=cv2.INTER_LINEAR)
    pixels = np.clip(np.rint(filled), 1, 255).astype(np.uint8)
    pixels[holes > 0.5] = 0
    return pixels
