"""Kernels before any pixel is looked at: projected vertices, the planes of each triangle, and lists of triangles per tile.

Positions are float64 throughout. A tile is 16 x 16 pixels, or at level l of the lists 4^l times as large each way; its
*blocks* are 16 x 4 pixels. Of each triangle three edge planes are kept, positive inside, in units of their own rounding, so
that what is nearer than 1 to an edge is doubtful; and the plane of nearness: reciprocal depth if perspective, else minus depth.

Records of 64-bit words, two float32 or int32 in each unless float64 is said:

* ``slopes`` (4 words per triangle and item): x and y slopes of the three edge planes and of nearness.
* ``larger`` (6 words per triangle and item, written only if not listed on level 0): the edges at the pixel (column, row) where
  the bounds begin, one unused number, nearness as ``x, y, constant`` float64, and the ``bounds``: first and last column, first
  and last row that it could cover, as ``first | last << 16``.
* ``links`` (4 words per triangle and each of up to LISTS tiles): the next link of the tile's list and which blocks of a tile
  of level 0 are reached, the three edges and nearness at the first pixel of the tile, one unused word. Link n belongs to
  triangle n // LISTS.
* ``surface`` (16 float64): see :mod:`multiface.render.gpu.surface`.
"""

# The language of Triton reads annotations itself, so they are not postponed in this file.
import triton
import triton.language as tl

from multiface.render.rules import FARTHEST_PIXEL, FLATTEST, NEAR

