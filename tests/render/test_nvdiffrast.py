"""The nvdiffrast backend: its conventions on top of a stand-in that follows nvdiffrast's documentation, and the real one."""

from __future__ import annotations

import sys
from importlib import import_module
from importlib.util import find_spec
from types import ModuleType

import pytest
import torch
import torch.nn.functional as F

from multiface.core.errors import ArgumentError, DependencyError
from multiface.render import backends, rasterize, render_mesh
from render_scenes import Scene, ball, flat_triangles, soup


class StandIn(ModuleType):
    """The documented functions of ``nvdiffrast.torch`` on the CPU: every triangle against every pixel."""

    class RasterizeCudaContext:
        def __init__(self, device=None) -> None:
            self.device = device

    def rasterize(self, context, pos, tri, resolution, ranges=None, grad_db=True):
        assert pos.dtype == torch.float32 and tri.dtype == torch.int32 and pos.is_contiguous() and tri.is_contiguous()
        height, width = resolution
        y, x = torch.meshgrid(
            (2 * torch.arange(height) + 1) / height - 1.0, (2 * torch.arange(width) + 1) / width - 1.0, indexing="ij"
        )
        corners = pos[:, tri.long()].double()  # (B, F, 3, 4)
        weights, depth = _weights(corners.detach()[:, :, None, None], torch.stack([x, y], -1).double())
        covered = (weights > 0).all(-1) & (depth.abs() <= 1) & (corners.detach()[..., 3] > 0).all(-1)[..., None, None]
        nearest, winner = torch.where(covered, depth, torch.inf).min(1)
        shown = nearest.isfinite()
        chosen = corners[torch.arange(len(pos))[:, None, None], winner]
        chosen = torch.where(shown[..., None, None], chosen, torch.eye(3, 4, dtype=torch.float64) + 1.0)
        weights, depth = _weights(chosen, torch.stack([x, y], -1).double())
        parts = [weights[..., 0], weights[..., 1], depth.detach(), (winner + 1).double()]
        return torch.where(shown[..., None], torch.stack(parts, -1), 0.0).float(), None

    def interpolate(self, attr, rast, tri, rast_db=None, diff_attrs=None):
        assert attr.dtype == torch.float32 and attr.is_contiguous()
        shown = rast[..., 3] > 0
        item = torch.arange(len(rast))[:, None, None] if len(attr) > 1 else torch.zeros_like(rast[..., 3]).long()
        corners = attr[item[..., None], tri.long()[(rast[..., 3].long() - 1).clamp(min=0)]]
        u, v = rast[..., 0:1], rast[..., 1:2]
        value = u * corners[..., 0, :] + v * corners[..., 1, :] + (1 - u - v) * corners[..., 2, :]
        return torch.where(shown[..., None], value, 0.0), None

    def texture(self, tex, uv, filter_mode, boundary_mode):
        assert (filter_mode, boundary_mode) == ("linear", "wrap")
        tiled = F.pad(tex.permute(0, 3, 1, 2), (1, 1, 1, 1), mode="circular").expand(len(uv), -1, -1, -1)
        side = torch.tensor([tex.shape[2], tex.shape[1]])
        place = 2 * ((uv - uv.floor().detach()) * side + 1) / (side + 2) - 1
        return F.grid_sample(tiled, place, align_corners=False, mode="bilinear").permute(0, 2, 3, 1)


