"""Who is filmed: a neutral mesh, its expressions, its materials, and how light reaches it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from multiface.geometry import Topology, to_head
from multiface.prepare.stage.expressions import Expressions, build_expressions
from multiface.prepare.stage.head import Head
from multiface.prepare.stage.identity import sample_identity
from multiface.prepare.stage.lighting import light_access, stage_lamps
from multiface.prepare.stage.materials import Materials
from multiface.prepare.stage.paint import paint_head
from multiface.prepare.stage.rig import REST_POSE

# Teeth and the inside of the mouth are lit as seen when the mouth is open; shut, nobody sees them.
_OPEN_MOUTH = {"jawOpen": 0.55, "mouthUpperUp_L": 0.6, "mouthUpperUp_R": 0.6, "mouthLowerDown_L": 0.5, "mouthLowerDown_R": 0.5}


@dataclass(frozen=True, eq=False)
class Actor:
    """A head to be filmed.

    Attributes:
        neutral: (V, 3) float32 mesh at rest, head space, mm.
        topology: Triangles and uv.
        expressions: Shapes to mix.
        materials: What the surface is made of.
        access: (V, L + 1) float32 share of each lamp and of the surroundings that reaches every vertex at rest.
        eyeballs: Vertices of each eyeball; they turn under lids that stay where they are.
    """

    neutral: np.ndarray
    topology: Topology
    expressions: Expressions
    materials: Materials
    access: np.ndarray
    eyeballs: tuple[slice, ...] = ()

    def mesh(self, weights: Mapping[str, float]) -> np.ndarray:
        """(V, 3) float32 mesh with the expression ``weights``."""
        return self.expressions.mesh(self.neutral, weights)

    def access_of(self, vertices: np.ndarray) -> np.ndarray:
        """The light access when the mesh is ``vertices``: an eyeball's is that of the place each of its points turned to."""
        out = self.access.copy()
        for ball in self.eyeballs:
            distance = np.linalg.norm(vertices[ball][:, None] - self.neutral[ball][None], axis=-1)
            weight = np.exp(-((distance / 1.2) ** 2)) + 1e-12
            out[ball] = (weight @ self.access[ball]) / weight.sum(1, keepdims=True)
        return out


def procedural_actor(seed: int, map_size: int) -> Actor:
    """The person of ``seed``, painted at ``map_size`` texels."""
    head = Head(sample_identity(seed))
    expressions = build_expressions(head)
    lamps = to_head(REST_POSE, stage_lamps(REST_POSE).positions)
    access = light_access(head.neutral, head.topology, lamps)
    inside = head.regions.mouth_ring > 0
    for name in ("teeth_upper", "teeth_lower"):
        inside[head.part_slice(name)] = True
    opened = light_access(expressions.mesh(head.neutral, _OPEN_MOUTH), head.topology, lamps)
    access[inside] = np.maximum(access[inside], opened[inside])
    return Actor(
        head.neutral.astype(np.float32),
        head.topology,
        expressions,
        paint_head(head, map_size, seed),
        access,
        (head.part_slice("eyeball_L"), head.part_slice("eyeball_R")),
    )
