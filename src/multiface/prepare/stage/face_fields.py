"""Smooth weights over the neutral face from which expression shapes are built."""

from __future__ import annotations

import numpy as np

from multiface.prepare.stage.head import Head
from multiface.prepare.stage.landmarks import MOUTH_HEIGHT
from multiface.prepare.stage.skull import JAW_EDGE, THROAT
from multiface.prepare.stage.splines import bump, smoothstep
from multiface.prepare.uv_map import vertex_normals

_JAW_JOINT = np.array([0.0, -20.0, -2.0])  # axis of the jaw, just before the ears, mm
_JAW_ANGLE = np.radians(19.0)


class FaceFields:
    """Weights (V,) and displacement directions (V, 3) at the vertices of a head.

    Attributes:
        head: The head.
        points: (V, 3) neutral vertices, mm.
        mouth_x: mm from the midline to a corner of the mouth.
        jaw: (V,) 1 where the skin follows the jaw; it parts at the line of the mouth and closes at its corners.
        upper, lower: (V, 1) share of a vertex in the upper and lower lip; they add up to 1.
        above_lids: (V, 1) 0 at the eyes, 1 from the brows on.
    """

    def __init__(self, head: Head) -> None:
        self.head = head
        self.points = head.neutral
        self.mouth_x = head.marks.mouth_x
        region = head.regions
        x, y, z = self.points.T
        self._skin = (region.part == 0).astype(np.float64)
        self._front = self._skin * smoothstep(1.15, 0.75, np.abs(region.a)) * (z > 0.0)
        # Inside the width of the mouth the lips part; from the corners outwards the cheek joins them.
        parted = smoothstep(self.mouth_x, 0.3 * self.mouth_x, np.abs(x))
        joined = smoothstep(MOUTH_HEIGHT + 30.0, MOUTH_HEIGHT - 26.0, y)
        below = 0.5 - 0.5 * region.lip
        lower = parted * below + (1.0 - parted) * smoothstep(MOUTH_HEIGHT + 9.0, MOUTH_HEIGHT - 9.0, y)
        self.lower, self.upper = lower[:, None], (1.0 - lower)[:, None]
        self.above_lids = smoothstep(1.0, 19.0, y)[:, None]
        self.jaw = self._jaw_weight(parted * below + (1.0 - parted) * joined)
        self._normals = vertex_normals(self.points.astype(np.float32), head.topology.faces).astype(np.float64)

    def hill(self, center: tuple[float, float], radii: tuple[float, float], power: float = 2.0) -> np.ndarray:
        """(V, 1) smooth hill in the frontal plane on the skin of the face; x > 0 is the subject's left."""
        x, y, _ = self.points.T
        return (self._front * bump(x, y, center, radii, power))[:, None]

    def near_segment(self, start: tuple[float, float], end: tuple[float, float], width: float) -> np.ndarray:
        """(V, 1) weight that falls off with the distance in the frontal plane from a line."""
        p, a, b = self.points[:, :2], np.array(start), np.array(end)
        s = np.clip((p - a) @ (b - a) / ((b - a) @ (b - a)), 0.0, 1.0)
        distance = np.linalg.norm(p - a - s[:, None] * (b - a), axis=1)
        return (self._front * np.exp(-((distance / width) ** 2)))[:, None]

    def vector(self, x: float, y: float, z: float) -> np.ndarray:
        """(1, 3) displacement, mm."""
        return np.array([[x, y, z]])

    def toward_midline(self, share: float) -> np.ndarray:
        """(V, 3) displacement by ``share`` of the way to the midline."""
        return self.points * [-share, 0.0, 0.0]

    def bulge(self, center: tuple[float, float], radii: tuple[float, float], height: float) -> np.ndarray:
        """(V, 3) displacement outwards along the surface's normal."""
        x, y, z = self.points.T
        side = smoothstep(-15.0, 10.0, z) * self._skin
        return (side * bump(x, y, center, radii, 2.2) * height)[:, None] * self._normals

    def jaw_open(self) -> np.ndarray:
        """(V, 3) displacement of the lower jaw turned about its joint, gliding forward a little, the cheeks drawn in."""
        local = self.points - _JAW_JOINT
        c, s = np.cos(_JAW_ANGLE), np.sin(_JAW_ANGLE)
        turned = np.stack([local[:, 0], local[:, 1] * c - local[:, 2] * s, local[:, 2] * c + local[:, 1] * s], -1)
        out = self.jaw[:, None] * (turned - local + np.array([0.0, -1.0, 2.5]))
        out += self.hill((self.mouth_x, -70.0), (12.0, 14.0)) * self.vector(-3.0, 0.0, -1.0)
        out += self.hill((-self.mouth_x, -70.0), (12.0, 14.0)) * self.vector(3.0, 0.0, -1.0)
        out += self.upper * self.hill((0.0, -63.0), (20.0, 9.0)) * self.vector(0.0, -0.8, -0.8)
        for side in (1.0, -1.0):
            out += self.hill((side * 46.0, -62.0), (12.0, 18.0)) * self.vector(-side * 2.5, 0.0, -1.0)
        return out

    def _jaw_weight(self, lower: np.ndarray) -> np.ndarray:
        region = self.head.regions
        sides = smoothstep(1.12, 0.55, np.abs(region.a))
        throat = smoothstep(THROAT + 0.7, JAW_EDGE - 0.3, region.t)
        deep = 1.0 - 0.5 * smoothstep(3.0, 5.0, region.mouth_ring) * (region.lip < 0.5)
        weight = lower * sides * throat * deep * self._skin
        weight[self.head.part_slice("teeth_lower")] = 1.0
        return weight
