"""Convolutions of stride 2 written as convolutions of stride 1: the same values and gradients, faster on GPUs.

A transposed convolution 4x4 of stride 2 and padding 1 looks, for each window of 2x2 inputs, at four outputs and no others; so
it is an ordinary convolution 2x2 with four times the output channels, whose results are then laid out on the finer grid.
(Sub-pixel convolution, Shi et al. 2016, with the windows placed between the inputs, which needs no kernel entries of 0.) A
convolution 4x4 of stride 2 is its mirror image: the inputs of each 2x2 cell become channels. GPU libraries have fast kernels
for such convolutions of 16 to 64 channels, and slow ones for stride 2 with few channels at high resolution.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
import torch.nn.functional as F
from torch import Tensor

LARGE_SIDE = 256
FEW_CHANNELS = 16
FEWEST_CHANNELS = 8
"""From this side on, convolutions 3x3 of few channels run on cells of 2x2 texels, of fewer yet on 4x4."""

CHANNEL_MULTIPLE = 8
"""Half-precision kernels for GPUs want channels in such numbers; libraries otherwise copy everything to pad it."""


_forced: list[bool] = []


def on_gpu(x: Tensor) -> bool:
    """Whether to use the forms of this file: on GPUs, where a compiler fuses the copies between layouts into what comes
    before and after, or where :func:`forced` says so."""
    return x.is_cuda and (torch.compiler.is_compiling() or bool(_forced))


@contextmanager
def forced() -> Iterator[None]:
    """Use the forms of this file on GPUs without a compiler too: they pay where the weights are prepared once."""
    _forced.append(True)
    try:
        yield
    finally:
        _forced.pop()


def convolve_transposed(x: Tensor, kernel: Tensor) -> Tensor:
    """Transposed convolution of stride 2 and padding 1, ``kernel`` (in, out, 4, 4), in the form that suits the device."""
    if not on_gpu(x):
        return F.conv_transpose2d(x, kernel, stride=2, padding=1)
    return transposed_from_one(x, kernel) if x.shape[-2:] == (1, 1) else transposed_by_windows(x, kernel)


def convolve(x: Tensor, kernel: Tensor, bias: Tensor | None, stride: int) -> Tensor:
    """Convolution with padding 1, ``kernel`` (out, in, 4, 4) and stride 2 or (out, in, 3, 3) and stride 1."""
    if not on_gpu(x) or x.shape[-1] % 2:
        return F.conv2d(x, kernel, bias, stride=stride, padding=1)
    y = strided_by_cells(x, kernel) if stride == 2 else convolve_3x3(x, kernel)
    return y if bias is None else y + bias.to(y.dtype)[:, None, None]


def convolve_3x3(x: Tensor, kernel: Tensor) -> Tensor:
    """``F.conv2d(x, kernel, padding=1)`` with the kernel (out, in, 3, 3), few channels in large pictures on cells of texels."""
    if x.shape[-1] >= LARGE_SIDE and not x.shape[-1] % 4 and max(kernel.shape[:2]) <= FEW_CHANNELS:
        return few_channels_by_cells(x, kernel, levels=2 if max(kernel.shape[:2]) < FEWEST_CHANNELS else 1)
    return F.conv2d(_channels_last(x), _channels_last(kernel), padding=1)


def transposed_from_one(x: Tensor, kernel: Tensor) -> Tensor:
    """``F.conv_transpose2d(x, kernel, stride=2, padding=1)`` for ``x`` (B, in, 1, 1): (B, out, 2, 2), a matrix product.

    A convolution with one input texel has no memory format that compilers and libraries agree on.
    """
    return torch.einsum("bi,iorc->borc", x[:, :, 0, 0], kernel[:, :, 1:3, 1:3])


def transposed_by_windows(x: Tensor, kernel: Tensor) -> Tensor:
    """``F.conv_transpose2d(x, kernel, stride=2, padding=1)`` for ``x`` (B, in, S, S) and ``kernel`` (in, out, 4, 4).

    Returns:
        (B, out, 2S, 2S), a view of a channels-last tensor with a border of one more texel.
    """
    return convolve_windows(x, pad_dimension(window_kernel(kernel), 0), kernel.shape[1])


def convolve_windows(x: Tensor, kernel: Tensor, n_out: int) -> Tensor:
    """As :func:`transposed_by_windows`, with the kernel already as :func:`window_kernel` gives it, padded or not."""
    return lay_out_windows(F.conv2d(_channels_last(x), _channels_last(kernel), padding=1), n_out)


def window_kernel(kernel: Tensor) -> Tensor:
    """(4 out, in, 2, 2) of a transposed convolution's (in, out, 4, 4); outputs ordered by row, column, channel."""
    n_in, n_out = kernel.shape[:2]
    # Tap k of the kernel joins window row 1 - k // 2 to output row k % 2 of the four.
    taps = kernel.reshape(n_in, n_out, 2, 2, 2, 2).flip(2, 4)
    return taps.permute(3, 5, 1, 0, 2, 4).reshape(4 * n_out, n_in, 2, 2)


