"""The Triton backend as a good citizen of PyTorch: operator checks, compilation, graphs, streams; needs a GPU."""

from __future__ import annotations

import pytest
import torch

from multiface.render import backend_names, backends, rasterize, render_mesh, screen_loss
from multiface.render.backends import find_backend
from multiface.render.layout import layout_on
from render_scenes import Scene, ball, soup

pytestmark = [pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA or ROCm device")]


def on_device(scene: Scene) -> Scene:
    return Scene(scene.vertices.cuda(), scene.projection.cuda(), scene.topology, scene.texture.cuda(), scene.size)


def photo_of(scene: Scene) -> torch.Tensor:
    return torch.randint(0, 256, (len(scene.vertices), *scene.size, 3), device="cuda", dtype=torch.uint8)


def render(scene: Scene, interpolation="perspective"):
    return render_mesh(scene.vertices, scene.projection, scene.topology, scene.texture, scene.size, interpolation)


def loss_of(scene: Scene, photo: torch.Tensor) -> torch.Tensor:
    weight = scene.texture.detach()[0]
    return screen_loss(scene.vertices, scene.projection, scene.topology, scene.texture, photo, weight=weight).loss


def gradients(scene: Scene, loss: torch.Tensor) -> list[torch.Tensor]:
    return list(torch.autograd.grad(loss, (scene.vertices, scene.projection, scene.texture)))


def assert_close(found, expected, tolerance=1e-4) -> None:
    for a, b in zip(found, expected, strict=True):
        assert float((a - b).abs().max()) <= tolerance * float(b.abs().max())


def test_it_is_the_default_on_a_gpu():
    assert "triton" in backend_names()
    assert find_backend(None, torch.device("cuda")).name == "triton"


@pytest.mark.parametrize("needs", [(True, True, True), (True, False, False), (False, False, True)])
def test_operator_checks_of_render(needs):
    from multiface.render.gpu import operators

    scene = on_device(soup(1, triangles=20, size=(20, 24)))
    layout = layout_on(scene.topology, scene.vertices.device)
    tensors = (t.detach().requires_grad_(need) for t, need in zip((scene.vertices, scene.projection, scene.texture), needs))
    vertices, projection, texture = tensors
    arguments = (vertices, projection, layout.faces, layout.uvs, layout.uv_faces, texture, *scene.size, True)
    torch.library.opcheck(operators.render, arguments, atol=1e-3, rtol=1e-3)


def test_operator_checks_of_the_others():
    from multiface.render.gpu import loss_operators, operators

    scene = on_device(ball(size=(20, 24))).with_gradients()
    layout = layout_on(scene.topology, scene.vertices.device)
    torch.library.opcheck(
        operators.rasterize, (scene.vertices.detach(), scene.projection.detach(), layout.faces, *scene.size, True)
    )
    arguments = (
        scene.vertices, scene.projection, layout.faces, layout.uvs, layout.uv_faces, scene.texture,
        scene.texture.detach()[0], photo_of(scene), True, True, True, True, True,
    )  # fmt: skip
    torch.library.opcheck(loss_operators.screen_loss, arguments, atol=1e-3, rtol=1e-3)
    packed = torch.rand(1, 32, 32, 4, device="cuda")
    torch.library.opcheck(loss_operators.unpack_gradient, (packed, scene.texture.detach(), torch.ones((), device="cuda")))


def test_compiled_without_graph_breaks():
    scene = on_device(ball())
    photo = photo_of(scene)

    def step(vertices, projection, texture):
        moved = Scene(vertices * 1.01, projection, scene.topology, texture * 0.9, scene.size)
        return render(moved).image.square().sum() + 100 * loss_of(moved, photo)

    first, second = scene.with_gradients(), scene.with_gradients()
    expected = step(first.vertices, first.projection, first.texture)
    found = torch.compile(step, fullgraph=True)(second.vertices, second.projection, second.texture)
    assert_close([found], [expected])
    assert_close(gradients(second, found), gradients(first, expected))


def test_compiled_before_anything_was_drawn(monkeypatch):
    """No backend loaded, no topology looked at: what is done once is done while compiling, without a graph break."""
    monkeypatch.setattr(backends, "_loaded", {})
    scenes = [on_device(ball(size=(24, 32), rings=rings)) for rings in (8, 12)]
    photo = photo_of(scenes[0])

    def pictures(vertices, projection, texture, topology):
        scene = Scene(vertices, projection, topology, texture, (24, 32))
        return render(scene).image, loss_of(scene, photo)

    compiled = torch.compile(pictures, fullgraph=True, backend="aot_eager")
    for scene in scenes:  # another topology is noticed
        arguments = scene.vertices, scene.projection, scene.texture, scene.topology
        assert_close(compiled(*arguments), pictures(*arguments))


def test_captured_in_a_graph():
    scene = on_device(ball()).with_gradients()
    photo = photo_of(scene)

    def step():
        return [loss := loss_of(scene, photo), *gradients(scene, loss), render(scene).image.detach()]

    stream = torch.cuda.Stream()
    with torch.cuda.stream(stream):
        step()
    torch.cuda.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        captured = step()
    with torch.no_grad():
        scene.vertices.mul_(1.05)
    graph.replay()
    assert_close([t.detach() for t in captured], [t.detach() for t in step()])


def test_on_another_stream_and_under_autocast():
    scene = on_device(ball())
    expected = render(scene).image
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream), torch.autocast("cuda", dtype=torch.bfloat16):
        found = render(scene).image
    stream.synchronize()
    assert found.dtype == torch.float32
    assert torch.equal(found, expected)


