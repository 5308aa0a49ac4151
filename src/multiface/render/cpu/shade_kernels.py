"""Kernels that look at the triangles shown: where each pixel is on its triangle and in the texture, and its colour.

The algebra of one triangle: with d = (dx, dy) from corner 0 to a pixel sample and e1, e2 the edges from corner 0, the areas
opposite the corners are ``w1 = d x e2``, ``w2 = e1 x d``, ``w0 = A - w1 - w2`` with ``A = e1 x e2``. With ``k_i = 1 / z_i``
(perspective) or 1 (affine), the weight of a corner is ``k_i w_i / S``, ``S = sum_j k_j w_j``. So an attribute with values a_i
at the corners is the quotient of two planes over (dx, dy), ``sum_i a_i k_i w_i`` and S.

Work goes row by row through small buffers, in loops without branches, which are vectorised. Indices from such buffers are
cast to ``uintp`` since negative ones, which count from the end, would need a test each.
"""

from __future__ import annotations

import numpy as np
from numpy import float32, float64, int32, uintp

from multiface.render.cpu.jit import inlined, kernel

PLANES = 14
"""Numbers kept for a triangle: corner 0 (u, v), then value at corner 0, slope in dx and in dy of S and, times S, of
texture u, texture v and depth."""


@kernel
def plan_triangles(screen, faces, uvs, uv_faces, perspective, item, planes):
    """Write ``planes`` (B, F, PLANES) float64.

    Args:
        screen: (B, V, 3) float64 u, v, z.
        faces: (F, 3) int32; uvs: (U, 2) float32; uv_faces: (F, 3) int32.
    """
    for f in range(len(faces)):
        a, b, c = screen[item, faces[f, 0]], screen[item, faces[f, 1]], screen[item, faces[f, 2]]
        e1u, e1v, e2u, e2v = b[0] - a[0], b[1] - a[1], c[0] - a[0], c[1] - a[1]
        k0, k1, k2 = (1.0 / a[2], 1.0 / b[2], 1.0 / c[2]) if perspective else (1.0, 1.0, 1.0)
        p, q, r = uvs[uv_faces[f, 0]], uvs[uv_faces[f, 1]], uvs[uv_faces[f, 2]]
        plane = planes[item, f]
        plane[0], plane[1] = a[0], a[1]
        plane[2], plane[3], plane[4] = _plane(k0, k1, k2, e1u, e1v, e2u, e2v)
        plane[5], plane[6], plane[7] = _plane(k0 * p[0], k1 * q[0], k2 * r[0], e1u, e1v, e2u, e2v)
        plane[8], plane[9], plane[10] = _plane(k0 * p[1], k1 * q[1], k2 * r[1], e1u, e1v, e2u, e2v)
        plane[11], plane[12], plane[13] = _plane(k0 * a[2], k1 * b[2], k2 * c[2], e1u, e1v, e2u, e2v)


@inlined
def _plane(a0, a1, a2, e1u, e1v, e2u, e2v):
    """``sum_i a_i w_i`` as its value at corner 0 and its slopes in dx and dy."""
    return a0 * (e1u * e2v - e1v * e2u), (a1 - a0) * e2v - (a2 - a0) * e1v, (a2 - a0) * e1u - (a1 - a0) * e2u


@inlined
def _run_end(row, j):
    """One past the last column from ``j`` on that shows the same triangle."""
    end = j + 1
    while end < len(row) and row[end] == row[j]:
        end += 1
    return end


@inlined
def _locate_row(planes, row, item, i, us, vs, scales):
    """Fill texture coordinates and 1 / S of the pixels of a row, zeros where there is no triangle.

    Returns:
        The first column that shows a triangle and one past the last.
    """
    first, last, j = len(row), 0, 0
    while j < len(row):
        f, end = row[j], _run_end(row, j)
        if f < 0:
            for k in range(j, end):
                us[k] = vs[k] = scales[k] = 0.0
        else:
            first, last = min(first, j), end
            plane = planes[item, f]
            dx, dy = 0.5 - plane[0], i + 0.5 - plane[1]
            s, s_step = plane[2] + plane[3] * dx + plane[4] * dy, plane[3]
            u, u_step = plane[5] + plane[6] * dx + plane[7] * dy, plane[6]
            v, v_step = plane[8] + plane[9] * dx + plane[10] * dy, plane[9]
            for k in range(j, end):
                scale = 1.0 / (s + s_step * k)
                scales[k] = scale
                us[k] = (u + u_step * k) * scale
                vs[k] = (v + v_step * k) * scale
        j = end
    return first, last


