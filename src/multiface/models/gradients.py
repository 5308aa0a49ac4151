"""Operations whose gradients PyTorch computes slowly; the values and gradients are the usual ones."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


def frobenius_norm(weight: Tensor) -> Tensor:
    """Scalar: square root of the sum of squares of all entries."""
    return _FrobeniusNorm.apply(weight)  # type: ignore[return-value]


def share_over_batch(bias: Tensor, like: Tensor) -> Tensor:
    """``bias`` (1, C, H, W) or (1, C, 1, 1) expanded to the shape of ``like`` (B, C, H, W), without a copy."""
    return _Share.apply(bias, like.shape)  # type: ignore[return-value]


def correct(texture: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """``texture * weight + bias`` of textures (B, C, H, W) with a number per item and channel (B, C, 1, 1)."""
    return _Correct.apply(texture, weight, bias)  # type: ignore[return-value]


class _Correct(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, texture: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        ctx.save_for_backward(texture, weight)
        return torch.addcmul(bias, texture, weight)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        texture, weight = ctx.saved_tensors
        gradient = gradients[0]
        # Rows first: so few sums over so many texels would leave most of a GPU idle.
        of_weight = (gradient * texture).sum(3, keepdim=True).sum(2, keepdim=True)
        return gradient * weight, of_weight, gradient.sum(3, keepdim=True).sum(2, keepdim=True)


class _FrobeniusNorm(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, weight: Tensor) -> Tensor:
        # Row by row: on a CPU the norm of millions of entries at once loses four digits in float32.
        norm = torch.linalg.vector_norm(torch.linalg.vector_norm(weight.flatten(1), dim=1))
        ctx.save_for_backward(weight, norm)
        return norm

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        weight, norm = ctx.saved_tensors
        return weight * (gradients[0] / norm)


class _Share(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, bias: Tensor, shape: torch.Size) -> Tensor:
        ctx.per_texel = bias.shape[2:] == shape[2:]
        return bias.expand(shape)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        gradient = gradients[0]
        dims = (0,) if ctx.per_texel else (0, 1, 2)
        if gradient.is_contiguous(memory_format=torch.channels_last):
            # Summed in the order in which it lies in memory: many times faster than the sum of the permuted view.
            return gradient.permute(0, 2, 3, 1).sum(dims, keepdim=True).permute(0, 3, 1, 2), None
        return gradient.sum((0,) if ctx.per_texel else (0, 2, 3), keepdim=True), None
