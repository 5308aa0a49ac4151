"""Every backend that can run here, to be put through the same tests."""

from __future__ import annotations

import os
from dataclasses import dataclass

import pytest
import torch

from multiface.render import Rendering, rasterize, render_mesh
from render_scenes import Scene

TARGETS = [("reference", "cpu"), ("numba", "cpu")]
if os.environ.get("TRITON_INTERPRET") == "1":  # in a process of its own, see tests/render/test_triton_interpreter.py
    TARGETS += [("triton", "cpu")]
elif torch.cuda.is_available():  # also on ROCm
    TARGETS += [("reference", "cuda"), ("triton", "cuda")]


@dataclass(frozen=True)
class Target:
    """A backend on a device, behind the interface of the library with everything else on the CPU."""

    backend: str
    device: str

    def render(self, scene: Scene, interpolation="perspective", **options) -> Rendering:
        """Gradients flow back to the tensors of the scene."""
        vertices, projection, texture = (t.to(self.device) for t in (scene.vertices, scene.projection, scene.texture))
        result = render_mesh(vertices, projection, scene.topology, texture, scene.size, interpolation, self.backend, **options)
        return Rendering(*(t.cpu() for t in result))

    def rasterize(self, scene: Scene, interpolation="perspective"):
        vertices, projection = scene.vertices.to(self.device), scene.projection.to(self.device)
        return rasterize(
            vertices, projection, scene.topology.faces, scene.size, interpolation=interpolation, backend=self.backend
        )


def _parameters(targets):
    return [
        pytest.param(Target(*pair), id="-".join(pair), marks=[pytest.mark.gpu] if pair[1] == "cuda" else []) for pair in targets
    ]


@pytest.fixture(scope="session", params=_parameters(TARGETS))
def target(request) -> Target:
    """Each backend, the reference included: for what the definitions say about a picture."""
    return request.param


# The reference on a GPU does what it does on the CPU, kernel by kernel: the definitions are enough for it.
CONTENDERS = [pair for pair in TARGETS if pair[0] != "reference"]


@pytest.fixture(scope="session", params=_parameters(CONTENDERS))
def contender(request) -> Target:
    """Each backend to be compared with the reference."""
    return request.param


@pytest.fixture(scope="session")
def reference() -> Target:
    return Target("reference", "cpu")
