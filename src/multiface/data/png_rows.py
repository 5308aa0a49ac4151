"""The row filters of PNG undone on the device: half of the work of decoding a PNG, which processors then do not have."""

from __future__ import annotations

import functools

import torch

from multiface.core.errors import ArgumentError
from multiface.core.triton import obstacle_to_triton


@functools.cache
def can_undo_filters(device: torch.device) -> bool:
    """Whether :func:`undo_filters` runs on ``device``: a GPU for which there is a Triton that can pass rows on."""
    if device.type != "cuda" or obstacle_to_triton(device) is not None:
        return False
    import triton.language as language

    return hasattr(language, "gather")


def undo_filters(pictures: torch.Tensor, filters: torch.Tensor) -> None:
    """Turn filtered rows into pixels, in place (PNG specification, section 9.2). Waits for nothing.

    Args:
        pictures: (N, H, W, 3) uint8, contiguous: what :func:`multiface.capture.read_image` leaves with ``filters``.
        filters: (N, H) uint8, contiguous, on the same device: 0 (pixels already) to 4.

    Raises:
        ArgumentError: another shape or type.
    """
    if pictures.ndim != 4 or pictures.shape[3] != 3 or pictures.dtype != torch.uint8 or not pictures.is_contiguous():
        raise ArgumentError("rows cannot be undone", expected="contiguous (N, H, W, 3) uint8", found=_found(pictures))
    if filters.shape != pictures.shape[:2] or filters.dtype != torch.uint8 or not filters.is_contiguous():
        expected = f"contiguous {tuple(pictures.shape[:2])} uint8"
        raise ArgumentError("there must be one filter for each row", expected=expected, found=_found(filters))
    if pictures.numel() == 0:
        return
    from multiface.data.png_rows_kernel import launch

    with torch.cuda.device_of(pictures):
        launch(pictures, filters)


def _found(tensor: torch.Tensor) -> str:
    return f"{tuple(tensor.shape)} {tensor.dtype}" + ("" if tensor.is_contiguous() else ", not contiguous")
