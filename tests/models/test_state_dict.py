"""Names, shapes and order of the state_dict, from the published tables rather than from the code."""

from __future__ import annotations

import pytest
import torch

from multiface.core.errors import ArgumentError
from multiface.models import ARCHITECTURES, build_model
from small_models import ARCHS

ENCODER = [(3, 16), (16, 16), (16, 32), (32, 32), (32, 64), (64, 64), (64, 128), (128, 128)]
WARP = [(256, 128), (128, 128), (128, 128), (128, 64), (64, 64), (64, 32), (32, 32), (32, 16)]


def normalised(name, shape, out):
    return [(f"{name}.weight", shape), (f"{name}.bias", (out,)), (f"{name}.g", (out,))]


def encoder_table(arch, s, n, z):
    rows = []
    for block in range(4):
        prefix = f"enc.texture_encoder.downsample.{block}"
        for j in (1, 2):
            cin, cout = ENCODER[2 * block + j - 1]
            rows += normalised(f"{prefix}.conv{j}", (cout, cin, 4, 4), cout)
        if arch == "res":
            c = 16 * 2**block
            rows += normalised(f"{prefix}.res1", (c, c, 3, 3), c) + normalised(f"{prefix}.res2", (c, c, 3, 3), c)
    rows += normalised("enc.texture_fc", (256, 128 * s * s), 256)
    rows += normalised("enc.mesh_fc", (256, n), 256)
    return rows + normalised("enc.fc", (2 * z, 512), 2 * z)


def decoder_table(arch, s, n, z):
    rows = []
    channels = [(z, z), (z, 64), (64, 64), (64, 32), (32, 32), (32, 16), (16, 16), (16, 3)]
    for position, (cin, cout) in enumerate(channels):
        block, j = divmod(position, 2)
        prefix = f"dec.texture_decoder.upsample.{block}"
        side = 1 if arch == "non" else s * 2 ** (position + 1)
        kernel = (cout, cin, 3, 3) if arch == "bilinear" else (cin, cout, 4, 4)
        rows.append((f"{prefix}.conv{j + 1}.bias", (1, cout, side, side)))
        rows += normalised(f"{prefix}.conv{j + 1}.deconv", kernel, cout)
        if arch == "res" and j == 1:
            c1, c2 = (z, 64, 32, 16)[block], (64, 32, 16, 3)[block]
            rows += normalised(f"{prefix}.res1", (c1, c1, 3, 3), c1) + normalised(f"{prefix}.res2", (c2, c2, 3, 3), c2)
    rows += normalised("dec.view_fc", (8, 3), 8)
    rows += normalised("dec.z_fc", (256, z), 256)
    rows += normalised("dec.mesh_fc", (n, 256), n)
    return rows + normalised("dec.texture_fc", (z * s * s, 264), z * s * s)


def colour_table(c):
    one, others = (1, 3, 1, 1), (c - 1, 3, 1, 1)
    return [("cc.weight_anchor", one), ("cc.bias_anchor", one), ("cc.weight", others), ("cc.bias", others)]


def warp_table(t, z):
    rows = [("warp.normal_grid", (1, 2, t, t))]
    rows += normalised("warp.mlp.0", (256, z), 256) + normalised("warp.mlp.2", (1024, 256), 1024)
    for position, (cin, cout) in enumerate(WARP):
        block, j = divmod(position, 2)
        side = 4 * 2**position
        prefix = f"warp.upsample.{block}.conv{j + 1}"
        rows.append((f"{prefix}.bias", (1, cout, side, side)))
        rows += normalised(f"{prefix}.deconv", (cin, cout, 4, 4), cout)
    return [*rows, ("warp.upsample.5.weight", (2, 16, 3, 3)), ("warp.upsample.5.bias", (2,))]


def published_table(arch, t, n, z, c):
    s = t // 256
    encoder, decoder, colour = encoder_table(arch, s, n, z), decoder_table(arch, s, n, z), colour_table(c)
    if arch == "warp":
        return colour + encoder + decoder + warp_table(t, z)
    return encoder + decoder + colour


def build_shapes_only(arch, **sizes):
    with torch.device("meta"):
        return build_model(arch, **sizes)


@pytest.mark.parametrize("tex_size", [256, 512, 1024, 2048])
@pytest.mark.parametrize("arch", ARCHS)
def test_keys_shapes_and_order_are_the_published_ones(arch, tex_size):
    model = build_shapes_only(arch, tex_size=tex_size, mesh_inp_size=21918, nlatent=128, n_cams=40)
    found = [(key, tuple(value.shape)) for key, value in model.state_dict().items()]
    assert found == published_table(arch, tex_size, 21918, 128, 40)
    assert all(value.dtype == torch.float32 for value in model.state_dict().values())


COUNTS = {
    "base": (81, 24_313_818, 22_678_746, 16_246_746, 3_276_804),
    "res": (129, 25_394_097, 23_316_401, 17_327_025, 3_769_083),
    "warp": (122, 33_134_492, 31_466_652, 25_067_420, 12_036_038),
    "non": (81, 15_172_029, 13_545_021, 13_961_661, 995_319),
    "bilinear": (81, 23_684_490, 22_450_826, 15_617_418, 3_211_956),
}
COUNTED_SIZES = (
    {"tex_size": 1024, "nlatent": 256, "n_cams": 40},
    {"tex_size": 1024, "nlatent": 128, "n_cams": 40},
    {"tex_size": 512, "nlatent": 256, "n_cams": 40},
    {"tex_size": 512, "nlatent": 16, "mesh_inp_size": 300, "n_cams": 5},
)


@pytest.mark.parametrize("arch", ARCHS)
def test_parameter_counts_are_the_published_ones(arch):
    n_keys, *counts = COUNTS[arch]
    models = [build_shapes_only(arch, **sizes) for sizes in COUNTED_SIZES]
    assert [sum(p.numel() for p in model.parameters()) for model in models] == counts
    assert {len(model.state_dict()) for model in models} == {n_keys}


def test_defaults_are_those_of_the_published_command_line():
    model = build_shapes_only("base")
    assert (model.tex_size, model.mesh_inp_size, model.nlatent, model.n_cams) == (1024, 21918, 256, 38)
    assert sum(p.numel() for p in model.parameters()) == COUNTS["base"][1] - 2 * 6


def test_every_architecture_is_listed():
    assert tuple(ARCHITECTURES) == ARCHS


def test_unknown_architecture_lists_the_choices():
    with pytest.raises(ArgumentError, match="base, res, warp, non, bilinear"):
        build_model("bsae")


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        ({"tex_size": 640}, "256, 512, 1024, 2048"),
        ({"tex_size": "512"}, "tex_size must be a whole number"),
        ({"tex_size": True}, "tex_size must be a whole number"),
        ({"mesh_inp_size": 0}, "mesh_inp_size is out of range"),
        ({"mesh_inp_size": 100}, "multiple of 3"),
        ({"mesh_inp_size": 3 * 10**12}, "mesh_inp_size is out of range"),
        ({"nlatent": -1}, "nlatent is out of range"),
        ({"nlatent": 2.0}, "nlatent must be a whole number"),
        ({"n_cams": 0}, "n_cams is out of range"),
    ],
)
def test_impossible_sizes_are_refused(sizes, message):
    with pytest.raises(ArgumentError, match=message):
        build_model("base", **sizes)


def test_a_single_camera_has_only_the_anchor():
    model = build_shapes_only("base", tex_size=256, mesh_inp_size=300, nlatent=8, n_cams=1)
    assert model.cc.weight.shape == (0, 3, 1, 1)
