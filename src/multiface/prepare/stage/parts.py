"""Separate pieces of the mesh: eyeballs, ears and rows of teeth, each a small grid with its own uv chart in [0, 1]."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from multiface.prepare.stage.landmarks import EYEBALL_RADIUS, Landmarks
from multiface.prepare.stage.splines import monotone_cubic, smoothstep

IRIS_ANGLE = float(np.arcsin(6.1 / EYEBALL_RADIUS))
"""radians from the optical axis to the edge of the iris."""
_EYE_RINGS = np.radians([4.0, 8.5, 13.0, 17.5, 21.5, 26.0, 34.0, 46.0, 60.0, 78.0])
_EYE_SEGMENTS = 20
_EAR_RADII = np.array([0.16, 0.34, 0.5, 0.62, 0.74, 0.84, 0.93, 1.0, 1.02, 0.93, 0.7])
_EAR_SEGMENTS = 26
_TOOTH_COLUMNS = 17


@dataclass(frozen=True)
class Part:
    """A piece of the mesh: (N, 3) vertices in mm, (N, 2) chart coordinates in [0, 1], (F, 3) triangles, outward winding."""

    name: str
    vertices: np.ndarray
    chart: np.ndarray
    faces: np.ndarray


def eyeball(marks: Landmarks, side: int, yaw: float = 0.0, pitch: float = 0.0) -> Part:
    """The front of an eyeball with its cornea; ``side`` +1 is the subject's left. ``yaw`` > 0 looks towards +x, ``pitch`` up.

    The chart is the disc of angles about the optical axis, the pupil in its middle.
    """
    theta = np.concatenate([[0.0], np.repeat(_EYE_RINGS, _EYE_SEGMENTS)])
    phi = np.concatenate([[0.0], np.tile(np.arange(_EYE_SEGMENTS) * 2 * np.pi / _EYE_SEGMENTS, len(_EYE_RINGS))])
    radius = EYEBALL_RADIUS + 0.75 * smoothstep(1.25 * IRIS_ANGLE, 0.2 * IRIS_ANGLE, theta)
    local = radius[:, None] * np.stack([np.sin(theta) * np.cos(phi), np.sin(theta) * np.sin(phi), np.cos(theta)], -1)
    cy, sy, cp, sp = np.cos(yaw), np.sin(yaw), np.cos(pitch), np.sin(pitch)
    look = np.array([[cy, -sy * sp, sy * cp], [0.0, cp, sp], [-sy, -cy * sp, cy * cp]])
    center = marks.eye_center * [side, 1.0, 1.0]
    span = 0.5 * theta / _EYE_RINGS[-1]
    chart = np.stack([0.5 + span * np.cos(phi), 0.5 + span * np.sin(phi)], -1)
    name = "eyeball_L" if side > 0 else "eyeball_R"
    return Part(name, center + local @ look.T, chart, _polar_faces(len(_EYE_RINGS), _EYE_SEGMENTS))


def ear(marks: Landmarks, side: int, anchor: np.ndarray) -> Part:
    """An ear on the side of the head: shell, two ridges, rolled rim, lobe, and a back that ends inside the head.

    Args:
        marks: The landmarks.
        side: +1 the subject's left, -1 right.
        anchor: (3,) point of the left side of the head where the ear canal lies, mm.
    """
    rows = len(_EAR_RADII)
    rho = np.concatenate([[0.0], np.repeat(_EAR_RADII, _EAR_SEGMENTS)])
    row = np.concatenate([[-1], np.repeat(np.arange(rows), _EAR_SEGMENTS)])
    phi = np.concatenate([[0.0], np.tile(np.arange(_EAR_SEGMENTS) * 2 * np.pi / _EAR_SEGMENTS, rows)])
    # phi: 0 towards the back of the head, pi/2 up, pi towards the face, 3 pi/2 down to the lobe
    outline = _periodic(phi, [0, 45, 90, 130, 180, 225, 255, 280, 315], [20.5, 28.0, 31.5, 27.0, 13.0, 17.0, 26.5, 28.0, 21.0])
    back, up = rho * outline * np.cos(phi), rho * outline * np.sin(phi)
    height = _ear_height(rho, row, phi)
    size = marks.identity.ear_size
    back, up, height = back * size, up * size, height * size
    # The ear leans back by 12 degrees and its rear edge stands out from the head.
    lean, flare = np.radians(12.0), np.radians(24.0)
    y = up * np.cos(lean) - back * np.sin(lean)
    z = -(back * np.cos(lean) + up * np.sin(lean))
    x = height + back * np.tan(flare) + 6.5
    points = anchor + np.stack([x, y, z], -1)
    spread = np.concatenate([[0.0], np.repeat(np.cumsum(_chart_steps()), _EAR_SEGMENTS)])
    spread = 0.5 * spread / spread.max()
    chart = np.stack([0.5 + spread * np.cos(phi), 0.5 + spread * np.sin(phi)], -1)
    faces = _polar_faces(rows, _EAR_SEGMENTS)
    if side < 0:
        points, chart, faces = points * [-1.0, 1.0, 1.0], chart * [-1.0, 1.0] + [1.0, 0.0], faces[:, ::-1]
    return Part("ear_L" if side > 0 else "ear_R", points, chart, np.ascontiguousarray(faces))


def teeth(marks: Landmarks, upper: bool) -> Part:
    """A row of teeth with its gum, on an arch behind the lips."""
    s = np.linspace(-1.0, 1.0, _TOOTH_COLUMNS)
    x = 25.0 * np.sin(s * 1.25) / np.sin(1.25)
    z = 78.0 - 30.0 * np.abs(s) ** 2.4
    # gum, neck of the tooth, middle, biting edge, then folded back
    heights = [-57.5, -62.0, -66.5, -71.0, -70.6] if upper else [-86.0, -79.5, -75.5, -71.8, -72.2]
    depths = [-2.0, 0.0, 1.0, 0.4, -3.0] if upper else [-3.5, -2.2, -1.6, -2.2, -5.0]
    rows = range(len(heights))
    points = np.concatenate([np.stack([x, np.full_like(x, heights[r]), z + depths[r]], -1) for r in rows])
    scale = marks.mouth_x / 25.5
    points[:, 0] *= scale
    steps = np.array([0.0, 0.25, 0.5, 0.85, 1.0])
    v = 1.0 - steps if upper else steps
    chart = np.concatenate([np.stack([0.5 + 0.5 * s, np.full_like(s, v[r])], -1) for r in rows])
    ids = np.arange(len(points)).reshape(len(heights), -1)
    a, b, c, d = (k.ravel() for k in (ids[:-1, :-1], ids[1:, :-1], ids[1:, 1:], ids[:-1, 1:]))
    faces = np.concatenate([np.stack([a, b, c], -1), np.stack([a, c, d], -1)])
    return Part("teeth_upper" if upper else "teeth_lower", points, chart, faces if upper else faces[:, ::-1].copy())


def _ear_height(rho: np.ndarray, row: np.ndarray, phi: np.ndarray) -> np.ndarray:
    """Height of the ear over its plane, mm: bowl, antihelix, groove, rolled rim; the last two rows sink into the head."""
    up, back, down = np.sin(phi), np.cos(phi), np.maximum(-np.sin(phi), 0.0)
    rim = smoothstep(-0.85, -0.3, up + 0.25 * back)  # no roll at the lobe
    bowl = -4.0 * np.exp(-((rho / 0.44) ** 4)) * (1.0 - 0.3 * down)
    inner_ridge = 4.2 * np.exp(-(((rho - 0.66) / 0.12) ** 2)) * smoothstep(-0.75, -0.1, back + 0.4 * up) * rim
    groove = -1.6 * np.exp(-(((rho - 0.83) / 0.07) ** 2)) * rim
    roll = 3.2 * np.exp(-(((rho - 0.97) / 0.075) ** 2)) * rim
    tragus = 5.5 * np.exp(-(((rho - 0.62) / 0.22) ** 2)) * smoothstep(0.45, 0.95, -back) * smoothstep(0.45, 0.05, up)
    lobe = 2.2 * down**2 * np.exp(-(((rho - 0.8) / 0.3) ** 2))
    height = bowl + inner_ridge + groove + roll + tragus + lobe
    sunk = np.select([row == 8, row == 9, row == 10], [-1.2, -4.0, -20.0], 0.0)
    height = np.where(row >= 8, sunk, height)
    face_edge = smoothstep(0.35, 0.95, -back)  # towards the cheek the rim runs into the skin
    return height - 7.5 * face_edge * smoothstep(0.72, 1.0, rho)


def _chart_steps() -> np.ndarray:
    steps = np.abs(np.diff(np.concatenate([[0.0], _EAR_RADII])))
    steps[-3:] = [0.07, 0.06, 0.08]
    return np.maximum(steps, 0.06)


def _periodic(phi: np.ndarray, degrees: list[float], values: list[float]) -> np.ndarray:
    knots = np.array([d + turn for turn in (-360, 0, 360) for d in degrees], np.float64)
    return monotone_cubic(np.radians(knots), np.tile(values, 3), np.mod(phi, 2 * np.pi))


def _polar_faces(rings: int, segments: int) -> np.ndarray:
    k = np.arange(segments)
    nxt = (k + 1) % segments
    out = [np.stack([np.zeros(segments, int), 1 + k, 1 + nxt], -1)]
    for r in range(rings - 1):
        a, b = 1 + r * segments, 1 + (r + 1) * segments
        out += [np.stack([a + k, b + k, b + nxt], -1), np.stack([a + k, b + nxt, a + nxt], -1)]
    return np.concatenate(out)
