"""The features raised from (or sunk into) the large form of the head: brows, sockets, lids, nose, cheeks, lips, chin."""

from __future__ import annotations

import numpy as np

from multiface.prepare.stage.landmarks import EYEBALL_RADIUS, LID_THICKNESS, MOUTH_HEIGHT, Aperture, Landmarks
from multiface.prepare.stage.splines import bump, monotone_cubic, smooth_maximum, smoothstep, twin_bump


def sculpt(points: np.ndarray, front: np.ndarray, marks: Landmarks, apertures: tuple[Aperture, Aperture]) -> np.ndarray:
    """Raise the features from the bare skull.

    Args:
        points: (N, 3) points of the skull, mm.
        front: (N,) 1 on the face, falling to 0 at the sides, where frontal features end.
        marks: The landmarks.
        apertures: How far the lids are open: the subject's left eye (x > 0), right eye.

    Returns:
        (N, 3) points of the skin.
    """
    x, y = points[:, 0], points[:, 1]
    side = np.abs(x)
    z = points[:, 2] + front * (_forms(side, y, marks) + _brows_and_sockets(side, y, marks))
    z = z + front * nose_height(side, y, marks)
    z = z + front * _lips(side, y, marks)
    z = np.where(front > 0, _lids(x, y, z, front, marks, apertures), z)
    out = np.stack([x, y, z], axis=-1)
    return out + _sideways(points, marks)


def _forms(x: np.ndarray, y: np.ndarray, marks: Landmarks) -> np.ndarray:
    """Forehead, cheeks, the fold beside the mouth, chin."""
    who = marks.identity
    height = 2.0 * twin_bump(x, y, (24.0, 52.0), (19.0, 16.0)) - 0.8 * bump(x, y, (0.0, 36.0), (14.0, 11.0))
    height = height + 3.0 * who.cheekbone * twin_bump(x, y, (44.0, -19.0), (16.0, 12.0))
    height = height + 3.2 * twin_bump(x, y, (31.0, -34.0), (13.0, 14.0))
    height = height - 2.4 * twin_bump(x, y, (43.0, -60.0), (13.0, 19.0))
    height = height - 1.2 * np.exp(-((_distance(x, y, (20.0, -42.0), (31.0, -66.0)) / 3.0) ** 2))
    height = height - 1.1 * np.exp(-((_distance(x, y, (18.0, -9.0), (30.0, -19.0)) / 4.5) ** 2))
    height = height + who.chin * 3.6 * bump(x, y, (0.0, -103.0), (16.0, 9.5), 2.5)
    height = height + 0.7 * twin_bump(x, y, (8.0, -105.0), (7.0, 6.0))
    return height - 2.0 * bump(x, y, (0.0, -89.0), (18.0, 5.0))


def _brows_and_sockets(x: np.ndarray, y: np.ndarray, marks: Landmarks) -> np.ndarray:
    lift = marks.identity.brow_height
    ridge = marks.identity.brow_ridge
    along = np.abs(y - marks.brow_line(x) + 4.0)
    height = 2.4 * ridge * np.exp(-((along / 6.5) ** 2)) * smoothstep(4.0, 14.0, x) * smoothstep(58.0, 34.0, x)
    height = height + 2.0 * twin_bump(x, y, (46.0, 13.0 + lift), (11.0, 8.0))
    height = height + 1.0 * ridge * bump(x, y, (0.0, 18.0), (10.0, 9.0))
    height = height - 5.4 * twin_bump(x, y, (31.5, 3.0), (17.0, 10.5), 2.4)
    return height - 3.4 * twin_bump(x, y, (14.5, 2.0), (6.5, 9.5))


def nose_height(x: np.ndarray, y: np.ndarray, marks: Landmarks) -> np.ndarray:
    """Height of the nose over the face, mm, at ``x`` >= 0 and ``y``."""
    who = marks.identity
    heights = np.array([16.0, 6.0, 0.0, -6.0, -14.0, -22.0, -29.0, -34.0, -37.5, -41.0, -44.5, -47.5, -52.0])
    ridge = np.array([0.0, 0.9, 2.6, 5.4, 10.4, 15.8, 20.0, 22.6, 22.8, 20.4, 14.0, 6.0, 0.0]) * who.nose_length
    widths = np.array([10.0, 9.0, 7.4, 7.6, 8.6, 9.6, 10.6, 11.8, 12.2, 11.4, 9.0, 7.0, 6.5])
    profile = monotone_cubic(-heights, ridge, -y)
    width = monotone_cubic(-heights, widths, -y) * (0.5 + 0.5 * who.nose_width)
    bridge = profile * np.exp(-np.log(2.0) * (x / width) ** 2.2)
    ball = 2.4 * bump(x, y, (0.0, -35.5), (8.5, 6.6))
    wing = 12.6 * bump(x, y, (12.4 * who.nose_width, -39.8), (6.2, 6.8), 2.8)
    height = smooth_maximum(bridge + ball, wing, 4.5)
    crease = 1.3 * np.exp(-((_distance(x, y, (13.5 * who.nose_width, -31.5), (19.6 * who.nose_width, -40.0)) / 2.0) ** 2))
    furrow = 0.9 * np.exp(-((_distance(x, y, (8.6, -40.0), (11.0, -34.0)) / 1.8) ** 2))
    nostril = 7.0 * twin_bump(x, y, (6.9 * who.nose_width, -44.2), (3.6, 2.2), 3.0)
    return height - crease - furrow - nostril