def test_on_several_streams_at_once():
    scenes = [on_device(soup(seed, triangles=400, size=(200, 300))) for seed in range(4)]
    photos = [photo_of(scene) for scene in scenes]
    expected = [(render(scene).image, loss_of(scene, photo)) for scene, photo in zip(scenes, photos)]
    torch.cuda.synchronize()
    found: list[list] = [[] for _ in scenes]
    streams = [torch.cuda.Stream() for _ in scenes]
    for _ in range(5):
        for scene, photo, stream, results in zip(scenes, photos, streams, found):
            with torch.cuda.stream(stream):
                results.append((render(scene).image, loss_of(scene, photo)))
    torch.cuda.synchronize()
    for results, (image, loss) in zip(found, expected):
        for other_image, other_loss in results:
            assert torch.equal(other_image, image)
            assert_close([other_loss], [loss])


@pytest.mark.skipif(torch.cuda.device_count() < 2, reason="one device")
def test_on_a_device_that_is_not_the_current_one():
    scene = ball()
    expected = render(on_device(scene)).image.cpu()
    vertices, projection, texture = (t.to("cuda:1") for t in (scene.vertices, scene.projection, scene.texture))
    found = render(Scene(vertices, projection, scene.topology, texture, scene.size)).image
    assert found.device == torch.device("cuda:1")
    assert torch.equal(found.cpu(), expected)


def test_no_gradients_are_computed_without_need():
    scene = on_device(ball(texture=512)).with_gradients()
    photo = photo_of(scene)

    def peak() -> int:
        torch.cuda.synchronize()
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        loss_of(scene, photo)
        return torch.cuda.max_memory_allocated() - before

    peak()
    with torch.no_grad():
        without = peak()
    assert peak() > without + 4 * scene.texture.numel() / 2


def test_nothing_waits_for_the_device():
    scene = on_device(ball()).with_gradients()
    photo = photo_of(scene)
    gradients(scene, loss_of(scene, photo))
    render(scene).image.sum().backward()
    torch.cuda.set_sync_debug_mode("error")
    try:
        gradients(scene, loss_of(scene, photo))
        render(scene).image.sum().backward()
    finally:
        torch.cuda.set_sync_debug_mode("default")


def test_mesh_without_faces():
    scene = on_device(soup(0, triangles=4))
    empty = type(scene.topology)(scene.topology.faces[:0], scene.topology.uvs, scene.topology.uv_faces[:0])
    scene = Scene(scene.vertices, scene.projection, empty, scene.texture, scene.size).with_gradients()
    result = render(scene)
    assert (result.triangle == -1).all()
    assert not result.image.any()
    loss = loss_of(scene, photo_of(scene))
    assert float(loss) == 0
    assert not any(g.any() for g in gradients(scene, loss + result.image.sum()))
    assert (rasterize(scene.vertices.detach(), scene.projection.detach(), empty.faces, scene.size).triangle == -1).all()


@pytest.mark.parametrize(
    "triangles, extent, size", [(40000, 0.5, (512, 512)), (64, 3000.0, (1024, 1024)), (4000, 40.0, (64, 64))]
)
def test_triangles_of_any_size(triangles, extent, size):
    """Sub-pixel to screen-filling against the reference's own visibility, at sizes too large for the other tests."""
    scene = soup(3, triangles=triangles, batch=1, size=size, extent=extent)
    found = render(on_device(scene)).triangle.cpu()
    expected = rasterize(
        scene.vertices.cuda(), scene.projection.cuda(), scene.topology.faces, size, backend="reference"
    ).triangle.cpu()
    assert (found != expected).float().mean() < 1e-3
    assert (found >= 0).any()
