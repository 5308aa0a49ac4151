"""Kernels of silhouette gradients; formulas, decisions and their order as in :mod:`multiface.render.reference.silhouettes`."""

from __future__ import annotations

import math

from multiface.render.cpu.jit import inlined, kernel
from multiface.render.rules import FARTHEST_PIXEL, FLATTEST, LONGEST_WALK, NEAR, PARALLEL, SAME_PLACE


@kernel
def differentiate_edges(screen, faces, twins, perspective, triangle, image, image_gradient, item, slot, screen_gradient):
    """Add what the edges in a picture say about its vertices to ``screen_gradient`` (slots, V, 3) by u, v, z.

    Args:
        screen: (B, V, 3) float64; faces: (F, 3) int32; twins: (3 F,) int32.
        triangle: (B, H, W) int32; image, image_gradient: (B, C, H, W) float32 or float64.
        item, slot: Index into the arrays of the batch, and into the one written here.
    """
    height, width = triangle.shape[1:]
    points, gradient = screen[item], screen_gradient[slot]
    for i in range(height):
        for j in range(width):
            for axis in range(2):
                row, column = i + axis, j + 1 - axis
                if row == height or column == width or triangle[item, i, j] == triangle[item, row, column]:
                    continue
                pull = 0.0
                for c in range(image.shape[1]):
                    jump = float(image[item, c, i, j]) - float(image[item, c, row, column])
                    pull += (float(image_gradient[item, c, i, j]) + float(image_gradient[item, c, row, column])) * jump
                if pull != 0.0:
                    first, second = triangle[item, i, j], triangle[item, row, column]
                    _differentiate_pair(
                        points, faces, twins, perspective, first, second, j + 0.5, i + 0.5, axis, 0.5 * pull, gradient
                    )


@inlined
def _differentiate_pair(points, faces, twins, perspective, first, second, x, y, axis, pull, gradient):
    """The pair of pixels at (x, y) and the next along the axis, showing triangles first and second."""
    next_x, next_y = x + 1 - axis, y + axis
    last_a, left_a = _walk(points, faces, twins, first, x, y, next_x, next_y)
    last_b, left_b = _walk(points, faces, twins, second, next_x, next_y, x, y)
    if (last_a >= 0 and last_a == second) or (last_b >= 0 and last_b == first):
        return
    if left_a < 0 and left_b < 0:
        if last_a >= 0 and last_b >= 0:
            _differentiate_intersection(points, faces, perspective, first, second, x, y, axis, pull, gradient)
        return
    half_edge = left_a if left_a >= 0 else left_b
    if left_a >= 0 and left_b >= 0:
        place_a, depth_a = _crossing(points, faces, left_a, x, y, axis, perspective)
        place_b, depth_b = _crossing(points, faces, left_b, x, y, axis, perspective)
        if abs(place_a - place_b) <= SAME_PLACE and abs(depth_a - depth_b) <= SAME_PLACE * depth_a:
            return
        if depth_b < depth_a:
            half_edge = left_b
    start, end, part = _ends(points, faces, half_edge, x, y, axis)
    normal_u, normal_v = points[end, 1] - points[start, 1], points[start, 0] - points[end, 0]
    factor = pull * (normal_v if axis else normal_u) / (normal_u * normal_u + normal_v * normal_v)
    gradient[start, 0] += (1.0 - part) * factor * normal_u
    gradient[start, 1] += (1.0 - part) * factor * normal_v
    gradient[end, 0] += part * factor * normal_u
    gradient[end, 1] += part * factor * normal_v