def _lips(x: np.ndarray, y: np.ndarray, marks: Landmarks) -> np.ndarray:
    """Both lips, the groove under the nose and the dimples at the corners."""
    full = marks.identity.lip_fullness
    line = marks.mouth_line(x)
    s = np.clip(x / marks.mouth_x, 0.0, 1.3)
    # Distance from the line in units of the lip's height; the floor keeps it finite at the corners.
    up = (y - line) / np.maximum(marks.upper_lip_height(x), 1.6)
    down = (line - y) / np.maximum(marks.lower_lip_height(x), 1.8)
    taper = smoothstep(1.12, 0.25, s)
    knots = np.array([0.0, 0.12, 0.3, 0.6, 0.95, 1.25, 1.8, 2.6])
    upper = monotone_cubic(knots, np.array([-2.6, 0.5, 2.8, 4.0, 3.4, 2.2, 1.0, 0.0]), np.maximum(up, 0.0))
    lower = monotone_cubic(knots, np.array([-2.6, 1.4, 4.2, 5.2, 3.0, 0.9, 0.1, 0.0]), np.maximum(down, 0.0))
    height = full * taper * np.where(y >= line, upper, lower)
    philtrum = bump(x, y, (0.0, -55.0), (2.6, 5.5), 2.5)
    height = height - 1.3 * philtrum + 0.9 * twin_bump(x, y, (5.0, -55.5), (2.4, 5.5))
    return height - 2.8 * bump(x, y, (marks.mouth_x + 0.5, MOUTH_HEIGHT - 0.6), (5.0, 4.5))


def _lids(x, y, z, front, marks: Landmarks, apertures: tuple[Aperture, Aperture]) -> np.ndarray:
    """Drape the skin over the eyeballs: it follows the ball near the opening, with a fold above and a soft bag below."""
    side = np.abs(x)
    center = marks.eye_center
    radius = EYEBALL_RADIUS + LID_THICKNESS
    r2 = (side - center[0]) ** 2 + (y - center[1]) ** 2
    # Outside its outline the ball falls away steeply, so that the maximum with the face ignores it there.
    ball = center[2] + np.sqrt(np.maximum(radius**2 - r2, 0.0)) - 4.0 * np.maximum(np.sqrt(r2) - radius, 0.0)
    draped = smooth_maximum(z, ball, 3.5)
    upper, lower = (_margin(x, marks, apertures, upper) for upper in (True, False))
    outside = np.maximum(np.maximum(y - upper, lower - y), 0.0)
    beyond = np.maximum(np.abs(side - center[0]) - 14.5, 0.0)
    close = np.exp(-((np.hypot(outside, 1.3 * beyond) / 3.4) ** 2))
    draped = draped + (ball - draped) * close * smoothstep(24.0, 17.0, np.abs(side - center[0]))
    window = smoothstep(17.0, 9.0, np.abs(side - center[0]))
    # The fold sits where the open lid is stowed and flattens out as the lid comes down.
    openness = np.clip((upper - lower) / 9.0, 0.0, 1.3)
    open_upper = marks.lid_margin(x, True)
    fold = (0.35 + 0.9 * openness) * np.exp(-(((y - open_upper - 4.4) / 1.2) ** 2))
    pad = 1.5 * np.exp(-(((y - open_upper - 7.8) / 2.6) ** 2))
    bag = 0.5 * np.exp(-(((y - marks.lid_margin(x, False) + 6.5) / 1.5) ** 2))
    return draped + front * window * (pad - fold - bag)


def _margin(x, marks: Landmarks, apertures: tuple[Aperture, Aperture], upper: bool) -> np.ndarray:
    return np.where(x > 0, marks.lid_margin(x, upper, apertures[0]), marks.lid_margin(x, upper, apertures[1]))


def _sideways(points: np.ndarray, marks: Landmarks) -> np.ndarray:
    """Temples, cheekbones seen from the side, jaw muscle, and the two cords and the apple of the throat."""
    x, y, z = points.T
    sign, side = np.sign(x), np.abs(x)
    who = marks.identity
    out = np.zeros_like(points)

    def hill(center: tuple[float, float, float], radii: tuple[float, float, float]) -> np.ndarray:
        q = (side - center[0]) / radii[0], (y - center[1]) / radii[1], (z - center[2]) / radii[2]
        return np.exp(-(q[0] ** 2 + q[1] ** 2 + q[2] ** 2))

    lateral = -3.4 * hill((68.0, 20.0, 26.0), (28.0, 22.0, 24.0)) + 2.2 * who.cheekbone * hill(
        (62.0, -20.0, 36.0), (22.0, 12.0, 26.0)
    )
    lateral = lateral + 2.4 * hill((56.0, -68.0, 8.0), (22.0, 18.0, 20.0)) - 1.6 * hill((58.0, -48.0, 40.0), (20.0, 16.0, 18.0))
    out[:, 0] = sign * lateral
    cord = np.exp(-((_distance_3d(side, y, z, (50.0, -95.0, -25.0), (12.0, -188.0, 30.0)) / 8.0) ** 2))
    out[:, 2] = 4.5 * cord * smoothstep(-92.0, -112.0, y) + 3.4 * hill((0.0, -146.0, 31.0), (8.0, 9.0, 14.0))
    return out


def _distance(x: np.ndarray, y: np.ndarray, start: tuple[float, float], end: tuple[float, float]) -> np.ndarray:
    """Distance in the frontal plane to the segment from ``start`` to ``end``."""
    return _distance_3d(x, y, np.zeros_like(x), (*start, 0.0), (*end, 0.0))


def _distance_3d(x, y, z, start: tuple[float, float, float], end: tuple[float, float, float]) -> np.ndarray:
    a, b = np.array(start), np.array(end)
    p = np.stack([x, y, z], axis=-1)
    s = np.clip(((p - a) @ (b - a)) / ((b - a) @ (b - a)), 0.0, 1.0)
    return np.linalg.norm(p - a - s[..., None] * (b - a), axis=-1)
