"""The loss terms of deep appearance models: pure functions of tensors, each with the name it has in logs and reports.

Formulas follow the published Multiface system (Wuu et al., "Multiface: A Dataset for Neural Face Rendering", 2022) so that
numbers can be compared. "Normalised" means divided by the capture's standard deviation after the mean was taken off.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

TERMS = ("verts", "tex", "screen", "kl")


@dataclass(frozen=True)
class LossWeights:
    """Factor of each term in the total; a term with factor 0 is left out of the total and of the gradient."""

    verts: float = 1.0
    tex: float = 1.0
    screen: float = 0.0
    kl: float = 1e-2


def vertex_loss(predicted: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Mean squared error of normalised vertices, both (B, V, 3)."""
    return (predicted - target).square().mean()


def texture_loss(predicted: torch.Tensor, target: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """Mean of ``mask^2 (predicted - target)^2`` over B x 3 x T x T, all (B, 3, T, T), normalised.

    Masked texels count in the divisor, as published: the value depends on how much of the face a camera sees. Times the
    capture's ``tex_var`` it is the squared error in 0..255 units ("denormalised").
    """
    return (mask * (predicted - target)).square().mean()


def screen_loss(predicted: torch.Tensor, photo: torch.Tensor, weight: torch.Tensor, tex_std: float) -> torch.Tensor:
    """Mean over B x 3 x H x W of ``(predicted - photo)^2 weight``, in units of the texture's variance.

    Args:
        predicted: (B, 3, H, W) rendered picture, 0..1 linear, 0 where no triangle is.
        photo: (B, 3, H, W) photo, 0..1 linear.
        weight: (B, 1 or 3, H, W) rendered weight image, 0..1; enters linearly, 0 where no triangle is.
        tex_std: Standard deviation of the capture's textures in 0..255 units.
    """
    return ((predicted - photo).square() * weight).mean() * (255.0**2 / tex_std**2)


def total_loss(terms: dict[str, torch.Tensor], weights: LossWeights) -> torch.Tensor:
    """Weighted sum of the terms whose weight is above 0. All weights 0 gives a zero that needs no gradient."""
    parts = [getattr(weights, name) * terms[name] for name in TERMS if getattr(weights, name) > 0]
    return torch.stack(parts).sum() if parts else torch.zeros(())
