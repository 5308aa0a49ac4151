"""The Triton kernels without a GPU: run by Triton's interpreter, and compiled for devices that are not there.

The interpreter has to be chosen before Triton is imported, so it gets a process of its own.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("triton")

ROOT = Path(__file__).parents[2]
FEW = "test_triangle_soup and 0 or test_top_left_rule or test_fan or test_texture_wraps or test_several_items"
FEW += " or test_silhouettes and (intersection and affine or occludes_itself or seams_of_vertices or shared_inputs)"


COMPILED = """
import torch
from multiface.render import render_mesh, screen_loss
from render_scenes import soup

scenes = [soup(seed, triangles=3, batch=1, size=(9, 12)) for seed in (0, 1)]
photo = torch.zeros(1, 9, 12, 3, dtype=torch.uint8)

def pictures(vertices, projection, texture, topology):
    image = render_mesh(vertices, projection, topology, texture, (9, 12), backend="triton").image
    return image.sum() + screen_loss(vertices, projection, topology, texture, photo, backend="triton").loss

compiled = torch.compile(pictures, fullgraph=True, backend="eager")
for scene in scenes:
    arguments = scene.vertices, scene.projection, scene.texture, scene.topology
    torch.testing.assert_close(compiled(*arguments), pictures(*arguments), rtol=1e-5, atol=0)
"""


def test_compiled_before_anything_was_drawn():
    """In a process of its own, where no backend is loaded and no topology known; another topology has to be noticed."""
    environment = {**os.environ, "TRITON_INTERPRET": "1", "OMP_NUM_THREADS": "1", "PYTHONPATH": f"{ROOT / 'tests'}"}
    done = subprocess.run([sys.executable, "-c", COMPILED], env=environment, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr[-4000:]


def test_conformance_under_the_interpreter():
    environment = {**os.environ, "TRITON_INTERPRET": "1", "OMP_NUM_THREADS": "1"}
    command = [
        sys.executable, "-m", "pytest", "tests/conformance", "-q", "-p", "no:cacheprovider", "-W", "ignore",
        "-k", f"triton and ({FEW})",
    ]  # fmt: skip
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]
    assert "passed" in done.stdout


@pytest.mark.parametrize("target", ["cuda:90:32", "hip:gfx942:64"])
def test_kernels_compile_for(target):
    """In a process of its own: kernels imported under the interpreter cannot be compiled."""
    environment = {name: value for name, value in os.environ.items() if name != "TRITON_INTERPRET"}
    environment["PYTHONPATH"] = str(ROOT / "src")
    command = [sys.executable, str(Path(__file__).with_name("compile_kernels.py")), target]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
