"""Paints eyeballs, ears and teeth."""

from __future__ import annotations

import numpy as np

from multiface.prepare.stage.head import Head
from multiface.prepare.stage.layers import Layers
from multiface.prepare.stage.noise import fractal_noise
from multiface.prepare.stage.paint_skin import skin_tone
from multiface.prepare.stage.parts import IRIS_ANGLE
from multiface.prepare.stage.splines import monotone_cubic, smoothstep

_IRIS_COLORS = np.array(
    [[0.105, 0.045, 0.018], [0.17, 0.085, 0.030], [0.15, 0.14, 0.065], [0.12, 0.19, 0.24], [0.14, 0.24, 0.34]]
)
_TOOTH_EDGES = np.array([0.0, 0.19, 0.345, 0.50, 0.66, 0.82, 1.0])  # along half the arch, 0 between the front teeth


def paint(head: Head, name: str, points: np.ndarray, seed: int) -> Layers:
    """Paint the points (N, 3), mm, of the part ``name`` of the neutral head."""
    if name.startswith("eyeball"):
        return _eyeball(head, points, 1.0 if name.endswith("L") else -1.0, seed)
    if name.startswith("ear"):
        return _ear(head, name, points, seed)
    return _teeth(head, points, upper=name.endswith("upper"), seed=seed)


def _eyeball(head: Head, points: np.ndarray, side: float, seed: int) -> Layers:
    """White with veins, iris with fibres and a dark rim, pupil."""
    layers = Layers.empty(len(points))
    local = (points - head.marks.eye_center * [side, 1.0, 1.0]) * [side, 1.0, 1.0]
    theta = np.arctan2(np.hypot(local[:, 0], local[:, 1]), local[:, 2])
    direction = local[:, :2] / np.maximum(np.hypot(local[:, 0], local[:, 1]), 1e-9)[:, None]
    r = theta / IRIS_ANGLE
    outer = smoothstep(1.0, 2.6, r)
    layers.color[:] = np.array([0.44, 0.405, 0.37])
    layers.tint((0.96, 0.68, 0.60), 0.9 * outer * np.abs(direction[:, 0]))
    wander = points + 1.2 * fractal_noise(points, 2.5, seed + 91, 2)[:, None]
    vein = smoothstep(0.10, 0.0, np.abs(fractal_noise(wander * [0.35, 1.0, 1.0], 2.4, seed + 92, 2)))
    layers.tint((0.95, 0.55, 0.50), 0.45 * vein * outer)
    hue = np.clip(head.identity.iris_hue, 0.0, 1.0) * (len(_IRIS_COLORS) - 1)
    color = np.array([np.interp(hue, np.arange(len(_IRIS_COLORS)), _IRIS_COLORS[:, c]) for c in range(3)])
    ray = np.concatenate([direction * 9.0, r[:, None] * 1.1], axis=1)
    fibre = fractal_noise(ray, 1.0, seed + 93, 3)
    iris = smoothstep(1.04, 0.96, r)
    layers.glaze(color, iris)
    layers.color *= 1.0 + (iris * 0.65 * fibre)[:, None]
    layers.tint((1.75, 1.45, 1.1), iris * np.exp(-(((r - 0.50 - 0.06 * fibre) / 0.13) ** 2)) * 0.8)
    layers.tint((0.28, 0.26, 0.26), iris * smoothstep(0.76, 1.0, r))
    layers.glaze((0.006, 0.005, 0.005), smoothstep(0.43, 0.37, r))
    layers.gloss[:], layers.roughness[:] = 1.0, 0.10
    return layers


def _ear(head: Head, name: str, points: np.ndarray, seed: int) -> Layers:
    """Redder than the face, dark in the canal, with small blotches."""
    layers = Layers.empty(len(points))
    layers.color[:] = skin_tone(head.identity.melanin)
    layers.color *= 1.0 + (0.06 * fractal_noise(points, 5.0, seed + 95, 3))[:, None]
    layers.tint((0.98, 0.76, 0.73), np.full(len(points), 0.45 + 0.5 * head.identity.blush))
    vertices = head.neutral[head.part_slice(name)]
    from_canal = np.linalg.norm(points - vertices[0], axis=1)
    layers.tint((0.20, 0.12, 0.11), smoothstep(6.5, 2.5, from_canal))
    layers.tint((0.80, 0.72, 0.70), smoothstep(15.0, 6.0, from_canal))
    layers.height += 0.05 * fractal_noise(points, 1.6, seed + 96, 3)
    layers.gloss *= 0.8
    return layers


def _teeth(head: Head, points: np.ndarray, upper: bool, seed: int) -> Layers:
    layers = Layers.empty(len(points))
    x, y, _ = points.T
    span = 25.0 * head.marks.mouth_x / 25.5
    s = np.abs(np.arcsin(np.clip(x / span * np.sin(1.25), -1.0, 1.0)) / 1.25)
    edges = _TOOTH_EDGES if upper else _TOOTH_EDGES * 0.8
    gap = np.abs(s[:, None] - edges[None, :]).min(1) * 30.0
    tooth = np.clip(np.searchsorted(edges, s), 1, len(edges) - 1)
    middle = 0.5 * (edges[tooth] + edges[tooth - 1])
    layers.color[:] = np.array([0.86, 0.71, 0.50])
    layers.color *= (1.0 + 0.05 * fractal_noise(points, 2.0, seed + 97, 2))[:, None]
    layers.tint((0.93, 0.88, 0.78), smoothstep(0.35, 0.9, s))
    layers.tint((0.42, 0.33, 0.27), smoothstep(0.55, 0.05, gap))
    scallop = 1.6 * (np.abs(s - middle) / 0.085) ** 2
    line = (-62.0 - scallop) if upper else (-80.0 + scallop)
    gum = smoothstep(-0.4, 0.5, (y - line) if upper else (line - y))
    layers.glaze((0.42, 0.15, 0.14), gum)
    tone = monotone_cubic(np.array([0.0, 0.5, 1.0]), np.array([1.0, 0.85, 0.45]), s)
    layers.color *= tone[:, None]
    layers.gloss[:], layers.roughness[:] = 0.5, 0.20
    return layers
