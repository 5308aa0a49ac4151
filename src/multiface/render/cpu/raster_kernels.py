"""Kernels that find the nearest triangle of every pixel.

The formulas and their order of evaluation are those of :mod:`multiface.render.reference.visibility`.
"""

from __future__ import annotations

import math

from numpy import float32, uintp

from multiface.render.cpu.jit import inlined, kernel
from multiface.render.rules import FARTHEST_PIXEL, FLATTEST, NEAR

# Stands for "zero is inside too". No area of a drawn triangle is this close to zero without being zero.
_BELOW_ZERO = -1e-300


@kernel
def bound_triangles(screen, faces, height, width, item, bounds):
    """Pixels that each triangle could cover: first and last row, first and last column; empty if it is not drawn.

    Args:
        screen: (B, V, 3) float64 u, v, z.
        faces: (F, 3) int32.
        bounds: (B, F, 4) int32, written.
    """
    for f in range(len(faces)):
        bounds[item, f, 0], bounds[item, f, 1], bounds[item, f, 2], bounds[item, f, 3] = 0, -1, 0, -1
        a, b, c = faces[f, 0], faces[f, 1], faces[f, 2]
        u0, v0, z0 = screen[item, a, 0], screen[item, a, 1], screen[item, a, 2]
        u1, v1, z1 = screen[item, b, 0], screen[item, b, 1], screen[item, b, 2]
        u2, v2, z2 = screen[item, c, 0], screen[item, c, 1], screen[item, c, 2]
        if not (_usable(u0, v0, z0) and _usable(u1, v1, z1) and _usable(u2, v2, z2)):
            continue
        left, right = min(u0, u1, u2), max(u0, u1, u2)
        top, bottom = min(v0, v1, v2), max(v0, v1, v2)
        extent = max(right - left, bottom - top)
        area = (u1 - u0) * (v2 - v0) - (v1 - v0) * (u2 - u0)
        if not abs(area) > FLATTEST * extent**2:
            continue
        # clipped before they become integers: coordinates may be far beyond those
        bounds[item, f, 0] = math.ceil(max(top - 0.5, 0.0))
        bounds[item, f, 1] = math.floor(max(min(bottom - 0.5, height - 1.0), -1.0))
        bounds[item, f, 2] = math.ceil(min(max(left - 0.5, 0.0), float(width)))
        bounds[item, f, 3] = math.floor(max(min(right - 0.5, width - 1.0), -1.0))


@inlined
def _usable(u, v, z):
    return abs(u) <= FARTHEST_PIXEL and abs(v) <= FARTHEST_PIXEL and z > NEAR and z < math.inf


@inlined
def _edge(start_u, start_v, end_u, end_v, turn):
    """Edge from the point (u, v) along (du, dv), both signed to be positive inside, and what its value has to exceed."""
    if start_v < end_v or (start_v == end_v and start_u > end_u):
        return end_u, end_v, -turn * (start_u - end_u), -turn * (start_v - end_v), 0.0 if turn > 0 else _BELOW_ZERO
    return start_u, start_v, turn * (end_u - start_u), turn * (end_v - start_v), _BELOW_ZERO if turn > 0 else 0.0


@kernel
def rasterize_rows(screen, faces, bounds, perspective, item, first_row, last_row, triangle, depth):
    """Fill rows ``first_row`` to ``last_row`` - 1 of ``triangle`` (B, H, W) int32 and ``depth`` (B, H, W) float32.

    Triangles come in ascending order and must be nearer to win, so the lowest index wins ties.
    """
    width = triangle.shape[2]
    for i in range(first_row, last_row):
        for j in range(width):
            triangle[item, i, j] = -1
            depth[item, i, j] = math.inf
    for f in range(len(faces)):
        top, bottom = max(bounds[item, f, 0], first_row), min(bounds[item, f, 1], last_row - 1)
        left, right = bounds[item, f, 2], bounds[item, f, 3]
        if top > bottom or left > right:
            continue
        a, b, c = faces[f, 0], faces[f, 1], faces[f, 2]
        u0, v0, z0 = screen[item, a, 0], screen[item, a, 1], screen[item, a, 2]
        u1, v1, z1 = screen[item, b, 0], screen[item, b, 1], screen[item, b, 2]
        u2, v2, z2 = screen[item, c, 0], screen[item, c, 1], screen[item, c, 2]
        turn = 1.0 if (u1 - u0) * (v2 - v0) - (v1 - v0) * (u2 - u0) > 0 else -1.0
        from_u0, from_v0, du0, dv0, floor0 = _edge(u1, v1, u2, v2, turn)
        from_u1, from_v1, du1, dv1, floor1 = _edge(u2, v2, u0, v0, turn)
        from_u2, from_v2, du2, dv2, floor2 = _edge(u0, v0, u1, v1, turn)
        k0, k1, k2 = (1.0 / z0, 1.0 / z1, 1.0 / z2) if perspective else (1.0, 1.0, 1.0)
        for i in range(top, bottom + 1):
            y = i + 0.5
            row0, row1, row2 = du0 * (y - from_v0), du1 * (y - from_v1), du2 * (y - from_v2)
            depths, winners = depth[item, i], triangle[item, i]
            # no branches, and indices known not to be negative: this loop is vectorised
            for j in range(left, right + 1):
                x = j + 0.5
                w0 = row0 - dv0 * (x - from_u0)
                w1 = row1 - dv1 * (x - from_u1)
                w2 = row2 - dv2 * (x - from_u2)
                p0, p1, p2 = w0 * k0, w1 * k1, w2 * k2
                z = float32((p0 * z0 + p1 * z1 + p2 * z2) / (p0 + p1 + p2))
                old, winner = depths[uintp(j)], winners[uintp(j)]
                closer = (w0 > floor0) & (w1 > floor1) & (w2 > floor2) & (z < old)
                depths[uintp(j)] = z if closer else old
                winners[uintp(j)] = f if closer else winner
    for i in range(first_row, last_row):
        for j in range(width):
            if triangle[item, i, j] < 0:
                depth[item, i, j] = 0.0
