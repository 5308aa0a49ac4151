"""What only the CPU backend has to keep: threads, determinism, compiling."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch

from multiface.render import render_mesh
from multiface.render.cpu.threads import run_parallel
from render_scenes import Scene, ball, soup


@pytest.fixture
def threads():
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)


def gradients(scene: Scene) -> list[torch.Tensor]:
    scene = scene.with_gradients()
    result = render_mesh(scene.vertices, scene.projection, scene.topology, scene.texture, scene.size, backend="numba")
    (result.image.square().sum() + result.depth.sum()).backward()
    return [*(t.detach() for t in result), scene.vertices.grad, scene.projection.grad, scene.texture.grad]


@pytest.mark.parametrize(
    "make", [lambda: ball(size=(200, 150)), lambda: soup(0, batch=5), lambda: soup(1, batch=1, triangles=3000)]
)
def test_result_does_not_depend_on_the_number_of_threads(threads, make):
    threads(1)
    alone = gradients(make())
    for count in (2, 3, 7):
        threads(count)
        assert all(torch.equal(a, b) for a, b in zip(alone, gradients(make())))


def test_calls_from_several_threads_do_not_disturb_each_other(threads):
    threads(2)
    expected = [gradients(soup(seed)) for seed in range(4)]
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda k: gradients(soup(k % 4)), range(16)))
    for k, tensors in enumerate(found):
        assert all(torch.equal(a, b) for a, b in zip(expected[k % 4], tensors))


def test_every_index_is_run_once():
    for threads in (1, 2, 5):
        seen: list[int] = []
        run_parallel(seen.append, 37, threads)
        assert sorted(seen) == list(range(37))


def test_error_in_a_task_is_raised():
    def task(index: int) -> None:
        if index == 3:
            raise ValueError("third")

    for threads in (1, 3):
        with pytest.raises(ValueError, match="third"):
            run_parallel(task, 8, threads)


def test_no_gradient_asked_for_none_computed():
    scene = soup(0)
    result = render_mesh(scene.vertices, scene.projection, scene.topology, scene.texture, scene.size, backend="numba")
    assert not result.image.requires_grad
    with torch.no_grad():
        scene = scene.with_gradients()
        result = render_mesh(scene.vertices, scene.projection, scene.topology, scene.texture, scene.size)
    assert not result.image.requires_grad


def test_inference_mode():
    with torch.inference_mode():
        scene = soup(0)
        assert render_mesh(scene.vertices, scene.projection, scene.topology, scene.texture, scene.size).image.sum() > 0


@pytest.mark.slow
def test_renders_where_no_folder_for_compiled_kernels_can_be_written(tmp_path):
    """The cache locators of Numba find nothing usable: beside the source, and in the user's cache."""
    code = """
        from numba.core.caching import CacheImpl
        CacheImpl._locator_classes = []
        import sys
        sys.path.insert(0, sys.argv[1])
        from render_scenes import soup
        from multiface.render import render_mesh
        s = soup(0)
        assert render_mesh(s.vertices, s.projection, s.topology, s.texture, s.size).image.sum() > 0
    """
    tests = str(Path(__file__).parent.parent)
    subprocess.run([sys.executable, "-c", textwrap.dedent(code), tests], check=True, cwd=tmp_path)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_rendering_in_a_forked_worker():
    """A child has none of its parent's threads. PyTorch itself needs to be told, as its data loaders do."""
    code = """
        import os, sys
        sys.path.insert(0, sys.argv[1])
        import torch
        torch.set_num_threads(2)
        from render_scenes import soup
        from multiface.render import rasterize
        def draw():
            s = soup(0, size=(64, 64))
            return rasterize(s.vertices, s.projection, s.topology.faces, s.size).triangle.numpy().sum()
        before = draw()
        child = os.fork()
        if child == 0:
            torch.set_num_threads(1)
            os._exit(0 if draw() == before else 1)
        sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
    """
    tests = str(Path(__file__).parent.parent)
    subprocess.run([sys.executable, "-W", "ignore", "-c", textwrap.dedent(code), tests], check=True, timeout=60)
