"""Kernels before any pixel is looked at: projected vertices, the planes of each triangle, and lists of triangles per tile.

Positions are float64 throughout. Fused multiply-add must be off for these kernels (``enable_fp_fusion=False``): the two
triangles of an edge have to compute the very same numbers with opposite signs.

Records per triangle and item:

* ``edges`` (12 float64): for each corner the plane ``x, y, constant`` of the edge opposite to it (twice the area between edge
  and sample in square pixels, positive inside), then the plane of nearness: reciprocal depth if perspective, else minus depth.
* ``bounds`` (4 int32): first and last column, first and last row that it could cover, as ``first | last << 16``; the third
  number has bit k set where zero is inside the edge opposite to corner k; the fourth is unused.
* ``surface`` (16 float32): see :mod:`multiface.render.gpu.surface`.
"""

# The language of Triton reads annotations itself, so they are not postponed in this file.
import triton
import triton.language as tl

from multiface.render.rules import FARTHEST_PIXEL, FLATTEST, NEAR

TILE = tl.constexpr(16)
TILES_PER_TRIANGLE = tl.constexpr(16)
_NEAR = tl.constexpr(NEAR)
_FARTHEST = tl.constexpr(FARTHEST_PIXEL)
_FLATTEST = tl.constexpr(FLATTEST)


