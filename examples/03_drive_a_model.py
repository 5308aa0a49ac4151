"""Use a trained model without any capture: decode latent codes and views to pictures.

python examples/03_drive_a_model.py MODEL OUT.png
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import torch

from multiface.capture import write_image
from multiface.data import Normalisation
from multiface.models import load_model
from multiface.render import render_mesh
from multiface.show.display import to_display
from multiface.show.dumps import linear_picture

model = load_model(sys.argv[1])
if model.info.statistics is None or model.info.topology is None:
    sys.exit("a published checkpoint carries no statistics and no topology: take them from its capture")
normalisation = Normalisation.from_state(dict(model.info.statistics))

size = (256, 192)
torch.manual_seed(0)
rows = []
for _ in range(2):  # two expressions, each seen from three sides
    z = torch.randn(1, model.info.nlatent)
    row = []
    for angle in (-0.6, 0.0, 0.6):
        # A camera a metre away that looks at the head's origin; head space has y up, pictures have v down.
        c, s = float(np.cos(angle)), float(np.sin(angle))
        rotation = np.array([[c, 0, -s], [0, -1, 0], [-s, 0, -c]])
        K = np.array([[900.0, 0, size[1] / 2], [0, 900.0, size[0] / 2], [0, 0, 1]])
        projection = torch.from_numpy(K @ np.column_stack([rotation, [0, 0, 1000.0]])).float()[None]
        with torch.no_grad():
            out = model.decode(z, torch.tensor([[s, 0.0, c]]), None)
            vertices = normalisation.denormalise_vertices(out.vertices)
            texture = normalisation.denormalise_texture(out.texture) / 255
            image = render_mesh(vertices, projection, model.info.topology, texture, size).image[0]
        row.append(to_display(linear_picture(image)))
    rows.append(np.concatenate(row, axis=1))
write_image(Path(sys.argv[2]), np.concatenate(rows, axis=0))
print(f"wrote {sys.argv[2]}")
