"""The decoder for use: values of ``model.decode``, recorded or not.

A "recording" here repeats the work on the same addresses, as a CUDA graph does.
"""

from __future__ import annotations

import pytest
import torch

from multiface.core.errors import ArgumentError
from multiface.models import build_model, fast_decoder, forms
from multiface.models.fast_decoder import FastDecoder
from small_models import SMALL, perturb


@pytest.fixture
def model(arch):
    return perturb(build_model(arch, **SMALL)).eval()


def codes(count: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    return torch.randn(count, 16), torch.randn(count, 3), torch.arange(count) % 5


def assert_close(found, expected, texture: float = 1e-4) -> None:
    # The warp field of a network that was never trained is rough: what it reads elsewhere differs more.
    difference = (found.texture - expected.texture).abs()
    assert difference.mean() < texture and difference.quantile(0.99) < 10 * texture
    torch.testing.assert_close(found.vertices, expected.vertices, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("corrected", [False, True])
def test_values_are_those_of_the_model(model, corrected: bool) -> None:
    z, view, cams = codes(2)
    cameras = cams if corrected else None
    with torch.no_grad():
        expected = model.decode(z, view, cameras)
    assert_close(fast_decoder(model, 2)(z, view, cameras), expected)


@pytest.mark.parametrize("gpu_forms", [False, True])
def test_recorded_values_follow_the_inputs(model, gpu_forms: bool, monkeypatch) -> None:
    monkeypatch.setattr(forms, "on_gpu", lambda x: gpu_forms)
    recorded: list[int] = []

    def record(work):
        recorded.append(1)
        return work

    decoder = FastDecoder(model, 2, False, record)
    for count in (2, 1):
        z, view, cams = codes(count)
        with torch.no_grad():
            expected = model.decode(z, view, cams)
        found = decoder(z, view, cams)
        assert len(found.texture) == len(found.vertices) == count and not found.texture.requires_grad
        assert_close(found, expected)
    assert len(recorded) == 1
    with pytest.raises(ArgumentError, match="too many codes"):
        decoder(*codes(3))


def test_bfloat16_is_near(model) -> None:
    z, view, cams = codes(1)
    with torch.no_grad():
        expected = model.decode(z, view, cams)
    found = fast_decoder(model, bf16=True)(z, view, cams)
    assert found.texture.dtype == torch.float32
    assert_close(found, expected, texture=0.02 * float(expected.texture.std()))


def test_the_model_is_left_alone(model) -> None:
    z, view, _ = codes(1)
    fast_decoder(model)(z, view)
    assert all(parameter.requires_grad for parameter in model.main_parameters())
    model.decode(z, view).texture.sum().backward()
    assert model.dec.z_fc.weight.grad is not None


def test_wrong_arguments_are_refused() -> None:
    model = build_model("non", **SMALL)
    with pytest.raises(ArgumentError, match="at least one code"):
        fast_decoder(model, 0)
    with pytest.raises(ArgumentError, match="wrong shape"):
        fast_decoder(model)(torch.randn(1, 3), torch.randn(1, 3))
