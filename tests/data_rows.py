"""Pictures as rows of PNG, each under a filter of its own."""

from __future__ import annotations

import numpy as np
import torch

from multiface.capture.png_kernel import undo_filters


def filtered_pictures(number: int, height: int, width: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Random rows (N, H, W, 3), their filters (N, H), and the pixels (N, H, W, 3) they stand for."""
    random = np.random.default_rng(height)
    rows = random.integers(0, 256, (number, height, 1 + 3 * width), np.uint8)
    rows[:, :, 0] = random.integers(0, 5, (number, height))
    pixels = np.empty((number, height, 3 * width), np.uint8)
    for one, into in zip(rows, pixels):
        assert undo_filters(one, into) == -1
    left = torch.from_numpy(np.ascontiguousarray(rows[:, :, 1:])).view(number, height, width, 3)
    filters = torch.from_numpy(np.ascontiguousarray(rows[:, :, 0]))
    return left, filters, torch.from_numpy(pixels).view(number, height, width, 3)
