"""Kernel of silhouette gradients; formulas, decisions and their order as in :mod:`multiface.render.reference.silhouettes`.

Few pixels are at an edge, so all of this is float64: the same decisions as on every other backend.
"""

# The language of Triton reads annotations itself, so they are not postponed in this file.
import triton
import triton.language as tl

from multiface.render.gpu.surface import pixels_of_tile
from multiface.render.rules import FARTHEST_PIXEL, FLATTEST, LONGEST_WALK, NEAR, PARALLEL, SAME_PLACE

_NEAR = tl.constexpr(NEAR)
_FARTHEST = tl.constexpr(FARTHEST_PIXEL)
_FLATTEST = tl.constexpr(FLATTEST)
_LONGEST_WALK = tl.constexpr(LONGEST_WALK)
_SAME_PLACE = tl.constexpr(SAME_PLACE)
_PARALLEL = tl.constexpr(PARALLEL)


@triton.jit
def silhouette_kernel(
    screen, faces, twins, triangle, image, image_gradient, homogeneous_gradient,
    n_vertices, height, width,
    image_item, image_channel, image_row, image_column,
    gradient_item, gradient_channel, gradient_row, gradient_column,
    CHANNELS: tl.constexpr, PERSPECTIVE: tl.constexpr, TILE_Y: tl.constexpr, TILE_X: tl.constexpr,
):  # fmt: skip
    """Add to ``homogeneous_gradient`` (B, V, 3) float64, with respect to q = M [x; 1]; any strides of both pictures.

    Programs along the first axis of the grid are tiles; along the second 0 for pairs side by side, 1 for one above the other.
    """
    item, row, column, _ = pixels_of_tile(height, width, TILE_Y, TILE_X)
    axis = tl.program_id(1)
    paired = (row + axis < height) & (column + 1 - axis < width)
    shown = triangle + item * height * width + row * width + column
    first = tl.load(shown, mask=paired, other=-1)
    second = tl.load(shown + axis * width + 1 - axis, mask=paired, other=-1)
    edge = paired & (first != second)
    if tl.max(edge.to(tl.int32), 0) > 0:
        colours = image + item * image_item + row.to(tl.int64) * image_row + column * image_column
        pulls = image_gradient + item * gradient_item + row.to(tl.int64) * gradient_row + column * gradient_column
        image_step = axis * image_row + (1 - axis) * image_column
        gradient_step = axis * gradient_row + (1 - axis) * gradient_column
        pull = tl.zeros(first.shape, tl.float64)
        for channel in range(CHANNELS):
            here, pull_here = colours + channel * image_channel, pulls + channel * gradient_channel
            jump = _load64(here, edge) - _load64(here + image_step, edge)
            pull += (_load64(pull_here, edge) + _load64(pull_here + gradient_step, edge)) * jump
        edge = edge & (pull != 0)
        if tl.max(edge.to(tl.int32), 0) > 0:
            x, y = column.to(tl.float64) + 0.5, row.to(tl.float64) + 0.5
            points, gradient = screen + item * n_vertices * 3, homogeneous_gradient + item * n_vertices * 3
            _differentiate_pairs(points, faces, twins, gradient, first, second, x, y, 0.5 * pull, edge, axis, PERSPECTIVE)


@triton.jit
def _differentiate_pairs(points, faces, twins, gradient, first, second, x, y, pull, edge, axis, PERSPECTIVE: tl.constexpr):
    """Pairs of pixels: at (x, y) showing triangles ``first``, and the next along the axis showing ``second``."""
    next_x, next_y = x + (1 - axis), y + axis
    last_a, left_a = _walk(points, faces, twins, first, x, y, next_x, next_y, edge)
    last_b, left_b = _walk(points, faces, twins, second, next_x, next_y, x, y, edge)
    edge = edge & ~(((last_a >= 0) & (last_a == second)) | ((last_b >= 0) & (last_b == first)))
    ends_a, ends_b = edge & (left_a >= 0), edge & (left_b >= 0)
    place_a, depth_a = _crossing(points, faces, left_a, x, y, ends_a & ends_b, axis, PERSPECTIVE)
    place_b, depth_b = _crossing(points, faces, left_b, x, y, ends_a & ends_b, axis, PERSPECTIVE)
    seam = (tl.abs(place_a - place_b) <= _SAME_PLACE) & (tl.abs(depth_a - depth_b) <= _SAME_PLACE * depth_a)
    seam = seam & ends_a & ends_b
    half_edge = tl.where(ends_a & ~(ends_b & (depth_b < depth_a)), left_a, left_b)
    moves = (ends_a | ends_b) & ~seam
    _differentiate_mesh_edges(points, faces, gradient, half_edge, x, y, pull, moves, axis)
    through = edge & (last_a >= 0) & (last_b >= 0)
    if tl.max(through.to(tl.int32), 0) > 0:
        _differentiate_intersections(points, faces, gradient, first, second, x, y, pull, through, axis, PERSPECTIVE)


