"""Convolutions in forms that GPUs are fast at: equal to the plain ones in values and gradients."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from multiface.models import build_model, forms
from small_models import SMALL, perturb, random_inputs


def assert_same(ours, plain, x, kernel) -> None:
    """Values and gradients of two functions of ``x`` and ``kernel``."""
    found, expected = ours(x, kernel), plain(x, kernel)
    torch.testing.assert_close(found, expected)
    weights = torch.randn_like(expected)
    theirs = torch.autograd.grad((expected * weights).sum(), (x, kernel))
    for a, b in zip(torch.autograd.grad((found * weights).sum(), (x, kernel)), theirs, strict=True):
        torch.testing.assert_close(a, b)


def tensors(*shapes, dtype, layout=torch.contiguous_format):
    made = (torch.randn(shape, dtype=dtype) for shape in shapes)
    return [x.contiguous(memory_format=layout).requires_grad_() for x in made]


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize(("n_in", "n_out", "side"), [(5, 3, 1), (4, 8, 4), (16, 3, 6), (3, 7, 5)])
def test_transposed_convolution(dtype, layout, n_in, n_out, side) -> None:
    x, kernel = tensors((2, n_in, side, side), (n_in, n_out, 4, 4), dtype=dtype, layout=layout)
    assert_same(forms.transposed_by_windows, lambda x, k: F.conv_transpose2d(x, k, stride=2, padding=1), x, kernel)


@pytest.mark.parametrize(("n_in", "n_out"), [(5, 3), (16, 16)])
def test_transposed_convolution_of_one_texel(n_in, n_out, monkeypatch) -> None:
    x, kernel = tensors((3, n_in, 1, 1), (n_in, n_out, 4, 4), dtype=torch.float64)
    plain = lambda x, k: F.conv_transpose2d(x, k, stride=2, padding=1)  # noqa: E731
    assert_same(forms.transposed_from_one, plain, x, kernel)
    monkeypatch.setattr(forms, "on_gpu", lambda x: True)
    monkeypatch.setattr(forms, "transposed_by_windows", None)
    assert_same(forms.convolve_transposed, plain, x, kernel)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize(("n_in", "n_out", "side"), [(3, 5, 2), (8, 4, 8), (5, 16, 10)])
def test_strided_convolution(dtype, layout, n_in, n_out, side) -> None:
    x, kernel = tensors((2, n_in, side, side), (n_out, n_in, 4, 4), dtype=dtype, layout=layout)
    assert_same(forms.strided_by_cells, lambda x, k: F.conv2d(x, k, stride=2, padding=1), x, kernel)


@pytest.mark.parametrize(("n_in", "n_out", "side", "levels"), [(3, 3, 2, 1), (3, 3, 8, 2), (2, 5, 6, 1), (3, 2, 4, 2)])
def test_convolution_of_few_channels(n_in, n_out, side, levels) -> None:
    x, kernel = tensors((2, n_in, side, side), (n_out, n_in, 3, 3), dtype=torch.float64)
    by_cells = lambda x, k: forms.few_channels_by_cells(x, k, levels)  # noqa: E731
    assert_same(by_cells, lambda x, k: F.conv2d(x, k, padding=1), x, kernel)


@pytest.mark.parametrize("channels", [3, 16, 24])
@pytest.mark.parametrize("side", [6, 8])
def test_convolution_of_any_channels(channels, side, monkeypatch) -> None:
    monkeypatch.setattr(forms, "LARGE_SIDE", 8)
    x, kernel = tensors((2, channels, side, side), (channels, channels, 3, 3), dtype=torch.float64)
    assert_same(forms.convolve_3x3, lambda x, k: F.conv2d(x, k, padding=1), x, kernel)


@pytest.mark.parametrize("side", [3, 4, 9])
@pytest.mark.parametrize("n_out", [1, 2])
def test_resizing_and_convolution(side, n_out) -> None:
    x, kernel = tensors((2, 5, side, side), (n_out, 5, 3, 3), dtype=torch.float64)
    bias = torch.randn(n_out, dtype=torch.float64)

    def plain(x, kernel):
        fine = F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)
        return F.conv2d(fine, kernel, bias, padding=1)

    assert_same(lambda x, k: forms.doubled_and_convolved(x, k, bias), plain, x, kernel)


@pytest.mark.parametrize(("length", "padded"), [(1, 8), (3, 8), (8, 8), (12, 16), (16, 16), (20, 32)])
def test_channels_are_padded_with_zeros(length: int, padded: int) -> None:
    x = torch.randn(2, length, 3)
    wide = forms.pad_dimension(x, 1)
    assert wide.shape == (2, padded, 3)
    assert torch.equal(wide[:, :length], x) and not wide[:, length:].any()


def test_cells_are_spread_as_they_were_gathered() -> None:
    x = torch.randn(2, 3, 6, 8)
    assert torch.equal(forms.spread_cells(forms.gather_cells(x), 3), x)


def test_a_whole_network_in_these_forms_is_the_same(arch, monkeypatch) -> None:
    # In double precision: what is left are mistakes, not roundings.
    model = perturb(build_model(arch, **{**SMALL, "nlatent": 4})).double()
    model = model.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
    inputs = [tensor.double() for tensor in random_inputs(1)]
    results = []
    for fast in (False, True):
        monkeypatch.setattr(forms, "on_gpu", lambda x, fast=fast: fast)
        out = model(*inputs, torch.tensor([1]))
        weights = torch.linspace(-1, 1, out.texture.numel(), dtype=torch.float64).view_as(out.texture)
        total = (out.texture * weights).mean() + out.vertices.sum() + out.kl
        parameters = [p for p in model.parameters() if p.requires_grad]
        results.append((out.texture, out.vertices, *torch.autograd.grad(total, parameters)))
    for found, expected in zip(results[1], results[0], strict=True):
        torch.testing.assert_close(found, expected)


def test_the_warp_field_of_a_large_texture_is_the_same(monkeypatch) -> None:
    field = perturb(build_model("warp", **{**SMALL, "tex_size": 1024, "nlatent": 4})).warp
    assert field is not None
    z, grids = torch.randn(1, 4), []
    for fast in (False, True):
        monkeypatch.setattr(forms, "on_gpu", lambda x, fast=fast: fast)
        with torch.no_grad():
            grids.append((field(z) - field.normal_grid.permute(0, 2, 3, 1)) * 1024)
    assert grids[0].std() > 0.01
    torch.testing.assert_close(grids[1], grids[0], rtol=1e-4, atol=2e-4)  # adding and taking off the identity costs 1e-4
