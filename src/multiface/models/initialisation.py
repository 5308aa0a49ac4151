"""Initial values: scaled uniform weights as in Glorot and Bengio 2010, with the gain of a leaky ReLU (He et al. 2015)."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from multiface.models.colour import ColourCorrection
from multiface.models.gradients import frobenius_norm
from multiface.models.layers import SLOPE, NormalisedConv, NormalisedLinear, TransposedConv, UpsamplingUnit

if TYPE_CHECKING:
    from multiface.models.model import FaceModel


def initialise(model: FaceModel) -> None:
    """Draw all weights of ``model`` from torch's global generator; biases 0, gains such that W_eff = W.

    The layers whose output is used without an activation get the gain of a linear one (alpha = 1), except the last unit
    of the texture decoder: the published networks keep 0.2 there.
    """
    linear_outputs: set[nn.Module] = {model.enc.fc, model.dec.mesh_fc}
    if model.warp is not None:
        linear_outputs.add(model.warp.upsample[-1])
    with torch.no_grad():
        for module in model.modules():
            _initialise_module(module, alpha=1.0 if module in linear_outputs else SLOPE)


def uniform_bound(n_in: int, n_out: int, kernel_area: float, alpha: float) -> float:
    """Half-width of the uniform distribution: ``std * sqrt(3)``, ``std = gain * sqrt(2 / ((n_in + n_out) * area))``."""
    gain = math.sqrt(2.0 / (1.0 + alpha**2))
    return gain * math.sqrt(2.0 / ((n_in + n_out) * kernel_area)) * math.sqrt(3.0)


def _initialise_module(module: nn.Module, alpha: float) -> None:
    if isinstance(module, (NormalisedLinear, NormalisedConv, nn.Conv2d)):
        n_out, n_in = module.weight.shape[:2]
        bound = uniform_bound(n_in, n_out, module.weight[0, 0].numel(), alpha)
        module.weight.uniform_(-bound, bound)
        _zero(module.bias)
    elif isinstance(module, TransposedConv):
        n_in, n_out = module.weight.shape[:2]
        # Stride 2: each output sees a quarter of the kernel.
        bound = uniform_bound(n_in, n_out, module.weight[0, 0].numel() / 4, alpha)
        module.weight.copy_(_repeat_cells(module.weight.uniform_(-bound, bound)))
        _zero(module.bias)
    elif isinstance(module, UpsamplingUnit):
        _zero(module.bias)
    elif isinstance(module, ColourCorrection):
        module.weight_anchor.fill_(1.0)
        module.weight.fill_(1.0)
        module.bias_anchor.zero_()
        module.bias.zero_()
    if isinstance(module, (NormalisedLinear, NormalisedConv, TransposedConv)):
        module.g.copy_(frobenius_norm(module.weight).expand_as(module.g))


def _repeat_cells(kernel: Tensor) -> Tensor:
    """Make each 2x2 cell of (..., 4, 4) kernels constant, so that the first outputs show no checkerboard."""
    return kernel[..., ::2, ::2].repeat_interleave(2, dim=-2).repeat_interleave(2, dim=-1)


def _zero(bias: Tensor | None) -> None:
    if bias is not None:
        bias.zero_()
