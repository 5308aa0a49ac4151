"""Paints the skin: tone, blush, lips, stubble, freckles, brows, lashes, cropped hair, nostrils, mouth, and the fine relief."""

from __future__ import annotations

import numpy as np

from multiface.prepare.stage.head import Head
from multiface.prepare.stage.landmarks import Landmarks
from multiface.prepare.stage.layers import Layers
from multiface.prepare.stage.noise import cell_noise, fractal_noise
from multiface.prepare.stage.splines import monotone_cubic, smoothstep, twin_bump

PALE, DARK = np.array([0.66, 0.405, 0.300]), np.array([0.150, 0.072, 0.043])
_HAIR_DARK, _HAIR_LIGHT = np.array([0.018, 0.014, 0.012]), np.array([0.30, 0.18, 0.085])


def skin_tone(melanin: float) -> np.ndarray:
    """(3,) linear reflectance of plain skin; melanin absorbs multiplicatively, hence the logarithmic mix."""
    return np.exp((1.0 - melanin) * np.log(PALE) + melanin * np.log(DARK))


def hair_color(tone: float) -> np.ndarray:
    """(3,) linear reflectance of hair, 0 black .. 1 blond."""
    return _HAIR_DARK + tone**2.2 * (_HAIR_LIGHT - _HAIR_DARK)


def paint(head: Head, points: np.ndarray, rings: dict[str, np.ndarray], seed: int) -> Layers:
    """Paint skin points.

    Args:
        head: The head.
        points: (N, 3) points of the neutral skin, mm.
        rings: ``mouth_ring``, ``lid_ring``: (N,) how deep inside mouth or lids; ``lip``: (N,) upper +1, lower -1.
        seed: Decides all small detail.
    """
    layers = Layers.empty(len(points))
    layers.color[:] = skin_tone(head.identity.melanin)
    marks, who = head.marks, head.identity
    x, y, z = points.T
    outside = 1.0 - smoothstep(0.0, 0.5, rings["mouth_ring"])
    lips = _lip_mask(x, y, z, marks) * outside + (1.0 - outside)
    beard = _beard_mask(x, y, z) * (1.0 - lips)
    hair = _hair_mask(points, seed) * _beyond_ears(head, points)
    _tone(layers, points, who.blush, seed)
    _spots(layers, points, who.freckles * (1.0 - hair), seed)
    _stubble(layers, points, beard * who.stubble, hair_color(who.hair_tone), seed)
    _lips(layers, points, lips, who.melanin, seed)
    _lids_and_nose(layers, x, y, z, marks, rings["lid_ring"])
    _relief(layers, points, lips, hair, seed)
    _cropped_hair(layers, points, hair, hair_color(who.hair_tone), seed)
    _brows(layers, points, marks, hair_color(who.hair_tone), seed)
    _lashes(layers, x, y, z, marks, rings["lid_ring"], hair_color(0.5 * who.hair_tone))
    _gloss(layers, x, y, z, lips, np.maximum(hair, 0.4 * beard), seed)
    _mouth(layers, rings["mouth_ring"], rings["lip"], points, seed)
    return layers


def _tone(layers: Layers, points: np.ndarray, blush: float, seed: int) -> None:
    """Blotches of many sizes, red cheeks and nose, yellower forehead, bluish rings under the eyes."""
    x, y, z = points.T
    mottle = 0.055 * fractal_noise(points, 22.0, seed + 1, 2) + 0.05 * fractal_noise(points, 5.0, seed + 2, 3)
    layers.color *= 1.0 + (mottle + 0.045 * fractal_noise(points, 1.1, seed + 3, 2))[:, None]
    redness = 0.06 * fractal_noise(points, 9.0, seed + 4, 3)
    layers.color *= 1.0 + redness[:, None] * np.array([0.5, -0.8, -0.6])
    front = smoothstep(10.0, 45.0, z)
    red = twin_bump(x, y, (39.0, -27.0), (17.0, 15.0)) + 0.8 * twin_bump(x, y, (6.0, -37.0), (10.0, 8.0))
    red = red + 0.5 * twin_bump(x, y, (0.0, -104.0), (14.0, 10.0)) * 0.5 + 0.35 * twin_bump(x, y, (16.0, -1.0), (7.0, 8.0))
    layers.tint((1.03, 0.80, 0.79), front * red * blush * (0.9 + 0.5 * fractal_noise(points, 6.0, seed + 5, 2)))
    layers.tint((1.02, 1.0, 0.92), front * smoothstep(30.0, 55.0, y))
    layers.tint((0.80, 0.79, 0.87), front * 0.75 * twin_bump(x, y, (27.0, -10.0), (12.0, 4.2)))
    layers.tint((0.90, 0.84, 0.84), front * 0.8 * twin_bump(x, y, (31.0, 8.0), (17.0, 7.0)))
    layers.tint((0.93, 0.90, 0.90), smoothstep(-112.0, -135.0, y))