@triton.jit
def _walk(points, faces, twins, face, x, y, to_x, to_y, mask):
    """Follow the surface from triangles ``face`` at (x, y) straight to (to_x, to_y).

    Returns the triangle there, -1 if the surface ends before, and the half-edge where it ends, -1 if it does not.
    """
    walking = mask & (face >= 0)
    last, left = tl.full(face.shape, -1, tl.int32), tl.full(face.shape, -1, tl.int32)
    entered, steps = tl.full(face.shape, -1, tl.int32), 0
    while (tl.max(walking.to(tl.int32), 0) > 0) & (steps < _LONGEST_WALK):
        u0, v0 = _position(points, faces, face * 3, walking)
        u1, v1 = _position(points, faces, face * 3 + 1, walking)
        u2, v2 = _position(points, faces, face * 3 + 2, walking)
        turn = tl.where(_area(u0, v0, u1, v1, u2, v2) > 0, 1.0, -1.0).to(tl.float64)
        corner, soonest = tl.full(face.shape, -1, tl.int32), tl.full(face.shape, float("inf"), tl.float64)
        corner, soonest = _sooner(0, u0, v0, u1, v1, turn, x, y, to_x, to_y, entered, corner, soonest)
        corner, soonest = _sooner(1, u1, v1, u2, v2, turn, x, y, to_x, to_y, entered, corner, soonest)
        corner, soonest = _sooner(2, u2, v2, u0, v0, turn, x, y, to_x, to_y, entered, corner, soonest)
        leaves = walking & (corner >= 0)
        last = tl.where(walking & (corner < 0), face, last)
        half_edge = face * 3 + corner
        twin = tl.load(twins + half_edge, mask=leaves, other=-1)
        goes_on = leaves & (twin >= 0)
        neighbour = twin // 3
        at = tl.load(faces + neighbour * 3 + (twin + 2) % 3, mask=goes_on, other=0) * 3
        u, v = tl.load(points + at, mask=goes_on, other=0.0), tl.load(points + at + 1, mask=goes_on, other=0.0)
        z = tl.load(points + at + 2, mask=goes_on, other=0.0)
        a_u, a_v = _chosen(corner, u0, u1, u2), _chosen(corner, v0, v1, v2)
        b_u, b_v = _chosen(corner, u1, u2, u0), _chosen(corner, v1, v2, v0)
        c_u, c_v = _chosen(corner, u2, u0, u1), _chosen(corner, v2, v0, v1)
        extent = tl.maximum(
            tl.maximum(tl.maximum(a_u, b_u), u) - tl.minimum(tl.minimum(a_u, b_u), u),
            tl.maximum(tl.maximum(a_v, b_v), v) - tl.minimum(tl.minimum(a_v, b_v), v),
        )
        area = _area(a_u, a_v, b_u, b_v, u, v)
        goes_on = goes_on & (tl.abs(u) <= _FARTHEST) & (tl.abs(v) <= _FARTHEST) & (z > _NEAR) & (z < float("inf"))
        goes_on = goes_on & (tl.abs(area) > _FLATTEST * (extent * extent))
        goes_on = goes_on & ((area > 0) != (_area(a_u, a_v, b_u, b_v, c_u, c_v) > 0))
        left = tl.where(leaves & ~goes_on, half_edge, left)
        face, entered = tl.where(goes_on, neighbour, face), tl.where(goes_on, twin % 3, entered)
        walking = goes_on
        steps += 1
    return last, left


