"""The texture atlas: the skin as one face-centred chart with its seam at the back, the small parts in a strip below it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from multiface.prepare.stage.skull import CROWN, HAIRLINE, JAW_EDGE, SECTION_COUNT, THROAT
from multiface.prepare.stage.splines import monotone_cubic

if TYPE_CHECKING:
    from multiface.prepare.stage.head import Head

_SKIN = (0.006, 0.994, 0.165, 0.994)  # u0, u1, v0, v1
_CHARTS = {
    "ear_L": (0.665, 0.825, 0.004, 0.158),
    "ear_R": (0.175, 0.335, 0.004, 0.158),
    "eyeball_L": (0.835, 0.99, 0.004, 0.158),
    "eyeball_R": (0.01, 0.165, 0.004, 0.158),
    "teeth_upper": (0.35, 0.65, 0.085, 0.158),
    "teeth_lower": (0.35, 0.65, 0.004, 0.077),
}
_MOUTH_OPENING = 7.5  # mm by which the lips are apart in the atlas, to make room for the inside of the mouth
_EYE_FRACTIONS = (0.4, 0.75)  # how far towards the middle of the opening each rim lies
_MOUTH_FRACTIONS = (0.16, 0.36, 0.56, 0.76, 0.92)


def skin_uv(head: Head) -> np.ndarray:
    """(U, 2) uv of the skin, from the grid coordinates; columns of the grid are vertical lines of the atlas."""
    sheet = head.sheet
    a = sheet.column_coordinate(sheet.uv_t, sheet.uv_a)
    aperture = head.marks.aperture
    opened = head.opened_rows(sheet.uv_t, a, sheet.uv_margin, aperture, aperture, mouth=_MOUTH_OPENING)
    u = 0.5 + 0.5 * _horizontal(head, a)
    v = _vertical(head, opened)
    crown = sheet.uv_t == CROWN
    step = np.gradient(u[crown])
    u[crown] += 0.5 * step  # the crown is one vertex with a uv for each triangle around it
    uv = np.stack([u, v], -1)
    out = np.zeros((sheet.uv_count, 2))
    out[: len(uv)] = uv
    for slit in sheet.slits:
        for ids, fraction in zip(slit.uv_rings, _MOUTH_FRACTIONS if slit.name == "mouth" else _EYE_FRACTIONS):
            out[ids] = _towards_middle(uv[slit.uv_loop], fraction)
    u0, u1, v0, v1 = _SKIN
    low, high = out[:, 0].min(), out[:, 0].max()
    out[:, 0] = (out[:, 0] - low) / (high - low)
    return np.array([u0, v0]) + out * np.array([u1 - u0, v1 - v0])


def chart_in_atlas(name: str, chart: np.ndarray) -> np.ndarray:
    """(N, 2) atlas coordinates of a part's own chart (N, 2) in [0, 1]."""
    u0, u1, v0, v1 = _CHARTS[name]
    return np.array([u0, v0]) + chart * np.array([u1 - u0, v1 - v0])


def _horizontal(head: Head, a: np.ndarray) -> np.ndarray:
    """-1..1 across the atlas: arc length around the head at the eyes, the back of the head compressed."""
    table = np.linspace(0.0, 2.0, 401)
    ring = head.skull.points(np.full(401, 8.6), table)
    steps = np.linalg.norm(np.diff(ring, axis=0), axis=1)
    middle = 0.5 * (table[1:] + table[:-1])
    weight = np.interp(middle, [0.0, 0.6, 1.0, 1.3, 2.0], [1.0, 1.0, 0.62, 0.36, 0.32])
    length = np.concatenate([[0.0], np.cumsum(steps * weight)])
    return np.sign(a) * np.interp(np.abs(a), table, length / length[-1])


def _vertical(head: Head, t: np.ndarray) -> np.ndarray:
    """0 at the end of the neck .. 1 at the crown: arc length of the profile, skull and neck compressed."""
    table = np.linspace(0.0, SECTION_COUNT - 1.0, 1051)
    lengths = []
    for a in (0.0, 0.45):
        line = head.skull.points(table, np.full(len(table), a))
        lengths.append(np.linalg.norm(np.diff(line, axis=0), axis=1))
    knots = np.array([CROWN, 2.0, HAIRLINE, 6.0, JAW_EDGE, THROAT, SECTION_COUNT - 1.0], np.float64)
    weight = monotone_cubic(knots, np.array([0.35, 0.42, 0.62, 1.0, 1.0, 0.6, 0.42]), 0.5 * (table[1:] + table[:-1]))
    length = np.concatenate([[0.0], np.cumsum(np.mean(lengths, axis=0) * weight)])
    return 1.0 - np.interp(t, table, length / length[-1])


def _towards_middle(loop: np.ndarray, fraction: float) -> np.ndarray:
    """The loop shrunk towards the line half-way between its margins; its corners move along that line."""
    half = len(loop) // 2
    upper, lower = loop[: half + 1], np.concatenate([loop[:1], loop[: half - 1 : -1]])
    middle = 0.5 * (upper + lower)
    order = np.concatenate([np.arange(half + 1), np.arange(half - 1, 0, -1)])
    out = loop + (middle[order] - loop) * fraction
    out[0] += 0.5 * fraction * (middle[1] - middle[0])
    out[half] += 0.5 * fraction * (middle[half - 1] - middle[half])
    return out
