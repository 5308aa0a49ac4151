"""Errors of pictures and meshes, one value per sample, and means that count every sample once.

Pictures are linear camera units 0..255 (never display colours), values are used as they are: clamp a prediction first if it
may leave that range. A metric inside a mask depends on nothing outside the mask. A sample whose mask is empty has no
error: its value is NaN, and :class:`multiface.train.measure.SampleMean` leaves it out.
"""

from __future__ import annotations

import torch

from multiface.core.errors import ArgumentError
from multiface.evaluate.similarity import WINDOW, similarity_map

DATA_RANGE = 255.0
"""Largest value of a picture in linear camera units."""

SSIM_WINDOW = WINDOW
"""Pixels of the Gaussian window of the structural similarity."""


def masked_mse(prediction: torch.Tensor, target: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """Mean squared error inside the mask, over its pixels and all channels.

    Args:
        prediction: (B, C, H, W) floating, linear 0..255.
        target: likewise.
        mask: (B, H, W), (B, 1, H, W) or (B, C, H, W), bool or any number; what is above 0 counts.

    Returns:
        (B,) squared units of the pictures; NaN where the mask is empty.

    Raises:
        ArgumentError: shapes do not fit.
    """
    inside = _inside(prediction, target, mask)
    squared = torch.where(inside, (prediction - target).square(), 0.0)
    return squared.sum(dim=(1, 2, 3)) / _count(inside)


def masked_psnr(
    prediction: torch.Tensor, target: torch.Tensor, mask: torch.Tensor, *, data_range: float = DATA_RANGE
) -> torch.Tensor:
    """Peak signal-to-noise ratio inside the mask, ``10 log10(data_range^2 / mse)`` in dB.

    Arguments as in :func:`masked_mse`. Returns (B,): NaN where the mask is empty, infinity where nothing differs.
    """
    return 10 * torch.log10(data_range**2 / masked_mse(prediction, target, mask))


def masked_ssim(
    prediction: torch.Tensor, target: torch.Tensor, mask: torch.Tensor, *, data_range: float = DATA_RANGE
) -> torch.Tensor:
    """Structural similarity averaged inside the mask (Wang et al. 2004, Gaussian window of 11 pixels).

    Both pictures are set to 0 outside the mask first, so that the background does not reach in through the window; the
    similarity of whole pictures is then averaged over the pixels and channels of the mask.

    Arguments as in :func:`masked_mse`. Returns (B,), at most 1; NaN where the mask is empty.

    Raises:
        ArgumentError: shapes do not fit, or the pictures are smaller than the window.
    """
    inside = _inside(prediction, target, mask)
    if min(prediction.shape[-2:]) < SSIM_WINDOW:
        raise ArgumentError(
            "the pictures are too small for structural similarity",
            expected=f"at least {SSIM_WINDOW} pixels each way",
            found=tuple(prediction.shape[-2:]),
        )
    shown, true = (torch.where(inside, picture, 0.0) for picture in (prediction, target))
    similarity = similarity_map(shown, true, data_range)
    return torch.where(inside, similarity, 0.0).sum(dim=(1, 2, 3)) / _count(inside)


def mesh_error_mm(prediction: torch.Tensor, target: torch.Tensor, *, select: torch.Tensor | None = None) -> torch.Tensor:
    """Mean Euclidean distance between corresponding vertices.

    Args:
        prediction: (B, V, 3) millimetres, head space (denormalised).
        target: likewise.
        select: (K,) vertex indices or (V,) bool of a region; None for all vertices.

    Returns:
        (B,) millimetres; NaN where no vertex is selected.
    """
    return vertex_distances(prediction, target, select).mean(dim=1)


def mesh_error_rms_mm(prediction: torch.Tensor, target: torch.Tensor, *, select: torch.Tensor | None = None) -> torch.Tensor:
    """Root of the mean squared vertex distance, (B,) millimetres; arguments as in :func:`mesh_error_mm`."""
    return vertex_distances(prediction, target, select).square().mean(dim=1).sqrt()


def vertex_distances(prediction: torch.Tensor, target: torch.Tensor, select: torch.Tensor | None = None) -> torch.Tensor:
    """(B, K) Euclidean distances of corresponding vertices; arguments as in :func:`mesh_error_mm`."""
    if prediction.dim() != 3 or prediction.shape[-1] != 3 or prediction.shape != target.shape:
        raise ArgumentError(
            "two batches of vertices of one shape are needed",
            expected=f"(B, V, 3) twice, prediction {tuple(prediction.shape)}",
            found=f"target {tuple(target.shape)}",
        )
    if select is not None:
        prediction, target = prediction[:, select], target[:, select]
    return torch.linalg.vector_norm(prediction - target, dim=-1)


def _inside(prediction: torch.Tensor, target: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """The mask as bool of the shape of the pictures, after checking all three."""
    if prediction.dim() != 4 or prediction.shape != target.shape:
        raise ArgumentError(
            "two batches of pictures of one shape are needed",
            expected=f"(B, C, H, W) twice, prediction {tuple(prediction.shape)}",
            found=f"target {tuple(target.shape)}",
        )
    whole = mask[:, None] if mask.dim() == 3 else mask
    batch, channels, height, width = prediction.shape
    if whole.dim() != 4 or tuple(whole.shape) not in {(batch, c, height, width) for c in (1, channels)}:
        raise ArgumentError(
            "the mask does not fit the pictures",
            expected=f"{(batch, height, width)}, with or without a channel dimension",
            found=tuple(mask.shape),
        )
    return (whole > 0).expand_as(prediction)


def _count(inside: torch.Tensor) -> torch.Tensor:
    """Values that count in each sample, float, NaN for none."""
    count = inside.sum(dim=(1, 2, 3)).to(torch.float32)
    return torch.where(count > 0, count, torch.nan)
