"""Kernels that find the triangle of each pixel, one program per tile of 16 x 16 pixels."""

# The language of Triton reads annotations itself, so they are not postponed in this file.
import triton
import triton.language as tl

from multiface.render.gpu.setup_kernels import TILE, TILES_PER_TRIANGLE, corner_scales, load_corner, upward_edge

_NOBODY = tl.constexpr(2**31 - 1)
# Of the distance in pixels from where a triangle's planes are counted: above the rounding of float32 in them. Edges nearer
# to a sample than that are looked at in float64.
_ROUNDING = tl.constexpr(4e-7)


@triton.jit
def visibility_kernel(
    screen, faces, edges, nearness, bounds, heads, following, triangle, doubtful,
    n_vertices, n_faces, height, width, tiles_x, tiles_y, heads_per_item, LEVELS: tl.constexpr,
):  # fmt: skip
    """Write ``triangle`` (B, H, W) int32: the nearest triangle at each pixel, of equally near ones the lowest; -1 where none.

    Coverage is decided in float32; ``doubtful`` (B * tiles) int32 says of each tile whether that was too close anywhere.
    """
    winner, doubt = look_at_tile(
        screen, faces, edges, nearness, bounds, heads, following, tl.program_id(0),
        n_vertices, n_faces, tiles_x, tiles_y, heads_per_item, LEVELS, False,
    )  # fmt: skip
    store_tile(triangle, winner, tl.program_id(0), height, width, tiles_x, tiles_y)
    tl.store(doubtful + tl.program_id(0), doubt)


@triton.jit
def exact_visibility_kernel(
    screen, faces, edges, nearness, bounds, heads, following, triangle, doubtful,
    n_vertices, n_faces, height, width, tiles_x, tiles_y, heads_per_item, n_tiles, LEVELS: tl.constexpr, GROUP: tl.constexpr,
):  # fmt: skip
    """Look once more, in float64, at those of GROUP tiles that are doubtful: samples on an edge, or almost."""
    tiles = tl.program_id(0) * GROUP + tl.arange(0, GROUP)
    pending = tl.where(tl.load(doubtful + tiles, mask=tiles < n_tiles, other=0) > 0, tiles, -1)
    tile = tl.max(pending)
    while tile >= 0:
        winner, _ = look_at_tile(
            screen, faces, edges, nearness, bounds, heads, following, tile,
            n_vertices, n_faces, tiles_x, tiles_y, heads_per_item, LEVELS, True,
        )  # fmt: skip
        store_tile(triangle, winner, tile, height, width, tiles_x, tiles_y)
        pending = tl.where(pending == tile, -1, pending)
        tile = tl.max(pending)


