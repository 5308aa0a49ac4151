"""Agreement with outputs of the published networks, for parameters and inputs that a rule generates."""

from __future__ import annotations

import zlib

import numpy as np
import pytest
import torch

from multiface.models import build_model

pytestmark = pytest.mark.real


def generated(name, shape):
    return torch.randn(shape, generator=torch.Generator().manual_seed(zlib.crc32(name.encode())))


def fill(model):
    for key, tensor in model.state_dict().items():
        r = generated(key, tensor.shape)
        if key == "warp.normal_grid":
            continue
        if key.startswith("cc."):
            r = 1 + 0.1 * r if "weight" in key else 0.1 * r
        elif key.endswith(".g"):
            r = (0.5 if ".res" in key else 2.5) * (1 + 0.1 * r).abs() * len(r) ** 0.5
        else:
            r = 0.05 * r * (4 if key.startswith("warp.upsample.5") else 1)
        tensor.copy_(r)


def relative_error(found, expected):
    scale = expected.std() if expected.ndim else np.abs(expected)
    return float(np.abs(found.numpy() - expected).max() / scale)


@pytest.mark.parametrize("arch", ["base", "warp"])
def test_outputs_are_those_of_the_published_networks(shared, arch):
    reference = np.load(shared / "reference" / f"{arch}.npz")
    model = build_model(arch, 512, 300, 16, 5).eval()
    state = model.state_dict()
    assert list(state) == reference["keys"].tolist()
    assert [str(tuple(value.shape)) for value in state.values()] == reference["shapes"].tolist()
    fill(model)
    view = generated("view", (2, 3))
    with torch.no_grad():
        out = model(
            generated("avg", (2, 3, 512, 512)),
            generated("mesh", (2, 100, 3)),
            view / view.norm(dim=1, keepdim=True),
            torch.tensor([3, 0]),
        )
    part = (..., slice(3, None, 13), slice(5, None, 11))
    assert relative_error(out.texture[part], reference["texture"]) < (1e-3 if arch == "warp" else 1e-4)
    assert relative_error(out.texture.abs().mean(), reference["texture_abs_mean"]) < 1e-4
    assert relative_error(out.vertices, reference["vertices"]) < 1e-4
    assert relative_error(out.latent_mean, reference["latent_mean"]) < 1e-4
    assert relative_error(out.kl, reference["kl"]) < 1e-4
    if arch == "warp":
        assert relative_error(out.unwarped_texture[part], reference["unwarped"]) < 1e-4
        assert relative_error(out.grid[:, 3::13, 5::11], reference["grid"]) < 1e-4
