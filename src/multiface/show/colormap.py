"""A colour map for errors whose lightness only ever grows, and the difference that it shows.

The map is a path through OKLab (B. Ottosson, "A perceptual color space for image processing", 2020): lightness rises
evenly from nearly black to nearly white while the hue turns from violet through red to yellow, as in the maps people
know from error pictures. Chroma swells in the middle and is cut back where sRGB cannot show it. Equal steps of error
are therefore equal steps of lightness, also in print and for colour-blind readers.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from multiface.core.errors import ArgumentError

DIFFERENCE_SCALE = 32.0
"""Error (linear camera units, of 255) that gets the brightest colour, unless one asks for another scale."""

_LIGHTNESS = (0.08, 0.97)
_HUE_DEGREES = (285.0, 460.0)
_CHROMA = 0.22

# OKLab -> cube roots of cone responses -> linear sRGB (Ottosson 2020).
_LAB_TO_CONES = np.array(
    [[1.0, 0.3963377774, 0.2158037573], [1.0, -0.1055613458, -0.0638541728], [1.0, -0.0894841775, -1.2914855480]]
)
_CONES_TO_RGB = np.array(
    [
        [4.0767416621, -3.3077115913, 0.2309699292],
        [-1.2684380046, 2.6097574011, -0.3413193965],
        [-0.0041960863, -0.7034186147, 1.7076147010],
    ]
)


@lru_cache(maxsize=1)
def difference_table() -> np.ndarray:
    """(256, 3) uint8 sRGB colours, from no error (row 0, nearly black) to the full scale (row 255, nearly white)."""
    t = np.linspace(0.0, 1.0, 256)
    lightness = _LIGHTNESS[0] + (_LIGHTNESS[1] - _LIGHTNESS[0]) * t
    hue = np.deg2rad(_HUE_DEGREES[0] + (_HUE_DEGREES[1] - _HUE_DEGREES[0]) * t)
    chroma = _largest_chroma(lightness, hue, _CHROMA * np.sin(np.pi * t) ** 0.75)
    linear = np.clip(_oklab_to_linear(lightness, chroma * np.cos(hue), chroma * np.sin(hue)), 0, 1)
    encoded = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    table = np.rint(255 * encoded).astype(np.uint8)
    table.setflags(write=False)
    return table


def colour_map(error: np.ndarray, scale: float = DIFFERENCE_SCALE) -> np.ndarray:
    """Colours of ``error``.

    Args:
        error: (..., ) float, at least 0; 0 gets the first colour, ``scale`` and more the last, NaN the first.
        scale: Error at the end of the map, in the units of ``error``; the same for all pictures to be compared.

    Returns:
        (..., 3) uint8 sRGB.
    """
    if not scale > 0 or not np.isfinite(scale):
        raise ArgumentError("the scale of a colour map has to be a positive number", found=scale)
    index = np.fmin(np.fmax(np.asarray(error, dtype=np.float32) * np.float32(255 / scale), 0), 255)
    return np.take(difference_table(), (index + 0.5).astype(np.uint8), axis=0)


def mean_difference(prediction: np.ndarray, truth: np.ndarray, mask: np.ndarray | None = None) -> np.ndarray:
    """Mean over the three channels of ``|prediction - truth|``, linear camera units (0..255), zero outside ``mask``.

    Args:
        prediction: (H, W, 3) linear camera colours, 0..255.
        truth: (H, W, 3) likewise.
        mask: (H, W), what counts: true or above 0; None counts everything. The same mask acts on both pictures.

    Returns:
        (H, W) float32.
    """
    prediction, truth = np.asarray(prediction), np.asarray(truth)
    if prediction.shape != truth.shape or prediction.ndim != 3 or prediction.shape[-1] != 3:
        raise ArgumentError(
            "two pictures of one shape are needed for a difference",
            expected=f"(H, W, 3) twice, prediction {prediction.shape}",
            found=f"truth {truth.shape}",
        )
    each = prediction.astype(np.float32)
    each -= truth.astype(np.float32)
    np.abs(each, out=each)
    error = (each[..., 0] + each[..., 1] + each[..., 2]) / 3  # the mean, three times as fast as NumPy's over so few
    if mask is not None:
        mask = np.asarray(mask)
        if mask.shape != error.shape:
            raise ArgumentError("the mask of a difference has another size", expected=error.shape, found=mask.shape)
        error[~(mask > 0)] = 0
    return error


def legend_strip(width: int, height: int) -> np.ndarray:
    """(height, width, 3) uint8: the whole map from left (no error) to right (full scale)."""
    index = np.rint(np.linspace(0, 255, width)).astype(np.uint8)
    return np.broadcast_to(difference_table()[index], (height, width, 3)).copy()


def _oklab_to_linear(lightness: np.ndarray, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    cones = np.stack([lightness, a, b], axis=-1) @ _LAB_TO_CONES.T
    return cones**3 @ _CONES_TO_RGB.T


def _largest_chroma(lightness: np.ndarray, hue: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """The largest chroma up to ``wanted`` that sRGB can show, by bisection."""
    low, high = np.zeros_like(wanted), wanted.copy()
    for _ in range(30):
        middle = (low + high) / 2
        rgb = _oklab_to_linear(lightness, middle * np.cos(hue), middle * np.sin(hue))
        shown = ((rgb >= -1e-9) & (rgb <= 1 + 1e-9)).all(axis=-1)
        low, high = np.where(shown, middle, low), np.where(shown, high, middle)
    return low