@triton.jit
def _sooner(k: tl.constexpr, from_u, from_v, to_u, to_v, turn, x, y, to_x, to_y, entered, corner, soonest):
    """The edge by which the way leaves a triangle first, among those up to k."""
    before = turn * _area(from_u, from_v, to_u, to_v, x, y)
    after = turn * _area(from_u, from_v, to_u, to_v, to_x, to_y)
    leaves = (entered != k) & (after <= 0) & (after < before)
    inside = tl.maximum(before, 0.0)
    time = tl.where(leaves, inside / tl.where(leaves, inside - after, 1.0), float("inf"))
    return tl.where(time < soonest, k, corner), tl.where(time < soonest, time, soonest)


@triton.jit
def _chosen(corner, value0, value1, value2):
    return tl.where(corner == 0, value0, tl.where(corner == 1, value1, value2))


@triton.jit
def _area(a_u, a_v, b_u, b_v, x, y):
    """Twice the area of the triangle a, b, (x, y)."""
    return (b_u - a_u) * (y - a_v) - (b_v - a_v) * (x - a_u)


@triton.jit
def _position(points, faces, corner, mask):
    at = tl.load(faces + corner, mask=mask, other=0) * 3
    return tl.load(points + at, mask=mask, other=0.0), tl.load(points + at + 1, mask=mask, other=0.0)


@triton.jit
def _load64(at, mask):
    return tl.load(at, mask=mask, other=0.0).to(tl.float64)


@triton.jit
def _vertex(points, faces, corner, mask):
    """Index and u, v, z of corners (3 f + k); anything finite where masked out."""
    vertex = tl.load(faces + corner, mask=mask, other=0)
    at = points + vertex * 3
    u, v = tl.load(at, mask=mask, other=0.0), tl.load(at + 1, mask=mask, other=0.0)
    return vertex, u, v, tl.load(at + 2, mask=mask, other=1.0)


@triton.jit
def _ends(points, faces, half_edge, x, y, mask, axis):
    """Both vertices of half-edges, and the part of the second in its point on the line through the pixels."""
    following = tl.where(half_edge % 3 == 2, half_edge - 2, half_edge + 1)
    start, start_u, start_v, start_z = _vertex(points, faces, half_edge, mask)
    end, end_u, end_v, end_z = _vertex(points, faces, following, mask)
    way = tl.where(axis == 1, x - start_u, y - start_v)
    length = tl.where(axis == 1, end_u - start_u, end_v - start_v)
    part = tl.minimum(tl.maximum(way / tl.where(mask, length, 1.0), 0.0), 1.0)
    return start, start_u, start_v, start_z, end, end_u, end_v, end_z, part


@triton.jit
def _crossing(points, faces, half_edge, x, y, mask, axis, PERSPECTIVE: tl.constexpr):
    """Where half-edges cross the line through the pixels, and how deep they are there."""
    _, start_u, start_v, start_z, _, end_u, end_v, end_z, part = _ends(points, faces, half_edge, x, y, mask, axis)
    place = (1.0 - part) * tl.where(axis == 1, start_v, start_u) + part * tl.where(axis == 1, end_v, end_u)
    if PERSPECTIVE:
        return place, 1.0 / ((1.0 - part) / start_z + part / end_z)
    else:
        return place, (1.0 - part) * start_z + part * end_z


@triton.jit
def _add(gradient, vertex, u, v, z, by_u, by_v, by_z, mask):
    """Add derivatives by u, v, z of vertices to those by homogeneous coordinates."""
    at, g_0, g_1 = gradient + vertex * 3, by_u / z, by_v / z
    tl.atomic_add(at, g_0, mask=mask, sem="relaxed")
    tl.atomic_add(at + 1, g_1, mask=mask, sem="relaxed")
    tl.atomic_add(at + 2, by_z - g_0 * u - g_1 * v, mask=mask, sem="relaxed")