def _spots(layers: Layers, points: np.ndarray, amount: np.ndarray, seed: int) -> None:
    """Freckles, mostly on nose and cheeks, and a few moles."""
    _, y, z = points.T
    where = smoothstep(15.0, 55.0, z) * (0.25 + np.exp(-(((y + 18.0) / 22.0) ** 2)))
    for size, share in ((2.6, 0.5), (4.2, 0.4)):
        distance, label = cell_noise(points, size, seed + 11 + int(size * 10))
        dot = smoothstep(0.36 + 0.1 * label, 0.06, distance) * (label < share * where * amount)
        layers.tint((0.78, 0.66, 0.58), dot * (0.5 + 0.5 * label / max(share, 1e-3)))
    distance, label = cell_noise(points, 19.0, seed + 17)
    mole = smoothstep(0.062, 0.030, distance) * (label < 0.22)
    layers.tint((0.36, 0.26, 0.24), mole)
    layers.height += 0.22 * mole
    distance, label = cell_noise(points, 11.0, seed + 19)  # small red blemishes
    layers.tint((1.0, 0.74, 0.74), 0.7 * smoothstep(0.10, 0.02, distance) * (label < 0.2))


def _lip_mask(x: np.ndarray, y: np.ndarray, z: np.ndarray, marks: Landmarks) -> np.ndarray:
    line = marks.mouth_line(x)
    up = y - line - marks.upper_lip_height(x)
    down = line - marks.lower_lip_height(x) - y
    within = smoothstep(marks.mouth_x + 0.6, marks.mouth_x - 1.5, np.abs(x))
    return smoothstep(0.9, -0.7, np.maximum(up, down)) * within * (z > 55.0)


def _beard_mask(x: np.ndarray, y: np.ndarray, z: np.ndarray) -> np.ndarray:
    side = np.abs(x)
    top = monotone_cubic(
        np.array([0.0, 13.0, 22.0, 32.0, 45.0, 56.0, 64.0]), np.array([-51.0, -50.0, -53.0, -61.0, -60.0, -50.0, -30.0]), side
    )
    cheek = smoothstep(top + 5.0, top - 9.0, y)
    throat = smoothstep(-148.0, -122.0, y)
    return cheek * throat * smoothstep(-26.0, 22.0, z + 0.25 * (y + 60.0))


def _stubble(layers: Layers, points: np.ndarray, amount: np.ndarray, color: np.ndarray, seed: int) -> None:
    """A grey-blue shadow and single dark hairs."""
    patchy = amount * (0.85 + 0.3 * fractal_noise(points, 7.0, seed + 21, 2))
    layers.tint((0.66, 0.71, 0.78), patchy)
    distance, label = cell_noise(points, 1.15, seed + 22)
    layers.glaze(color, smoothstep(0.36, 0.14, distance) * 0.6 * patchy * (0.4 + 0.6 * label))


def _lips(layers: Layers, points: np.ndarray, lips: np.ndarray, melanin: float, seed: int) -> None:
    y = points[:, 1]
    red = (0.86 - 0.1 * melanin, 0.55 + 0.12 * melanin, 0.60 + 0.12 * melanin)
    streaks = fractal_noise(points * [1.0, 0.22, 0.22], 0.9, seed + 31, 2)
    layers.tint(red, lips * (0.92 + 0.16 * streaks))
    layers.tint((0.86, 0.84, 0.84), lips * smoothstep(-66.0, -69.5, y) * smoothstep(-73.0, -70.0, y))
    layers.height += lips * 0.07 * streaks
    rim = 4.0 * lips * (1.0 - lips)  # the paler edge around the red
    layers.tint((1.05, 1.03, 1.02), rim * 0.6)


