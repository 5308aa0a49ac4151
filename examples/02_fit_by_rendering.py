"""Gradients through pixels: move a mesh back into place by comparing pictures.

python examples/02_fit_by_rendering.py CAPTURE
"""

from __future__ import annotations

import sys

import numpy as np
import torch

from multiface.capture import Capture
from multiface.geometry import flip_rows
from multiface.render import render_mesh

capture = Capture(sys.argv[1])
key, camera = capture.frames[0], next(iter(capture.cameras))
size = capture.cameras[camera].size
vertices = torch.from_numpy(capture.vertices(key))[None]
projection = torch.from_numpy(capture.projection(key, camera))[None]
# Rows of texture files are upright; the renderer wants row 0 at v = 0 (docs/conventions.md).
average = flip_rows(capture.texture(key, "average")).astype(np.float32) / 255
texture = torch.from_numpy(average).permute(2, 0, 1)[None]

target = render_mesh(vertices, projection, capture.topology, texture, size).image
offset = torch.tensor([2.0, -1.5], requires_grad=True)  # millimetres off to the side, unknown to the fit
optimiser = torch.optim.Adam([offset], lr=0.1)
for step in range(60):
    moved = vertices + torch.nn.functional.pad(offset, (0, 1))  # one picture says little about depth: z stays
    image = render_mesh(moved, projection, capture.topology, texture, size).image
    loss = (image - target).square().mean()
    optimiser.zero_grad()
    loss.backward()
    optimiser.step()
    if step % 10 == 0:
        print(f"step {step}: loss {loss.item():.2e}, off by {offset.detach().norm().item():.2f} mm")
print(f"at the end off by {offset.detach().norm().item():.2f} mm")
