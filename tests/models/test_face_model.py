"""What a user relies on when running a model."""

from __future__ import annotations

import copy

import pytest
import torch

from multiface.core.errors import ArgumentError
from multiface.models import build_model, kl_divergence
from small_models import SMALL, perturb, random_inputs


def test_shapes_of_everything(model):
    out = model(*random_inputs(2), torch.tensor([0, 4]))
    assert out.texture.shape == (2, 3, 256, 256)
    assert out.vertices.shape == (2, 100, 3)
    assert out.latent_mean.shape == (2, 16)
    assert out.kl.shape == ()
    if model.arch == "warp":
        assert out.unwarped_texture.shape == (2, 3, 256, 256)
        assert out.grid.shape == (2, 256, 256, 2)
    else:
        assert out.unwarped_texture is None and out.grid is None


@pytest.mark.slow
@pytest.mark.parametrize("tex_size", [1024, 2048])
def test_large_textures(tex_size):
    for name in ("bilinear", "warp"):
        model = build_model(name, tex_size=tex_size, mesh_inp_size=300, nlatent=4, n_cams=2)
        with torch.no_grad():
            assert model(*random_inputs(1, tex_size)).texture.shape == (1, 3, tex_size, tex_size)


def test_decoding_the_code_is_the_whole_pass(model):
    perturb(model)
    avg_tex, verts, view = random_inputs(2)
    cams = torch.tensor([1, 0])
    out = model(avg_tex, verts, view, cams)
    mean, logstd = model.encode(avg_tex, verts)
    decoded = model.decode(mean, view, cams)
    assert torch.equal(out.latent_mean, mean)
    assert torch.equal(out.texture, decoded.texture) and torch.equal(out.vertices, decoded.vertices)
    assert torch.equal(out.kl, kl_divergence(mean, logstd))


def test_views_of_shared_frames_equal_repeated_frames(model):
    perturb(model)
    avg_tex, verts, _ = random_inputs(2)
    view = random_inputs(3)[2]
    frame_of_view, cams = torch.tensor([1, 0, 1]), torch.tensor([0, 2, 4])
    shared = model(avg_tex, verts, view, cams, frame_of_view=frame_of_view)
    repeated = model(avg_tex[frame_of_view], verts[frame_of_view], view, cams)
    for name in ("texture", "vertices", "latent_mean", "kl"):
        torch.testing.assert_close(getattr(shared, name), getattr(repeated, name), rtol=1e-4, atol=1e-5)


def test_without_noise_two_passes_are_equal_in_both_modes(base):
    inputs = random_inputs(2)
    first = base.train()(*inputs)
    second = base.eval()(*inputs)
    assert torch.equal(first.texture, second.texture) and torch.equal(first.vertices, second.vertices)


def test_noise_has_the_predicted_deviation():
    model = build_model("base", tex_size=256, mesh_inp_size=30, nlatent=512, n_cams=2)
    codes = []
    model.dec.register_forward_pre_hook(lambda module, arguments: codes.append(arguments[0]))
    avg_tex, verts, view = random_inputs(1, n_vertices=10)
    with torch.no_grad():
        for _ in range(4):
            out = model(avg_tex, verts, view, sample=True)
        logstd = model.encode(avg_tex, verts)[1]
    noise = (torch.cat(codes) - out.latent_mean) / logstd.exp()
    assert float(noise.std()) == pytest.approx(1.0, abs=0.06)
    assert float(noise.mean()) == pytest.approx(0.0, abs=0.08)
    assert float(logstd.exp().mean()) == pytest.approx(1.0, abs=0.05)


def test_noise_follows_its_generator(base):
    inputs = random_inputs(2)
    first, second, third = (
        base(*inputs, sample=True, generator=torch.Generator().manual_seed(seed)).texture for seed in (1, 1, 2)
    )
    assert torch.equal(first, second) and not torch.equal(first, third)


def test_views_of_one_frame_draw_their_own_noise(base):
    avg_tex, verts, view = random_inputs(1)
    out = base(avg_tex, verts, view.expand(2, 3), sample=True, frame_of_view=torch.tensor([0, 0]))
    assert not torch.equal(out.vertices[0], out.vertices[1])


def test_kl_is_zero_for_the_unit_normal_and_grows():
    zero = torch.zeros(2, 8)
    assert float(kl_divergence(zero, zero)) == 0
    # 0.5 * (sigma^2 + mu^2 - 1 - ln sigma^2) of N(1, 2^2)
    log2 = torch.full((2, 8), 2.0).log()
    assert float(kl_divergence(zero + 1, log2)) == pytest.approx(0.5 * (4 + 1 - 1 - 2 * 0.6931472), rel=1e-6)


def test_gradients_reach_everything_but_the_anchors(model):
    perturb(model)
    out = model(*random_inputs(5), torch.arange(5), sample=True)
    (out.texture.square().mean() + out.vertices.square().mean() + out.kl).backward()
    for name, parameter in model.named_parameters():
        if "anchor" in name:
            assert parameter.grad is None and not parameter.requires_grad
        else:
            assert parameter.grad is not None and bool((parameter.grad != 0).any()), name


def test_parameter_groups_cover_each_trainable_parameter_once(model):
    groups = model.main_parameters() + model.colour_parameters()
    assert len({id(p) for p in groups}) == len(groups)
    assert {id(p) for p in groups} == {id(p) for p in model.parameters() if p.requires_grad}
    encoder = {id(p) for p in model.encoder_parameters()}
    assert encoder == {id(p) for name, p in model.named_parameters() if name.startswith("enc.")}
    assert [tuple(p.shape) for p in model.colour_parameters()] == [(4, 3, 1, 1)] * 2


