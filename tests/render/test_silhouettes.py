"""Silhouette gradients around the kernels: tables, autograd, compilation. What they are is tested in tests/conformance."""

from __future__ import annotations

import gc
import weakref

import numpy as np
import pytest
import torch

from multiface.geometry import Topology
from multiface.render import render_mesh
from multiface.render.adjacency import half_edge_twins, twins_on
from render_scenes import Scene, ball


def render(scene: Scene, **options):
    return render_mesh(scene.vertices, scene.projection, scene.topology, scene.texture, scene.size, **options)


def test_twins_of_a_closed_mesh_share_their_edges():
    top, bottom = [[0, 1 + k, 1 + (k + 1) % 6] for k in range(6)], [[7, 1 + (k + 1) % 6, 1 + k] for k in range(6)]
    faces = np.array(top + bottom)
    twins = half_edge_twins(faces)
    starts, ends = faces.reshape(-1), np.roll(faces, -1, 1).reshape(-1)
    assert (twins >= 0).all()
    assert (twins[twins] == np.arange(len(twins))).all()
    assert (twins // 3 != np.arange(len(twins)) // 3).all()
    assert (starts[twins] == ends).all() and (ends[twins] == starts).all()


def test_borders_and_edges_of_three_triangles_have_no_twins():
    assert half_edge_twins(np.array([[0, 1, 2], [2, 1, 3]])).tolist() == [-1, 3, -1, 1, -1, -1]
    assert half_edge_twins(np.array([[0, 1, 2], [1, 2, 3]])).tolist() == [-1, 3, -1, 1, -1, -1]  # turned the other way
    assert half_edge_twins(np.array([[0, 1, 2], [0, 1, 3], [1, 0, 4]])).tolist() == [-1] * 9
    assert half_edge_twins(np.array([[5, 5, 7], [5, 7, 8], [7, 5, 9]])).tolist() == [-1, -1, -1, 6, -1, -1, 3, -1, -1]
    assert half_edge_twins(np.zeros((0, 3), np.int32)).shape == (0,)


def test_tables_live_as_long_as_their_topology():
    topology = Topology(np.array([[0, 1, 2]]), np.zeros((1, 2)), np.zeros((1, 3), int))
    table = twins_on(topology, torch.device("cpu"))
    assert twins_on(topology, torch.device("cpu")) is table
    alive = weakref.ref(table)
    del table
    gc.collect()
    assert alive() is not None
    del topology
    gc.collect()
    assert alive() is None


def test_nothing_is_done_unless_asked_for(monkeypatch):
    """Neither tables nor a further step of autograd: off, without gradients, or for the texture alone."""
    monkeypatch.setattr("multiface.render.operations.twins_on", lambda *_: pytest.fail("a table was made"))
    scene = ball()
    textured = Scene(scene.vertices, scene.projection, scene.topology, scene.texture.clone().requires_grad_(), scene.size)
    render(scene.with_gradients()).image.sum().backward()
    render(scene, silhouette_gradients=True)
    render(textured, silhouette_gradients=True).image.sum().backward()
    with torch.no_grad():
        render(scene.with_gradients(), silhouette_gradients=True)


@pytest.mark.parametrize("asked", ["vertices", "projection"])
def test_each_gradient_alone_equals_that_with_the_others(asked):
    together, alone = ball().with_gradients(), ball()
    render(together, silhouette_gradients=True).image.square().sum().backward()
    getattr(alone, asked).requires_grad_()
    render(alone, silhouette_gradients=True).image.square().sum().backward()
    assert torch.allclose(getattr(alone, asked).grad, getattr(together, asked).grad, rtol=1e-5)


def test_a_silhouette_alone_moves_a_ball_home():
    """From 15 mm away and 20 % too large, by descent on the squared difference of masks; without, nothing moves."""
    scene, mask = ball(size=(40, 40)), torch.ones(1, 1, 1, 1)

    def coverage(move, size, on=True):
        vertices = scene.vertices * size.exp() + torch.cat([move, torch.zeros(1)])
        return render_mesh(vertices, scene.projection, scene.topology, mask, scene.size, silhouette_gradients=on).image

    wanted = coverage(torch.zeros(2), torch.zeros(()))
    move, size = torch.tensor([12.0, -9.0], requires_grad=True), torch.tensor(0.18, requires_grad=True)
    without = torch.autograd.grad((coverage(move, size, on=False) - wanted).square().sum(), (move, size))
    assert not any(gradient.any() for gradient in without)
    optimiser = torch.optim.Adam([{"params": [move], "lr": 0.8}, {"params": [size], "lr": 0.01}])
    for step in range(80):
        for group, rate in zip(optimiser.param_groups, (0.8, 0.01)):
            group["lr"] = rate * (1 - step / 80)
        optimiser.zero_grad()
        (coverage(move, size) - wanted).square().sum().backward()
        optimiser.step()
    assert float(move.detach().norm()) < 1.0
    assert abs(float(size.detach())) < 0.02


needs_device = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA or ROCm device")


@pytest.mark.gpu
@needs_device
def test_operator_checks():
    from multiface.render.gpu.silhouettes import silhouette_gradients

    scene = ball(size=(20, 24))
    shown = render(scene)
    faces = torch.from_numpy(scene.topology.faces)
    twins = twins_on(scene.topology, torch.device("cpu"))
    tensors = (scene.vertices, scene.projection, faces, twins, shown.triangle, shown.image, torch.ones_like(shown.image))
    torch.library.opcheck(silhouette_gradients, (*(t.cuda() for t in tensors), True), atol=1e-3, rtol=1e-3)


@pytest.mark.gpu
@needs_device
def test_compiled_without_graph_breaks_and_captured_in_a_graph():
    scene = ball()
    texture, weight = scene.texture.cuda(), torch.rand(1, 3, *scene.size, device="cuda")
    inputs = [scene.vertices.cuda().requires_grad_(), scene.projection.cuda().requires_grad_()]

    def gradients(render_loss):
        return torch.autograd.grad(render_loss(*inputs), inputs)

    def loss(vertices, projection):
        shown = render_mesh(vertices * 1.01, projection, scene.topology, texture, scene.size, silhouette_gradients=True)
        return (shown.image * weight).sum()

    expected = gradients(loss)
    for found, wanted in zip(gradients(torch.compile(loss, fullgraph=True)), expected):
        assert float((found - wanted).abs().max()) <= 1e-4 * float(wanted.abs().max())
    stream = torch.cuda.Stream()
    with torch.cuda.stream(stream):
        gradients(loss)
    torch.cuda.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        captured = gradients(loss)
    graph.replay()
    for found, wanted in zip(captured, expected):
        assert float((found - wanted).abs().max()) <= 1e-4 * float(wanted.abs().max())