TILE = tl.constexpr(16)
ROWS = tl.constexpr(4)
# Of the distance in pixels from where a plane is counted: above the rounding of float32 in it.
_ROUNDING = tl.constexpr(4e-7)
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
    screen, faces, uvs, uv_faces, slopes, larger, links, heads, surface,
    n_vertices, n_faces, height, width, tiles_x, tiles_y, heads_per_item,
    PERSPECTIVE: tl.constexpr, TEXTURED: tl.constexpr, LEVELS: tl.constexpr, LISTS: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """Write the records of the triangles that are drawn, and put each into the lists of the tiles it may cover.

    ``heads`` (B, heads_per_item) int32, -1 before, is the first link of each tile's list, all levels of tiles in turn.
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
    if TEXTURED:
        x0, y0 = (first_x + last_x) // 2, (first_y + last_y) // 2
        x, y = x0.to(tl.float64) + 0.5, y0.to(tl.float64) + 0.5
        bw, cw = (bx * x + by * y + bc) * b_scale, (cx * x + cy * y + cc) * c_scale
        tx_b, ty_b, tx_c, ty_c = bx * b_scale, by * b_scale, cx * c_scale, cy * c_scale
        tu, tu1, tu2 = _texture_coordinates(uvs, uv_faces, face, 0, inside)
        tv, tv1, tv2 = _texture_coordinates(uvs, uv_faces, face, 1, inside)
        at = surface + (item * n_faces + face) * 16
        _store_pair_or_zeros(at, x0, y0, drawn, inside)
        _store_pair_or_zeros(at + 2, sx, sy, drawn, inside)
        _store_pair_or_zeros(at + 4, sx * x + sy * y + sc, tx_b * tu1 + tx_c * tu2, drawn, inside)
        _store_pair_or_zeros(at + 6, ty_b * tu1 + ty_c * tu2, bw * tu1 + cw * tu2, drawn, inside)
        _store_pair_or_zeros(at + 8, tx_b * tv1 + tx_c * tv2, ty_b * tv1 + ty_c * tv2, drawn, inside)
        uv = _packed(tu - tl.floor(tu), tv - tl.floor(tv)).to(tl.float64, bitcast=True)
        _store_pair_or_zeros(at + 10, bw * tv1 + cw * tv2, uv, drawn, inside)
        # nobody reads these, but what an operator returns has to be the same each time
        _store_pair_or_zeros(at + 12, sx, sx, drawn & False, inside)
        _store_pair_or_zeros(at + 14, sx, sx, drawn & False, inside)
    # edges in units of what rounding can do to them; of corners far outside the picture even float64 is not exact
    a_scale, b_scale = 1.0 / (tl.abs(ax) + tl.abs(ay)), 1.0 / (tl.abs(bx) + tl.abs(by))
    c_scale = 1.0 / (tl.abs(cx) + tl.abs(cy))
    rounding = _ROUNDING * ((last_x - first_x) + (last_y - first_y) + 4 * TILE).to(tl.float64)
    rounding += 1e-15 * (tl.abs(ac) * a_scale + tl.abs(bc) * b_scale + tl.abs(cc) * c_scale)
    a_scale, b_scale, c_scale = a_scale / rounding, b_scale / rounding, c_scale / rounding
    ax, ay, ac = ax * a_scale, ay * a_scale, ac * a_scale
    bx, by, bc = bx * b_scale, by * b_scale, bc * b_scale
    cx, cy, cc = cx * c_scale, cy * c_scale, cc * c_scale
    sx, sy, sc = sign * sx, sign * sy, sign * sc
    bits, across, begin = _choose_level(first_x, last_x, first_y, last_y, tiles_x, tiles_y, LEVELS, LISTS)
    record = item * n_faces + face
    at = slopes + record * 4
    tl.store(at, _packed(ax, ay), mask=drawn)
    tl.store(at + 1, _packed(bx, by), mask=drawn)
    tl.store(at + 2, _packed(cx, cy), mask=drawn)
    tl.store(at + 3, _packed(sx, sy), mask=drawn)
    is_larger = drawn & (bits > 4)
    x, y = first_x.to(tl.float64) + 0.5, first_y.to(tl.float64) + 0.5
    at = larger + record * 6
    tl.store(at, _packed(plane_at(ax, ay, ac, x, y), plane_at(bx, by, bc, x, y)), mask=is_larger)
    tl.store(at + 1, _packed(plane_at(cx, cy, cc, x, y), sx), mask=is_larger)
    tl.store(at + 2, sx.to(tl.int64, bitcast=True), mask=is_larger)
    tl.store(at + 3, sy.to(tl.int64, bitcast=True), mask=is_larger)
    tl.store(at + 4, sc.to(tl.int64, bitcast=True), mask=is_larger)
    tl.store(at + 5, _packed_ints(first_x | (last_x << 16), first_y | (last_y << 16)), mask=is_larger)
    first_column, last_column, last_row = first_x >> bits, last_x >> bits, last_y >> bits
    column, row, link = first_column, first_y >> bits, (record * LISTS).to(tl.int32)
    tiles = tl.max(tl.where(drawn, (last_column - column + 1) * (last_row - row + 1), 0))
    following, reached = link * 0, link * 0  # of the link before this one
    heads += item * heads_per_item + begin
    while tiles > 0:
        now_reached = _write_planes(
            links + link.to(tl.int64) * 4, column << bits, row << bits, ax, ay, ac, bx, by, bc, cx, cy, cc, sx, sy, sc,
            first_y, last_y, bits, drawn & (row <= last_row),
        )  # fmt: skip
        # what a link replaces takes long to come back: it is written one round later
        tl.store(links + (link.to(tl.int64) - 1) * 4, _packed_ints(following, reached), mask=reached != 0)
        reached = now_reached
        following = tl.atomic_xchg(heads + row * across + column, link, mask=reached != 0, sem="relaxed")
        past = column >= last_column
        column, row = tl.where(past, first_column, column + 1), tl.where(past, row + 1, row)
        link += 1
        tiles -= 1
    tl.store(links + (link.to(tl.int64) - 1) * 4, _packed_ints(following, reached), mask=reached != 0)


@triton.jit
def _write_planes(at, left, top, ax, ay, ac, bx, by, bc, cx, cy, cc, sx, sy, sc, first_y, last_y, bits, mask):
    """Write what a link at ``at`` says of the planes in the tile that begins at the pixel (left, top), and return which of
    its blocks are reached; if none is, nothing is written."""
    x, y = left.to(tl.float64) + 0.5, top.to(tl.float64) + 0.5
    a, b = plane_at(ax, ay, ac, x, y).to(tl.float32), plane_at(bx, by, bc, x, y).to(tl.float32)
    c, s = plane_at(cx, cy, cc, x, y).to(tl.float32), plane_at(sx, sy, sc, x, y).to(tl.float32)
    reached = blocks_reached(
        a, b, c, ax.to(tl.float32), ay.to(tl.float32), bx.to(tl.float32), by.to(tl.float32), cx.to(tl.float32),
        cy.to(tl.float32), top, first_y, last_y, bits,
    )  # fmt: skip
    reached = tl.where(mask, reached, 0)
    tl.store(at + 1, _packed(a, b), mask=reached != 0)
    tl.store(at + 2, _packed(c, s), mask=reached != 0)
    return reached


@triton.jit
def blocks_reached(a, b, c, ax, ay, bx, by, cx, cy, top, first_y, last_y, bits):
    """Which of four blocks, each a fourth of the rows of a tile with a side of 2^bits, the edges reach into, as bits.

    ``a, b, c`` are the edges at the tile's first pixel, in units of rounding, of which a few are allowed for.
    """
    rows = (1 << bits) // 4
    across, down = tl.cast((1 << bits) - 1, tl.float32), tl.cast(rows - 1, tl.float32)
    a += tl.maximum(ax * across, 0.0) + tl.maximum(ay * down, 0.0)
    b += tl.maximum(bx * across, 0.0) + tl.maximum(by * down, 0.0)
    c += tl.maximum(cx * across, 0.0) + tl.maximum(cy * down, 0.0)
    reached = top * 0
    for block in tl.static_range(4):
        y = tl.cast(block * rows, tl.float32)
        inmost = tl.minimum(tl.minimum(tl.fma(ay, y, a), tl.fma(by, y, b)), tl.fma(cy, y, c))
        within = (top + block * rows <= last_y) & (top + (block + 1) * rows > first_y)
        reached |= tl.where((inmost > -4.0) & within, 1 << block, 0)
    return reached


@triton.jit
def plane_at(slope_x, slope_y, constant, x, y):
    return tl.fma(slope_y, y, tl.fma(slope_x, x, constant))


@triton.jit
def _packed(first, second):
    """Two float32 in one word."""
    return _packed_ints(first.to(tl.float32).to(tl.int32, bitcast=True), second.to(tl.float32).to(tl.int32, bitcast=True))


@triton.jit
def _packed_ints(first, second):
    return (first.to(tl.int64) & 0xFFFFFFFF) | (second.to(tl.int64) << 32)


@triton.jit
def load_two_ints(at):
    """Two int32 of one word: one access, where two would be needed for neighbours that all threads read."""
    both = tl.load(at)
    return both.to(tl.int32), (both >> 32).to(tl.int32)


@triton.jit
def load_two(at):
    """Two float32 of one word."""
    first, second = load_two_ints(at)
    return first.to(tl.float32, bitcast=True), second.to(tl.float32, bitcast=True)


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
def _choose_level(first_x, last_x, first_y, last_y, tiles_x, tiles_y, LEVELS: tl.constexpr, LISTS: tl.constexpr):
    """The finest level of tiles on which LISTS cover the bounds (each level's are 4 x 4 as large): binary logarithm of a
    tile's side, number of tiles across, and where the level begins among the heads of an item."""
    bits, across = tl.zeros(first_x.shape, tl.int32), tl.zeros(first_x.shape, tl.int32)
    begin, undecided, offset = tl.zeros(first_x.shape, tl.int32), first_x <= last_x, 0
    for level in tl.static_range(LEVELS):
        level_bits = 4 + 2 * level
        level_across, level_down = tl.cdiv(tiles_x, 1 << (2 * level)), tl.cdiv(tiles_y, 1 << (2 * level))
        columns = (last_x >> level_bits) - (first_x >> level_bits) + 1
        fits = columns * ((last_y >> level_bits) - (first_y >> level_bits) + 1) <= LISTS
        bits = tl.where(undecided & fits, level_bits, bits)
        across = tl.where(undecided & fits, level_across, across)
        begin = tl.where(undecided & fits, offset, begin)
        undecided = undecided & (columns * ((last_y >> level_bits) - (first_y >> level_bits) + 1) > LISTS)
        offset += level_across * level_down
    return bits, across, begin