@inlined
def _walk(points, faces, twins, face, x, y, to_x, to_y):
    """Follow the surface from triangle ``face`` at (x, y) straight to (to_x, to_y).

    Returns:
        The triangle there, -1 if the surface ends before; the half-edge where it ends, -1 if it does not.
    """
    entered = -1
    if face < 0:
        return -1, -1
    for _ in range(LONGEST_WALK):
        a, b, c = points[faces[face, 0]], points[faces[face, 1]], points[faces[face, 2]]
        turn = 1.0 if _area(a, b, c[0], c[1]) > 0 else -1.0
        corner, soonest = -1, math.inf
        for k in range(3):
            p, q = points[faces[face, k]], points[faces[face, (k + 1) % 3]]
            before, after = turn * _area(p, q, x, y), turn * _area(p, q, to_x, to_y)
            if k != entered and after <= 0 and after < before:
                inside = before if before > 0 else 0.0
                time = inside / (inside - after)
                if time < soonest:
                    corner, soonest = k, time
        if corner < 0:
            return face, -1
        half_edge = 3 * face + corner
        twin = twins[half_edge]
        if twin < 0:
            return -1, half_edge
        p, q = points[faces[face, corner]], points[faces[face, (corner + 1) % 3]]
        beyond = points[faces[twin // 3, (twin + 2) % 3]]
        if not _unfolds(p, q, points[faces[face, (corner + 2) % 3]], beyond):
            return -1, half_edge
        face, entered = twin // 3, twin % 3
    return -1, -1


@inlined
def _area(a, b, x, y):
    """Twice the area of the triangle a, b, (x, y)."""
    return (b[0] - a[0]) * (y - a[1]) - (b[1] - a[1]) * (x - a[0])


@inlined
def _unfolds(a, b, c, beyond):
    """Whether the triangle a, b, beyond is drawn and on the other side of the edge a, b than c."""
    u, v, z = beyond[0], beyond[1], beyond[2]
    if not (abs(u) <= FARTHEST_PIXEL and abs(v) <= FARTHEST_PIXEL and z > NEAR and z < math.inf):
        return False
    extent = max(max(a[0], b[0], u) - min(a[0], b[0], u), max(a[1], b[1], v) - min(a[1], b[1], v))
    area = _area(a, b, u, v)
    return abs(area) > FLATTEST * extent**2 and (area > 0) != (_area(a, b, c[0], c[1]) > 0)


@inlined
def _ends(points, faces, half_edge, x, y, axis):
    """Both vertices of a half-edge, and the part of the second in its point on the line through the pixels."""
    face, corner = half_edge // 3, half_edge % 3
    start, end = faces[face, corner], faces[face, (corner + 1) % 3]
    across, line = (0, x) if axis else (1, y)
    part = (line - points[start, across]) / (points[end, across] - points[start, across])
    return start, end, min(max(part, 0.0), 1.0)


@inlined
def _crossing(points, faces, half_edge, x, y, axis, perspective):
    """Where a half-edge crosses the line through the pixels, and how deep it is there."""
    start, end, part = _ends(points, faces, half_edge, x, y, axis)
    place = (1.0 - part) * points[start, axis] + part * points[end, axis]
    if perspective:
        return place, 1.0 / ((1.0 - part) / points[start, 2] + part / points[end, 2])
    return place, (1.0 - part) * points[start, 2] + part * points[end, 2]


@inlined
def _depth_plane(points, faces, face, perspective, x, y):
    """Reciprocal depth (affine: depth) of a triangle's plane at (x, y), and its slopes in u and v."""
    a, b, c = points[faces[face, 0]], points[faces[face, 1]], points[faces[face, 2]]
    k0, k1, k2 = (1.0 / a[2], 1.0 / b[2], 1.0 / c[2]) if perspective else (a[2], b[2], c[2])
    area = _area(a, b, c[0], c[1])
    by_u = ((k1 - k0) * (c[1] - a[1]) - (k2 - k0) * (b[1] - a[1])) / area
    by_v = ((k2 - k0) * (b[0] - a[0]) - (k1 - k0) * (c[0] - a[0])) / area
    return k0 + by_u * (x - a[0]) + by_v * (y - a[1]), by_u, by_v


@inlined
def _differentiate_intersection(points, faces, perspective, first, second, x, y, axis, pull, gradient):
    value_a, u_a, v_a = _depth_plane(points, faces, first, perspective, x, y)
    value_b, u_b, v_b = _depth_plane(points, faces, second, perspective, x, y)
    slope_u, slope_v, before = u_a - u_b, v_a - v_b, value_a - value_b
    slope = slope_v if axis else slope_u
    steepness = slope_u * slope_u + slope_v * slope_v
    if not (before * (before + slope) < 0 and steepness > (PARALLEL * value_a) ** 2):
        return
    way = -before / slope
    x, y = (x, y + way) if axis else (x + way, y)
    factor = -pull * slope / steepness
    _differentiate_plane(points, faces, first, perspective, x, y, u_a, v_a, factor, gradient)
    _differentiate_plane(points, faces, second, perspective, x, y, u_b, v_b, -factor, gradient)


@inlined
def _differentiate_plane(points, faces, face, perspective, x, y, by_u, by_v, factor, gradient):
    """Add ``factor`` times the derivatives of a depth plane at (x, y) by the positions of its corners."""
    area = _area(points[faces[face, 0]], points[faces[face, 1]], points[faces[face, 2], 0], points[faces[face, 2], 1])
    for k in range(3):
        opposite = points[faces[face, (k + 1) % 3]], points[faces[face, (k + 2) % 3]]
        vertex = faces[face, k]
        share = factor * _area(opposite[0], opposite[1], x, y) / area
        gradient[vertex, 0] -= share * by_u
        gradient[vertex, 1] -= share * by_v
        gradient[vertex, 2] += -share / points[vertex, 2] ** 2 if perspective else share
