"""Deterministic noise in space: the same point gives the same value whatever the order or number of threads."""

from __future__ import annotations

import numba
import numpy as np


def fractal_noise(points: np.ndarray, size: float, seed: int, octaves: int = 1) -> np.ndarray:
    """Smooth noise about -1..1 of feature size ``size`` (in the units of ``points`` (N, 3)); each octave halves both."""
    return _fractal(np.ascontiguousarray(points, np.float64), 1.0 / size, seed, octaves)


def cell_noise(points: np.ndarray, size: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Distance (in cells) to the nearest of scattered points, one per cell of ``size``, and that point's own random 0..1.

    Worley, "A Cellular Texture Basis Function", SIGGRAPH 1996.
    """
    return _cells(np.ascontiguousarray(points, np.float64), 1.0 / size, seed)


@numba.njit(cache=True, nogil=True, inline="always")
def _hash(i, j, k, seed):
    """Integer hash of a lattice point to 0..1 (multiply and xor-shift, 32 bits)."""
    h = (i * 374761393 + j * 668265263 + k * 2147483647 + seed * 1274126177) & 0xFFFFFFFF
    h = ((h ^ (h >> 13)) * 1274126177) & 0xFFFFFFFF
    h = ((h ^ (h >> 16)) * 2246822519) & 0xFFFFFFFF
    return (h ^ (h >> 15)) / 4294967295.0


@numba.njit(cache=True, nogil=True)
def _value(x, y, z, seed):
    i, j, k = int(np.floor(x)), int(np.floor(y)), int(np.floor(z))
    fx, fy, fz = x - i, y - j, z - k
    fx, fy, fz = fx * fx * (3 - 2 * fx), fy * fy * (3 - 2 * fy), fz * fz * (3 - 2 * fz)
    total = 0.0
    for dk in range(2):
        for dj in range(2):
            for di in range(2):
                weight = (fx if di else 1 - fx) * (fy if dj else 1 - fy) * (fz if dk else 1 - fz)
                total += weight * _hash(i + di, j + dj, k + dk, seed)
    return 2.0 * total - 1.0


@numba.njit(cache=True, nogil=True)
def _fractal(points, frequency, seed, octaves):
    out = np.zeros(len(points))
    for n in range(len(points)):
        f, amplitude, total, norm = frequency, 1.0, 0.0, 0.0
        for octave in range(octaves):
            total += amplitude * _value(points[n, 0] * f, points[n, 1] * f, points[n, 2] * f, seed + octave)
            norm += amplitude
            amplitude *= 0.5
            f *= 2.0
        out[n] = total / norm
    return out


@numba.njit(cache=True, nogil=True)
def _cells(points, frequency, seed):
    distance, label = np.zeros(len(points)), np.zeros(len(points))
    for n in range(len(points)):
        x, y, z = points[n, 0] * frequency, points[n, 1] * frequency, points[n, 2] * frequency
        i, j, k = int(np.floor(x)), int(np.floor(y)), int(np.floor(z))
        nearest = 1e9
        for dk in range(-1, 2):
            for dj in range(-1, 2):
                for di in range(-1, 2):
                    a, b, c = i + di, j + dj, k + dk
                    px, py, pz = a + _hash(a, b, c, seed), b + _hash(a, b, c, seed + 1), c + _hash(a, b, c, seed + 2)
                    d = (px - x) ** 2 + (py - y) ** 2 + (pz - z) ** 2
                    if d < nearest:
                        nearest = d
                        label[n] = _hash(a, b, c, seed + 3)
        distance[n] = np.sqrt(nearest)
    return distance, label
