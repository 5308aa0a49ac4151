"""Kernels that bring collected gradients to where they belong: the corners of triangles, the texels of the texture.

Symbols are those of :mod:`multiface.render.cpu.shade_kernels`.
"""

from __future__ import annotations

import numpy as np
from numpy import float32, int32, uintp

from multiface.render.cpu.jit import inlined, kernel


@kernel
def mark_triangles(triangle, item, slot, band, first_row, last_row, seen):
    """Set ``seen`` (slots, bands, 1 + F) uint8 to 1 for each triangle, counted from 1, that a band of rows shows, else to 0."""
    marks = seen[slot, band]
    marks[:] = 0
    for i in range(first_row, last_row):
        for j in range(triangle.shape[2]):
            marks[uintp(triangle[item, i, j] + 1)] = 1  # without asking whether there is a triangle: branches cost more


@kernel
def place_triangles(seen, slot, bands, places, counts):
    """Give each triangle one row of moments for each band from the first that shows it to the last.

    Args:
        seen: From ``mark_triangles``.
        bands: (slots, F, 2) int32, written: first and last band; the last is before the first if no pixel is shown.
        places: (slots, F) int32, written: the row for band 0, if it reached there.
        counts: (slots,) int64, written: how many rows that takes.
    """
    n_bands, ranges = seen.shape[1], bands[slot]
    ranges[:, 0], ranges[:, 1] = n_bands, -1
    for band in range(n_bands):
        for f in range(len(ranges)):
            shown = seen[slot, band, f + 1] != 0
            ranges[f, 0] = min(ranges[f, 0], band if shown else n_bands)
            ranges[f, 1] = band if shown else ranges[f, 1]
    count = 0
    for f in range(len(ranges)):
        places[slot, f] = count - ranges[f, 0]
        count += max(ranges[f, 1] - ranges[f, 0] + 1, 0)
    counts[slot] = count


@kernel
def differentiate_corners(screen, faces, uvs, uv_faces, perspective, bands, places, moments, item, slot, screen_gradient):
    """Add the gradients of the corners of all triangles to those of the vertices.

    Args:
        screen: (B, V, 3) float64; faces: (F, 3) int32; uvs: (U, 2) float32; uv_faces: (F, 3) int32.
        bands, places: From ``place_triangles``.
        moments: (slots, rows, 12) float64, from ``differentiate_rows``.
        screen_gradient: (slots, V, 3) float64, added to: with respect to u, v, z.
    """
    for f in range(len(faces)):
        if bands[slot, f, 1] < 0:
            continue
        p = px = py = q = qx = qy = r = rx = ry = d = dx = dy = 0.0
        for band in range(bands[slot, f, 0], bands[slot, f, 1] + 1):
            sums = moments[slot, places[slot, f] + band]
            p, px, py = p + sums[0], px + sums[1], py + sums[2]
            q, qx, qy = q + sums[3], qx + sums[4], qy + sums[5]
            r, rx, ry = r + sums[6], rx + sums[7], ry + sums[8]
            d, dx, dy = d + sums[9], dx + sums[10], dy + sums[11]
        a, b, c = screen[item, faces[f, 0]], screen[item, faces[f, 1]], screen[item, faces[f, 2]]
        e1u, e1v, e2u, e2v = b[0] - a[0], b[1] - a[1], c[0] - a[0], c[1] - a[1]
        u0, v0 = uvs[uv_faces[f, 0], 0], uvs[uv_faces[f, 0], 1]
        u1, v1 = uvs[uv_faces[f, 1], 0], uvs[uv_faces[f, 1], 1]
        u2, v2 = uvs[uv_faces[f, 2], 0], uvs[uv_faces[f, 2], 1]
        # sums of dL/d(k_i w_i), plain, times dx, times dy
        g0, g0x, g0y = (
            _corner(p, q, r, d, u0, v0, a[2]),
            _corner(px, qx, rx, dx, u0, v0, a[2]),
            _corner(py, qy, ry, dy, u0, v0, a[2]),
        )
        g1, g1x, g1y = (
            _corner(p, q, r, d, u1, v1, b[2]),
            _corner(px, qx, rx, dx, u1, v1, b[2]),
            _corner(py, qy, ry, dy, u1, v1, b[2]),
        )
        g2, g2x, g2y = (
            _corner(p, q, r, d, u2, v2, c[2]),
            _corner(px, qx, rx, dx, u2, v2, c[2]),
            _corner(py, qy, ry, dy, u2, v2, c[2]),
        )
        out0, out1, out2 = (
            screen_gradient[slot, faces[f, 0]], screen_gradient[slot, faces[f, 1]], screen_gradient[slot, faces[f, 2]],
        )  # fmt: skip
        w0, w1, w2 = _areas(e1u, e1v, e2u, e2v, d, dx, dy)
        if perspective:
            k0, k1, k2 = 1.0 / a[2], 1.0 / b[2], 1.0 / c[2]
            # depth is an attribute with the values z_i, and k_i = 1 / z_i
            out0[2] += k0 * (w0 - k0 * _areas(e1u, e1v, e2u, e2v, g0, g0x, g0y)[0])
            out1[2] += k1 * (w1 - k1 * _areas(e1u, e1v, e2u, e2v, g1, g1x, g1y)[1])
            out2[2] += k2 * (w2 - k2 * _areas(e1u, e1v, e2u, e2v, g2, g2x, g2y)[2])
            g0, g0x, g0y = k0 * g0, k0 * g0x, k0 * g0y
            g1, g1x, g1y = k1 * g1, k1 * g1x, k1 * g1y
            g2, g2x, g2y = k2 * g2, k2 * g2x, k2 * g2y
        else:
            out0[2] += w0
            out1[2] += w1
            out2[2] += w2
        # sums of dL/dw_i through the two other corners that each w_i is made of
        out0[0] += g1y - e2v * g1 + e1v * g2 - g2y
        out0[1] += e2u * g1 - g1x + g2x - e1u * g2
        out1[0] += e2v * g0 - g0y + g2y
        out1[1] += g0x - e2u * g0 - g2x
        out2[0] += g0y - e1v * g0 - g1y
        out2[1] += e1u * g0 - g0x + g1x