def _lids_and_nose(layers: Layers, x, y, z, marks: Landmarks, lid_ring: np.ndarray) -> None:
    """Rosy edges of the lids, pink inner corner, dark nostrils and the crease of the upper lid."""
    side = np.abs(x)
    near_eye = (z > 55.0) * smoothstep(18.0, 13.0, np.abs(side - marks.eye_x))
    layers.tint((0.95, 0.66, 0.64), near_eye * smoothstep(0.02, 0.3, lid_ring))
    corner = np.exp(-(((side - marks.inner_corner) / 3.2) ** 2)) * smoothstep(0.3, 1.0, lid_ring)
    layers.glaze((0.55, 0.22, 0.19), 0.8 * corner)
    crease = np.exp(-(((y - marks.lid_margin(x, True) - 4.4) / 0.7) ** 2))
    layers.tint((0.66, 0.58, 0.56), 0.75 * near_eye * crease * smoothstep(13.5, 9.0, np.abs(side - marks.eye_x)))
    nostril = twin_bump(x, y, (6.9 * marks.identity.nose_width, -44.4), (3.3, 1.9), 3.0) * (z > 70.0)
    layers.tint((0.16, 0.08, 0.07), nostril)
    layers.gloss *= 1.0 - 0.8 * np.clip(nostril, 0, 1)
    wing = np.exp(-(((side - 18.6 * marks.identity.nose_width) / 1.6) ** 2)) * np.exp(-(((y + 40.0) / 6.0) ** 2))
    layers.tint((0.86, 0.70, 0.68), wing * (z > 70.0))


def _relief(layers: Layers, points: np.ndarray, lips: np.ndarray, hair: np.ndarray, seed: int) -> None:
    """Pores, the fine net of skin lines, and a few creases."""
    x, y, z = points.T
    bare = (1.0 - lips) * (1.0 - 0.7 * hair)
    oily = 0.45 + twin_bump(x, y, (20.0, -28.0), (18.0, 16.0)) + twin_bump(x, y, (0.0, -30.0), (12.0, 14.0))
    distance, label = cell_noise(points, 1.5, seed + 41)
    pore = smoothstep(0.34, 0.05, distance) * (label < 0.75)
    layers.height += bare * (-0.055 * np.minimum(oily, 1.3) * pore + 0.045 * fractal_noise(points, 1.6, seed + 42, 3))
    layers.height += 0.10 * fractal_noise(points, 5.0, seed + 43, 2)
    layers.tint((0.86, 0.80, 0.78), bare * 0.6 * np.minimum(oily, 1.0) * pore)
    wander = 1.6 * fractal_noise(points * [0.4, 1.0, 0.4], 14.0, seed + 44, 2)
    forehead = smoothstep(48.0, 26.0, np.abs(x)) * (z > 40.0)
    for height, depth in ((40.0, 0.10), (49.5, 0.14), (59.0, 0.10)):
        layers.height -= depth * forehead * np.exp(-(((y - height - wander - 0.002 * x**2) / 1.0) ** 2))
    for height in (-133.0, -152.0):
        crease = np.exp(-(((y - height - wander + 0.004 * x**2) / 0.9) ** 2)) * (z > -20.0)
        layers.height -= 0.22 * crease
        layers.tint((0.90, 0.86, 0.85), 0.6 * crease)
    under_eye = np.exp(-(((y + 12.0 - 0.25 * (np.abs(x) - 26.0) + 0.5 * wander) / 0.7) ** 2))
    layers.height -= 0.10 * under_eye * smoothstep(14.0, 8.0, np.abs(np.abs(x) - 28.0)) * (z > 55.0)


def _hair_mask(points: np.ndarray, seed: int) -> np.ndarray:
    """0..1 where hair grows on the scalp: forehead, temples, sideburns, around the ears, nape."""
    x, y, z = points.T
    azimuth = np.degrees(np.arctan2(np.abs(x), z + 10.0))
    knots = np.array([0.0, 20.0, 34.0, 46.0, 55.0, 64.0, 74.0, 80.0, 86.0, 94.0, 100.0, 112.0, 126.0, 150.0, 180.0])
    line = np.array([70.0, 71.0, 74.0, 68.0, 54.0, 40.0, 22.0, -8.0, -24.0, -22.0, 0.0, -18.0, -46.0, -66.0, -70.0])
    height = monotone_cubic(knots, line, azimuth)
    ragged = 2.4 * fractal_noise(points, 7.0, seed + 51, 3)
    return smoothstep(-3.5, 5.5, y - height + ragged)


def _beyond_ears(head: Head, points: np.ndarray) -> np.ndarray:
    """0 on the skin that the ears stand on, 1 elsewhere."""
    canal = head.neutral[head.part_slice("ear_L")][0]
    distance = np.hypot(points[:, 1] - canal[1], points[:, 2] - canal[2])
    return smoothstep(15.0, 24.0, distance)


def _cropped_hair(layers: Layers, points: np.ndarray, hair: np.ndarray, color: np.ndarray, seed: int) -> None:
    """Hair cut to a millimetre: a dark shade with short strands."""
    strands = fractal_noise(points * [1.0, 0.30, 0.30], 0.8, seed + 52, 2) * 0.5 + 0.5
    tufts = 0.5 + 0.5 * fractal_noise(points, 3.0, seed + 53, 2)
    layers.glaze(color, hair * (0.60 + 0.38 * strands) * (0.86 + 0.14 * tufts))
    layers.height += hair * 0.16 * strands


