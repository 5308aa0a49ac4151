"""The backends by name, imported on first use.

A backend is a module with a ``BACKEND`` of type :class:`Backend`. Its functions may rely on checked input: contiguous tensors
on one device that the backend supports, equal batches (except a texture batch of 1), indices in range.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module

import torch

from multiface.core.errors import ArgumentError, DependencyError
from multiface.core.triton import obstacle_to_triton
from multiface.render.results import Raster, Rendering


@dataclass(frozen=True)
class Backend:
    """What a backend provides.

    Attributes:
        name: Its name in the argument ``backend``.
        device_types: Types of device it runs on; empty for all.
        rasterize: ``(vertices (B,V,3), projection (B,3,4), faces (F,3) int32, size, perspective) -> Raster``; float32 or
            float64 in, no gradients.
        render: ``(vertices (B,V,3), projection (B,3,4), layout, texture (B or 1,C,h,w), size, perspective) -> Rendering``;
            image and depth differentiable in vertices, projection and texture.
        screen_loss: ``(vertices, projection, layout, texture, photo (B,H,W,3), weight (1 or 3,h,w) or None, perspective,
            attached, with_image) -> (loss, image or None)``, the loss without the factor of the texture's variance; None for
            backends that render texture and weight to compute it. Texture and weight may have any strides.
        takes_strides: Whether ``render`` takes textures of any strides.
        silhouette_gradients: ``(vertices, projection, faces (F,3), twins (3F,), triangle (B,H,W), image (B,C,H,W),
            image_gradient of any strides, perspective) -> gradients of vertices and projection`` by way of the edges in the
            picture, see :mod:`multiface.render.silhouettes`; None for backends that leave it to the reference.
    """

    name: str
    device_types: tuple[str, ...]
    rasterize: Callable[..., Raster]
    render: Callable[..., Rendering]
    screen_loss: Callable[..., tuple[torch.Tensor, torch.Tensor | None]] | None = None
    takes_strides: bool = False
    silhouette_gradients: Callable[..., tuple[torch.Tensor, torch.Tensor]] | None = None


_MODULES = {
    "reference": "multiface.render.reference",
    "numba": "multiface.render.cpu",
    "triton": "multiface.render.gpu",
    "nvdiffrast": "multiface.render.nvdiffrast",
}
_NVDIFFRAST = (
    "It is not part of multiface and has a non-commercial licence of its own; with a CUDA compiler at hand, install it with: "
    "pip install --no-build-isolation git+https://github.com/NVlabs/nvdiffrast"
)
_REMEDIES = {"nvdiffrast": _NVDIFFRAST}
_DEFAULTS = {"cpu": "numba", "cuda": "triton"}  # "cuda" is the name of ROCm devices too

_loaded: dict[str, Backend] = {}


def backend_names() -> tuple[str, ...]:
    """The names that the argument ``backend`` takes."""
    return tuple(_MODULES)


def find_backend(name: str | None, device: torch.device) -> Backend:
    """The backend called ``name``, or the best one for ``device`` when it is None.

    Raises:
        ArgumentError: no backend has this name, or it does not run on ``device``.
        DependencyError: a package that the backend needs is not installed.
    """
    return _loaded[_load_backend(name, device)]


def _load_backend(name: str | None, device: torch.device) -> str:
    if name is None:
        name = _DEFAULTS.get(device.type, "reference")
        # Triton is not part of PyTorch everywhere, and wants a C compiler for what starts its kernels.
        if name == "triton" and name not in _loaded and obstacle_to_triton(device) is not None:
            name = "reference"
    if name not in _MODULES:
        names = ", ".join(repr(known) for known in _MODULES)
        raise ArgumentError("unknown render backend", expected=f"None, {names}", found=repr(name))
    if name not in _loaded:
        _loaded[name] = _load(name)
    backend = _loaded[name]
    if backend.device_types and device.type not in backend.device_types:
        raise ArgumentError(
            f"the render backend '{name}' does not run on this device",
            expected=" or ".join(backend.device_types),
            found=device,
            remedy="Leave the backend out to have one chosen by device, or move the tensors",
        )
    return name


# Imports cannot be compiled. This is the mark that torch.compiler.assume_constant_result sets; calling it would import the
# whole compiler, which takes longer than most commands that render.
_load_backend.__dict__["_dynamo_marked_constant"] = True


def _load(name: str) -> Backend:
    try:
        return import_module(_MODULES[name]).BACKEND
    except ModuleNotFoundError as error:
        remedy = _REMEDIES.get(name, f"Install it with: pip install {error.name}")
        raise DependencyError(f"the render backend '{name}' needs a package", expected=error.name, remedy=remedy) from error
