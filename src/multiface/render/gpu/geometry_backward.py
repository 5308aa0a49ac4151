"""Kernels that take the moments of triangles (see :mod:`.gradients`) on to vertices and projections, in float64.

With local origin o, corner k has homogeneous position q_k = z_k (u_k - o_u, v_k - o_v, 1) (affine: without z_k), and a pixel
p = (x, y, 1) has weights a = Q^-1 p. Then dL/dq_k = -R w_k, where w_k are the coefficients of corner k's weight (row k of
Q^-1) and R = P_u H_u^T + P_v H_v^T -+ P_s H_s^T sums over the planes P of ``surface`` times the moments H.
"""

# The language of Triton reads annotations itself, so they are not postponed in this file.
import triton
import triton.language as tl

from multiface.render.gpu.setup_kernels import corner_scales, load_corner


@triton.jit
def triangle_backward_kernel(
    screen, faces, surface, moments, homogeneous_gradient, n_vertices, n_faces, PERSPECTIVE: tl.constexpr, BLOCK: tl.constexpr
):  # fmt: skip
    """Add to ``homogeneous_gradient`` (B, V, 3) float64, with respect to q = M [x; 1]."""
    blocks = tl.cdiv(n_faces, BLOCK)
    item = (tl.program_id(0) // blocks).to(tl.int64)
    face = tl.program_id(0) % blocks * BLOCK + tl.arange(0, BLOCK)
    record = item * n_faces + face
    inside = face < n_faces
    touched = tl.zeros((BLOCK,), tl.int32)
    for k in tl.static_range(9):
        touched |= (tl.load(moments + record * 12 + k, mask=inside, other=0.0) != 0.0).to(tl.int32)
    # triangles that no pixel shows may have no records, or corners that are not finite
    touched = touched != 0
    at = surface + record * 16
    origin_u = tl.load(at, mask=touched, other=0.0).to(tl.float64) + 0.5
    origin_v = tl.load(at + 1, mask=touched, other=0.0).to(tl.float64) + 0.5
    u0, v0, z0 = load_corner(screen, item * n_vertices, faces, face, 0, touched)
    u1, v1, z1 = load_corner(screen, item * n_vertices, faces, face, 1, touched)
    u2, v2, z2 = load_corner(screen, item * n_vertices, faces, face, 2, touched)
    area = tl.where(touched, (u1 - u0) * (v2 - v0) - (v1 - v0) * (u2 - u0), 1.0)
    z0, z1, z2 = tl.where(touched, z0, 1.0), tl.where(touched, z1, 1.0), tl.where(touched, z2, 1.0)
    scale0, scale1, scale2 = corner_scales(area, z0, z1, z2, PERSPECTIVE)
    turn = tl.where(area > 0, 1.0, -1.0)
    scale0, scale1, scale2 = scale0 * turn, scale1 * turn, scale2 * turn
    u0, v0, u1, v1, u2, v2 = u0 - origin_u, v0 - origin_v, u1 - origin_u, v1 - origin_v, u2 - origin_u, v2 - origin_v
    _add_corner(homogeneous_gradient, item * n_vertices, faces, face, 0, at, moments + record * 12, origin_u, origin_v,
                u1, v1, u2, v2, scale0, u0, v0, z0, touched, PERSPECTIVE)  # fmt: skip
    _add_corner(homogeneous_gradient, item * n_vertices, faces, face, 1, at, moments + record * 12, origin_u, origin_v,
                u2, v2, u0, v0, scale1, u1, v1, z1, touched, PERSPECTIVE)  # fmt: skip
    _add_corner(homogeneous_gradient, item * n_vertices, faces, face, 2, at, moments + record * 12, origin_u, origin_v,
                u0, v0, u1, v1, scale2, u2, v2, z2, touched, PERSPECTIVE)  # fmt: skip


@triton.jit
def _add_corner(
    gradient, first_vertex, faces, face, corner: tl.constexpr, surface, moments, origin_u, origin_v,
    from_u, from_v, to_u, to_v, scale, u, v, z, mask, PERSPECTIVE: tl.constexpr,
):  # fmt: skip
    """Add the gradient of one corner, at local (u, v) with depth z, opposite to the edge between the other two."""
    weight_x, weight_y = (from_v - to_v) * scale, (to_u - from_u) * scale
    weight_c = (from_u * to_v - from_v * to_u) * scale
    of_u = _contract(moments, weight_x, weight_y, weight_c, mask)
    of_v = _contract(moments + 3, weight_x, weight_y, weight_c, mask)
    of_s = _contract(moments + 6, weight_x, weight_y, weight_c, mask)
    sign: tl.constexpr = -1.0 if PERSPECTIVE else 1.0
    x = -(_load64(surface + 5, mask) * of_u + _load64(surface + 8, mask) * of_v + sign * _load64(surface + 2, mask) * of_s)
    y = -(_load64(surface + 6, mask) * of_u + _load64(surface + 9, mask) * of_v + sign * _load64(surface + 3, mask) * of_s)
    if PERSPECTIVE:
        w = -(_load64(surface + 7, mask) * of_u + _load64(surface + 10, mask) * of_v - _load64(surface + 4, mask) * of_s)
        w -= origin_u * x + origin_v * y
    else:
        x, y = x / z, y / z
        w = of_s - (u + origin_u) * x - (v + origin_v) * y
    vertex = tl.load(faces + face * 3 + corner, mask=mask, other=0)
    at = gradient + (first_vertex + vertex) * 3
    tl.atomic_add(at, x, mask=mask, sem="relaxed")
    tl.atomic_add(at + 1, y, mask=mask, sem="relaxed")
    tl.atomic_add(at + 2, w, mask=mask, sem="relaxed")


@triton.jit
def _contract(moments, x, y, constant, mask):
    return _load64(moments, mask) * x + _load64(moments + 1, mask) * y + _load64(moments + 2, mask) * constant


@triton.jit
def _load64(at, mask):
    return tl.load(at, mask=mask, other=0.0).to(tl.float64)


@triton.jit
def vertex_backward_kernel(
    vertices, projection, homogeneous_gradient, vertices_gradient, projection_gradient, n_vertices, BLOCK: tl.constexpr
):  # fmt: skip
    """Write ``vertices_gradient`` (B, V, 3) and add to ``projection_gradient`` (B, 3, 4) float64."""
    blocks = tl.cdiv(n_vertices, BLOCK)
    item = (tl.program_id(0) // blocks).to(tl.int64)
    vertex = tl.program_id(0) % blocks * BLOCK + tl.arange(0, BLOCK)
    inside = vertex < n_vertices
    at = (item * n_vertices + vertex) * 3
    g0, g1 = _load64(homogeneous_gradient + at, inside), _load64(homogeneous_gradient + at + 1, inside)
    g2 = _load64(homogeneous_gradient + at + 2, inside)
    # vertices that no pixel depends on may be anything, not finite included
    used = inside & ((g0 != 0) | (g1 != 0) | (g2 != 0))
    matrix, matrix_gradient = projection + item * 12, projection_gradient + item * 12
    for axis in tl.static_range(4):
        if axis < 3:
            m0, m1 = tl.load(matrix + axis).to(tl.float64), tl.load(matrix + 4 + axis).to(tl.float64)
            total = g0 * m0 + g1 * m1 + g2 * tl.load(matrix + 8 + axis).to(tl.float64)
            tl.store(vertices_gradient + at + axis, total.to(vertices_gradient.dtype.element_ty), mask=inside)
            coordinate = _load64(vertices + at + axis, used)
        else:
            coordinate = tl.full((BLOCK,), 1.0, tl.float64)
        tl.atomic_add(matrix_gradient + axis, tl.sum(g0 * coordinate, 0), sem="relaxed")
        tl.atomic_add(matrix_gradient + 4 + axis, tl.sum(g1 * coordinate, 0), sem="relaxed")
        tl.atomic_add(matrix_gradient + 8 + axis, tl.sum(g2 * coordinate, 0), sem="relaxed")