def _brows(layers: Layers, points: np.ndarray, marks: Landmarks, color: np.ndarray, seed: int) -> None:
    """Hairs that rise near the nose and lie down towards the temples."""
    x, y, z = points.T
    side = np.abs(x)
    across = y - marks.brow_line(x)
    half_height = monotone_cubic(np.array([7.0, 12.0, 22.0, 34.0, 44.0, 52.0]), np.array([2.2, 3.6, 3.9, 3.0, 2.0, 0.7]), side)
    lean = np.radians(monotone_cubic(np.array([8.0, 16.0, 28.0, 52.0]), np.array([62.0, 40.0, 20.0, -12.0]), side))
    along_hair = side * np.cos(lean) + across * np.sin(lean)
    over_hair = -side * np.sin(lean) + across * np.cos(lean)
    which = np.sign(x) * 100.0
    strand = fractal_noise(np.stack([along_hair / 9.0, over_hair / 0.85, which], -1), 0.62, seed + 61, 2)
    soft = smoothstep(1.25, 0.45, np.abs(across) / half_height + 0.30 * strand)
    ends = smoothstep(7.0, 13.0, side + 2.0 * strand) * smoothstep(54.0, 44.0, side + 2.0 * strand)
    mask = soft * ends * (z > 35.0)
    layers.tint((0.80, 0.76, 0.74), mask)
    layers.glaze(color, mask * np.clip(0.72 + 0.75 * strand, 0.15, 0.97))
    layers.height += mask * 0.22 * strand


def _lashes(layers: Layers, x, y, z, marks: Landmarks, lid_ring: np.ndarray, color: np.ndarray) -> None:
    near_eye = (z > 55.0) * smoothstep(16.0, 13.6, np.abs(np.abs(x) - marks.eye_x))
    on_edge = smoothstep(0.0, 0.15, lid_ring) * smoothstep(1.0, 0.55, lid_ring)
    upper = smoothstep(-0.3, 0.5, y - marks.eye_line(x))
    above = y - marks.lid_margin(x, True)
    line = np.exp(-((np.maximum(above, 0.0) / 0.8) ** 2)) * (above > -0.8) * (lid_ring < 0.02)
    layers.glaze(color, near_eye * upper * np.maximum(0.9 * on_edge, 0.85 * line))
    layers.glaze(color, near_eye * (1.0 - upper) * 0.45 * on_edge)


def _gloss(layers: Layers, x, y, z, lips: np.ndarray, hairy: np.ndarray, seed: int) -> None:
    """Oily forehead, nose and chin, wet lips, matt hair."""
    front = smoothstep(20.0, 60.0, z)
    oily = 0.7 * twin_bump(x, y, (0.0, 50.0), (34.0, 20.0)) + 1.0 * twin_bump(x, y, (0.0, -26.0), (8.0, 24.0)) * 0.5
    oily = oily + 0.45 * twin_bump(x, y, (40.0, -16.0), (14.0, 9.0)) + 0.35 * twin_bump(x, y, (0.0, -103.0), (12.0, 8.0))
    patches = 1.0 + 0.25 * fractal_noise(np.stack([x, y, z], -1), 8.0, seed + 71, 3)
    layers.gloss *= (0.75 + front * oily) * patches * (1.0 - 0.55 * hairy) + 0.7 * lips
    layers.roughness += -0.07 * front * np.minimum(oily, 1.0) - 0.10 * lips + 0.08 * hairy


def _mouth(layers: Layers, ring: np.ndarray, lip: np.ndarray, points: np.ndarray, seed: int) -> None:
    """Wet red inside of the lips, darker towards the throat; the tongue lies on the lower side."""
    inner = smoothstep(0.6, 1.6, ring)
    layers.glaze((0.34, 0.115, 0.10), inner)
    tongue = (lip < 0.3) * smoothstep(2.8, 3.4, ring) * smoothstep(16.0, 11.0, np.abs(points[:, 0]))
    layers.glaze((0.40, 0.16, 0.15), tongue * (0.9 + 0.2 * fractal_noise(points, 1.0, seed + 81, 2)))
    layers.tint((0.10, 0.06, 0.06), smoothstep(2.2, 4.6, ring) * (1.0 - 0.55 * tongue))
    layers.gloss *= 1.0 - 0.85 * smoothstep(2.0, 4.0, ring)
    layers.height *= 1.0 - inner