def lay_out_windows(windows: Tensor, n_out: int) -> Tensor:
    """(B, n_out, 2S, 2S) from the results (B, >= 4 n_out, S + 1, S + 1) of all windows; window (i, j) holds the outputs of
    rows 2i - 1, 2i and columns 2j - 1, 2j."""
    batch, _, rows, columns = windows.shape
    cells = windows[:, : 4 * n_out].permute(0, 2, 3, 1).reshape(batch, rows, columns, 2, 2, n_out)
    fine = cells.permute(0, 1, 3, 2, 4, 5).reshape(batch, 2 * rows, 2 * columns, n_out)
    return fine[:, 1:-1, 1:-1].permute(0, 3, 1, 2)


def strided_by_cells(x: Tensor, kernel: Tensor) -> Tensor:
    """``F.conv2d(x, kernel, stride=2, padding=1)`` for ``x`` (B, in, S, S), S even, and ``kernel`` (out, in, 4, 4)."""
    cells = pad_dimension(gather_cells(F.pad(x, (1, 1, 1, 1))), 1)
    return F.conv2d(_channels_last(cells), _channels_last(pad_dimension(cell_kernel(kernel), 1)))


def doubled_and_convolved(x: Tensor, kernel: Tensor, bias: Tensor) -> Tensor:
    """Bilinear resizing to twice the size (half-pixel centres), then ``F.conv2d(..., kernel, bias, padding=1)``.

    The fine tensor with all channels never exists: inside, both steps together are one convolution 3x3 on the coarse one,
    whose outputs are the cells of 2x2. Along the border, where resizing repeats the last value and the convolution sees
    zeros, strips two texels wide are computed step by step.

    Args:
        x: (B, in, S, S), S at least 3.
        kernel: (out, in, 3, 3).
        bias: (out,).

    Returns:
        (B, out, 2S, 2S) in the type of ``bias``.
    """

    def plain(strip: Tensor) -> Tensor:
        fine = F.interpolate(strip, scale_factor=2, mode="bilinear", align_corners=False)
        return F.conv2d(fine, kernel, padding=1).to(bias.dtype)

    cells = convolve_3x3(x, pad_dimension(doubling_kernel(kernel), 0))
    inside = spread_cells(cells, kernel.shape[0])[:, :, 2:-2, 2:-2].to(bias.dtype)
    left, right = plain(x[..., :2])[:, :, 2:-2, :2], plain(x[..., -2:])[:, :, 2:-2, -2:]
    top, bottom = plain(x[:, :, :2])[:, :, :2], plain(x[:, :, -2:])[:, :, -2:]
    middle = torch.cat((left, inside, right), dim=3)
    return torch.cat((top, middle, bottom), dim=2) + bias[:, None, None]


def doubling_kernel(kernel: Tensor) -> Tensor:
    """(4 out, in, 3, 3) on the coarse tensor, of a convolution's (out, in, 3, 3) on the tensor resized to twice the size."""
    by_row = [torch.stack(rows, 2) for rows in _doubled_taps(kernel.unbind(2))]
    return torch.cat([torch.stack(columns, 3) for rows in by_row for columns in _doubled_taps(rows.unbind(3))])


