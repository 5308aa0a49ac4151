"""Rendering on the CPU: Numba kernels on the threads of the process."""

from __future__ import annotations

from multiface.render.backends import Backend
from multiface.render.cpu.autograd import render
from multiface.render.cpu.forward import rasterize
from multiface.render.cpu.silhouettes import silhouette_gradients

BACKEND = Backend(
    name="numba", device_types=("cpu",), rasterize=rasterize, render=render, silhouette_gradients=silhouette_gradients
)