@triton.jit
def look_at_tile(
    screen, faces, edges, nearness, bounds, heads, following, index,
    n_vertices, n_faces, tiles_x, tiles_y, heads_per_item, LEVELS: tl.constexpr, EXACT: tl.constexpr,
):  # fmt: skip
    """The winner of each pixel (16, 16) of a tile, and whether any coverage was doubtful (never if EXACT).

    All that is nearest is held in registers while the triangles listed for the tile, on each level, pass by in any order.
    """
    tiles = tiles_x * tiles_y
    item = (index // tiles).to(tl.int64)
    tile_y, tile_x = index % tiles // tiles_x, index % tiles % tiles_x
    nearest = tl.full((TILE, TILE), float("-inf"), tl.float32)
    winner = tl.full((TILE, TILE), _NOBODY, tl.int32)
    doubt = tl.zeros((TILE, TILE), tl.int32)
    level_heads = heads + item * heads_per_item
    for level in tl.static_range(LEVELS):
        across, down = tl.cdiv(tiles_x, 1 << (2 * level)), tl.cdiv(tiles_y, 1 << (2 * level))
        node = tl.load(level_heads + (tile_y >> (2 * level)) * across + (tile_x >> (2 * level)))
        level_heads += across * down
        while node >= 0:
            record = (node // TILES_PER_TRIANGLE).to(tl.int64)
            node = tl.load(following + node)
            near = True
            if level > 0:
                near = _is_near(bounds + record * 2, tile_x, tile_y)
            if near:
                face = (record - item * n_faces).to(tl.int32)
                depth_order = _nearness(nearness + record * 4, tile_x * TILE, tile_y * TILE)
                inmost, rounding = _inmost(edges + record * 12, tile_x * TILE, tile_y * TILE)
                inside = inmost > 0
                if EXACT:
                    if tl.max((tl.abs(inmost) < rounding).to(tl.int32)) > 0:
                        inside = _covers(screen, item * n_vertices, faces, face, tile_x * TILE, tile_y * TILE)
                else:
                    doubt |= (tl.abs(inmost) < rounding).to(tl.int32)
                closer = inside & ((depth_order > nearest) | ((depth_order == nearest) & (face < winner)))
                nearest = tl.where(closer, depth_order, nearest)
                winner = tl.where(closer, face, winner)
    return winner, tl.max(doubt)


@triton.jit
def store_tile(triangle, winner, index, height, width, tiles_x, tiles_y):
    tiles = tiles_x * tiles_y
    item = (index // tiles).to(tl.int64)
    row = index % tiles // tiles_x * TILE + tl.arange(0, TILE)[:, None]
    column = index % tiles % tiles_x * TILE + tl.arange(0, TILE)[None, :]
    at = triangle + item * height * width + row * width + column
    tl.store(at, tl.where(winner == _NOBODY, -1, winner), mask=(row < height) & (column < width))


@triton.jit
def _is_near(bounds, tile_x, tile_y):
    """Whether a triangle in the list of a larger tile may reach this one."""
    x, y = tl.load(bounds), tl.load(bounds + 1)
    near_x = ((x & 0xFFFF) < (tile_x + 1) * TILE) & ((x >> 16) >= tile_x * TILE)
    return near_x & ((y & 0xFFFF) < (tile_y + 1) * TILE) & ((y >> 16) >= tile_y * TILE)


@triton.jit
def _inmost(edges, left, top):
    """At each pixel (16, 16) of a tile how far inside the nearest edge it is, about in pixels, and a bound of its rounding."""
    x, y = left.to(tl.float32) - tl.load(edges + 9), top.to(tl.float32) - tl.load(edges + 10)
    inmost = tl.minimum(_edge_on_tile(edges, x, y), _edge_on_tile(edges + 3, x, y))
    inmost = tl.minimum(inmost, _edge_on_tile(edges + 6, x, y))
    return inmost, _ROUNDING * (tl.abs(x) + tl.abs(y) + 2 * TILE) + tl.load(edges + 11)


@triton.jit
def _edge_on_tile(plane, x, y):
    slope_x, slope_y = tl.load(plane), tl.load(plane + 1)
    return _spread(slope_x, slope_y, slope_x * x + (slope_y * y + tl.load(plane + 2)))


@triton.jit
def _nearness(plane, left, top):
    """Values at the pixel centres of a tile: float64 at the first pixel, so that triangles in one plane agree."""
    x, y = tl.load(plane), tl.load(plane + 1)
    corner = (y * (top.to(tl.float64) + 0.5) + x * (left.to(tl.float64) + 0.5)) + tl.load(plane + 2)
    return _spread(x.to(tl.float32), y.to(tl.float32), corner.to(tl.float32))


@triton.jit
def _spread(slope_x, slope_y, corner):
    """A plane (16, 16) of float32 from its slopes and its value at the first pixel."""
    steps, zeros = tl.arange(0, TILE).to(tl.float32), tl.zeros((TILE, TILE), tl.float32)
    columns = tl.fma(slope_x + tl.zeros((TILE,), tl.float32), steps, corner)
    return tl.fma(slope_y + zeros, steps[:, None] + zeros, columns[None, :] + zeros)


@triton.jit
def _covers(screen, first_vertex, faces, face, left, top):
    """Which pixels (16, 16) of a tile a triangle covers, exactly as the definition says."""
    u0, v0, _ = load_corner(screen, first_vertex, faces, face, 0, face >= 0)
    u1, v1, _ = load_corner(screen, first_vertex, faces, face, 1, face >= 0)
    u2, v2, _ = load_corner(screen, first_vertex, faces, face, 2, face >= 0)
    x = (left + tl.arange(0, TILE)[None, :]).to(tl.float64) + 0.5
    y = (top + tl.arange(0, TILE)[:, None]).to(tl.float64) + 0.5
    clockwise = (u1 - u0) * (v2 - v0) - (v1 - v0) * (u2 - u0) > 0
    inside = tl.full((TILE, TILE), 1, tl.int32)
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