def test_the_scale_of_a_weight_does_not_matter(model):
    inputs = random_inputs(2)
    scaled = copy.deepcopy(model)
    with torch.no_grad():
        for name, parameter in scaled.named_parameters():
            if name.endswith(".weight") and name.removesuffix("weight") + "g" in scaled.state_dict():
                parameter.mul_(3.0)
        expected, found = model(*inputs), scaled(*inputs)
    torch.testing.assert_close(found.texture, expected.texture, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(found.vertices, expected.vertices, rtol=1e-4, atol=1e-5)


def test_colour_correction_is_a_gain_and_an_offset_per_camera_and_channel(base):
    perturb(base)
    avg_tex, verts, view = random_inputs(2)
    with torch.no_grad():
        plain = base(avg_tex, verts, view)
        corrected = base(avg_tex, verts, view, torch.tensor([3, 0]))
    cc = base.cc
    torch.testing.assert_close(corrected.texture[0], plain.texture[0] * cc.weight[2] + cc.bias[2])
    torch.testing.assert_close(corrected.texture[1], plain.texture[1] * cc.weight_anchor[0] + cc.bias_anchor[0])
    assert torch.equal(corrected.vertices, plain.vertices)


def test_the_mesh_does_not_depend_on_the_view(model):
    avg_tex, verts, view = random_inputs(1)
    views = torch.cat((view, -view))
    out = model(avg_tex, verts, views, frame_of_view=torch.tensor([0, 0]))
    torch.testing.assert_close(out.vertices[0], out.vertices[1])
    assert (out.texture[0] - out.texture[1]).abs().max() > 1e-3


def test_a_zero_warp_field_stretches_by_half_a_pixel_at_the_borders():
    model = build_model("warp", **SMALL)
    with torch.no_grad():
        model.warp.upsample[5].weight.zero_()
        out = model(*random_inputs(1))
    source, result = out.unwarped_texture, out.texture
    # Output pixel i reads source position i * T/(T-1) - 0.5: the corner mixes with three zeros, the middle with neighbours.
    torch.testing.assert_close(result[..., 0, 0], source[..., 0, 0] / 4, rtol=1e-3, atol=1e-5)
    torch.testing.assert_close(result[..., -1, -1], source[..., -1, -1] / 4, rtol=1e-3, atol=1e-5)


def test_a_constant_warp_field_moves_by_half_a_pixel_per_unit():
    model = build_model("warp", **SMALL)
    with torch.no_grad():
        model.warp.upsample[5].weight.zero_()
        model.warp.upsample[5].bias.copy_(torch.tensor([2.0, -4.0]))
        grid = model(*random_inputs(1)).grid
    moved = (grid[0] - model.warp.normal_grid[0].permute(1, 2, 0)) * 128  # texels: half the size per unit
    torch.testing.assert_close(moved, torch.tensor([1.0, -2.0]).expand(256, 256, 2), rtol=0, atol=1e-4)


@pytest.mark.parametrize("cams", [[0, 5], [-1, 0]])
def test_camera_out_of_range_is_named(base, cams):
    with pytest.raises(ArgumentError, match=r"cams is out of range \(expected 0 to 4"):
        base(*random_inputs(2), torch.tensor(cams))


def test_wrong_shapes_are_named_before_any_arithmetic(base):
    avg_tex, verts, view = random_inputs(2)
    cases = [
        ((avg_tex[:, :, :128], verts, view), "avg_tex has the wrong shape"),
        ((avg_tex, verts[:, :50], view), "verts has the wrong shape"),
        ((avg_tex, verts.flatten(1), view), "verts has the wrong shape"),
        ((avg_tex[:1], verts, view), "different numbers of frames"),
        ((avg_tex, verts, view[:, :2]), "view has the wrong shape"),
        ((avg_tex, verts, view[:1]), "frame_of_view"),
        ((avg_tex, verts, view, torch.tensor([0])), "cams has the wrong shape"),
        ((avg_tex, verts, view, torch.tensor([0.0, 1.0])), "cams must hold integers"),
        (((avg_tex * 10).byte(), verts, view), "avg_tex must be floating point"),
    ]
    for arguments, message in cases:
        with pytest.raises(ArgumentError, match=message):
            base(*arguments)
    with pytest.raises(ArgumentError, match="frame_of_view is out of range"):
        base(avg_tex, verts, view, frame_of_view=torch.tensor([0, 2]))
    with pytest.raises(ArgumentError, match="z has the wrong shape"):
        base.decode(torch.zeros(2, 3), view)


def test_bfloat16_autocast_stays_close_and_keeps_latents_in_float32(model):
    inputs, cams = random_inputs(2), torch.tensor([0, 1])
    exact = model(*inputs, cams)
    with torch.autocast("cpu", torch.bfloat16):
        out = model(*inputs, cams)
        (out.texture.float().square().mean() + out.kl).backward()
    assert out.kl.dtype == torch.float32 and out.latent_mean.dtype == torch.float32
    assert out.kl.item() == pytest.approx(exact.kl.item(), rel=0.05)
    if model.arch != "warp":  # resampling turns small displacements of a noisy texture into large differences
        assert (out.texture - exact.texture).square().mean() < 1e-3 * exact.texture.square().mean()
    assert all(p.grad is not None and bool(torch.isfinite(p.grad).all()) for p in model.encoder_parameters())


def test_double_precision_works(base):
    avg_tex, verts, view = random_inputs(1)
    exact = base(avg_tex, verts, view)
    double = copy.deepcopy(base).double()(avg_tex.double(), verts.double(), view.double())
    assert double.texture.dtype == torch.float64
    torch.testing.assert_close(double.texture.float(), exact.texture, rtol=1e-4, atol=1e-5)