@inlined
def _corner(p, q, r, d, u, v, z):
    return p * u + q * v + d * z - r


@inlined
def _areas(e1u, e1v, e2u, e2v, g, gx, gy):
    """Sums of g w0, g w1, g w2 over pixels, from the sums of g, g dx, g dy."""
    w1, w2 = e2v * gx - e2u * gy, e1u * gy - e1v * gx
    return (e1u * e2v - e1v * e2u) * g - w1 - w2, w1, w2


@kernel
def find_runs(triangle, looks, item, slot, top, first_row, last_row, owner_of_block, shift, height, width, runs, counts):
    """Cut rows of the picture into runs of pixels whose upper and lower texels have the same owners.

    Args:
        looks: From ``differentiate_rows``, with row ``top`` first.
        owner_of_block: (blocks,) int32 owner of the rows of the texture that begin in each block of ``2 ** shift`` texels.
        height, width: Of the texture.
        runs: (slots, rows, W, 4) int32, written: first column, one past the last, owner of upper and of lower texels;
            pixels without a triangle are in no run.
        counts: (slots, rows) int32, written: how many.
    """
    columns, owners = triangle.shape[2], np.empty((2, triangle.shape[2]), int32)
    for i in range(first_row, last_row):
        row, above = triangle[item, i], looks[slot, i - top, 0]
        for k in range(columns):
            upper = above[k] if row[k] >= 0 else 0
            lower = _following(upper, width, height * width)
            owners[0, k] = owner_of_block[uintp(upper >> shift)] if row[k] >= 0 else -1
            owners[1, k] = owner_of_block[uintp(lower >> shift)]
        count, j, out = 0, 0, runs[slot, i - top]
        while j < columns:
            upper, lower, end = owners[0, j], owners[1, j], j + 1
            while end < columns and owners[0, uintp(end)] == upper and (owners[1, uintp(end)] == lower or upper < 0):
                end += 1
            if upper >= 0:
                out[count, 0], out[count, 1], out[count, 2], out[count, 3] = j, end, upper, lower
                count += 1
            j = end
        counts[slot, i - top] = count


@kernel
def scatter_texture(looks, parts, runs, counts, image_gradient, item, slot, first_row, last_row, owner, texture_gradient):
    """Add what rows of pixels give to the texels of one owner, in picture order.

    Args:
        looks, parts: From ``differentiate_rows``, with ``first_row`` first.
        runs, counts: From ``find_runs``.
        texture_gradient: (B or 1, C, h, w) float32.
    """
    channels, height, width = texture_gradient.shape[1], texture_gradient.shape[2], texture_gradient.shape[3]
    target = texture_gradient[item if len(texture_gradient) > 1 else 0].reshape(channels, height * width)
    one = float32(1.0)
    for i in range(first_row, last_row):
        top, left = looks[slot, i - first_row, 0], looks[slot, i - first_row, 1]
        fy, fx = parts[slot, i - first_row, 0], parts[slot, i - first_row, 1]
        for n in range(counts[slot, i - first_row]):
            run = runs[slot, i - first_row, n]
            upper, lower = run[2] == owner, run[3] == owner
            for c in range(channels if upper or lower else 0):
                out, gradient = target[c], image_gradient[item, c, i]
                for k in range(uintp(run[0]), uintp(run[1])):
                    right = _following(left[k], 1, width)
                    if upper:
                        _add(out, top[k] + left[k], top[k] + right, gradient[k] * (one - fy[k]), fx[k])
                    if lower:
                        bottom = _following(top[k], width, height * width)
                        _add(out, bottom + left[k], bottom + right, gradient[k] * fy[k], fx[k])


@inlined
def _add(out, left, right, gradient, part):
    to_right = gradient * part
    out[uintp(left)] += gradient - to_right
    out[uintp(right)] += to_right


@inlined
def _following(offset, stride, size):
    """The next texel or row after the one at ``offset``, around the circle."""
    return offset + stride if offset + stride < size else 0