@inlined
def _texels_of_row(coordinates, first, last, n, stride, below, above, part):
    """The texels on both sides of texture coordinates, of n around the circle, times ``stride``; the part of the second."""
    for j in range(first, last):
        t = coordinates[uintp(j)]
        position = (t - np.floor(t)) * n - 0.5
        # triangles of absurd depth range can give anything, even what is not a number
        position = position if position >= -0.5 else -0.5
        position = position if position <= n - 0.5 else n - 0.5
        floor = np.floor(position)
        part[uintp(j)] = float32(position - floor)
        texel = int32(floor)
        following = texel + 1
        below[uintp(j)] = (texel if texel >= 0 else n - 1) * stride
        above[uintp(j)] = (following if following < n else 0) * stride


@kernel
def shade_rows(planes, texture, triangle, item, first_row, last_row, image):
    """Fill rows ``first_row`` to ``last_row`` - 1 of ``image`` (B, C, H, W) float32.

    Args:
        planes: (B, F, PLANES) float64.
        texture: (B or 1, C, h, w) float32.
        triangle: (B, H, W) int32.
    """
    channels, height, width = texture.shape[1], texture.shape[2], texture.shape[3]
    texels = texture[item if len(texture) > 1 else 0].reshape(channels, height * width)
    columns, one = triangle.shape[2], float32(1.0)
    us, vs, scales = np.empty(columns, float64), np.empty(columns, float64), np.empty(columns, float64)
    left, right = np.empty(columns, int32), np.empty(columns, int32)
    top, bottom = np.empty(columns, int32), np.empty(columns, int32)
    fx, fy = np.empty(columns, float32), np.empty(columns, float32)
    for i in range(first_row, last_row):
        row = triangle[item, i]
        first, last = _locate_row(planes, row, item, i, us, vs, scales)
        _texels_of_row(us, first, last, width, 1, left, right, fx)
        _texels_of_row(vs, first, last, height, width, top, bottom, fy)
        for c in range(channels):
            out, colour = image[item, c, i], texels[c]
            out[:] = 0.0
            for k in range(first, last):
                j = uintp(k)
                upper = colour[uintp(top[j] + left[j])] * (one - fx[j]) + colour[uintp(top[j] + right[j])] * fx[j]
                lower = colour[uintp(bottom[j] + left[j])] * (one - fx[j]) + colour[uintp(bottom[j] + right[j])] * fx[j]
                value = upper * (one - fy[j]) + lower * fy[j]
                out[j] = value if row[j] >= 0 else float32(0.0)


@kernel
def weigh_rows(screen, faces, perspective, triangle, item, first_row, last_row, barycentric):
    """Fill rows of ``barycentric`` (B, H, W, 3) float32 with the weights of the three corners, 0 in the background."""
    for i in range(first_row, last_row):
        row, j = triangle[item, i], 0
        while j < len(row):
            f, end = row[j], _run_end(row, j)
            if f < 0:
                barycentric[item, i, j:end] = 0.0
            else:
                a, b, c = screen[item, faces[f, 0]], screen[item, faces[f, 1]], screen[item, faces[f, 2]]
                e1u, e1v, e2u, e2v = b[0] - a[0], b[1] - a[1], c[0] - a[0], c[1] - a[1]
                k0, k1, k2 = (1.0 / a[2], 1.0 / b[2], 1.0 / c[2]) if perspective else (1.0, 1.0, 1.0)
                area, dy = e1u * e2v - e1v * e2u, i + 0.5 - a[1]
                for k in range(j, end):
                    dx = k + 0.5 - a[0]
                    w1, w2 = dx * e2v - dy * e2u, e1u * dy - e1v * dx
                    w0, w1, w2 = (area - w1 - w2) * k0, w1 * k1, w2 * k2
                    scale = 1.0 / (w0 + w1 + w2)
                    out = barycentric[item, i, k]
                    out[0], out[1], out[2] = w0 * scale, w1 * scale, w2 * scale
            j = end


