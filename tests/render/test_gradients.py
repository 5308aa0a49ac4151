"""The gradients of the reference, which all backends are compared with, against finite differences."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from multiface.geometry import Topology
from multiface.render import interpolate, rasterize, render_mesh
from multiface.render.reference.shading import corner_weights, sample_texture
from render_scenes import FLAT, camera, flat_triangles


@pytest.mark.parametrize("interpolation", ["perspective", "affine"])
def test_whole_picture_by_finite_differences(interpolation):
    """Triangles larger than the picture and a smooth texture: nothing a small step could make jump."""
    size = (5, 6)
    random = torch.Generator().manual_seed(0)
    vertices = torch.tensor([[-400.0, -300, 20], [500, -250, -30], [0, 600, 60]], dtype=torch.float64)
    vertices = vertices + torch.randn(2, 3, 3, generator=random, dtype=torch.float64) * 10
    faces = np.array([[0, 1, 2]])
    topology = Topology(faces, np.array([[0.30, 0.30], [0.62, 0.33], [0.41, 0.66]]), faces)
    # a texture of 2 x 2 has texel centres at 1/4 and 3/4: all uvs above lie between them, where bilinear is smooth
    texture = torch.rand(2, 2, 2, 2, generator=random, dtype=torch.float64)
    projection = camera(size).double().expand(2, 3, 4) + torch.zeros(2, 1, 1)

    def picture(vertices, projection, texture):
        result = render_mesh(vertices, projection, topology, texture, size, interpolation, "reference")
        assert (result.triangle == 0).all()
        return result.image, result.depth

    inputs = [t.detach().clone().requires_grad_() for t in (vertices, projection, texture)]
    assert torch.autograd.gradcheck(picture, inputs, eps=1e-5, atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("backend", ["reference", "numba"])
def test_texture_gradient_is_the_coverage(backend):
    scene = flat_triangles(((0.1, 0.2), (11.3, 1.1), (2.2, 14.8)), ((30, 2), (31, 2), (31, 3))).with_gradients()
    result = render_mesh(scene.vertices, scene.projection, scene.topology, scene.texture, scene.size, backend=backend)
    result.image.sum().backward()
    assert torch.allclose(scene.texture.grad.flatten(), torch.tensor([float((result.triangle == 0).sum()), 0.0]))


@pytest.mark.parametrize("backend", ["reference", "numba"])
def test_head_pose_is_found_by_descent(backend):
    """A quad with a smooth pattern, moved by 3 mm, comes back."""
    size = (40, 40)
    corners = torch.tensor([[-70.0, -70, 0], [70, -70, 0], [70, 70, 0], [-70, 70, 0]])[None]
    faces = np.array([[0, 1, 2], [0, 2, 3]])
    topology = Topology(faces, np.array([[0, 0], [1, 0], [1, 1], [0, 1]]) * 0.98 + 0.01, faces)
    wave = torch.sin(torch.linspace(0, 6.3, 16))
    texture = torch.stack([wave[None] + 0 * wave[:, None], wave[:, None] + 0 * wave[None]])[None]
    wanted = render_mesh(corners, camera(size)[None], topology, texture, size, backend=backend).image
    shift = torch.tensor([3.0, -2.0, 0.0], requires_grad=True)
    optimiser = torch.optim.Adam([shift], lr=0.3)
    for _ in range(60):
        optimiser.zero_grad()
        found = render_mesh(corners + shift, camera(size)[None], topology, texture, size, backend=backend).image
        ((found - wanted)[:, :, 8:-8, 8:-8] ** 2).mean().backward()
        optimiser.step()
    assert float(shift.detach()[:2].norm()) < 0.3


def test_weights_of_corners_are_one_at_themselves():
    corners = torch.tensor([[[1.0, 2, 5], [9, 3, 7], [4, 8, 6]]], dtype=torch.float64).expand(3, 3, 3)
    for perspective in (True, False):
        assert torch.allclose(corner_weights(corners, corners[0, :, :2], perspective), torch.eye(3).double())


def test_texture_look_up_at_a_texel_and_between():
    texture = torch.arange(6.0).reshape(1, 1, 2, 3)
    uv = torch.tensor([[0.5 / 3, 0.25], [1.0 / 3, 0.25], [0.5 / 3, 0.5], [0.0, 0.25], [0.5 / 3 - 7, 0.25 + 3]]).double()
    found = sample_texture(texture, torch.zeros(5, dtype=torch.long), uv)
    assert torch.allclose(found[:, 0], torch.tensor([0, 0.5, 1.5, 1.0, 0.0]).double(), atol=1e-6)


@pytest.mark.parametrize("backend", ["reference", "numba"])
def test_interpolated_attributes(backend):
    scene = flat_triangles(((0, 0), (16, 0), (0, 16)), ((16, 0), (16, 16), (0, 16)))
    raster = rasterize(scene.vertices.float(), FLAT, scene.topology.faces, scene.size, backend=backend)
    positions = scene.vertices[:, :, :2].float().requires_grad_()
    picture = interpolate(positions, scene.topology.faces, raster)
    v, u = torch.meshgrid(torch.arange(16) + 0.5, torch.arange(16) + 0.5, indexing="ij")
    assert torch.allclose(picture[0], torch.stack([u, v]), atol=1e-4)
    picture.sum().backward()
    assert torch.allclose(positions.grad.sum((0, 1)), torch.tensor([256.0, 256.0]), rtol=1e-4)


def test_interpolation_leaves_the_background_zero_and_shares_a_batch_of_one():
    scene = flat_triangles(((2, 2), (9, 2), (2, 9)))
    raster = rasterize(scene.vertices.expand(3, -1, -1), scene.projection, scene.topology.faces, scene.size)
    picture = interpolate(torch.ones(1, 3, 4), scene.topology.faces, raster)
    assert picture.shape == (3, 4, 16, 16)
    assert torch.allclose(picture, (raster.triangle >= 0).float()[:, None].expand(3, 4, 16, 16), atol=1e-6)
