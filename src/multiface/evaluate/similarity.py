"""Structural similarity of whole batches on any device, one map per picture.

Wang, Bovik, Sheikh, Simoncelli, "Image quality assessment: from error visibility to structural similarity", 2004: Gaussian
window of 11 pixels with sigma 1.5, K1 = 0.01, K2 = 0.03; borders reflected, as in torchmetrics.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F

WINDOW = 11
SIGMA = 1.5
_AT_ONCE = 1 << 27  # values of the five blurred maps that are in memory at one time


def similarity_map(prediction: torch.Tensor, target: torch.Tensor, data_range: float) -> torch.Tensor:
    """(B, C, H, W) similarity of each pixel's window in each channel, at most 1.

    Args:
        prediction: (B, C, H, W) floating, at least 6 pixels each way.
        target: likewise.
        data_range: Largest value of a picture.
    """
    per_sample = 5 * prediction[0].numel()
    step = max(1, _AT_ONCE // max(per_sample, 1))
    parts = [_map(prediction[i : i + step], target[i : i + step], data_range) for i in range(0, len(prediction), step)]
    return parts[0] if len(parts) == 1 else torch.cat(parts)


def _map(prediction: torch.Tensor, target: torch.Tensor, data_range: float) -> torch.Tensor:
    c1, c2 = (0.01 * data_range) ** 2, (0.03 * data_range) ** 2
    stacked = torch.stack([prediction, target, prediction * prediction, target * target, prediction * target])
    mean_p, mean_t, square_p, square_t, product = _blur(stacked.flatten(0, 2)).view(stacked.shape)
    pp, tt, pt = mean_p * mean_p, mean_t * mean_t, mean_p * mean_t
    variance = (square_p - pp).clamp_min_(0) + (square_t - tt).clamp_min_(0)
    covariance = product - pt
    return ((2 * pt + c1) * (2 * covariance + c2)) / ((pp + tt + c1) * (variance + c2))


def _blur(pictures: torch.Tensor) -> torch.Tensor:
    """(N, H, W) blurred by the window, rows and columns one after the other."""
    window = _window(pictures.device).to(pictures.dtype)
    half = WINDOW // 2
    padded = F.pad(pictures[:, None], (half, half, half, half), mode="reflect")
    return F.conv2d(F.conv2d(padded, window.view(1, 1, 1, -1)), window.view(1, 1, -1, 1))[:, 0]


def _window(device: torch.device) -> torch.Tensor:
    offset = torch.arange(WINDOW, device=device, dtype=torch.float64) - WINDOW // 2
    weight = torch.exp(-(offset / SIGMA).square() / 2)
    return weight / weight.sum()