@triton.jit
def project_kernel(vertices, projection, screen, n_vertices, BLOCK: tl.constexpr):
    """Write ``screen`` (B, V, 3) float64 u, v (pixels), z (mm) of ``vertices`` (B, V, 3) under ``projection`` (B, 3, 4)."""
    blocks = tl.cdiv(n_vertices, BLOCK)
    item = (tl.program_id(0) // blocks).to(tl.int64)
    vertex = tl.program_id(0) % blocks * BLOCK + tl.arange(0, BLOCK)
    inside = vertex < n_vertices
    at = (item * n_vertices + vertex) * 3
    x = tl.load(vertices + at, mask=inside, other=0.0).to(tl.float64)
    y = tl.load(vertices + at + 1, mask=inside, other=0.0).to(tl.float64)
    z = tl.load(vertices + at + 2, mask=inside, other=0.0).to(tl.float64)
    u = _row(projection + item * 12, x, y, z)
    v = _row(projection + item * 12 + 4, x, y, z)
    depth = _row(projection + item * 12 + 8, x, y, z)
    tl.store(screen + at, u / depth, mask=inside)
    tl.store(screen + at + 1, v / depth, mask=inside)
    tl.store(screen + at + 2, depth, mask=inside)


@triton.jit
def _row(row, x, y, z):
    a, b = tl.load(row).to(tl.float64), tl.load(row + 1).to(tl.float64)
    c, d = tl.load(row + 2).to(tl.float64), tl.load(row + 3).to(tl.float64)
    return a * x + b * y + c * z + d


@triton.jit
def setup_kernel(
    screen, faces, uvs, uv_faces, edges, bounds, surface, heads, following,
    n_vertices, n_faces, height, width, tiles_x, tiles_y, heads_per_item,
    PERSPECTIVE: tl.constexpr, TEXTURED: tl.constexpr, LEVELS: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """Write the records of the triangles that are drawn, and put each into the lists of the tiles it may cover.

    ``heads`` (B, heads_per_item) int32, -1 before, is the first node of each tile's list, all levels of tiles in turn;
    ``following`` (B * F * 16) int32 is the node after each node. Node n belongs to triangle n // 16.
    """
    blocks = tl.cdiv(n_faces, BLOCK)
    item = (tl.program_id(0) // blocks).to(tl.int64)
    face = tl.program_id(0) % blocks * BLOCK + tl.arange(0, BLOCK)
    inside = face < n_faces
    u0, v0, z0 = load_corner(screen, item * n_vertices, faces, face, 0, inside)
    u1, v1, z1 = load_corner(screen, item * n_vertices, faces, face, 1, inside)
    u2, v2, z2 = load_corner(screen, item * n_vertices, faces, face, 2, inside)
    area = (u1 - u0) * (v2 - v0) - (v1 - v0) * (u2 - u0)
    left, right = tl.minimum(tl.minimum(u0, u1), u2), tl.maximum(tl.maximum(u0, u1), u2)
    top, bottom = tl.minimum(tl.minimum(v0, v1), v2), tl.maximum(tl.maximum(v0, v1), v2)
    extent = tl.maximum(right - left, bottom - top)
    drawn = inside & _usable(u0, v0, z0) & _usable(u1, v1, z1) & _usable(u2, v2, z2)
    drawn = drawn & (tl.abs(area) > _FLATTEST * extent * extent)
    first_x, last_x = _pixels(left, right, width, drawn)
    first_y, last_y = _pixels(top, bottom, height, drawn)
    drawn = drawn & (first_x <= last_x) & (first_y <= last_y)
    # numbers of triangles that are not drawn may be anything, but no kernel looks at them
    turn = tl.where(area > 0, 1.0, -1.0).to(tl.float64)
    ax, ay, ac, a_inclusive = _edge(u1, v1, u2, v2, turn)
    bx, by, bc, b_inclusive = _edge(u2, v2, u0, v0, turn)
    cx, cy, cc, c_inclusive = _edge(u0, v0, u1, v1, turn)
    record = (item * n_faces + face) * 12
    _store_plane(edges + record, ax, ay, ac, drawn)
    _store_plane(edges + record + 3, bx, by, bc, drawn)
    _store_plane(edges + record + 6, cx, cy, cc, drawn)
    # weights of the corners, adding up to reciprocal depth if perspective, else to 1
    a_scale, b_scale, c_scale = corner_scales(area, z0, z1, z2, PERSPECTIVE)
    if PERSPECTIVE:
        sx, sy = ax * a_scale + bx * b_scale + cx * c_scale, ay * a_scale + by * b_scale + cy * c_scale
        sc = 1.0 / z0 - sx * u0 - sy * v0
        _store_plane(edges + record + 9, sx, sy, sc, drawn)
    else:
        sx = bx * b_scale * (z1 - z0) + cx * c_scale * (z2 - z0)
        sy = by * b_scale * (z1 - z0) + cy * c_scale * (z2 - z0)
        sc = z0 - sx * u0 - sy * v0
        _store_plane(edges + record + 9, -sx, -sy, -sc, drawn)
    flags = a_inclusive.to(tl.int32) | (b_inclusive.to(tl.int32) << 1) | (c_inclusive.to(tl.int32) << 2)
    at = bounds + (item * n_faces + face) * 4
    tl.store(at, first_x | (last_x << 16), mask=drawn)
    tl.store(at + 1, first_y | (last_y << 16), mask=drawn)
    tl.store(at + 2, flags, mask=drawn)
    if TEXTURED:
        x0, y0 = (first_x + last_x) // 2, (first_y + last_y) // 2
        x, y = x0.to(tl.float64) + 0.5, y0.to(tl.float64) + 0.5
        at = surface + (item * n_faces + face) * 16
        tl.store(at, x0.to(surface.dtype.element_ty), mask=drawn)
        tl.store(at + 1, y0.to(surface.dtype.element_ty), mask=drawn)
        _store_plane(at + 2, sx, sy, sx * x + sy * y + sc, drawn)
        bw, cw = (bx * x + by * y + bc) * b_scale, (cx * x + cy * y + cc) * c_scale
        for axis in tl.static_range(2):
            t0 = _texture_coordinate(uvs, uv_faces, face, 0, axis, inside)
            t1 = _texture_coordinate(uvs, uv_faces, face, 1, axis, inside) - t0
            t2 = _texture_coordinate(uvs, uv_faces, face, 2, axis, inside) - t0
            px, py = bx * b_scale * t1 + cx * c_scale * t2, by * b_scale * t1 + cy * c_scale * t2
            _store_plane(at + 5 + 3 * axis, px, py, bw * t1 + cw * t2, drawn)
            tl.store(at + 11 + axis, (t0 - tl.floor(t0)).to(surface.dtype.element_ty), mask=drawn)
    _list_triangle(heads + item * heads_per_item, following, item * n_faces + face,
                   first_x, last_x, first_y, last_y, tiles_x, tiles_y, drawn, LEVELS)  # fmt: skip


@triton.jit
def load_corner(screen, first_vertex, faces, face, corner: tl.constexpr, mask):
    """u, v, z of a corner of triangles; zeros where masked out."""
    vertex = tl.load(faces + face * 3 + corner, mask=mask, other=0)
    at = screen + (first_vertex + vertex) * 3
    u, v = tl.load(at, mask=mask, other=0.0), tl.load(at + 1, mask=mask, other=0.0)
    return u, v, tl.load(at + 2, mask=mask, other=0.0)


@triton.jit
def corner_scales(area, z0, z1, z2, PERSPECTIVE: tl.constexpr):
    """What the area opposite to each corner is multiplied with to be its weight."""
    whole = tl.abs(area)
    if PERSPECTIVE:
        return 1.0 / (z0 * whole), 1.0 / (z1 * whole), 1.0 / (z2 * whole)
    else:
        return 1.0 / whole, 1.0 / whole, 1.0 / whole


@triton.jit
def _usable(u, v, z):
    return (tl.abs(u) <= _FARTHEST) & (tl.abs(v) <= _FARTHEST) & (z > _NEAR) & (z < float("inf"))


@triton.jit
def _pixels(low, high, side, valid):
    """First and last pixel whose centre is within (low, high) and the picture; last is below first if there is none."""
    first = tl.ceil(tl.minimum(tl.maximum(tl.where(valid, low, 0.0) - 0.5, 0.0), side))
    last = tl.floor(tl.minimum(tl.maximum(tl.where(valid, high, 0.0) - 0.5, -1.0), side - 1))
    return first.to(tl.int32), last.to(tl.int32)


@triton.jit
def _edge(start_u, start_v, end_u, end_v, turn):
    """Plane of an edge, positive inside, and whether zero is inside: evaluated always upwards, or to the right if level."""
    down = (start_v < end_v) | ((start_v == end_v) & (start_u > end_u))
    from_u, from_v = tl.where(down, end_u, start_u), tl.where(down, end_v, start_v)
    du = tl.where(down, start_u, end_u) - from_u
    dv = tl.where(down, start_v, end_v) - from_v
    sign = tl.where(down, -turn, turn)
    return -(sign * dv), sign * du, sign * (dv * from_u - du * from_v), down == (turn < 0)


@triton.jit
def _store_plane(at, x, y, constant, mask):
    kind = at.dtype.element_ty
    tl.store(at, x.to(kind), mask=mask)
    tl.store(at + 1, y.to(kind), mask=mask)
    tl.store(at + 2, constant.to(kind), mask=mask)


@triton.jit
def _texture_coordinate(uvs, uv_faces, face, corner: tl.constexpr, axis: tl.constexpr, mask):
    index = tl.load(uv_faces + face * 3 + corner, mask=mask, other=0)
    return tl.load(uvs + index * 2 + axis, mask=mask, other=0.0).to(tl.float64)


@triton.jit
def _list_triangle(
    heads, following, triangle, first_x, last_x, first_y, last_y, tiles_x, tiles_y, drawn, LEVELS: tl.constexpr
):  # fmt: skip
    """Enter triangles into the lists of the finest level of tiles on which 16 are enough; each level's are 4 x 4 as large."""
    shift, first_head = tl.zeros(first_x.shape, tl.int32), tl.zeros(first_x.shape, tl.int32)
    across = tl.zeros(first_x.shape, tl.int32)
    undecided, offset = drawn, 0
    for level in tl.static_range(LEVELS):
        bits: tl.constexpr = 4 + 2 * level
        level_across, level_down = tl.cdiv(tiles_x, 1 << (2 * level)), tl.cdiv(tiles_y, 1 << (2 * level))
        count = ((last_x >> bits) - (first_x >> bits) + 1) * ((last_y >> bits) - (first_y >> bits) + 1)
        fits = undecided & (count <= TILES_PER_TRIANGLE)
        shift, first_head = tl.where(fits, bits, shift), tl.where(fits, offset, first_head)
        across = tl.where(fits, level_across, across)
        undecided = undecided & (count > TILES_PER_TRIANGLE)
        offset += level_across * level_down
    column, row = first_x >> shift, first_y >> shift
    columns, rows = (last_x >> shift) - column + 1, (last_y >> shift) - row + 1
    for k in tl.static_range(TILES_PER_TRIANGLE):
        listed = drawn & (k < columns * rows)
        head = first_head + (row + k // columns) * across + column + k % columns
        node = (triangle * TILES_PER_TRIANGLE + k).to(tl.int32)
        previous = tl.atomic_xchg(heads + head, node, mask=listed, sem="relaxed")
        tl.store(following + node, previous, mask=listed)
