"""Rendering in Triton, for every device that Triton runs on (CUDA and ROCm)."""

from __future__ import annotations

import os

from multiface.render.backends import Backend
from multiface.render.gpu.bindings import rasterize, render, screen_loss
from multiface.render.gpu.silhouettes import silhouette_gradients

# Triton's interpreter, for tests without a device, runs the same kernels on the CPU.
_INTERPRETED = os.environ.get("TRITON_INTERPRET", "0") == "1"

BACKEND = Backend(
    name="triton",
    device_types=("cuda", "cpu") if _INTERPRETED else ("cuda",),
    rasterize=rasterize,
    render=render,
    screen_loss=screen_loss,
    takes_strides=True,
    silhouette_gradients=silhouette_gradients,
)
