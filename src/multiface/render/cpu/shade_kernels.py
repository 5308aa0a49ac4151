"""Kernels that colour pixels, and those that bring gradients of colour and depth back.

The algebra of one triangle: with d = (dx, dy) from corner 0 to a pixel sample and e1, e2 the edges from corner 0, the areas
opposite the corners are ``w1 = d x e2``, ``w2 = e1 x d``, ``w0 = A - w1 - w2`` with ``A = e1 x e2``. With ``k_i = 1 / z_i``
(perspective) or 1 (affine), the weight of a corner is ``k_i w_i / S``, ``S = sum_j k_j w_j``. So an attribute with values a_i
at the corners is the quotient of two planes over (dx, dy), ``sum_i a_i k_i w_i`` and S.

For a loss L, ``dL/d(k_i w_i) = sum over attributes of dL/da (a_i - a) / S``. The areas are bilinear in corners and pixel, so
of each triangle only the sums of that, and of it times dx and dy, are needed for the gradients of its corners.
"""

from __future__ import annotations

import math

from numpy import float32

from multiface.render.cpu.jit import inlined, kernel


@inlined
def _triangle(screen, faces, perspective, item, f):
    """Corner 0 (u, v), edges e1 and e2, and k of the three corners."""
    a, b, c = faces[f, 0], faces[f, 1], faces[f, 2]
    u0, v0 = screen[item, a, 0], screen[item, a, 1]
    e1u, e1v = screen[item, b, 0] - u0, screen[item, b, 1] - v0
    e2u, e2v = screen[item, c, 0] - u0, screen[item, c, 1] - v0
    if perspective:
        return u0, v0, e1u, e1v, e2u, e2v, 1.0 / screen[item, a, 2], 1.0 / screen[item, b, 2], 1.0 / screen[item, c, 2]
    return u0, v0, e1u, e1v, e2u, e2v, 1.0, 1.0, 1.0


@inlined
def _plane(a0, a1, a2, e1u, e1v, e2u, e2v):
    """``sum_i a_i w_i`` as its value at corner 0 and its slopes in dx and dy."""
    return a0 * (e1u * e2v - e1v * e2u), (a1 - a0) * e2v - (a2 - a0) * e1v, (a2 - a0) * e1u - (a1 - a0) * e2u


@inlined
def _texels(t, n):
    """The two texels, of n around the circle, on both sides of texture coordinate ``t``, and the part of the second."""
    position = (t - math.floor(t)) * n - 0.5
    if not (position >= -0.5 and position <= n - 0.5):  # not a number, from triangles of absurd depth range
        position = 0.0
    below = math.floor(position)
    first = int(below)
    part = float32(position - below)
    if first < 0:
        first += n
    second = first + 1
    return first, (second if second < n else 0), part