@triton.jit
def _differentiate_mesh_edges(points, faces, gradient, half_edge, x, y, pull, mask, axis):
    start, start_u, start_v, start_z, end, end_u, end_v, end_z, part = _ends(points, faces, half_edge, x, y, mask, axis)
    normal_u, normal_v = end_v - start_v, start_u - end_u
    length = tl.where(mask, normal_u * normal_u + normal_v * normal_v, 1.0)
    factor = pull * tl.where(axis == 1, normal_v, normal_u) / length
    by_u, by_v, nothing = factor * normal_u, factor * normal_v, tl.zeros(x.shape, tl.float64)
    _add(gradient, start, start_u, start_v, start_z, (1.0 - part) * by_u, (1.0 - part) * by_v, nothing, mask)
    _add(gradient, end, end_u, end_v, end_z, part * by_u, part * by_v, nothing, mask)


@triton.jit
def _depth_plane(points, faces, face, x, y, mask, PERSPECTIVE: tl.constexpr):
    """Reciprocal depth (affine: depth) of the planes of triangles at (x, y), and their slopes in u and v."""
    _, u0, v0, z0 = _vertex(points, faces, face * 3, mask)
    _, u1, v1, z1 = _vertex(points, faces, face * 3 + 1, mask)
    _, u2, v2, z2 = _vertex(points, faces, face * 3 + 2, mask)
    if PERSPECTIVE:
        z0, z1, z2 = 1.0 / z0, 1.0 / z1, 1.0 / z2
    area = tl.where(mask, _area(u0, v0, u1, v1, u2, v2), 1.0)
    by_u = ((z1 - z0) * (v2 - v0) - (z2 - z0) * (v1 - v0)) / area
    by_v = ((z2 - z0) * (u1 - u0) - (z1 - z0) * (u2 - u0)) / area
    return z0 + by_u * (x - u0) + by_v * (y - v0), by_u, by_v


@triton.jit
def _differentiate_intersections(points, faces, gradient, first, second, x, y, pull, mask, axis, PERSPECTIVE: tl.constexpr):
    value_a, u_a, v_a = _depth_plane(points, faces, first, x, y, mask, PERSPECTIVE)
    value_b, u_b, v_b = _depth_plane(points, faces, second, x, y, mask, PERSPECTIVE)
    slope_u, slope_v, before = u_a - u_b, v_a - v_b, value_a - value_b
    slope = tl.where(axis == 1, slope_v, slope_u)
    steepness, parallel = slope_u * slope_u + slope_v * slope_v, _PARALLEL * value_a
    mask = mask & (before * (before + slope) < 0) & (steepness > parallel * parallel)
    way = -before / tl.where(mask, slope, 1.0)
    x, y = x + tl.where(axis == 1, 0.0, way), y + tl.where(axis == 1, way, 0.0)
    factor = -pull * slope / tl.where(mask, steepness, 1.0)
    _differentiate_planes(points, faces, gradient, first, x, y, u_a, v_a, factor, mask, PERSPECTIVE)
    _differentiate_planes(points, faces, gradient, second, x, y, u_b, v_b, -factor, mask, PERSPECTIVE)


@triton.jit
def _differentiate_planes(points, faces, gradient, face, x, y, by_u, by_v, factor, mask, PERSPECTIVE: tl.constexpr):
    """Add ``factor`` times the derivatives of depth planes at (x, y) by the positions of their corners."""
    i0, u0, v0, z0 = _vertex(points, faces, face * 3, mask)
    i1, u1, v1, z1 = _vertex(points, faces, face * 3 + 1, mask)
    i2, u2, v2, z2 = _vertex(points, faces, face * 3 + 2, mask)
    factor = factor / tl.where(mask, _area(u0, v0, u1, v1, u2, v2), 1.0)
    share0, share1 = factor * _area(u1, v1, u2, v2, x, y), factor * _area(u2, v2, u0, v0, x, y)
    share2 = factor * _area(u0, v0, u1, v1, x, y)
    _add_share(gradient, i0, u0, v0, z0, share0, by_u, by_v, mask, PERSPECTIVE)
    _add_share(gradient, i1, u1, v1, z1, share1, by_u, by_v, mask, PERSPECTIVE)
    _add_share(gradient, i2, u2, v2, z2, share2, by_u, by_v, mask, PERSPECTIVE)


@triton.jit
def _add_share(gradient, vertex, u, v, z, share, by_u, by_v, mask, PERSPECTIVE: tl.constexpr):
    by_z = -share / (z * z) if PERSPECTIVE else share
    _add(gradient, vertex, u, v, z, -share * by_u, -share * by_v, by_z, mask)