def _weights(corners: torch.Tensor, place: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Perspective correct weights (..., 3) of corners (..., 3, 4) at (..., 2), negative outside, and z / w."""
    a, b, c = (corners[..., :2] / corners[..., 3:]).unbind(-2)

    def cross(p, q):
        return p[..., 0] * q[..., 1] - p[..., 1] * q[..., 0]

    areas = torch.stack([cross(b - place, c - place), cross(c - place, a - place), cross(a - place, b - place)], -1)
    whole = cross(b - a, c - a)[..., None]
    affine = areas / torch.where(whole == 0, torch.inf, whole)
    correct = affine / corners[..., 3]
    depth = (affine * corners[..., 2] / corners[..., 3]).sum(-1)
    return correct / torch.where(affine.sum(-1, keepdim=True) == 0, 1.0, correct.sum(-1, keepdim=True)), depth


@pytest.fixture
def stand_in(monkeypatch):
    """The backend on top of the stand-in, on the CPU."""
    package = ModuleType("nvdiffrast")
    package.torch = StandIn("nvdiffrast.torch")
    monkeypatch.setitem(sys.modules, "nvdiffrast", package)
    monkeypatch.setitem(sys.modules, "nvdiffrast.torch", package.torch)
    monkeypatch.delitem(sys.modules, "multiface.render.nvdiffrast", raising=False)
    yield import_module("multiface.render.nvdiffrast").BACKEND
    sys.modules.pop("multiface.render.nvdiffrast", None)


class _Loaded:
    """A backend that has been loaded under this name, on a device where it would otherwise be refused."""

    def __init__(self, monkeypatch, backend) -> None:
        anywhere = backends.Backend("nvdiffrast", (), backend.rasterize, backend.render)
        monkeypatch.setitem(backends._loaded, "nvdiffrast", anywhere)


def compare(scene: Scene, interpolation: str, device: str, tolerance: float, share_of_flips: float) -> None:
    results = []
    for backend, place in (("nvdiffrast", device), ("reference", "cpu")):
        leaves = [t.detach().to(place).requires_grad_() for t in (scene.vertices, scene.projection, scene.texture)]
        shown = render_mesh(*leaves[:2], scene.topology, leaves[2], scene.size, interpolation, backend)
        results.append((leaves, [t.cpu() for t in shown]))
    (found_leaves, found), (leaves, expected) = results
    same = found[1] == expected[1]
    assert (~same).float().mean() <= share_of_flips
    assert (expected[1] >= 0).any()
    for a, b, mask in ((found[0], expected[0], same[:, None]), (found[2], expected[2], same)):
        assert a.dtype == b.dtype
        assert float(((a - b) * mask).detach().abs().max()) <= tolerance * float(b.detach().abs().max())
    random = torch.Generator().manual_seed(0)
    weight = torch.randn(expected[0].shape, generator=random) * same[:, None]
    for shown in (found, expected):
        ((shown[0] * weight).sum() + (shown[2] * weight[:, 0]).sum()).backward()
    for name, a, b in zip(("vertices", "projection", "texture"), found_leaves, leaves):
        assert a.grad.isfinite().all(), name
        assert float((a.grad.cpu() - b.grad).norm()) <= 20 * tolerance * float(b.grad.norm()), name


def scene_with_dropped_triangles() -> Scene:
    scene = soup(12, triangles=40, batch=2)
    vertices = scene.vertices.clone()
    vertices[0, 0, 0], vertices[0, 3, 1], vertices[1, 6, 2] = torch.nan, torch.inf, -torch.inf
    vertices[0, 9, 2] = 1000.0  # behind the camera
    return Scene(vertices, scene.projection, scene.topology, scene.texture, scene.size)


SCENES = {"soup": soup(0), "ball": ball(size=(40, 30)), "dropped": scene_with_dropped_triangles()}


@pytest.mark.parametrize("interpolation", ["perspective", "affine"])
@pytest.mark.parametrize("scene", SCENES.values(), ids=SCENES.keys())
def test_same_picture_in_our_conventions(stand_in, monkeypatch, scene, interpolation):
    _Loaded(monkeypatch, stand_in)
    compare(scene, interpolation, "cpu", tolerance=1e-3, share_of_flips=2e-3)


@pytest.mark.parametrize("interpolation", ["perspective", "affine"])
def test_same_raster(stand_in, monkeypatch, interpolation):
    _Loaded(monkeypatch, stand_in)
    scene = soup(3)
    arguments = (scene.vertices, scene.projection, scene.topology.faces, scene.size)
    found, expected = (rasterize(*arguments, interpolation=interpolation, backend=b) for b in ("nvdiffrast", "reference"))
    same = found.triangle == expected.triangle
    assert (~same).float().mean() <= 2e-3
    assert float(((found.barycentric - expected.barycentric) * same[..., None]).abs().max()) < 1e-3
    assert float(((found.depth - expected.depth) * same).abs().max()) < 1e-3 * float(expected.depth.max())


def test_nothing_to_draw(stand_in, monkeypatch):
    _Loaded(monkeypatch, stand_in)
    scene = flat_triangles(size=(4, 5), texture=torch.ones(1, 2, 3, 3))
    scene = Scene(torch.zeros(1, 3, 3), scene.projection, scene.topology, scene.texture, scene.size)
    shown = render_mesh(scene.vertices, scene.projection, scene.topology, scene.texture, scene.size, backend="nvdiffrast")
    assert shown.image.shape == (1, 2, 4, 5) and not shown.image.any()
    assert (shown.triangle == -1).all() and not shown.depth.any()


def test_too_many_triangles(stand_in, monkeypatch):
    monkeypatch.setattr(sys.modules["multiface.render.nvdiffrast"], "MOST_TRIANGLES", 40)
    scene = soup(0)
    with pytest.raises(ArgumentError, match=r"too many triangles for nvdiffrast.*fewer than 40.*60"):
        stand_in.rasterize(scene.vertices, scene.projection, torch.from_numpy(scene.topology.faces), scene.size, True)


def test_on_the_cpu_it_says_where_it_runs(stand_in):
    scene = soup(0)
    backends._loaded.pop("nvdiffrast", None)
    try:
        with pytest.raises(ArgumentError, match=r"'nvdiffrast' does not run on this device.*cuda.*cpu.*Leave the backend out"):
            render_mesh(scene.vertices, scene.projection, scene.topology, scene.texture, scene.size, backend="nvdiffrast")
    finally:
        backends._loaded.pop("nvdiffrast", None)


@pytest.mark.skipif(find_spec("nvdiffrast") is not None, reason="nvdiffrast is installed")
def test_missing_it_says_how_to_install():
    scene = soup(0)
    with pytest.raises(DependencyError, match=r"'nvdiffrast' needs a package.*licence.*pip install .*nvdiffrast"):
        render_mesh(scene.vertices, scene.projection, scene.topology, scene.texture, scene.size, backend="nvdiffrast")


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize("interpolation", ["perspective", "affine"])
@pytest.mark.parametrize("scene", SCENES.values(), ids=SCENES.keys())
def test_the_real_one(scene, interpolation):
    """Looser: it snaps vertices to a sixteenth of a pixel, which matters for small triangles in small pictures."""
    pytest.importorskip("nvdiffrast.torch", reason="nvdiffrast is not installed")
    compare(scene, interpolation, "cuda", tolerance=2e-2, share_of_flips=3e-2)
