"""Kernels before any pixel is looked at: projected vertices, the planes of each triangle, and lists of triangles per tile.

Positions are float64 throughout.

Records per triangle and item:

* ``edges`` (12 float32): for each corner the plane ``x, y, constant`` of the edge opposite to it, positive inside and scaled
  to be about a distance in pixels, counted from the pixel (column, row) that follows; last the rounding of the constants.
* ``nearness`` (4 float64): the plane of reciprocal depth if perspective, else of minus depth, and one unused number.
* ``bounds`` (2 int32): first and last column, first and last row that it could cover, as ``first | last << 16``.
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
    screen, faces, uvs, uv_faces, edges, nearness, bounds, surface, heads, following,
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
    ax, ay, ac = _edge(u1, v1, u2, v2, turn)
    bx, by, bc = _edge(u2, v2, u0, v0, turn)
    cx, cy, cc = _edge(u0, v0, u1, v1, turn)
    # weights of the corners, adding up to reciprocal depth if perspective, else to 1
    a_scale, b_scale, c_scale = corner_scales(area, z0, z1, z2, PERSPECTIVE)
    if PERSPECTIVE:
        sx, sy = ax * a_scale + bx * b_scale + cx * c_scale, ay * a_scale + by * b_scale + cy * c_scale
        sc, sign = 1.0 / z0 - sx * u0 - sy * v0, 1.0
    else:
        sx = bx * b_scale * (z1 - z0) + cx * c_scale * (z2 - z0)
        sy = by * b_scale * (z1 - z0) + cy * c_scale * (z2 - z0)
        sc, sign = z0 - sx * u0 - sy * v0, -1.0
    nax, nay, nac = _normalised(ax, ay, ac)
    nbx, nby, nbc = _normalised(bx, by, bc)
    ncx, ncy, ncc = _normalised(cx, cy, cc)
    record = item * n_faces + face
    _store_pair(nearness + record * 4, sign * sx, sign * sy, drawn)
    _store_pair(nearness + record * 4 + 2, sign * sc, sign * sc, drawn)
    at = edges + record * 12
    x, y = first_x.to(tl.float64) + 0.5, first_y.to(tl.float64) + 0.5
    _store_pair(at, nax, nay, drawn)
    _store_pair(at + 2, nax * x + nay * y + nac, nbx, drawn)
    _store_pair(at + 4, nby, nbx * x + nby * y + nbc, drawn)
    _store_pair(at + 6, ncx, ncy, drawn)
    _store_pair(at + 8, ncx * x + ncy * y + ncc, first_x, drawn)
    # of corners far outside the picture even float64 is not exact
    _store_pair(at + 10, first_y, 1e-15 * (tl.abs(nac) + tl.abs(nbc) + tl.abs(ncc)), drawn)
    at = bounds + (item * n_faces + face) * 2
    _store_pair(at, first_x | (last_x << 16), first_y | (last_y << 16), drawn)
    bits, across, begin = _choose_level(first_x, last_x, first_y, last_y, tiles_x, tiles_y, LEVELS)
    first_column, first_row = first_x >> bits, first_y >> bits
    columns, rows = (last_x >> bits) - first_column + 1, (last_y >> bits) - first_row + 1
    side = ((1 << bits) - 1).to(tl.float64)
    for k in tl.static_range(TILES_PER_TRIANGLE):
        column, row = first_column + k % columns, first_row + k // columns
        left, top = (column << bits).to(tl.float64) + 0.5, (row << bits).to(tl.float64) + 0.5
        listed = drawn & (k < columns * rows) & _reaches(nax, nay, nac, left, top, side)
        listed = listed & _reaches(nbx, nby, nbc, left, top, side) & _reaches(ncx, ncy, ncc, left, top, side)
        node = ((item * n_faces + face) * TILES_PER_TRIANGLE + k).to(tl.int32)
        head = heads + item * heads_per_item + begin + row * across + column
        tl.store(following + node, tl.atomic_xchg(head, node, mask=listed, sem="relaxed"), mask=listed)
    if TEXTURED:
        x0, y0 = (first_x + last_x) // 2, (first_y + last_y) // 2
        x, y = x0.to(tl.float64) + 0.5, y0.to(tl.float64) + 0.5
        bw, cw = (bx * x + by * y + bc) * b_scale, (cx * x + cy * y + cc) * c_scale
        bx, by, cx, cy = bx * b_scale, by * b_scale, cx * c_scale, cy * c_scale
        tu, tu1, tu2 = _texture_coordinates(uvs, uv_faces, face, 0, inside)
        tv, tv1, tv2 = _texture_coordinates(uvs, uv_faces, face, 1, inside)
        at = surface + (item * n_faces + face) * 16
        _store_pair_or_zeros(at, x0, y0, drawn, inside)
        _store_pair_or_zeros(at + 2, sx, sy, drawn, inside)
        _store_pair_or_zeros(at + 4, sx * x + sy * y + sc, bx * tu1 + cx * tu2, drawn, inside)
        _store_pair_or_zeros(at + 6, by * tu1 + cy * tu2, bw * tu1 + cw * tu2, drawn, inside)
        _store_pair_or_zeros(at + 8, bx * tv1 + cx * tv2, by * tv1 + cy * tv2, drawn, inside)
        _store_pair_or_zeros(at + 10, bw * tv1 + cw * tv2, tu - tl.floor(tu), drawn, inside)
        _store_pair_or_zeros(at + 12, tv - tl.floor(tv), tv, drawn, inside)
        _store_pair_or_zeros(at + 14, tv, tv, drawn, inside)


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
def upward_edge(start_u, start_v, end_u, end_v):
    """An edge from where it begins upwards (to the right if level): that point, the way from there, whether it was turned."""
    down = (start_v < end_v) | ((start_v == end_v) & (start_u > end_u))
    from_u, from_v = tl.where(down, end_u, start_u), tl.where(down, end_v, start_v)
    return from_u, from_v, tl.where(down, start_u, end_u) - from_u, tl.where(down, start_v, end_v) - from_v, down


@triton.jit
def _edge(start_u, start_v, end_u, end_v, turn):
    """Plane ``x, y, constant`` of an edge: twice the area between it and a sample, positive inside."""
    from_u, from_v, du, dv, down = upward_edge(start_u, start_v, end_u, end_v)
    sign = tl.where(down, -turn, turn)
    return -(sign * dv), sign * du, sign * (dv * from_u - du * from_v)


@triton.jit
def _normalised(x, y, constant):
    """A plane scaled to be about a distance in pixels."""
    scale = 1.0 / (tl.abs(x) + tl.abs(y))
    return x * scale, y * scale, constant * scale


@triton.jit
def _store_pair(at, first, second, mask):
    """Two neighbours, in one access where the device can."""
    kind = at.dtype.element_ty
    tl.store(at[:, None] + tl.arange(0, 2)[None, :], tl.join(first.to(kind), second.to(kind)), mask=mask[:, None])


@triton.jit
def _store_pair_or_zeros(at, first, second, valid, mask):
    _store_pair(at, tl.where(valid, first, 0.0), tl.where(valid, second, 0.0), mask)


@triton.jit
def _texture_coordinates(uvs, uv_faces, face, axis: tl.constexpr, mask):
    """One coordinate of uv at corner 0, and those at corners 1 and 2 relative to it."""
    first = _texture_coordinate(uvs, uv_faces, face, 0, axis, mask)
    second = _texture_coordinate(uvs, uv_faces, face, 1, axis, mask)
    return first, second - first, _texture_coordinate(uvs, uv_faces, face, 2, axis, mask) - first


@triton.jit
def _texture_coordinate(uvs, uv_faces, face, corner: tl.constexpr, axis: tl.constexpr, mask):
    index = tl.load(uv_faces + face * 3 + corner, mask=mask, other=0)
    return tl.load(uvs + index * 2 + axis, mask=mask, other=0.0).to(tl.float64)


@triton.jit
def _choose_level(first_x, last_x, first_y, last_y, tiles_x, tiles_y, LEVELS: tl.constexpr):
    """The finest level of tiles on which 16 cover the bounds (each level's are 4 x 4 as large): binary logarithm of a
    tile's side, number of tiles across, and where the level begins among the heads of an item."""
    bits, across = tl.zeros(first_x.shape, tl.int32), tl.zeros(first_x.shape, tl.int32)
    begin, undecided, offset = tl.zeros(first_x.shape, tl.int32), first_x <= last_x, 0
    for level in tl.static_range(LEVELS):
        level_bits = 4 + 2 * level
        level_across, level_down = tl.cdiv(tiles_x, 1 << (2 * level)), tl.cdiv(tiles_y, 1 << (2 * level))
        columns = (last_x >> level_bits) - (first_x >> level_bits) + 1
        fits = columns * ((last_y >> level_bits) - (first_y >> level_bits) + 1) <= TILES_PER_TRIANGLE
        bits = tl.where(undecided & fits, level_bits, bits)
        across = tl.where(undecided & fits, level_across, across)
        begin = tl.where(undecided & fits, offset, begin)
        undecided = undecided & (columns * ((last_y >> level_bits) - (first_y >> level_bits) + 1) > TILES_PER_TRIANGLE)
        offset += level_across * level_down
    return bits, across, begin


@triton.jit
def _reaches(x, y, constant, left, top, side):
    """Whether the inner side of an edge reaches into a tile, with a margin far above the rounding of later kernels."""
    return tl.maximum(x * left, x * (left + side)) + tl.maximum(y * top, y * (top + side)) + constant > -1e-3