@kernel
def differentiate_rows(
    planes, texture, triangle, image_gradient, depth_gradient, places,
    item, slot, band, top_row, first_row, last_row, moments, looks, parts,
):  # fmt: skip
    """Collect what the pixels of a band of rows contribute to their triangles, and where in the texture they look.

    For a loss L, ``dL/d(k_i w_i) = sum over attributes of dL/da (a_i - a) / S``, the attributes being texture u and v and depth
    with values p_i, q_i, z_i at the corners. That is ``P p_i + Q q_i + D z_i - R`` with P, Q, D = dL/da / S of each pixel and
    R = P p + Q q + D z. The areas w_i are planes over (dx, dy), so sums over the pixels of a triangle of P, Q, R, D, and of
    these times dx and dy, are all that its corners need.

    Args:
        planes, texture, triangle: As for ``shade_rows``.
        image_gradient: (B, C, H, W) float32; depth_gradient: (B, H, W) float32 or empty for none.
        places: (slots, F) int32, to which the band is added to find the row of ``moments`` of a triangle.
        item, slot: Index into the arrays of the batch, and into those written here.
        moments: (slots, rows, 12) float64, added to: sums of P, Q, R, D each plain, times dx, times dy; may be empty.
        looks: (slots, rows, 2, W) int32, written: upper row times texture width, and left column, of the texels that each pixel
            of the band looks at; the first row is that of ``top_row``.
        parts: (slots, rows, 2, W) float32, written: the part of the lower row, and of the right column.
    """
    channels, height, width = texture.shape[1], texture.shape[2], texture.shape[3]
    texels = texture[item if len(texture) > 1 else 0].reshape(channels, height * width)
    columns, one = triangle.shape[2], float32(1.0)
    us, vs, scales = np.empty(columns, float64), np.empty(columns, float64), np.empty(columns, float64)
    right, bottom = np.empty(columns, int32), np.empty(columns, int32)
    gx, gy = np.empty(columns, float32), np.empty(columns, float32)
    for i in range(first_row, last_row):
        row = triangle[item, i]
        top, left = looks[slot, i - top_row, 0], looks[slot, i - top_row, 1]
        fy, fx = parts[slot, i - top_row, 0], parts[slot, i - top_row, 1]
        first, last = _locate_row(planes, row, item, i, us, vs, scales)
        _texels_of_row(us, first, last, width, 1, left, right, fx)
        _texels_of_row(vs, first, last, height, width, top, bottom, fy)
        if not len(moments):
            continue
        gx[:] = 0.0
        gy[:] = 0.0
        for c in range(channels):
            gradient, colour = image_gradient[item, c, i], texels[c]
            for k in range(first, last):
                j = uintp(k)
                upper_left, upper_right = colour[uintp(top[j] + left[j])], colour[uintp(top[j] + right[j])]
                lower_left, lower_right = colour[uintp(bottom[j] + left[j])], colour[uintp(bottom[j] + right[j])]
                gx[j] += gradient[j] * ((upper_right - upper_left) * (one - fy[j]) + (lower_right - lower_left) * fy[j])
                gy[j] += gradient[j] * ((lower_left - upper_left) * (one - fx[j]) + (lower_right - upper_right) * fx[j])
        j = first
        while j < last:
            f, end = row[j], _run_end(row, j)
            if f >= 0:
                plane, sums = planes[item, f], moments[slot, places[slot, f] + band]
                dy, to_x = i + 0.5 - plane[1], 0.5 - plane[0]
                p = q = r = px = qx = rx = 0.0
                for k in range(j, end):
                    dx = k + to_x
                    pk, qk = gx[k] * scales[k] * width, gy[k] * scales[k] * height
                    rk = pk * us[k] + qk * vs[k]
                    p, q, r = p + pk, q + qk, r + rk
                    px, qx, rx = px + pk * dx, qx + qk * dx, rx + rk * dx
                if len(depth_gradient):
                    d = dx_sum = 0.0
                    for k in range(j, end):
                        dx = k + to_x
                        dk = depth_gradient[item, i, k] * scales[k]
                        rk = dk * (plane[11] + plane[12] * dx + plane[13] * dy) * scales[k]
                        d, dx_sum, r, rx = d + dk, dx_sum + dk * dx, r + rk, rx + rk * dx
                    sums[9] += d
                    sums[10] += dx_sum
                    sums[11] += d * dy
                sums[0], sums[1], sums[2] = sums[0] + p, sums[1] + px, sums[2] + p * dy
                sums[3], sums[4], sums[5] = sums[3] + q, sums[4] + qx, sums[5] + q * dy
                sums[6], sums[7], sums[8] = sums[6] + r, sums[7] + rx, sums[8] + r * dy
            j = end
