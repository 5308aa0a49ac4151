"""Weight-normalised layers.

All of them have a ``weight``, a ``bias`` per output channel and a gain ``g`` per output channel. The weight in effect is
``weight * g / ||weight||`` with ONE Frobenius norm of the whole tensor (spec: one norm per tensor, not per output), so
the scale of ``weight`` does not matter and gradients flow through the norm.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from multiface.models import forms
from multiface.models.gradients import frobenius_norm, share_over_batch

SLOPE = 0.2
"""Slope of every leaky ReLU for negative values."""


def leaky_relu_(x: Tensor) -> Tensor:
    """Leaky ReLU in place; only for tensors that no earlier operation keeps for its gradient."""
    return F.leaky_relu_(x, SLOPE)


def full_precision(device: torch.device) -> AbstractContextManager:
    """Context in which autocast, where it is on, does nothing."""
    return nullcontext() if device.type == "meta" else torch.autocast(device.type, enabled=False)


def gain_over_norm(weight: Tensor, g: Tensor) -> Tensor:
    """(out,) factor that turns ``weight`` into the weight in effect: ``g / ||weight||``."""
    return g / frobenius_norm(weight)


class WeightNormalised(nn.Module):
    """What all of these layers share.

    Attributes:
        ready: What :meth:`prepare` made of the weights, which then no longer follow the parameters; None while training.
    """

    ready: Tensor | None = None

    def prepare(self, dtype: torch.dtype) -> None:
        """Work out once what depends on the weights alone, for running the layer many times; ``dtype`` is that of kernels."""


class NormalisedLinear(WeightNormalised):
    """``y = W_eff x + bias`` with weight (out, in)."""

    def __init__(self, n_in: int, n_out: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(n_out, n_in))
        self.bias = nn.Parameter(torch.empty(n_out))
        self.g = nn.Parameter(torch.empty(n_out))

    def forward(self, x: Tensor) -> Tensor:
        """(B, in) -> (B, out), in the type of the parameters under autocast too: codes and vertices need its precision."""
        with full_precision(x.device):
            if self.ready is not None:
                return F.linear(x.to(self.ready.dtype), self.ready, self.bias)
            product = F.linear(x.to(self.weight.dtype), self.weight)
            # The gain is applied to the B outputs: cheaper than writing out the scaled matrix, which has far more entries.
            return torch.addcmul(self.bias, product, gain_over_norm(self.weight, self.g))

    def prepare(self, dtype: torch.dtype) -> None:
        self.ready = (self.weight * gain_over_norm(self.weight, self.g)[:, None]).detach()


class NormalisedConv(WeightNormalised):
    """Convolution with zero padding, weight (out, in, k, k); k = 4 halves the resolution, k = 3 keeps it."""

    def __init__(self, n_in: int, n_out: int, kernel: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(n_out, n_in, kernel, kernel))
        self.bias = nn.Parameter(torch.empty(n_out))
        self.g = nn.Parameter(torch.empty(n_out))
        self.stride = 2 if kernel == 4 else 1

    def effective_weight(self) -> Tensor:
        return self.weight * gain_over_norm(self.weight, self.g)[:, None, None, None]

    def forward(self, x: Tensor) -> Tensor:
        """(B, in, S, S) -> (B, out, S/stride, S/stride)."""
        kernel = self.effective_weight() if self.ready is None else self.ready
        return forms.convolve(x, kernel, self.bias, self.stride)

    def prepare(self, dtype: torch.dtype) -> None:
        self.ready = self.effective_weight().detach().to(dtype)


class TransposedConv(WeightNormalised):
    """Transposed convolution 4x4, stride 2, padding 1, weight (in, out, 4, 4): doubles the resolution."""

    def __init__(self, n_in: int, n_out: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(n_in, n_out, 4, 4))
        self.bias = nn.Parameter(torch.empty(n_out))
        self.g = nn.Parameter(torch.empty(n_out))

    def effective_weight(self) -> Tensor:
        return self.weight * gain_over_norm(self.weight, self.g)[:, None, None]

    def forward(self, x: Tensor) -> Tensor:
        """(B, in, S, S) -> (B, out, 2S, 2S), without the bias."""
        return upsample(x, self.effective_weight, self.ready, len(self.g))

    def prepare(self, dtype: torch.dtype) -> None:
        self.ready = prepared_upsampling(self.effective_weight(), dtype)


class NearestConv(NormalisedConv):
    """Each value repeated 2x2, then a convolution 3x3: doubles the resolution."""

    def __init__(self, n_in: int, n_out: int) -> None:
        super().__init__(n_in, n_out, kernel=3)

    def forward(self, x: Tensor) -> Tensor:
        """(B, in, S, S) -> (B, out, 2S, 2S), without the bias."""
        return upsample(x, self._kernel, self.ready, len(self.g))

    def _kernel(self) -> Tensor:
        # The two steps together are one transposed convolution, with less than half the multiplications.
        return repeat_then_convolve(self.effective_weight())

    def prepare(self, dtype: torch.dtype) -> None:
        self.ready = prepared_upsampling(self._kernel(), dtype)


class UpsamplingUnit(WeightNormalised):
    """Doubles the resolution and adds two biases: one per channel (of ``deconv``) and ``bias``, by default one per texel.

    Args:
        n_in: Channels in.
        n_out: Channels out.
        size: Resolution S of the output.
        per_texel_bias: ``bias`` is (1, out, S, S), otherwise (1, out, 1, 1).
        nearest: Upsample by repetition and a 3x3 convolution instead of a transposed convolution.
    """

    def __init__(self, n_in: int, n_out: int, size: int, *, per_texel_bias: bool, nearest: bool) -> None:
        super().__init__()
        side = size if per_texel_bias else 1
        self.bias = nn.Parameter(torch.empty(1, n_out, side, side))
        self.deconv = NearestConv(n_in, n_out) if nearest else TransposedConv(n_in, n_out)

    def forward(self, x: Tensor, *, exact: bool = False) -> Tensor:
        """(B, in, S/2, S/2) -> (B, out, S, S); ``exact`` adds in the type of the parameters under autocast too."""
        y = self.deconv(x)
        # Both biases are summed before they meet the batch: one pass over the large tensor, forward and backward.
        bias = self.bias + self.deconv.bias[:, None, None] if self.ready is None else self.ready
        if exact:
            y = y.to(self.bias.dtype)
        shared = share_over_batch(bias.to(y.dtype), y)
        return y + shared if forms.on_gpu(x) else y.add_(shared)  # there, y may be part of a larger tensor

    def prepare(self, dtype: torch.dtype) -> None:
        self.ready = (self.bias + self.deconv.bias[:, None, None]).detach()


class DownBlock(nn.Module):
    """Two convolutions that divide the resolution by 4, each followed by a residual one where asked for."""

    def __init__(self, n_in: int, n_middle: int, n_out: int, *, residual: bool) -> None:
        super().__init__()
        self.conv1 = NormalisedConv(n_in, n_middle, kernel=4)
        self.conv2 = NormalisedConv(n_middle, n_out, kernel=4)
        self.res1 = NormalisedConv(n_middle, n_middle, kernel=3) if residual else None
        self.res2 = NormalisedConv(n_out, n_out, kernel=3) if residual else None

    def forward(self, x: Tensor) -> Tensor:
        """(B, in, S, S) -> (B, out, S/4, S/4)."""
        x = add_residual(leaky_relu_(self.conv1(x)), self.res1)
        return add_residual(leaky_relu_(self.conv2(x)), self.res2)


class UpBlock(nn.Module):
    """Two upsampling units that multiply the resolution by 4, each followed by a residual convolution where asked for.

    The last block of a decoder (``last=True``) ends without an activation.
    """

    def __init__(
        self,
        n_in: int,
        n_middle: int,
        n_out: int,
        size: int,
        *,
        residual: bool = False,
        per_texel_bias: bool = True,
        nearest: bool = False,
        last: bool = False,
    ) -> None:
        super().__init__()
        self.conv1 = UpsamplingUnit(n_in, n_middle, 2 * size, per_texel_bias=per_texel_bias, nearest=nearest)
        self.conv2 = UpsamplingUnit(n_middle, n_out, 4 * size, per_texel_bias=per_texel_bias, nearest=nearest)
        self.res1 = NormalisedConv(n_middle, n_middle, kernel=3) if residual else None
        self.res2 = NormalisedConv(n_out, n_out, kernel=3) if residual else None
        self.last = last

    def forward(self, x: Tensor) -> Tensor:
        """(B, in, S, S) -> (B, out, 4S, 4S)."""
        x = add_residual(leaky_relu_(self.conv1(x)), self.res1)
        x = self.conv2(x, exact=self.last)
        return add_residual(x if self.last else leaky_relu_(x), self.res2, activate=not self.last)


def upsample(x: Tensor, kernel: Callable[[], Tensor], ready: Tensor | None, n_out: int) -> Tensor:
    """Transposed convolution with ``kernel()`` (in, out, 4, 4), or with what :func:`prepared_upsampling` made of it."""
    if ready is None:
        return forms.convolve_transposed(x, kernel())
    if forms.on_gpu(x):
        return forms.convolve_windows(x, ready, n_out)
    return F.conv_transpose2d(x, ready, stride=2, padding=1)


def prepared_upsampling(kernel: Tensor, dtype: torch.dtype) -> Tensor:
    """``kernel`` (in, out, 4, 4) in the form that the device uses."""
    kernel = kernel.detach().to(dtype)
    if not forms.on_gpu(kernel):
        return kernel
    windows = forms.pad_dimension(forms.window_kernel(kernel), 0)
    return windows.contiguous(memory_format=torch.channels_last)


def add_residual(x: Tensor, convolution: NormalisedConv | None, *, activate: bool = True) -> Tensor:
    """``lrelu(convolution(x) + x)``, without the activation where asked for; ``x`` itself where there is no convolution."""
    if convolution is None:
        return x
    y = convolution(x).to(x.dtype).add_(x)
    return leaky_relu_(y) if activate else y


def repeat_then_convolve(weight: Tensor) -> Tensor:
    """(in, out, 4, 4) kernel of the transposed convolution (stride 2, padding 1) that equals repetition 2x2 followed by
    the convolution 3x3 with ``weight`` (out, in, 3, 3): the flipped kernel convolved with a 2x2 block of ones."""
    flipped = weight.flip(2, 3).transpose(0, 1)
    rows = F.pad(flipped, (0, 0, 0, 1)) + F.pad(flipped, (0, 0, 1, 0))
    return F.pad(rows, (0, 1)) + F.pad(rows, (1, 0))