@kernel
def shade_rows(screen, faces, uvs, uv_faces, texture, perspective, triangle, item, first_row, last_row, image):
    """Fill rows ``first_row`` to ``last_row`` - 1 of ``image`` (B, C, H, W) float32.

    Args:
        screen: (B, V, 3) float64; faces: (F, 3) int32; uvs: (U, 2) float32; uv_faces: (F, 3) int32.
        texture: (B or 1, C, h, w) float32.
        triangle: (B, H, W) int32.
    """
    channels, height, width = texture.shape[1], texture.shape[2], texture.shape[3]
    source = item if len(texture) > 1 else 0
    one = float32(1.0)
    current = -1
    u0 = v0 = s = sx = sy = p = px = py = q = qx = qy = 0.0
    for i in range(first_row, last_row):
        for j in range(triangle.shape[2]):
            f = triangle[item, i, j]
            if f < 0:
                for c in range(channels):
                    image[item, c, i, j] = 0.0
                continue
            if f != current:
                current = f
                u0, v0, e1u, e1v, e2u, e2v, k0, k1, k2 = _triangle(screen, faces, perspective, item, f)
                a, b, c = uv_faces[f, 0], uv_faces[f, 1], uv_faces[f, 2]
                s, sx, sy = _plane(k0, k1, k2, e1u, e1v, e2u, e2v)
                p, px, py = _plane(k0 * uvs[a, 0], k1 * uvs[b, 0], k2 * uvs[c, 0], e1u, e1v, e2u, e2v)
                q, qx, qy = _plane(k0 * uvs[a, 1], k1 * uvs[b, 1], k2 * uvs[c, 1], e1u, e1v, e2u, e2v)
            dx, dy = j + 0.5 - u0, i + 0.5 - v0
            scale = 1.0 / (s + sx * dx + sy * dy)
            left, right, fx = _texels((p + px * dx + py * dy) * scale, width)
            top, bottom, fy = _texels((q + qx * dx + qy * dy) * scale, height)
            for c in range(channels):
                upper = texture[source, c, top, left] * (one - fx) + texture[source, c, top, right] * fx
                lower = texture[source, c, bottom, left] * (one - fx) + texture[source, c, bottom, right] * fx
                image[item, c, i, j] = upper * (one - fy) + lower * fy


@kernel
def weigh_rows(screen, faces, perspective, triangle, item, first_row, last_row, barycentric):
    """Fill rows of ``barycentric`` (B, H, W, 3) float32 with the weights of the three corners, 0 in the background."""
    for i in range(first_row, last_row):
        for j in range(triangle.shape[2]):
            f = triangle[item, i, j]
            w0 = w1 = w2 = 0.0
            if f >= 0:
                u0, v0, e1u, e1v, e2u, e2v, k0, k1, k2 = _triangle(screen, faces, perspective, item, f)
                dx, dy = j + 0.5 - u0, i + 0.5 - v0
                w1, w2 = dx * e2v - dy * e2u, e1u * dy - e1v * dx
                w0 = (e1u * e2v - e1v * e2u - w1 - w2) * k0
                w1, w2 = w1 * k1, w2 * k2
                scale = 1.0 / (w0 + w1 + w2)
                w0, w1, w2 = w0 * scale, w1 * scale, w2 * scale
            barycentric[item, i, j, 0], barycentric[item, i, j, 1], barycentric[item, i, j, 2] = w0, w1, w2


