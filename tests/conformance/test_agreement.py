"""Values and gradients of every backend against the float64 reference.

Rounding may give a pixel to the neighbour triangle, so a small share of pixels may show another triangle; all others have to
agree tightly. Gradients are compared for a loss over the pixels that agree and do not show the very centre of a row or column
of texels: the derivative of bilinear interpolation jumps there, and rounding decides to which side.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch

from multiface.capture import read_obj, read_vertices
from multiface.geometry import Topology
from multiface.prepare.stage.head import Head
from multiface.prepare.stage.identity import sample_identity
from multiface.render import interpolate
from render_scenes import Scene, ball, camera, soup

SHARE_OF_FLIPS = 1e-3
RESOLUTION = 2.0**-21
"""Of texture coordinates in float32 after a few operations, as part of a side."""


def close(found: torch.Tensor, expected: torch.Tensor, tolerance: float) -> None:
    """Differences are measured against the largest entry: small sums of large terms cannot be better than that."""
    assert found.shape == expected.shape
    assert found.dtype == expected.dtype
    found, expected = found.detach(), expected.detach()
    scale = float(expected.abs().max())
    assert torch.isfinite(found).all()
    assert float((found - expected).abs().max()) <= tolerance * scale


def compare(contender, reference, scene: Scene, interpolation: str) -> None:
    # float32 texture coordinates resolve 2^-24 of a side, and noise differs by as much as 1 from texel to texel
    tolerance = 1e-5 * max(1.0, max(scene.texture.shape[2:]) / 20)
    scenes = scene.with_gradients(), scene.with_gradients()
    found, expected = contender.render(scenes[0], interpolation), reference.render(scenes[1], interpolation)
    same = found.triangle == expected.triangle
    assert int((~same).sum()) <= max(2, SHARE_OF_FLIPS * same.numel())
    assert (expected.triangle >= 0).any()
    close(found.image * same[:, None], expected.image * same[:, None], tolerance)
    close(found.depth * same, expected.depth * same, 1e-6)
    random = torch.Generator().manual_seed(1)
    smooth = same & ~at_texel_centres(scene, reference, interpolation)
    image_weight = torch.randn(expected.image.shape, generator=random, dtype=expected.image.dtype) * smooth[:, None]
    depth_weight = torch.randn(expected.depth.shape, generator=random, dtype=expected.depth.dtype) * same
    for result in (found, expected):
        ((result.image * image_weight).sum() + (result.depth * depth_weight).sum()).backward()
    for name in ("vertices", "projection", "texture"):
        close(getattr(scenes[0], name).grad, getattr(scenes[1], name).grad, 5e-5)


def at_texel_centres(scene: Scene, reference, interpolation: str) -> torch.Tensor:
    """(B, H, W) bool: pixels whose column or row of texels is too near a whole one to tell the side in float32."""
    exact = Scene(scene.vertices.double(), scene.projection.double(), *_parts(scene)[2:])
    raster = reference.rasterize(exact, interpolation)
    uvs = torch.from_numpy(np.asarray(scene.topology.uvs, np.float64))[None]
    uv = interpolate(uvs, scene.topology.uv_faces, raster)
    sides = torch.tensor(scene.texture.shape[-1:-3:-1], dtype=uv.dtype)[:, None, None]
    position = uv * sides - 0.5
    near = ((position - position.round()).abs() <= RESOLUTION * sides).any(1) & (raster.triangle >= 0)
    assert int(near.sum()) <= max(2, SHARE_OF_FLIPS * near.numel())
    return near


@pytest.mark.parametrize("interpolation", ["perspective", "affine"])
class TestAgreement:
    @pytest.mark.parametrize("seed", range(4))
    def test_triangle_soup(self, contender, reference, interpolation, seed):
        compare(contender, reference, soup(seed), interpolation)

    @pytest.mark.parametrize("channels", [1, 2, 3, 4, 8])
    def test_channels(self, contender, reference, interpolation, channels):
        compare(contender, reference, soup(5, batch=1, channels=channels), interpolation)

    def test_mesh_with_seam_and_wrap_around(self, contender, reference, interpolation):
        compare(contender, reference, ball(), interpolation)

    def test_subpixel_triangles(self, contender, reference, interpolation):
        compare(contender, reference, soup(6, triangles=3000, extent=4.0), interpolation)

    def test_head_of_the_virtual_stage(self, contender, reference, interpolation):
        head = Head(sample_identity(1))
        compare(contender, reference, head_scene(torch.from_numpy(head.neutral).float(), head.topology), interpolation)

    @pytest.mark.real
    def test_real_head(self, contender, reference, interpolation, shared):
        real = shared / "real"
        vertices = torch.from_numpy(read_vertices(next(real.glob("*.bin"))))
        compare(contender, reference, head_scene(vertices, read_obj(real / "face_topology.obj").topology), interpolation)

    def test_screen_filling_triangles(self, contender, reference, interpolation):
        compare(contender, reference, soup(7, triangles=8, extent=250.0, size=(61, 80)), interpolation)

    @pytest.mark.parametrize("size", [(1, 1), (1, 70), (70, 1), (33, 65), (128, 96)])
    def test_picture_sizes(self, contender, reference, interpolation, size):
        compare(contender, reference, soup(8, batch=1, size=size, extent=250.0), interpolation)

    def test_one_texture_for_several_items(self, contender, reference, interpolation):
        scene = soup(9, batch=5)
        compare(contender, reference, Scene(*_parts(scene)[:3], scene.texture[:1], scene.size), interpolation)

    def test_one_mesh_for_several_cameras(self, contender, reference, interpolation):
        scene = soup(10, batch=3)
        compare(contender, reference, Scene(scene.vertices[:1], *_parts(scene)[1:]), interpolation)

    def test_float64_input(self, contender, reference, interpolation):
        scene = soup(11)
        scene = Scene(scene.vertices.double(), scene.projection.double(), *_parts(scene)[2:])
        compare(contender, reference, scene, interpolation)

    def test_triangles_that_are_dropped_have_no_gradient_and_spoil_none(self, contender, reference, interpolation):
        scene = soup(12, triangles=40, batch=1)
        vertices = scene.vertices.clone()
        vertices[0, 0, 0], vertices[0, 3, 1], vertices[0, 6, 2] = torch.nan, torch.inf, -torch.inf
        vertices[0, 9, 2] = 1000.0  # behind the camera
        vertices[0, 12, 2] = 300.0  # at its centre
        compare(contender, reference, Scene(vertices, *_parts(scene)[1:]), interpolation)

    def test_barycentrics(self, contender, reference, interpolation):
        scene = soup(13)
        found, expected = contender.rasterize(scene, interpolation), reference.rasterize(scene, interpolation)
        same = found.triangle.cpu() == expected.triangle
        assert (~same).float().mean() <= SHARE_OF_FLIPS
        close(found.barycentric.cpu() * same[..., None], expected.barycentric * same[..., None], 1e-5)
        close(found.depth.cpu() * same, expected.depth * same, 1e-6)


def test_textures_from_one_texel_to_long_strips(contender, reference):
    for height, width in ((1, 1), (1, 50), (50, 1), (2, 2), (300, 7)):
        scene = soup(14, batch=1)
        texture = torch.rand(1, 2, height, width, generator=torch.Generator().manual_seed(2))
        compare(contender, reference, Scene(*_parts(scene)[:3], texture, scene.size), "perspective")


def test_half_precision_texture(contender, reference):
    scene = soup(15)
    widened = Scene(*_parts(scene)[:3], scene.texture.bfloat16().float(), scene.size)
    half = Scene(*_parts(scene)[:3], scene.texture.bfloat16(), scene.size).with_gradients()
    found, expected = contender.render(half), reference.render(widened)
    same = (found.triangle == expected.triangle)[:, None]
    close(found.image.detach() * same, expected.image * same, 1e-5)
    found.image.sum().backward()
    assert half.texture.grad.dtype == torch.bfloat16


def test_input_that_is_not_contiguous(contender, reference):
    scene = soup(16)
    scattered = Scene(
        scene.vertices.mT.contiguous().mT,
        scene.projection.mT.contiguous().mT,
        scene.topology,
        scene.texture.contiguous(memory_format=torch.channels_last),
        scene.size,
    )
    assert torch.equal(contender.render(scattered).image, contender.render(scene).image)
    compare(contender, reference, scattered, "perspective")


def test_ties_go_to_the_same_triangle(contender, reference):
    scene = soup(17, triangles=30)
    order = np.random.default_rng(0).permutation(np.tile(np.arange(30), 3))
    faces, uv_faces = scene.topology.faces[order], scene.topology.uv_faces[order]
    faces[::2] = faces[::2][:, [1, 2, 0]]
    topology = type(scene.topology)(faces, scene.topology.uvs, uv_faces)
    scene = Scene(scene.vertices, scene.projection, topology, scene.texture, scene.size)
    found, expected = contender.render(scene).triangle, reference.render(scene).triangle
    assert (found != expected).float().mean() <= SHARE_OF_FLIPS


@pytest.mark.parametrize("asked", ["vertices", "projection", "texture"])
def test_single_gradients_equal_those_computed_together(contender, asked):
    together, alone = soup(18).with_gradients(), soup(18)
    contender.render(together).image.square().sum().backward()
    getattr(alone, asked).requires_grad_()
    contender.render(alone).image.square().sum().backward()
    close(getattr(alone, asked).grad, getattr(together, asked).grad, 1e-6)
    assert all(getattr(alone, name).grad is None for name in ("vertices", "projection", "texture") if name != asked)


def head_scene(vertices: torch.Tensor, topology: Topology) -> Scene:
    """Two cameras in front of a head; triangles of a few pixels and less."""
    size = (128, 96)
    vertices = vertices - (vertices.amax(0) + vertices.amin(0)) / 2
    projections = torch.stack([camera(size, 400.0), camera(size, 350.0)])
    texture = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(3))
    return Scene(vertices[None], projections, topology, texture, size)


def _parts(scene: Scene):
    return scene.vertices, scene.projection, scene.topology, scene.texture, scene.size
