"""Silhouette gradients: every backend against the reference, and all of them against pictures averaged over pixel areas."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from multiface.geometry import Topology
from multiface.render import render_mesh
from render_scenes import Scene, ball, camera, flat_triangles, soup

SUPERSAMPLES = 8
"""Per pixel and direction, in the pictures that stand for averages over areas."""


def geometry_gradients(target, scene: Scene, weight: torch.Tensor, interpolation="perspective") -> list[torch.Tensor]:
    """Of the sum of the picture times ``weight``, by way of edges and of what is between them, with respect to geometry."""
    scene = scene.with_gradients()
    image = target.render(scene, interpolation, silhouette_gradients=True).image
    (image * weight).sum().backward()
    return [scene.vertices.grad, scene.projection.grad]


def random_weight(scene: Scene, channels: int | None = None) -> torch.Tensor:
    batch = max(len(scene.vertices), len(scene.projection), len(scene.texture))
    shape = (batch, channels or scene.texture.shape[1], *scene.size)
    return torch.randn(shape, generator=torch.Generator().manual_seed(1))


def smooth_weight(scene: Scene) -> torch.Tensor:
    """(1, C, H, W) float64, nearly the same from pixel to pixel."""
    coarse = torch.randn(1, scene.texture.shape[1], 4, 4, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    return torch.nn.functional.interpolate(coarse, size=scene.size, mode="bicubic", align_corners=True)


def painted(scene: Scene, colours: np.ndarray) -> Scene:
    """The scene with one colour, (C,) or grey, for all of a triangle: nothing but edges moves the picture."""
    count = int(colours.max()) + 1
    uvs = np.stack([(np.arange(count) + 0.5) / count, np.full(count, 0.5)], -1)
    texture = torch.rand(1, 2, 1, count, generator=torch.Generator().manual_seed(2)) + 0.5
    return replace(scene, topology=Topology(scene.topology.faces, uvs, np.repeat(colours[:, None], 3, 1)), texture=texture)


def squares(*corners, size) -> Scene:
    """Squares of four vertices and two triangles each, one colour each, seen by the camera of the tests."""
    faces = np.concatenate([np.array([[0, 1, 2], [0, 2, 3]]) + 4 * k for k in range(len(corners))])
    vertices = torch.tensor(np.concatenate(corners), dtype=torch.float32)[None]
    scene = Scene(vertices, camera(size)[None], Topology(faces, np.zeros((1, 2)), faces * 0), torch.ones(1, 1, 1, 1), size)
    return painted(scene, np.repeat(np.arange(len(corners)), 2))


def square(half: float, turn: float, centre, tilt: float = 0.0) -> np.ndarray:
    x, y = half * np.array([-1, 1, 1, -1]), half * np.array([-1, -1, 1, 1])
    u, v = x * np.cos(turn) - y * np.sin(turn), x * np.sin(turn) + y * np.cos(turn)
    return np.stack([u * np.cos(tilt), v, u * np.sin(tilt)], -1) + np.array(centre)


SCENES = {
    "a square": squares(square(55, 0.4, (3, 5, 0)), size=(96, 96)),
    "a square that leaves the picture": squares(square(70, 0.3, (60, 20, 0)), size=(96, 96)),
    "a ball": painted(ball(size=(96, 96), rings=16, segments=28), np.zeros(2 * 16 * 28, int)),
    "a ball of tiny triangles": painted(ball(size=(96, 96), rings=70, segments=120), np.zeros(2 * 70 * 120, int)),
    "one square before another": squares(square(60, 0.2, (-15, 5, -30)), square(45, 0.7, (20, -8, 40)), size=(96, 96)),
    "squares that intersect": squares(square(60, 0.2, (0, 0, 0), 0.9), square(60, 0.5, (5, 0, 0), -0.5), size=(96, 96)),
}


def directions(vertices: torch.Tensor) -> dict[str, torch.Tensor]:
    """Motions of all vertices by about 1 mm, and of the first half of them alone."""
    unit = torch.eye(3, dtype=torch.float64)
    moves = {name: axis.expand_as(vertices) for name, axis in zip("xyz", unit)}
    moves["size"] = vertices / 60
    moves["turn"] = torch.linalg.cross(unit[2].expand_as(vertices), vertices, dim=-1) / 60
    first = torch.zeros_like(vertices)
    first[:, : vertices.shape[1] // 2] = 1
    return {**moves, "first half in x": first * unit[0], "first half in z": first * unit[2]}


def averaged(scene: Scene, vertices: torch.Tensor, interpolation: str) -> torch.Tensor:
    """The picture whose pixels are means over their areas."""
    finer = torch.diag(torch.tensor([SUPERSAMPLES, SUPERSAMPLES, 1.0])).double() @ scene.projection.double()
    size = (scene.size[0] * SUPERSAMPLES, scene.size[1] * SUPERSAMPLES)
    image = render_mesh(vertices, finer, scene.topology, scene.texture.double(), size, interpolation, "numba").image
    return torch.nn.functional.avg_pool2d(image, SUPERSAMPLES)


@pytest.fixture(scope="module", params=SCENES, ids=str)
def measured(request) -> tuple[Scene, torch.Tensor, dict[str, float]]:
    """A scene, a weight, and the derivative of the weighted sum of its averaged picture in every direction."""
    scene = SCENES[request.param]
    weight, vertices, step = smooth_weight(scene), scene.vertices.double(), 0.5
    slopes = {}
    for name, way in directions(vertices).items():
        after, before = (averaged(scene, vertices + sign * step * way, "perspective") for sign in (1, -1))
        slopes[name] = float(((after - before) * weight).sum() / (2 * step))
    return scene, weight, slopes


def test_finite_differences_of_averaged_pictures(target, measured):
    """Within 5 % of the largest derivative: a picture samples an edge once per row or column, and the weight at pixels."""
    if target.backend == "triton" and target.device == "cpu":
        pytest.skip("too large for Triton's interpreter")
    scene, weight, slopes = measured
    gradient, _ = geometry_gradients(target, scene, weight)
    largest = max(map(abs, slopes.values()))
    for name, way in directions(scene.vertices.double()).items():
        assert float((gradient.double() * way).sum()) == pytest.approx(slopes[name], abs=0.05 * largest), name


SMALL = {
    "triangles": soup(1, triangles=14, batch=2, size=(18, 22), extent=120.0),
    "ball": ball(size=(20, 24)),
    "tiny": ball(size=(10, 12), rings=40, segments=60),
    "intersection": squares(square(60, 0.2, (0, 0, 0), 0.9), square(60, 0.5, (5, 0, 0), -0.5), size=(20, 20)),
}


@pytest.mark.parametrize("interpolation", ["perspective", "affine"])
@pytest.mark.parametrize("scene", SMALL.values(), ids=SMALL.keys())
def test_agreement_with_the_reference(contender, reference, scene, interpolation):
    weight = random_weight(scene)
    found = geometry_gradients(contender, scene, weight, interpolation)
    expected = geometry_gradients(reference, scene, weight, interpolation)
    for a, b in zip(found, expected):
        assert float((a - b).abs().max()) <= 5e-5 * float(b.abs().max())


@pytest.mark.parametrize(
    "seed, triangles, extent, size", [(1, 60, 60, (37, 50)), (6, 2000, 6, (37, 50)), (7, 8, 250, (61, 80))]
)
def test_larger_scenes_agree_with_the_reference(contender, reference, seed, triangles, extent, size):
    if contender.device == "cpu" and contender.backend == "triton":
        pytest.skip("too large for Triton's interpreter")
    test_agreement_with_the_reference(contender, reference, soup(seed, triangles, extent=extent, size=size), "perspective")


@pytest.mark.parametrize("channels", [1, 5, 9])
def test_any_number_of_channels(contender, reference, channels):
    scene = soup(3, triangles=6, batch=1, channels=channels, size=(9, 12), extent=150.0)
    test_agreement_with_the_reference(contender, reference, scene, "perspective")


def test_shared_inputs_and_float64(contender, reference):
    scene = soup(4, triangles=6, batch=2, size=(10, 12), extent=150.0)
    scene = Scene(scene.vertices[:1].double(), scene.projection.double(), scene.topology, scene.texture[:1], scene.size)
    test_agreement_with_the_reference(contender, reference, scene, "perspective")
    assert geometry_gradients(contender, scene, random_weight(scene))[0].dtype == torch.float64


def test_what_is_not_drawn_has_no_gradient_and_spoils_none(contender, reference):
    scene = ball(size=(20, 24))
    vertices = scene.vertices.clone()
    vertices[0, 62:66, 2] = torch.nan
    vertices[0, 70, 1], vertices[0, 80, 2], vertices[0, 90, 2] = torch.inf, 1000.0, 300.0
    scene = replace(scene, vertices=vertices)
    test_agreement_with_the_reference(contender, reference, scene, "perspective")
    gradient, _ = geometry_gradients(contender, scene, random_weight(scene))
    assert torch.isfinite(gradient).all()
    assert not gradient[0, [62, 63, 64, 65, 70, 80, 90]].any()


def difference_made(target, scene: Scene, weight=None) -> float:
    """How much silhouette gradients add, against those at fixed visibility."""
    weight = random_weight(scene) if weight is None else weight
    fixed = scene.with_gradients()
    (target.render(fixed).image * weight).sum().backward()
    found = geometry_gradients(target, scene, weight)
    return float((found[0] - fixed.vertices.grad).abs().max() / (1 + fixed.vertices.grad.abs().max()))


def test_nothing_comes_from_edges_within_a_surface(target):
    """A ball that fills the picture has only such edges: of large triangles, and of many within one pixel."""
    for rings, segments, size in ((12, 20, (16, 20)), (50, 80, (6, 8))):
        scene = ball(size=size, rings=rings, segments=segments)
        scene = replace(scene, vertices=scene.vertices * 2.6)
        assert (target.render(scene).triangle >= 0).all()
        assert difference_made(target, scene) == 0.0


def test_nothing_comes_from_edges_between_equal_colours(target):
    scene = squares(square(60, 0.2, (-15, 5, -30)), square(45, 0.7, (20, -8, 40)), size=(16, 18))
    scene = replace(scene, texture=torch.zeros_like(scene.texture))
    assert difference_made(target, scene) == 0.0
    assert difference_made(target, replace(scene, texture=torch.ones_like(scene.texture))) > 0.1


def test_nothing_comes_from_seams_of_vertices_in_one_place(target):
    """A square cut along its diagonal, each half with vertices of its own, larger than the picture."""
    a, b, c, d = (-3.0, -4.0), (25.0, -2.0), (27.0, 22.0), (-5.0, 26.0)
    scene = flat_triangles((a, b, c), (a, c, d), size=(12, 14))
    assert difference_made(target, scene) == 0.0


def test_the_front_shape_of_an_occlusion_moves_and_the_back_does_not(target):
    """A small square before one that fills the picture: only the small one has edges in it."""
    scene = squares(square(300, 0.0, (0, 0, -40)), square(40, 0.5, (0, 0, 40)), size=(16, 16))
    gradient, _ = geometry_gradients(target, scene, random_weight(scene))
    assert gradient[0, :4].abs().max() < 1e-12
    assert gradient[0, 4:, :2].abs().min() > 1e-4


def test_a_surface_that_occludes_itself(target):
    """A strip bent into a hook: its front end covers a part behind. Moving the end sideways moves only that edge."""
    strip = [(-90, 0), (90, 0), (90, 60), (-20, 60)]  # x and z along the strip, seen along z
    vertices = torch.tensor([[x, y, z] for x, z in strip for y in (-150.0, 150.0)])[None]
    faces = np.array([f for k in range(3) for f in ((2 * k, 2 * k + 1, 2 * k + 3), (2 * k, 2 * k + 3, 2 * k + 2))])
    scene = Scene(
        vertices, camera((16, 16))[None], Topology(faces, np.zeros((1, 2)), faces * 0), torch.ones(1, 1, 1, 1), (16, 16)
    )
    scene = painted(scene, np.array([0, 0, 1, 1, 2, 2]))
    weight = torch.zeros(1, 2, 16, 16)
    weight[:, 0, :, 3:9] = 1.0  # around the end at x = -20 only
    gradient, _ = geometry_gradients(target, scene, weight)
    jump = float(scene.texture[0, 0, 0, 2] - scene.texture[0, 0, 0, 0])
    # 16 rows, the end at 240 mm: 1.4 * 16 / 240 pixels per mm; it moves towards the right and gives way to what is behind
    assert float(gradient[0, 6:, 0].sum()) == pytest.approx(-16 * jump * 1.4 * 16 / 240, rel=0.02)
    assert gradient[0, 6:, 0].abs().sum() >= 0.99 * gradient[0, :, 0].abs().sum()


def test_gradient_of_coverage(target):
    """A texture of ones makes the picture a mask. One more pixel of width covers one more pixel per row."""
    scene = flat_triangles(((2.3, -20), (2.3, 40), (9.8, 40)), ((2.3, -20), (9.8, 40), (9.8, -20)), size=(12, 14))
    faces = np.array([[0, 1, 2], [0, 2, 5]])
    scene = replace(
        scene, topology=Topology(faces, np.zeros((1, 2)), faces * 0), texture=torch.ones(1, 1, 1, 1, dtype=torch.float64)
    )
    gradient, _ = geometry_gradients(target, scene, torch.ones(1, 1, 12, 14))
    assert float(gradient[0, [2, 5], 0].sum()) == pytest.approx(12, rel=1e-6)
    assert float(gradient[0, [0, 1], 0].sum()) == pytest.approx(-12, rel=1e-6)


def test_picture_depth_and_texture_gradient_stay_as_they_are(target):
    scenes = ball(size=(16, 18)).with_gradients(), ball(size=(16, 18)).with_gradients()
    plain, attached = target.render(scenes[0]), target.render(scenes[1], silhouette_gradients=True)
    assert all(torch.equal(a, b) for a, b in zip(plain, attached))
    for result in (plain, attached):
        result.image.square().sum().backward(retain_graph=True)
    assert torch.allclose(scenes[0].texture.grad, scenes[1].texture.grad)
    assert not torch.allclose(scenes[0].vertices.grad, scenes[1].vertices.grad)
    for scene, result in zip(scenes, (plain, attached)):
        scene.vertices.grad = None
        result.depth.sum().backward()
    assert torch.allclose(scenes[0].vertices.grad, scenes[1].vertices.grad)


def test_pictures_of_one_pixel_or_one_line(target):
    for size in ((1, 1), (1, 7), (7, 1)):
        scene = ball(size=size)
        assert torch.isfinite(geometry_gradients(target, scene, random_weight(scene))[0]).all()


def test_meshes_without_triangles(target):
    scene = ball(size=(5, 6))
    topology = Topology(scene.topology.faces[:0], scene.topology.uvs, scene.topology.uv_faces[:0])
    gradients = geometry_gradients(target, replace(scene, topology=topology), random_weight(scene))
    assert not any(gradient.any() for gradient in gradients)