@kernel
def differentiate_triangles(
    screen, faces, uvs, uv_faces, texture, perspective, triangle, bounds, depth,
    image_gradient, depth_gradient, item, slot, first, last, corner_gradient, texels, parts,
):  # fmt: skip
    """Gradients of the corners of triangles ``first`` to ``last`` - 1, and where in the texture their pixels look.

    Args:
        bounds: (B, F, 4) int32, from ``bound_triangles``.
        depth, depth_gradient: (B, H, W) float32; the second may be empty for none.
        image_gradient: (B, C, H, W) float32.
        item, slot: Index into the arrays of the batch, and into those written here.
        corner_gradient: (slots, F, 3, 3) float64, written: with respect to u, v, z of each corner; may be empty.
        texels: (slots, H, W, 2) int16, written: row and column of the upper left of the four texels; may be empty.
        parts: (slots, H, W, 2) float32, written: the part of the lower and of the right texels.
    """
    channels, height, width = texture.shape[1], texture.shape[2], texture.shape[3]
    source = item if len(texture) > 1 else 0
    one = float32(1.0)
    for f in range(first, last):
        g0 = g0x = g0y = g1 = g1x = g1y = g2 = g2x = g2y = h = hx = hy = 0.0
        u0, v0, e1u, e1v, e2u, e2v, k0, k1, k2 = _triangle(screen, faces, perspective, item, f)
        z0, z1, z2 = screen[item, faces[f, 0], 2], screen[item, faces[f, 1], 2], screen[item, faces[f, 2], 2]
        p0, q0 = uvs[uv_faces[f, 0], 0], uvs[uv_faces[f, 0], 1]
        p1, q1 = uvs[uv_faces[f, 1], 0], uvs[uv_faces[f, 1], 1]
        p2, q2 = uvs[uv_faces[f, 2], 0], uvs[uv_faces[f, 2], 1]
        s, sx, sy = _plane(k0, k1, k2, e1u, e1v, e2u, e2v)
        p, px, py = _plane(k0 * p0, k1 * p1, k2 * p2, e1u, e1v, e2u, e2v)
        q, qx, qy = _plane(k0 * q0, k1 * q1, k2 * q2, e1u, e1v, e2u, e2v)
        seen = False
        for i in range(bounds[item, f, 0], bounds[item, f, 1] + 1):
            for j in range(bounds[item, f, 2], bounds[item, f, 3] + 1):
                if triangle[item, i, j] != f:
                    continue
                dx, dy = j + 0.5 - u0, i + 0.5 - v0
                scale = 1.0 / (s + sx * dx + sy * dy)
                tu, tv = (p + px * dx + py * dy) * scale, (q + qx * dx + qy * dy) * scale
                left, right, fx = _texels(tu, width)
                top, bottom, fy = _texels(tv, height)
                if len(texels):
                    texels[slot, i, j, 0], texels[slot, i, j, 1] = top, left
                    parts[slot, i, j, 0], parts[slot, i, j, 1] = fy, fx
                if not len(corner_gradient):
                    continue
                seen = True
                gu = gv = float32(0.0)
                for c in range(channels):
                    g = image_gradient[item, c, i, j]
                    upper_left, upper_right = texture[source, c, top, left], texture[source, c, top, right]
                    lower_left, lower_right = texture[source, c, bottom, left], texture[source, c, bottom, right]
                    gu += g * ((upper_right - upper_left) * (one - fy) + (lower_right - lower_left) * fy)
                    gv += g * ((lower_left - upper_left) * (one - fx) + (lower_right - upper_right) * fx)
                a, b = gu * width * scale, gv * height * scale
                d0, d1, d2 = a * (p0 - tu) + b * (q0 - tv), a * (p1 - tu) + b * (q1 - tv), a * (p2 - tu) + b * (q2 - tv)
                if len(depth_gradient):
                    e, z = depth_gradient[item, i, j] * scale, depth[item, i, j]
                    d0, d1, d2 = d0 + e * (z0 - z), d1 + e * (z1 - z), d2 + e * (z2 - z)
                    h, hx, hy = h + e, hx + e * dx, hy + e * dy
                g0, g0x, g0y = g0 + d0, g0x + d0 * dx, g0y + d0 * dy
                g1, g1x, g1y = g1 + d1, g1x + d1 * dx, g1y + d1 * dy
                g2, g2x, g2y = g2 + d2, g2x + d2 * dx, g2y + d2 * dy
        if len(corner_gradient):
            out = corner_gradient[slot, f]
            out[:] = 0.0
            if seen:
                _corner_depths(out, perspective, e1u, e1v, e2u, e2v, k0, k1, k2, g0, g0x, g0y, g1, g1x, g1y, g2, g2x, g2y)
                _direct_depths(out, e1u, e1v, e2u, e2v, k0, k1, k2, h, hx, hy)
                _corner_positions(
                    out, e1u, e1v, e2u, e2v,
                    k0 * g0, k0 * g0x, k0 * g0y, k1 * g1, k1 * g1x, k1 * g1y, k2 * g2, k2 * g2x, k2 * g2y,
                )  # fmt: skip


@inlined
def _areas(e1u, e1v, e2u, e2v, g, gx, gy):
    """Sums of g w0, g w1, g w2 over pixels, from the sums of g, g dx, g dy."""
    w1, w2 = e2v * gx - e2u * gy, e1u * gy - e1v * gx
    return (e1u * e2v - e1v * e2u) * g - w1 - w2, w1, w2


