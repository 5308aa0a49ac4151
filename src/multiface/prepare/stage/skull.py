"""The large form of the head: closed horizontal-ish sections lofted along the profile, from the crown to the neck."""

from __future__ import annotations

import numpy as np

from multiface.prepare.stage.identity import Identity
from multiface.prepare.stage.splines import monotone_cubic, smoothstep

# One section per line, millimetres: front (y, z), side (half width x, y, z), back (y, z), pointedness of the front
# (0 an ellipse, above 0 towards a parabola, below 0 squarer).
# The heights follow the classical thirds: eyes half-way, nose base and brows dividing the face below the hairline.
_SECTIONS = np.array(
    [
        [115.0, -18.0, 0.0, 115.0, -18.0, 115.0, -18.0, 0.00],  # 0 crown
        [112.2, 14.0, 28.0, 112.0, -18.0, 110.5, -48.0, 0.00],
        [103.0, 43.0, 51.0, 101.0, -16.0, 96.0, -79.0, -0.03],
        [88.0, 66.0, 66.0, 84.0, -14.0, 74.0, -97.0, -0.08],
        [70.0, 80.5, 73.5, 65.0, -12.0, 48.0, -103.0, -0.16],  # 4 hairline
        [50.0, 88.5, 75.5, 46.0, -10.5, 28.0, -102.0, -0.26],  # 5 middle of the forehead
        [30.0, 91.5, 75.0, 28.0, -9.0, 10.0, -98.0, -0.33],
        [18.0, 91.0, 74.0, 16.0, -7.5, 0.0, -95.0, -0.36],  # 7 glabella
        [0.0, 85.5, 72.5, 0.0, -5.0, -12.0, -91.0, -0.30],  # 8 eyes
        [-20.0, 83.5, 70.0, -17.0, -3.0, -26.0, -86.0, -0.20],
        [-36.0, 84.5, 67.0, -29.0, -1.0, -37.0, -83.0, -0.08],
        [-47.0, 86.5, 64.5, -37.0, 0.5, -45.0, -81.0, 0.00],  # 11 base of the nose
        [-60.0, 88.0, 61.5, -47.0, 1.5, -54.0, -79.5, 0.08],
        [-69.0, 87.5, 59.5, -54.0, 1.5, -60.0, -79.0, 0.13],  # 13 line of the mouth
        [-80.0, 86.0, 57.5, -61.0, 1.0, -68.0, -78.0, 0.16],
        [-88.0, 84.5, 56.0, -66.0, 0.0, -74.0, -78.0, 0.20],
        [-102.0, 86.0, 54.0, -74.0, -3.0, -82.0, -78.0, 0.30],  # 16 chin
        [-114.0, 79.5, 52.0, -82.0, -8.0, -92.0, -78.0, 0.36],  # 17 edge of the jaw
        [-119.5, 62.0, 47.5, -92.0, -15.0, -102.0, -78.5, 0.30],
        [-124.0, 38.0, 44.0, -106.0, -24.0, -114.0, -77.0, 0.08],  # 19 throat
        [-143.0, 31.0, 43.0, -136.0, -28.0, -138.0, -78.0, 0.00],
        [-185.0, 24.0, 50.0, -185.0, -34.0, -185.0, -87.0, 0.00],  # 21 end of the neck
    ]
)

CROWN, HAIRLINE, GLABELLA, EYES, NOSE_BASE, MOUTH, CHIN, JAW_EDGE, THROAT, NECK_END = 0, 4, 7, 8, 11, 13, 16, 17, 19, 21
"""Section numbers of the landmarks; the row coordinate ``t`` of the loft counts sections."""

SECTION_COUNT = len(_SECTIONS)


class Skull:
    """Smooth closed surface P(t, a): ``t`` in [0, 21] counts sections downwards, ``a`` in [-2, 2] goes round the head.

    a = 0 is the midline of the face, a = +-1 the widest point at the side (positive = the subject's left), a = +-2 the
    midline of the back.
    """

    def __init__(self, identity: Identity) -> None:
        self._keys = _SECTIONS.copy()
        rows = np.arange(SECTION_COUNT)
        jaw = smoothstep(EYES, CHIN, rows) * smoothstep(NECK_END, THROAT, rows)
        self._keys[:, 2] *= 1.03 * identity.face_width * (1.0 + (identity.jaw_width - 1.0) * jaw)
        self._keys[:, 1] += 3.0 * (identity.chin - 1.0) * np.exp(-(((rows - CHIN) / 1.2) ** 2))

    def section(self, t: np.ndarray) -> np.ndarray:
        """(..., 8) interpolated section parameters at ``t``, the columns of the table above."""
        return monotone_cubic(np.arange(SECTION_COUNT), self._keys, t)

    def half_width(self, t: float) -> float:
        """Half the breadth of the section at ``t``, mm."""
        return float(self.section(np.array([t]))[0, 2])

    def points(self, t: np.ndarray, a: np.ndarray) -> np.ndarray:
        """(N, 3) float64 points, mm, at ``t`` (N,) and ``a`` (N,)."""
        yf, zf, xs, ys, zs, yb, zb, pointedness = np.moveaxis(self.section(t), -1, 0)
        sine = np.sin(np.clip(np.abs(a), 0.0, 2.0) * (np.pi / 2.0))
        front = np.abs(a) <= 1.0
        pointedness = np.where(front, pointedness, -0.16)
        rest = np.clip(1.0 - sine**2, 0.0, 1.0)
        depth = (1.0 - pointedness) * np.sqrt(rest) + pointedness * rest
        z_end, y_end = np.where(front, zf, zb), np.where(front, yf, yb)
        y = ys + (y_end - ys) * (1.0 - sine**3)
        return np.stack([np.sign(a) * xs * sine, y, zs + (z_end - zs) * depth], axis=-1)

    def row_at_height(self, a: np.ndarray, y: np.ndarray, low: float = 3.0, high: float = 19.0) -> np.ndarray:
        """The ``t`` (N,) from section ``low`` to ``high`` where the line of constant ``a`` (N,) passes height ``y`` (N,)."""
        above, under = np.full(len(a), low), np.full(len(a), high)
        for _ in range(34):  # heights fall along the line, so halving the interval finds the place to 1e-9
            middle = 0.5 * (above + under)
            higher = self.points(middle, a)[:, 1] > y
            above, under = np.where(higher, middle, above), np.where(higher, under, middle)
        return 0.5 * (above + under)
