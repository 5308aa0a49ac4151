"""Initial values: bounds, gains, and what they mean for the first outputs."""

from __future__ import annotations

import math

import pytest
import torch

from multiface.models import build_model
from small_models import SMALL, random_inputs


def bound(n_in, n_out, k, alpha):
    return math.sqrt(2 / (1 + alpha**2)) * math.sqrt(2 / ((n_in + n_out) * k)) * math.sqrt(3)


@pytest.mark.parametrize(
    ("arch", "key", "expected"),
    [
        ("base", "enc.texture_encoder.downsample.1.conv1", bound(16, 32, 16, 0.2)),
        ("base", "enc.mesh_fc", bound(300, 256, 1, 0.2)),
        ("base", "enc.fc", bound(512, 32, 1, 1.0)),
        ("base", "dec.mesh_fc", bound(256, 300, 1, 1.0)),
        ("base", "dec.texture_fc", bound(264, 16, 1, 0.2)),
        ("base", "dec.texture_decoder.upsample.1.conv1.deconv", bound(64, 64, 4, 0.2)),
        ("base", "dec.texture_decoder.upsample.3.conv2.deconv", bound(16, 3, 4, 0.2)),  # 0.390: keeps 0.2, see the spec
        ("bilinear", "dec.texture_decoder.upsample.1.conv1.deconv", bound(64, 64, 9, 0.2)),
        ("res", "dec.texture_decoder.upsample.1.res1", bound(64, 64, 9, 0.2)),
        ("warp", "warp.mlp.2", bound(256, 1024, 1, 0.2)),
        ("warp", "warp.upsample.1.conv1.deconv", bound(128, 128, 4, 0.2)),
        ("warp", "warp.upsample.5", bound(16, 2, 9, 1.0)),
    ],
)
def test_weights_are_uniform_within_their_bound(arch, key, expected):
    weight = build_model(arch, **SMALL).state_dict()[f"{key}.weight"]
    largest = float(weight.abs().max())
    assert 0.9 * expected < largest <= expected * (1 + 1e-6)
    assert float(weight.std()) == pytest.approx(expected / math.sqrt(3), rel=0.15)


def test_the_last_texture_unit_keeps_the_published_bound():
    assert bound(16, 3, 4, 0.2) == pytest.approx(0.390, abs=5e-4)


def test_gains_make_the_effective_weight_the_drawn_one(model):
    state = model.state_dict()
    gains = [key for key in state if key.endswith(".g")]
    assert len(gains) > 20
    for key in gains:
        norm = state[key.removesuffix("g") + "weight"].double().norm()
        torch.testing.assert_close(state[key].double(), norm.expand_as(state[key]), rtol=1e-6, atol=0)


def test_biases_start_at_zero_and_colours_at_the_identity(model):
    state = model.state_dict()
    for key, value in state.items():
        if key.startswith("cc."):
            assert torch.all(value == (1.0 if "weight" in key else 0.0)), key
        elif key.endswith("bias"):
            assert torch.all(value == 0), key


def test_transposed_kernels_start_constant_over_2x2_cells(base):
    weight = base.state_dict()["dec.texture_decoder.upsample.2.conv1.deconv.weight"]
    cells = weight.unflatten(3, (2, 2)).unflatten(2, (2, 2))  # (in, out, 2, 2, 2, 2)
    assert torch.equal(cells, cells[:, :, :, :1, :, :1].expand_as(cells))


def test_the_first_texture_has_no_checkerboard(base):
    with torch.no_grad():
        texture = base(*random_inputs()).texture
    # Constant over 2x2 cells whose first row and column are odd, since the padding of 1 shifts the cells.
    inner = texture[:, :, 1:-1, 1:-1].unflatten(3, (-1, 2)).unflatten(2, (-1, 2))
    torch.testing.assert_close(inner, inner[:, :, :, :1, :, :1].expand_as(inner), rtol=0, atol=1e-5)
    assert texture.std() > 0.01


def test_first_kl_is_about_0_005():
    model = build_model("base", tex_size=512, mesh_inp_size=3000, nlatent=64, n_cams=5)
    with torch.no_grad():
        kl = float(model(*random_inputs(4, 512, 1000)).kl)
    assert 0.003 < kl < 0.008


def test_first_warp_displaces_by_about_a_tenth_of_a_pixel():
    model = build_model("warp", tex_size=512, mesh_inp_size=300, nlatent=64, n_cams=5)
    with torch.no_grad():
        out = model(*random_inputs(2, 512), sample=True)
    pixels = (out.grid.permute(0, 3, 1, 2) - model.warp.normal_grid) * 256
    assert 0.03 < float(pixels.abs().mean()) < 0.5


def test_drawn_from_the_global_generator():
    torch.manual_seed(5)
    first = build_model("res", **SMALL).state_dict()
    torch.manual_seed(5)
    second = build_model("res", **SMALL).state_dict()
    third = build_model("res", **SMALL).state_dict()
    assert all(torch.equal(first[key], second[key]) for key in first)
    assert not torch.equal(first["enc.fc.weight"], third["enc.fc.weight"])


def test_identity_grid_reaches_exactly_from_minus_one_to_one():
    grid = build_model("warp", **SMALL).state_dict()["warp.normal_grid"]
    assert grid.dtype == torch.float32
    line = (torch.arange(256, dtype=torch.float64) * 2 / 255 - 1).float()
    torch.testing.assert_close(grid[0, 0], line.expand(256, 256), rtol=0, atol=6e-8)
    torch.testing.assert_close(grid[0, 1], line[:, None].expand(256, 256), rtol=0, atol=6e-8)
    assert grid[0, 0, 7, 0] == -1 and grid[0, 0, 7, -1] == 1 and grid[0, 1, -1, 7] == 1