@inlined
def _corner_depths(out, perspective, e1u, e1v, e2u, e2v, k0, k1, k2, g0, g0x, g0y, g1, g1x, g1y, g2, g2x, g2y):
    """Through k = 1 / z, which the weights depend on: ``dL/dz_i = -k_i^2 sum g_i w_i``."""
    if perspective:
        out[0, 2] -= k0 * k0 * _areas(e1u, e1v, e2u, e2v, g0, g0x, g0y)[0]
        out[1, 2] -= k1 * k1 * _areas(e1u, e1v, e2u, e2v, g1, g1x, g1y)[1]
        out[2, 2] -= k2 * k2 * _areas(e1u, e1v, e2u, e2v, g2, g2x, g2y)[2]


@inlined
def _direct_depths(out, e1u, e1v, e2u, e2v, k0, k1, k2, h, hx, hy):
    """Through depth as an attribute, whose values at the corners are z."""
    w0, w1, w2 = _areas(e1u, e1v, e2u, e2v, h, hx, hy)
    out[0, 2] += k0 * w0
    out[1, 2] += k1 * w1
    out[2, 2] += k2 * w2


@inlined
def _corner_positions(out, e1u, e1v, e2u, e2v, g0, g0x, g0y, g1, g1x, g1y, g2, g2x, g2y):
    """Through the areas, from the sums of ``g_i = dL/dw_i`` and of that times dx and dy."""
    out[0, 0] = g1y - e2v * g1 + e1v * g2 - g2y
    out[0, 1] = e2u * g1 - g1x + g2x - e1u * g2
    out[1, 0] = e2v * g0 - g0y + g2y
    out[1, 1] = g0x - e2u * g0 - g2x
    out[2, 0] = g0y - e1v * g0 - g1y
    out[2, 1] = e1u * g0 - g0x + g1x


@kernel
def gather_vertices(faces, corner_gradient, item, slot, screen_gradient):
    """Add the gradients of corners (slots, F, 3, 3) to those of vertices, (B, V, 3) float64."""
    for f in range(len(faces)):
        for corner in range(3):
            vertex = faces[f, corner]
            for k in range(3):
                screen_gradient[item, vertex, k] += corner_gradient[slot, f, corner, k]


@kernel
def scatter_texture(triangle, texels, parts, image_gradient, item, slot, stripe, stripes, texture_gradient):
    """Add what pixels give to the texels of one stripe: every ``stripes``-th block of 16 rows of the texture.

    Each texel receives from pixels in picture order whatever the number of stripes, so the result does not depend on it.

    Args:
        texels, parts: From ``differentiate_triangles``.
        texture_gradient: (B or 1, C, h, w) float32.
    """
    channels, height, width = texture_gradient.shape[1], texture_gradient.shape[2], texture_gradient.shape[3]
    target = item if len(texture_gradient) > 1 else 0
    one = float32(1.0)
    for i in range(triangle.shape[1]):
        for j in range(triangle.shape[2]):
            if triangle[item, i, j] < 0:
                continue
            top, left = int(texels[slot, i, j, 0]), int(texels[slot, i, j, 1])
            bottom, right = (top + 1 if top + 1 < height else 0), (left + 1 if left + 1 < width else 0)
            fy, fx = parts[slot, i, j, 0], parts[slot, i, j, 1]
            if (top >> 4) % stripes == stripe:
                for c in range(channels):
                    g = image_gradient[item, c, i, j] * (one - fy)
                    texture_gradient[target, c, top, left] += g * (one - fx)
                    texture_gradient[target, c, top, right] += g * fx
            if (bottom >> 4) % stripes == stripe:
                for c in range(channels):
                    g = image_gradient[item, c, i, j] * fy
                    texture_gradient[target, c, bottom, left] += g * (one - fx)
                    texture_gradient[target, c, bottom, right] += g * fx
