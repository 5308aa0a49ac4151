"""JPEG decoded by the device: GPUs of data centres have decoders beside their processors, many times as fast as a core."""

from __future__ import annotations

import functools
import time
import warnings
from collections.abc import Sequence

import numpy as np
import torch

from multiface.core.errors import DependencyError
from multiface.core.lazy import optional_import

_MOST_MS_PER_MEGAPIXEL = 1.0
"""Devices without such decoders leave half of the work to one core of the host, which is slower than many threads."""
_TRIED = (8, 1024)
"""Pictures, and their sides, with which that is tried."""


@functools.cache
def can_decode_jpeg(device: torch.device) -> bool:
    """Whether ``device`` decodes JPEG to the same pixels as the host, and fast: tried once, with pictures made up for it.

    It takes an NVIDIA GPU with such decoders (A100, H100 and later ones) and torchvision, which brings nvJPEG.
    """
    if device.type != "cuda" or torch.version.hip is not None:
        return False
    try:
        with torch.cuda.device(device):
            return _does_well(device)
    except (DependencyError, RuntimeError, OSError, TypeError):  # no torchvision, one of another PyTorch, without nvJPEG, old
        return False


def decode(encoded: Sequence[np.ndarray], device: torch.device) -> list[torch.Tensor]:
    """(3, H, W) uint8 RGB pictures on ``device``, finished.

    Args:
        encoded: A JPEG each, (N,) uint8.
        device: A CUDA device, the current one. What its current stream still has to do must not use memory that is free
            by then: the decoders do not wait for that stream.

    Raises:
        RuntimeError: one cannot be decoded.
    """
    io = optional_import("torchvision.io", purpose="Decoding JPEG on a GPU", install="torchvision")
    return io.decode_jpeg([torch.from_numpy(data) for data in encoded], mode=io.ImageReadMode.RGB, device=device)


def place(pictures: torch.Tensor, rows: Sequence[int], planes: Sequence[torch.Tensor], has_bits: bool) -> None:
    """Put decoded pictures in their places.

    Args:
        pictures: (N, H, W, 3) uint8, contiguous.
        rows: Which of the N, n of them, ascending; most often the first n.
        planes: n of (3, H, W) uint8, on the same device.
        has_bits: Whether the last bytes of these ``pictures`` say what is zero, as
            :class:`multiface.capture.unfinished.Unfinished` describes.
    """
    if len(rows) == 0:
        return
    if rows[-1] != len(rows) - 1:
        for row, plane in zip(rows, planes, strict=True):
            place(pictures[row : row + 1], range(1), [plane], has_bits)
        return
    pictures = pictures[: len(rows)]
    pixels = torch.stack(list(planes)).permute(0, 2, 3, 1)
    if not has_bits:
        pictures.copy_(pixels)
        return
    size = pixels[0].numel()
    bits = pictures.view(len(rows), size, 1)[:, -((size + 7) // 8) :]
    is_seen = ((bits >> _shifts(pictures.device)) & 1).view(len(rows), -1)[:, :size].view(pictures.shape)
    torch.mul(pixels.clamp_min_(1), is_seen, out=pictures)


@functools.cache
def _shifts(device: torch.device) -> torch.Tensor:
    """From the highest bit of a byte to the lowest."""
    return torch.arange(7, -1, -1, dtype=torch.uint8, device=device)


def _does_well(device: torch.device) -> bool:
    count, side = _TRIED
    expected, encoded = _pictures(count, side)
    shortest = float("inf")
    for _ in range(4):  # the first time, libraries are loaded
        torch.cuda.synchronize(device)
        began = time.perf_counter()
        planes = decode(encoded, device)
        shortest = min(shortest, time.perf_counter() - began)
    difference = (torch.stack(planes).permute(0, 2, 3, 1).cpu().int() - torch.from_numpy(expected).int()).abs().max()
    if int(difference):  # where colour has full resolution, decoders round alike
        warnings.warn(
            f"JPEG is decoded by the host: the GPU's pixels differ by up to {int(difference)}", RuntimeWarning, stacklevel=2
        )
        return False
    return 1000 * shortest <= _MOST_MS_PER_MEGAPIXEL * count * (side / 1024) ** 2


def _pictures(count: int, side: int) -> tuple[np.ndarray, list[np.ndarray]]:
    """(count, side, side, 3) what the host makes of as many JPEG, and these; as large as those of real textures."""
    from multiface.capture.store.codecs import decode as decode_here
    from multiface.capture.store.codecs import encode

    random = np.random.default_rng(0)
    slope = np.linspace(40, 200, side, dtype=np.float32)[:, None, None]
    pixels = (slope + random.normal(0, 4, (count, side, side, 3))).clip(1, 255).astype(np.uint8)
    encoded = [np.frombuffer(encode(picture, "jpeg"), np.uint8).copy() for picture in pixels]
    expected = np.empty_like(pixels)
    for data, out in zip(encoded, expected, strict=True):
        decode_here(data.data, "jpeg", out)
    return expected, encoded
