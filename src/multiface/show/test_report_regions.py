"""Where the regions of the face lie: their vertices in uv, over the mean texture."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch

from multiface.data import Normalisation
from multiface.evaluate.regions import REST
from multiface.geometry import Topology
from multiface.show.display import to_display
from multiface.show.dumps import texture_picture

_COLOURS = ((235, 80, 80), (70, 160, 250), (80, 210, 90), (240, 190, 60), (190, 110, 240), (60, 210, 210))


def region_map(
    topology: Topology, regions: Mapping[str, np.ndarray], normalisation: Normalisation, size: int = 700
) -> np.ndarray:
    """(size, size, 3) uint8 display colours: the mean texture, darkened, with the vertices of every region but the rest.

    Args:
        topology: Triangles and uv.
        regions: Region -> vertex indices.
        normalisation: Whose mean texture is shown.
        size: Of the picture, pixels.
    """
    import cv2

    mean = normalisation.tex_mean
    picture = to_display(texture_picture(torch.zeros_like(mean), normalisation))
    picture = (0.6 * cv2.resize(picture, (size, size), interpolation=cv2.INTER_AREA)).astype(np.uint8)
    owner = np.full(topology.n_vertices, -1)
    names = [name for name in regions if name != REST]
    for number, name in enumerate(names):
        owner[regions[name]] = number
    owners = owner[np.asarray(topology.faces).reshape(-1)]
    uv = np.asarray(topology.uvs)[np.asarray(topology.uv_faces).reshape(-1)][owners >= 0].astype(np.float64)
    centres = np.rint(np.stack([uv[:, 0], 1 - uv[:, 1]], axis=1) * size).astype(int)
    for number, centre in zip(owners[owners >= 0].tolist(), centres.tolist()):
        cv2.circle(picture, centre, 2, _COLOURS[number % len(_COLOURS)], -1, cv2.LINE_AA)
    for number, name in enumerate(names):
        colour = _COLOURS[number % len(_COLOURS)]
        cv2.putText(picture, name, (14, 30 + 26 * number), cv2.FONT_HERSHEY_SIMPLEX, 0.7, colour, 2, cv2.LINE_AA)
    return picture
