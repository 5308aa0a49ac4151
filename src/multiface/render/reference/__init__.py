"""The definition of rendering in plain PyTorch: float64 inside, any device, gradients by autograd."""

from __future__ import annotations

from multiface.render.backends import Backend
from multiface.render.reference.shading import rasterize, render
from multiface.render.reference.silhouettes import silhouette_gradients

BACKEND = Backend(
    name="reference", device_types=(), rasterize=rasterize, render=render, silhouette_gradients=silhouette_gradients
)
