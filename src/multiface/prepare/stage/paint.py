"""Paints the head: asks the painters of skin and parts for each texel and joins their maps."""

from __future__ import annotations

import numpy as np

from multiface.prepare.stage import paint_parts, paint_skin
from multiface.prepare.stage.head import Head
from multiface.prepare.stage.layers import Layers
from multiface.prepare.stage.materials import EYE, SKIN, TOOTH, Materials, fill_gutter, slope_of
from multiface.prepare.uv_map import UvMap


def paint_head(head: Head, size: int, seed: int) -> Materials:
    """The material maps of a procedural head.

    Args:
        head: The head.
        size: T, texels along each side.
        seed: Decides freckles, moles, hairs and all other small detail.
    """
    surface = UvMap(head.topology, size).surface(head.neutral.astype(np.float32))
    uv_map = surface.uv_map
    inside = uv_map.triangle >= 0
    triangle, weights = uv_map.triangle[inside], uv_map.barycentric[inside]
    position = surface.position[inside].astype(np.float64)
    part = head.regions.part[head.topology.faces[:, 0]][triangle]
    rings = {
        name: (getattr(head.regions, name)[head.topology.faces][triangle] * weights).sum(-1)
        for name in ("mouth_ring", "lid_ring", "lip")
    }
    layers = Layers.empty(len(position))
    for number, name in enumerate(head.regions.names):
        mine = np.flatnonzero(part == number)
        if name == "skin":
            ring = {key: value[mine] for key, value in rings.items()}
            painted = paint_skin.paint(head, position[mine], ring, seed)
        else:
            painted = paint_parts.paint(head, name, position[mine], seed)
        layers.put(mine, painted)
    return _maps(layers, inside, surface, head)


def _maps(layers: Layers, inside: np.ndarray, surface, head: Head) -> Materials:
    def picture(values: np.ndarray) -> np.ndarray:
        out = np.zeros((*inside.shape, *values.shape[1:]), np.float32)
        out[inside] = values
        return fill_gutter(out, inside)

    kinds = {"eyeball_L": EYE, "eyeball_R": EYE, "teeth_upper": TOOTH, "teeth_lower": TOOTH}
    kind_of_part = np.array([kinds.get(name, SKIN) for name in head.regions.names], np.int32)
    return Materials(
        color=picture(np.clip(layers.color, 0.0, 1.0)),
        slope=slope_of(picture(layers.height), surface),
        gloss=picture(layers.gloss),
        roughness=picture(layers.roughness),
        kind=kind_of_part[head.regions.part[head.topology.faces[:, 0]]],
    )
