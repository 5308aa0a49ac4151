"""Small curves: monotone interpolation, smooth steps and bumps."""

from __future__ import annotations

import numpy as np


def monotone_cubic(knots: np.ndarray, values: np.ndarray, at: np.ndarray) -> np.ndarray:
    """Interpolate ``values`` (N, ...) at increasing ``knots`` (N,) without overshoot; ``at`` is clamped to the knots.

    Fritsch and Carlson, "Monotone Piecewise Cubic Interpolation", SIAM J. Numer. Anal. 17 (1980), with harmonic slopes.
    """
    knots = np.asarray(knots, np.float64)
    values = np.asarray(values, np.float64)
    at = np.clip(np.asarray(at, np.float64), knots[0], knots[-1])
    widths = np.diff(knots).reshape((-1,) + (1,) * (values.ndim - 1))
    secants = np.diff(values, axis=0) / widths
    slopes = _slopes(widths, secants)
    cell = np.clip(np.searchsorted(knots, at, side="right") - 1, 0, len(knots) - 2)
    h = widths[cell].reshape(at.shape + (1,) * (values.ndim - 1))
    s = ((at - knots[cell]).reshape(at.shape + (1,) * (values.ndim - 1))) / h
    blend0, blend1 = 2 * s**3 - 3 * s**2 + 1, -2 * s**3 + 3 * s**2
    tangent0, tangent1 = s**3 - 2 * s**2 + s, s**3 - s**2
    return blend0 * values[cell] + tangent0 * h * slopes[cell] + blend1 * values[cell + 1] + tangent1 * h * slopes[cell + 1]


def _slopes(widths: np.ndarray, secants: np.ndarray) -> np.ndarray:
    before, after = secants[:-1], secants[1:]
    w0, w1 = 2 * widths[1:] + widths[:-1], widths[1:] + 2 * widths[:-1]
    same_sign = before * after > 0
    safe_before, safe_after = np.where(same_sign, before, 1.0), np.where(same_sign, after, 1.0)
    inner = np.where(same_sign, (w0 + w1) / (w0 / safe_before + w1 / safe_after), 0.0)
    return np.concatenate([secants[:1], inner, secants[-1:]])


def smoothstep(low: float | np.ndarray, high: float | np.ndarray, x: np.ndarray) -> np.ndarray:
    """0 below ``low``, 1 above ``high``, a smooth rise between; a falling step when ``low > high``."""
    s = np.clip((np.asarray(x, np.float64) - low) / (high - low), 0.0, 1.0)
    return s * s * (3.0 - 2.0 * s)


def bump(
    x: np.ndarray, y: np.ndarray, center: tuple[float, float], radii: tuple[float, float], power: float = 2.0
) -> np.ndarray:
    """A smooth hill of height 1 at ``center``; ``power`` above 2 makes its top flatter and its sides steeper."""
    r2 = ((x - center[0]) / radii[0]) ** 2 + ((y - center[1]) / radii[1]) ** 2
    return np.exp(-(r2 ** (power / 2.0)))


def twin_bump(
    x: np.ndarray, y: np.ndarray, center: tuple[float, float], radii: tuple[float, float], power: float = 2.0
) -> np.ndarray:
    """The bump and its mirror image about x = 0, added, so that the midline stays smooth."""
    return bump(x, y, center, radii, power) + bump(x, y, (-center[0], center[1]), radii, power)


def smooth_maximum(a: np.ndarray, b: np.ndarray, width: float) -> np.ndarray:
    """The larger of ``a`` and ``b``, rounded over where they differ by less than ``width``."""
    h = np.clip(0.5 + 0.5 * (a - b) / width, 0.0, 1.0)
    return b + (a - b) * h + width * h * (1.0 - h)
