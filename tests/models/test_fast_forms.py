"""The forms chosen for speed have the values and gradients of the plain ones that the spec states."""

from __future__ import annotations

import copy

import pytest
import torch
import torch.nn.functional as F

from multiface.models import build_model
from multiface.models.gradients import frobenius_norm, share_over_batch
from multiface.models.layers import NearestConv, NormalisedConv, NormalisedLinear, TransposedConv, UpsamplingUnit
from small_models import SMALL, perturb, random_inputs


def filled(layer):
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.copy_(torch.randn_like(parameter))
    return layer.double()


def assert_same_gradients(found, expected, inputs):
    """Values and gradients of two tensors, each computed from ``inputs``."""
    weights = torch.randn_like(expected)
    torch.testing.assert_close(found, expected)
    ours = torch.autograd.grad((found * weights).sum(), inputs)
    theirs = torch.autograd.grad((expected * weights).sum(), inputs)
    for a, b in zip(ours, theirs, strict=True):
        torch.testing.assert_close(a, b)


def spec_weight(layer, dimension=0):
    shape = [1] * layer.weight.ndim
    shape[dimension] = -1
    return layer.weight * layer.g.view(shape) / layer.weight.square().sum().sqrt()


def test_linear():
    layer = filled(NormalisedLinear(5, 7))
    x = torch.randn(3, 5, dtype=torch.float64, requires_grad=True)
    assert_same_gradients(layer(x), F.linear(x, spec_weight(layer), layer.bias), [x, *layer.parameters()])


@pytest.mark.parametrize(("kernel", "stride"), [(3, 1), (4, 2)])
def test_convolution(kernel, stride):
    layer = filled(NormalisedConv(3, 5, kernel))
    x = torch.randn(2, 3, 8, 8, dtype=torch.float64, requires_grad=True)
    expected = F.conv2d(x, spec_weight(layer), layer.bias, stride=stride, padding=1)
    assert_same_gradients(layer(x), expected, [x, *layer.parameters()])


@pytest.mark.parametrize("nearest", [False, True])
@pytest.mark.parametrize("per_texel_bias", [False, True])
@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
def test_upsampling_unit(nearest, per_texel_bias, memory_format):
    unit = filled(UpsamplingUnit(3, 5, 12, per_texel_bias=per_texel_bias, nearest=nearest)).to(memory_format=memory_format)
    x = torch.randn(2, 3, 6, 6, dtype=torch.float64, requires_grad=True)
    deconv = unit.deconv
    if nearest:
        assert isinstance(deconv, NearestConv)
        repeated = F.interpolate(x, scale_factor=2, mode="nearest")
        expected = F.conv2d(repeated, spec_weight(deconv), deconv.bias, padding=1) + unit.bias
    else:
        assert isinstance(deconv, TransposedConv)
        expected = F.conv_transpose2d(x, spec_weight(deconv, 1), deconv.bias, stride=2, padding=1) + unit.bias
    assert_same_gradients(unit(x), expected, [x, *unit.parameters()])


def test_the_norm_of_many_entries_is_exact_to_float32():
    weight = torch.randn(2000, 1000)
    assert float(frobenius_norm(weight)) == pytest.approx(float(weight.double().norm()), rel=5e-7)


def test_norm_gradient():
    assert torch.autograd.gradcheck(frobenius_norm, torch.randn(4, 3, 2, 2, dtype=torch.float64, requires_grad=True))


@pytest.mark.parametrize("side", [1, 5])
def test_shared_bias_is_a_view(side):
    bias, like = torch.randn(1, 3, side, side), torch.empty(4, 3, 5, 5)
    shared = share_over_batch(bias, like)
    assert torch.equal(shared, bias.expand(4, 3, 5, 5)) and shared.data_ptr() == bias.data_ptr()


def test_channels_last_changes_no_value_and_no_gradient(arch):
    # In double precision: what is left are mistakes, not roundings.
    model = perturb(build_model(arch, **{**SMALL, "nlatent": 4})).double()
    other = copy.deepcopy(model).to(memory_format=torch.channels_last)
    inputs, cams = [tensor.double() for tensor in random_inputs(2)], torch.tensor([0, 3])
    found, expected = other(*inputs, cams), model(*inputs, cams)
    assert found.texture.is_contiguous()
    torch.testing.assert_close(found.texture, expected.texture)
    weights = torch.randn_like(expected.texture)
    for out in (found, expected):
        ((out.texture * weights).sum() + out.vertices.sum() + out.kl).backward()
    theirs = dict(model.named_parameters())
    for name, parameter in other.named_parameters():
        if parameter.requires_grad:
            torch.testing.assert_close(parameter.grad, theirs[name].grad, msg=lambda text, name=name: f"{name}: {text}")
