"""Where the features of the face lie in the frontal plane: eyes, lid margins, brows, nose, lips. Shape and paint share them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from multiface.prepare.stage.identity import Identity
from multiface.prepare.stage.splines import monotone_cubic

EYE_HALF_WIDTH = 14.5
"""mm, pupil to either corner of the lids."""
EYEBALL_RADIUS = 16.5
"""mm. Larger than life: one sphere then reaches both corners of the lids; only its front is ever seen."""
LID_THICKNESS = 1.7
MOUTH_HEIGHT = -69.0


@dataclass(frozen=True)
class Aperture:
    """How far the lids of one eye are open, as heights of the two margins over the line between the corners, mm."""

    upper: float = 5.4
    lower: float = -3.5


class Landmarks:
    """Curves and points in head space, mm. ``x`` arguments may be of either side unless said otherwise."""

    def __init__(self, identity: Identity) -> None:
        self.identity = identity
        self.eye_x = identity.eye_distance
        self.eye_center = np.array([identity.eye_distance, 1.0, 80.5 - EYEBALL_RADIUS])
        self.inner_corner = identity.eye_distance - EYE_HALF_WIDTH
        self.outer_corner = identity.eye_distance + EYE_HALF_WIDTH
        self.mouth_x = identity.mouth_width
        self.aperture = Aperture(5.4 * identity.eye_opening, -3.5 * identity.eye_opening)

    def eye_line(self, x: np.ndarray) -> np.ndarray:
        """Height of the line between the lid corners, continued level beyond them."""
        s = np.clip((np.abs(x) - self.inner_corner) / (2 * EYE_HALF_WIDTH), 0.0, 1.0)
        return -0.8 + self.identity.eye_tilt * s

    def lid_arch(self, x: np.ndarray, upper: bool) -> np.ndarray:
        """0..1 shape of a lid margin between the corners: the upper one peaks towards the nose, the lower one outwards."""
        s = np.clip((np.abs(x) - self.inner_corner) / (2 * EYE_HALF_WIDTH), 0.0, 1.0)
        skewed = s ** (0.88 if upper else 1.18)
        return np.sin(np.pi * skewed) ** (0.78 if upper else 0.9)

    def lid_margin(self, x: np.ndarray, upper: bool, aperture: Aperture | None = None) -> np.ndarray:
        """Height of a lid margin at ``x``; outside the corners, the eye line."""
        opening = aperture or self.aperture
        return self.eye_line(x) + (opening.upper if upper else opening.lower) * self.lid_arch(x, upper)

    def brow_line(self, x: np.ndarray) -> np.ndarray:
        """Height of the middle of the brow: rising outwards to an arch, then falling."""
        knots = np.array([6.0, 12.0, 24.0, 36.0, 44.0, 52.0])
        heights = np.array([17.5, 18.8, 21.0, 22.8, 21.6, 17.0])
        return monotone_cubic(knots, heights, np.abs(x)) + self.identity.brow_height

    def mouth_line(self, x: np.ndarray) -> np.ndarray:
        """Height of the line where the closed lips meet."""
        s = np.clip(np.abs(x) / self.mouth_x, 0.0, 1.3)
        return MOUTH_HEIGHT - 0.9 * np.exp(-((s / 0.16) ** 2)) + 0.7 * np.exp(-(((s - 0.42) / 0.22) ** 2)) - 0.6 * s**2

    def upper_lip_height(self, x: np.ndarray) -> np.ndarray:
        """Height of the red of the upper lip over the mouth line (the bow with its two peaks), 0 from the corners on."""
        s = np.clip(np.abs(x) / self.mouth_x, 0.0, 1.0)
        heights = np.array([6.2, 7.0, 7.6, 5.8, 2.9, 0.0])
        return self.identity.lip_fullness * monotone_cubic(np.array([0.0, 0.12, 0.22, 0.5, 0.8, 1.0]), heights, s)

    def lower_lip_height(self, x: np.ndarray) -> np.ndarray:
        """Height of the red of the lower lip under the mouth line, 0 from the corners on."""
        s = np.clip(np.abs(x) / self.mouth_x, 0.0, 1.0)
        heights = np.array([9.3, 9.1, 7.6, 4.2, 0.0])
        return self.identity.lip_fullness * monotone_cubic(np.array([0.0, 0.25, 0.55, 0.82, 1.0]), heights, s)
