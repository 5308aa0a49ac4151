"""Kernels that find the triangle of each pixel, one program per tile of 16 x 16 pixels, in four blocks of 16 x 4."""

# The language of Triton reads annotations itself, so they are not postponed in this file.
import triton
import triton.language as tl

from multiface.render.gpu.setup_kernels import (
    ROWS,
    TILE,
    blocks_reached,
    corner_scales,
    load_corner,
    load_two,
    load_two_ints,
    plane_at,
    upward_edge,
)

_NOBODY = tl.constexpr(2**31 - 1)


@triton.jit
def visibility_kernel(
    screen, faces, slopes, larger, links, heads, triangle, doubtful,
    n_vertices, n_faces, height, width, tiles_x, tiles_y, heads_per_item,
    LEVELS: tl.constexpr, LISTS: tl.constexpr,
):  # fmt: skip
    """Write ``triangle`` (B, H, W) int32: the nearest triangle at each pixel, of equally near ones the lowest; -1 where none.

    Coverage is decided in float32; ``doubtful`` (B * tiles) int32 says of each tile whether that was too close anywhere.
    """
    tile = tl.program_id(0)
    first, second, third, fourth, doubt = look_at_tile(
        slopes, larger, links, heads, tile, n_faces, tiles_x, tiles_y, heads_per_item, LEVELS, LISTS
    )
    tl.store(doubtful + tile, doubt)
    for block in range(TILE // ROWS):
        winner = choose_block(block, first, second, third, fourth)
        item, row, column, inside = pixels_of_block(tile, block, height, width, tiles_x, tiles_y)
        tl.store(triangle + item * height * width + row * width + column, winner, mask=inside)


@triton.jit
def exact_visibility_kernel(
    screen, faces, slopes, larger, links, heads, triangle, doubtful,
    n_vertices, n_faces, height, width, tiles_x, tiles_y, heads_per_item, n_tiles,
    LEVELS: tl.constexpr, LISTS: tl.constexpr, GROUP: tl.constexpr,
):  # fmt: skip
    """Look once more, in float64, at one block of those of GROUP tiles that are doubtful: samples on an edge, or almost."""
    block = tl.program_id(0) % (TILE // ROWS)
    tiles = tl.program_id(0) // (TILE // ROWS) * GROUP + tl.arange(0, GROUP)
    pending = tl.where(tl.load(doubtful + tiles, mask=tiles < n_tiles, other=0) > 0, tiles, -1)
    tile = tl.max(pending)
    while tile >= 0:
        winner = look_at_block_exactly(
            screen, faces, slopes, larger, links, heads, tile, block,
            n_vertices, n_faces, tiles_x, tiles_y, heads_per_item, LEVELS, LISTS,
        )  # fmt: skip
        item, row, column, inside = pixels_of_block(tile, block, height, width, tiles_x, tiles_y)
        tl.store(triangle + item * height * width + row * width + column, winner, mask=inside)
        pending = tl.where(pending == tile, -1, pending)
        tile = tl.max(pending)


@triton.jit
def pixels_of_block(tile, block, height, width, tiles_x, tiles_y):
    """Item, row and column of the pixels (64,) of a block, and which are within the picture."""
    item = (tile // (tiles_x * tiles_y)).to(tl.int64)
    pixel = tl.arange(0, ROWS * TILE)
    row = tile % (tiles_x * tiles_y) // tiles_x * TILE + block * ROWS + pixel // TILE
    column = tile % (tiles_x * tiles_y) % tiles_x * TILE + pixel % TILE
    return item, row, column, (row < height) & (column < width)


@triton.jit
def choose_block(block, first, second, third, fourth):
    """One of the results of :func:`look_at_tile`; it stays in registers, which cannot be counted through."""
    winner = tl.where(block == 0, first, tl.where(block == 1, second, tl.where(block == 2, third, fourth)))
    return tl.where(winner == _NOBODY, -1, winner)


@triton.jit
def look_at_tile(
    slopes, larger, links, heads, tile, n_faces, tiles_x, tiles_y, heads_per_item,
    LEVELS: tl.constexpr, LISTS: tl.constexpr,
):  # fmt: skip
    """The winner of each pixel (64,) of the four blocks of a tile, and whether any coverage was doubtful.

    All that is nearest is held in registers while the triangles listed for the tile, on each level, pass by in any order.
    What the next triangle needs is loaded before this one is looked at.
    """
    tiles = tiles_x * tiles_y
    item = (tile // tiles).to(tl.int64)
    tile_y, tile_x = tile % tiles // tiles_x, tile % tiles % tiles_x
    column = (tl.arange(0, ROWS * TILE) % TILE).to(tl.float32)
    row = (tl.arange(0, ROWS * TILE) // TILE).to(tl.float32)
    nearest0 = tl.full((ROWS * TILE,), float("-inf"), tl.float32)
    winner0 = tl.full((ROWS * TILE,), _NOBODY, tl.int32)
    nearest1, nearest2, nearest3, winner1, winner2, winner3 = nearest0, nearest0, nearest0, winner0, winner0, winner0
    closest = tl.full((ROWS * TILE,), float("inf"), tl.float32)
    first_record = item * n_faces
    level_heads = heads + item * heads_per_item
    link = tl.load(level_heads + tile_y * tiles_x + tile_x)
    for level in tl.static_range(LEVELS):
        coming = -1
        if level + 1 < LEVELS:
            level_heads += tl.cdiv(tiles_x, 1 << (2 * level)) * tl.cdiv(tiles_y, 1 << (2 * level))
            across = tl.cdiv(tiles_x, 4 << (2 * level))
            coming = tl.load(level_heads + (tile_y >> (2 * level + 2)) * across + (tile_x >> (2 * level + 2)))
        if level == 0:
            following, reached, a, b, c, s, ax, ay, bx, by, cx, cy, sx, sy = _load_link(links, slopes, link, LISTS)
        while link >= 0:
            face = (link // LISTS - first_record).to(tl.int32)
            if level > 0:
                following, reached, a, b, c, s, ax, ay, bx, by, cx, cy, sx, sy = _load_larger(
                    links, slopes, larger, link, tile_x, tile_y, LISTS
                )
            a_row, b_row = tl.fma(_all(ax), column, _all(a)), tl.fma(_all(bx), column, _all(b))
            c_row, s_row = tl.fma(_all(cx), column, _all(c)), tl.fma(_all(sx), column, _all(s))
            this_ay, this_by, this_cy, this_sy, this_reached = ay, by, cy, sy, reached
            link = following
            if level == 0:
                following, reached, a, b, c, s, ax, ay, bx, by, cx, cy, sx, sy = _load_link(links, slopes, link, LISTS)
            if this_reached & 1:
                winner0, nearest0, closest = _see(
                    winner0, nearest0, closest, face, row, a_row, b_row, c_row, s_row, this_ay, this_by, this_cy, this_sy
                )
            if this_reached & 2:
                winner1, nearest1, closest = _see(
                    winner1, nearest1, closest, face, row + ROWS, a_row, b_row, c_row, s_row, this_ay, this_by, this_cy, this_sy
                )
            if this_reached & 4:
                winner2, nearest2, closest = _see(
                    winner2, nearest2, closest, face, row + 2 * ROWS, a_row, b_row, c_row, s_row, this_ay, this_by, this_cy,
                    this_sy,
                )  # fmt: skip
            if this_reached & 8:
                winner3, nearest3, closest = _see(
                    winner3, nearest3, closest, face, row + 3 * ROWS, a_row, b_row, c_row, s_row, this_ay, this_by, this_cy,
                    this_sy,
                )  # fmt: skip
        link = coming
    return winner0, winner1, winner2, winner3, (tl.min(closest) < 1.0).to(tl.int32)


@triton.jit
def look_at_block_exactly(
    screen, faces, slopes, larger, links, heads, tile, block,
    n_vertices, n_faces, tiles_x, tiles_y, heads_per_item, LEVELS: tl.constexpr, LISTS: tl.constexpr,
):  # fmt: skip
    """The winner of each pixel (64,) of a block, -1 where none, with coverage in float64 wherever float32 leaves doubt."""
    tiles = tiles_x * tiles_y
    item = (tile // tiles).to(tl.int64)
    tile_y, tile_x = tile % tiles // tiles_x, tile % tiles % tiles_x
    column = (tl.arange(0, ROWS * TILE) % TILE).to(tl.float32)
    row = (tl.arange(0, ROWS * TILE) // TILE + block * ROWS).to(tl.float32)
    nearest = tl.full((ROWS * TILE,), float("-inf"), tl.float32)
    winner = tl.full((ROWS * TILE,), _NOBODY, tl.int32)
    level_heads = heads + item * heads_per_item
    for level in tl.static_range(LEVELS):
        across, down = tl.cdiv(tiles_x, 1 << (2 * level)), tl.cdiv(tiles_y, 1 << (2 * level))
        link = tl.load(level_heads + (tile_y >> (2 * level)) * across + (tile_x >> (2 * level)))
        level_heads += across * down
        if level == 0:
            following, reached, a, b, c, s, ax, ay, bx, by, cx, cy, sx, sy = _load_link(links, slopes, link, LISTS)
        while link >= 0:
            face = (link // LISTS - item * n_faces).to(tl.int32)
            if level > 0:
                following, reached, a, b, c, s, ax, ay, bx, by, cx, cy, sx, sy = _load_larger(
                    links, slopes, larger, link, tile_x, tile_y, LISTS
                )
            a_row, b_row = tl.fma(_all(ax), column, _all(a)), tl.fma(_all(bx), column, _all(b))
            c_row, s_row = tl.fma(_all(cx), column, _all(c)), tl.fma(_all(sx), column, _all(s))
            this_ay, this_by, this_cy, this_sy, this_reached = ay, by, cy, sy, reached
            link = following
            if level == 0:
                following, reached, a, b, c, s, ax, ay, bx, by, cx, cy, sx, sy = _load_link(links, slopes, link, LISTS)
            if (this_reached >> block) & 1:
                inmost, nearness = _inmost(row, a_row, b_row, c_row, s_row, this_ay, this_by, this_cy, this_sy)
                inside = inmost > 0
                if tl.max((tl.abs(inmost) < 1.0).to(tl.int32)) > 0:
                    inside = _covers(screen, item * n_vertices, faces, face, tile_x * TILE + column, tile_y * TILE + row)
                closer = inside & ((nearness > nearest) | ((nearness == nearest) & (face < winner)))
                nearest = tl.where(closer, nearness, nearest)
                winner = tl.where(closer, face, winner)
    return tl.where(winner == _NOBODY, -1, winner)


@triton.jit
def _see(winner, nearest, closest, face, row, a_row, b_row, c_row, s_row, ay, by, cy, sy):
    """Winner and nearest of a block after a triangle has passed, and the closest that any pixel has come to an edge."""
    inmost, nearness = _inmost(row, a_row, b_row, c_row, s_row, ay, by, cy, sy)
    closer = (inmost > 0) & ((nearness > nearest) | ((nearness == nearest) & (face < winner)))
    return (
        tl.where(closer, face, winner),
        tl.where(closer, nearness, nearest),
        tl.minimum(closest, tl.abs(inmost)),
    )


@triton.jit
def _inmost(row, a_row, b_row, c_row, s_row, ay, by, cy, sy):
    """At each pixel how far inside the nearest edge it is, in units of rounding, and how near the triangle."""
    inmost = tl.minimum(tl.fma(_all(ay), row, a_row), tl.fma(_all(by), row, b_row))
    return tl.minimum(inmost, tl.fma(_all(cy), row, c_row)), tl.fma(_all(sy), row, s_row)


@triton.jit
def _all(number):
    return tl.full((ROWS * TILE,), number, tl.float32)


@triton.jit
def _load_link(links, slopes, link, LISTS: tl.constexpr):
    """The next link, the blocks reached, edges and nearness at the tile's first pixel and their slopes; anything after the
    last link."""
    link = tl.maximum(link, 0)
    at = links + link.to(tl.int64) * 4
    following, reached = load_two_ints(at)
    a, b = load_two(at + 1)
    c, s = load_two(at + 2)
    at = slopes + (link // LISTS).to(tl.int64) * 4
    ax, ay = load_two(at)
    bx, by = load_two(at + 1)
    cx, cy = load_two(at + 2)
    sx, sy = load_two(at + 3)
    return following, reached, a, b, c, s, ax, ay, bx, by, cx, cy, sx, sy


@triton.jit
def _load_larger(links, slopes, larger, link, tile_x, tile_y, LISTS: tl.constexpr):
    """The same for a triangle in the list of a larger tile, which may not reach this one."""
    record = (link // LISTS).to(tl.int64)
    following, _ = load_two_ints(links + link.to(tl.int64) * 4)
    at = slopes + record * 4
    ax, ay = load_two(at)
    bx, by = load_two(at + 1)
    cx, cy = load_two(at + 2)
    sx, sy = load_two(at + 3)
    at = larger + record * 6
    a, b = load_two(at)
    c, _ = load_two(at + 1)
    bounds_x, bounds_y = load_two_ints(at + 5)
    left, top = tile_x * TILE, tile_y * TILE
    x, y = (left - (bounds_x & 0xFFFF)).to(tl.float32), (top - (bounds_y & 0xFFFF)).to(tl.float32)
    a, b, c = a + (ax * x + ay * y), b + (bx * x + by * y), c + (cx * x + cy * y)
    reached = blocks_reached(a, b, c, ax, ay, bx, by, cx, cy, top, bounds_y & 0xFFFF, bounds_y >> 16, 4)
    within = (left + TILE > (bounds_x & 0xFFFF)) & (left <= (bounds_x >> 16))
    # in float64, so that triangles in one plane agree
    x64, y64 = left.to(tl.float64) + 0.5, top.to(tl.float64) + 0.5
    s_x, s_y = tl.load(at + 2).to(tl.float64, bitcast=True), tl.load(at + 3).to(tl.float64, bitcast=True)
    s = plane_at(s_x, s_y, tl.load(at + 4).to(tl.float64, bitcast=True), x64, y64).to(tl.float32)
    return following, tl.where(within, reached, 0), a, b, c, s, ax, ay, bx, by, cx, cy, sx, sy


@triton.jit
def _covers(screen, first_vertex, faces, face, column, row):
    """Which pixels a triangle covers, exactly as the definition says."""
    u0, v0, _ = load_corner(screen, first_vertex, faces, face, 0, face >= 0)
    u1, v1, _ = load_corner(screen, first_vertex, faces, face, 1, face >= 0)
    u2, v2, _ = load_corner(screen, first_vertex, faces, face, 2, face >= 0)
    x, y = column.to(tl.float64) + 0.5, row.to(tl.float64) + 0.5
    clockwise = (u1 - u0) * (v2 - v0) - (v1 - v0) * (u2 - u0) > 0
    inside = tl.full(x.shape, 1, tl.int32)
    for _ in range(3):
        inside &= _is_inside(u1, v1, u2, v2, clockwise, x, y)
        u0, v0, u1, v1, u2, v2 = u1, v1, u2, v2, u0, v0
    return inside != 0


@triton.jit
def _is_inside(start_u, start_v, end_u, end_v, clockwise, x, y):
    """Edges are evaluated always upwards, or to the right if level: both triangles of an edge get the very same number."""
    from_u, from_v, du, dv, down = upward_edge(start_u, start_v, end_u, end_v)
    value = du * (y - from_v) - dv * (x - from_u)
    return tl.where(clockwise != down, value >= 0, value < 0).to(tl.int32)


@triton.jit
def barycentric_kernel(
    screen, faces, triangle, barycentric, depth, n_vertices, n_pixels, width, total, PERSPECTIVE: tl.constexpr,
    BLOCK: tl.constexpr,
):  # fmt: skip
    """Write ``barycentric`` (B, H, W, 3) and ``depth`` (B, H, W), float32, of the triangles shown; 0 where none."""
    pixel = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    inside = pixel < total
    face = tl.load(triangle + pixel, mask=inside, other=-1)
    shown = face >= 0
    first_vertex = pixel // n_pixels * n_vertices
    x = (pixel % n_pixels % width).to(tl.float64) + 0.5
    y = (pixel % n_pixels // width).to(tl.float64) + 0.5
    u0, v0, z0 = load_corner(screen, first_vertex, faces, face, 0, shown)
    u1, v1, z1 = load_corner(screen, first_vertex, faces, face, 1, shown)
    u2, v2, z2 = load_corner(screen, first_vertex, faces, face, 2, shown)
    area = (u1 - u0) * (v2 - v0) - (v1 - v0) * (u2 - u0)
    turn = tl.where(area < 0, -1.0, 1.0)
    a_scale, b_scale, c_scale = corner_scales(
        tl.where(shown, area, 1.0), tl.where(shown, z0, 1.0), tl.where(shown, z1, 1.0), tl.where(shown, z2, 1.0), PERSPECTIVE
    )
    a = turn * ((u1 - x) * (v2 - y) - (v1 - y) * (u2 - x)) * a_scale
    b = turn * ((u2 - x) * (v0 - y) - (v2 - y) * (u0 - x)) * b_scale
    c = turn * ((u0 - x) * (v1 - y) - (v0 - y) * (u1 - x)) * c_scale
    whole = tl.where(shown, a + b + c, 1.0)
    a, b, c = tl.where(shown, a / whole, 0.0), tl.where(shown, b / whole, 0.0), tl.where(shown, c / whole, 0.0)
    tl.store(barycentric + pixel * 3, a.to(tl.float32), mask=inside)
    tl.store(barycentric + pixel * 3 + 1, b.to(tl.float32), mask=inside)
    tl.store(barycentric + pixel * 3 + 2, c.to(tl.float32), mask=inside)
    tl.store(depth + pixel, (a * z0 + b * z1 + c * z2).to(tl.float32), mask=inside)
