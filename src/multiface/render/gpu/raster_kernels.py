"""Kernels that find the triangle of each pixel, one program per tile of 16 x 16 pixels."""

# The language of Triton reads annotations itself, so they are not postponed in this file.
import triton
import triton.language as tl

from multiface.render.gpu.setup_kernels import TILE, TILES_PER_TRIANGLE, corner_scales, load_corner

_NOBODY = tl.constexpr(2**31 - 1)
# Stands for "zero is inside too": no edge of a drawn triangle has a value this close to zero without being zero.
_BELOW_ZERO = tl.constexpr(-1e-37)


@triton.jit
def visibility_kernel(
    edges, bounds, heads, following, triangle,
    n_faces, height, width, tiles_x, tiles_y, heads_per_item, LEVELS: tl.constexpr,
):  # fmt: skip
    """Write ``triangle`` (B, H, W) int32: the nearest triangle at each pixel, of equally near ones the lowest; -1 where none.

    All that is nearest is held in registers while the triangles listed for the tile, on each level, pass by in any order.
    """
    tiles = tiles_x * tiles_y
    item = (tl.program_id(0) // tiles).to(tl.int64)
    tile = tl.program_id(0) % tiles
    tile_y, tile_x = tile // tiles_x, tile % tiles_x
    nearest = tl.full((TILE, TILE), float("-inf"), tl.float32)
    winner = tl.full((TILE, TILE), _NOBODY, tl.int32)
    level_heads = heads + item * heads_per_item
    for level in tl.static_range(LEVELS):
        across, down = tl.cdiv(tiles_x, 1 << (2 * level)), tl.cdiv(tiles_y, 1 << (2 * level))
        node = tl.load(level_heads + (tile_y >> (2 * level)) * across + (tile_x >> (2 * level)))
        level_heads += across * down
        while node >= 0:
            record = (node // TILES_PER_TRIANGLE).to(tl.int64)
            node = tl.load(following + node)
            x_range, y_range = tl.load(bounds + record * 4), tl.load(bounds + record * 4 + 1)
            near_x = ((x_range & 0xFFFF) < (tile_x + 1) * TILE) & ((x_range >> 16) >= tile_x * TILE)
            near_y = ((y_range & 0xFFFF) < (tile_y + 1) * TILE) & ((y_range >> 16) >= tile_y * TILE)
            if near_x & near_y:
                flags = tl.load(bounds + record * 4 + 2)
                at = edges + record * 12
                inside, nearness = _test_tile(at, flags, tile_x * TILE, tile_y * TILE)
                face = (record - item * n_faces).to(tl.int32)
                closer = inside & ((nearness > nearest) | ((nearness == nearest) & (face < winner)))
                nearest = tl.where(closer, nearness, nearest)
                winner = tl.where(closer, face, winner)
    row, column = tile_y * TILE + tl.arange(0, TILE)[:, None], tile_x * TILE + tl.arange(0, TILE)[None, :]
    at = triangle + item * height * width + row * width + column
    tl.store(at, tl.where(winner == _NOBODY, -1, winner), mask=(row < height) & (column < width))


@triton.jit
def _test_tile(edges, flags, left, top):
    """Which pixels of a tile are inside the three edges, and the nearness there, both (16, 16)."""
    a = _plane_on_tile(edges, left, top)
    b = _plane_on_tile(edges + 3, left, top)
    c = _plane_on_tile(edges + 6, left, top)
    inside = (a > tl.where((flags & 1) != 0, _BELOW_ZERO, 0.0)) & (b > tl.where((flags & 2) != 0, _BELOW_ZERO, 0.0))
    inside = inside & (c > tl.where((flags & 4) != 0, _BELOW_ZERO, 0.0))
    return inside, _plane_on_tile(edges + 9, left, top)


@triton.jit
def _plane_on_tile(plane, left, top):
    """Values (16, 16) float32 at the pixel centres of a tile.

    The value at the first pixel is computed in float64, the rest in float32 from there, always in this order: it depends on
    the edge and the tile alone, so both triangles of an edge get the same number with opposite signs.
    """
    x, y = tl.load(plane), tl.load(plane + 1)
    corner = (y * (top.to(tl.float64) + 0.5) + x * (left.to(tl.float64) + 0.5)) + tl.load(plane + 2)
    steps = tl.arange(0, TILE).to(tl.float32)
    rows = corner.to(tl.float32) + y.to(tl.float32) * steps
    return rows[:, None] + (x.to(tl.float32) * steps)[None, :]


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