def _doubled_taps(taps: tuple[Tensor, ...]) -> list[list[Tensor]]:
    """What the three taps along one axis of the fine tensor are on three coarse values, for both outputs of a cell: the fine
    values around the cell are 3:1, 1:3, 3:1 and 1:3 mixtures of coarse neighbours."""
    a, b, c = taps
    first = [0.75 * a + 0.25 * b, 0.25 * a + 0.75 * b + 0.75 * c, 0.25 * c]
    second = [0.25 * a, 0.75 * a + 0.75 * b + 0.25 * c, 0.25 * b + 0.75 * c]
    return [first, second]


def gather_cells(x: Tensor) -> Tensor:
    """(B, 4 in, S/2, S/2) of (B, in, S, S): the texels of each 2x2 cell as channels, ordered by row, column, channel."""
    batch, n_in, rows, columns = x.shape
    cells = x.reshape(batch, n_in, rows // 2, 2, columns // 2, 2).permute(0, 2, 4, 3, 5, 1)
    return cells.reshape(batch, rows // 2, columns // 2, 4 * n_in).permute(0, 3, 1, 2)


def cell_kernel(kernel: Tensor) -> Tensor:
    """(out, 4 in, 2, 2) of a convolution's (out, in, 4, 4); inputs ordered by row, column, channel."""
    n_out, n_in = kernel.shape[:2]
    return kernel.reshape(n_out, n_in, 2, 2, 2, 2).permute(0, 3, 5, 1, 2, 4).reshape(n_out, 4 * n_in, 2, 2)


def few_channels_by_cells(x: Tensor, kernel: Tensor, levels: int = 1) -> Tensor:
    """``F.conv2d(x, kernel, padding=1)`` for ``x`` (B, c, S, S) and ``kernel`` (c', c, 3, 3), on cells of 2x2 texels, or with
    two ``levels`` of 4x4; S a multiple of that.

    Multiplies zeros, and is faster all the same: matrix units are idle below 64 channels, and 3 channels are padded to 8.
    """
    n_out = [kernel.shape[0]]
    for _ in range(levels):
        x, kernel = gather_cells(x), fine_kernel(kernel)
        n_out.append(kernel.shape[0])
    kernel = pad_dimension(pad_dimension(kernel, 0), 1)
    y = F.conv2d(_channels_last(pad_dimension(x, 1)), _channels_last(kernel), padding=1)
    for level in reversed(range(levels)):
        y = spread_cells(y, n_out[level])
    return y


def fine_kernel(kernel: Tensor) -> Tensor:
    """(4 c', 4 c, 3, 3) on cells of 2x2 texels, of a convolution's (c', c, 3, 3) on texels."""
    n_out, n_in = kernel.shape[:2]
    # An output of row b in its cell meets tap k at the texel row b + k - 1: rows 2 .. 3 of a 6-row patch are its own cell.
    rows = [F.pad(kernel, (0, 0, 1 + b, 2 - b)) for b in (0, 1)]
    both = torch.stack([torch.stack([F.pad(row, (1 + b, 2 - b)) for b in (0, 1)]) for row in rows])
    patches = both.reshape(2, 2, n_out, n_in, 3, 2, 3, 2)
    return patches.permute(0, 1, 2, 5, 7, 3, 4, 6).reshape(4 * n_out, 4 * n_in, 3, 3)


def spread_cells(cells: Tensor, n_out: int) -> Tensor:
    """(B, n_out, 2S, 2S) of cells (B, >= 4 n_out, S, S): the inverse of :func:`gather_cells`."""
    batch, _, rows, columns = cells.shape
    parts = cells[:, : 4 * n_out].permute(0, 2, 3, 1).reshape(batch, rows, columns, 2, 2, n_out)
    fine = parts.permute(0, 1, 3, 2, 4, 5).reshape(batch, 2 * rows, 2 * columns, n_out)
    return fine.permute(0, 3, 1, 2)


def pad_dimension(x: Tensor, dimension: int, multiple: int = CHANNEL_MULTIPLE) -> Tensor:
    """``x`` with zeros after the end of a dimension, so that its length is a multiple; from 12 on, of twice that."""
    length = x.shape[dimension]
    if length > multiple:
        multiple *= 2
    missing = -length % multiple
    if not missing:
        return x
    return F.pad(x, (0, 0) * (x.ndim - 1 - dimension) + (0, missing))


def _channels_last(x: Tensor) -> Tensor:
    return x.contiguous(memory_format=torch.channels_last)
