"""What shading needs at each pixel: where on the texture it is, and the texels around that; the same code for all kernels.

``surface`` holds 16 float32 per triangle and item: 0, 1 the pixel (column, row) that offsets are counted from; 2-4 the plane
``x, y, constant`` of S; 5-7 and 8-10 those of the numerators of uv minus uv of corner 0; 11, 12 uv of corner 0 modulo 1.
S is reciprocal depth and divides the numerators if perspective; otherwise it is depth and divides nothing.
"""

# The language of Triton reads annotations itself, so they are not postponed in this file.
import triton
import triton.language as tl


@triton.jit
def pixels_of_tile(height, width, TILE_Y: tl.constexpr, TILE_X: tl.constexpr):
    """Item, row and column of the pixels of this program's tile, flattened, and which are within the picture."""
    tiles_x, tiles_y = tl.cdiv(width, TILE_X), tl.cdiv(height, TILE_Y)
    tile = tl.program_id(0) % (tiles_x * tiles_y)
    pixel = tl.arange(0, TILE_Y * TILE_X)
    row, column = tile // tiles_x * TILE_Y + pixel // TILE_X, tile % tiles_x * TILE_X + pixel % TILE_X
    item = (tl.program_id(0) // (tiles_x * tiles_y)).to(tl.int64)
    return item, row, column, (row < height) & (column < width)


@triton.jit
def locate(surface, face, row, column, PERSPECTIVE: tl.constexpr):
    """Offsets x, y in the triangle, scale (depth if perspective, else 1), depth, uv relative to corner 0, and uv.

    Where ``face`` is -1 the results may be anything: masks would cost more than the loads.
    """
    at = surface + tl.maximum(face, 0).to(tl.int64) * 16
    first_x, first_y = _load_pair(at)
    s_x, s_y = _load_pair(at + 2)
    s_c, u_x = _load_pair(at + 4)
    u_y, u_c = _load_pair(at + 6)
    v_x, v_y = _load_pair(at + 8)
    v_c, u0 = _load_pair(at + 10)
    kind: tl.constexpr = surface.dtype.element_ty
    x, y = column.to(kind) - first_x, row.to(kind) - first_y
    # in the type of the records: on slivers, large terms cancel
    s = (s_x * x + (s_y * y + s_c)).to(tl.float32)
    if PERSPECTIVE:
        scale = 1.0 / s
        depth = scale
    else:
        scale = tl.full(x.shape, 1.0, tl.float32)
        depth = s
    du = (u_x * x + (u_y * y + u_c)).to(tl.float32) * scale
    dv = (v_x * x + (v_y * y + v_c)).to(tl.float32) * scale
    u, v = u0.to(tl.float32) + du, tl.load(at + 12).to(tl.float32) + dv
    return x.to(tl.float32), y.to(tl.float32), scale, depth, du, dv, u, v


@triton.jit
def _load_pair(at):
    """Two neighbours, in one access where the device can."""
    return tl.split(tl.load(at[:, None] + tl.arange(0, 2)[None, :]))


@triton.jit
def texels_around(u, v, texture_height, texture_width, row_stride, column_stride, WIDE: tl.constexpr):
    """Offsets of the four texels around uv (upper left, upper right, lower left, lower right) and the parts of the way.

    WIDE: offsets of 64 bits, for textures of 2^31 elements and more.
    """
    left, right, part_x = _texel_pair(u, texture_width)
    upper, lower, part_y = _texel_pair(v, texture_height)
    if WIDE:
        left, right, upper, lower = left.to(tl.int64), right.to(tl.int64), upper.to(tl.int64), lower.to(tl.int64)
    upper, lower, left, right = upper * row_stride, lower * row_stride, left * column_stride, right * column_stride
    return upper + left, upper + right, lower + left, lower + right, part_x, part_y


@triton.jit
def _texel_pair(t, side):
    position = (t - tl.floor(t)) * side - 0.5
    whole = tl.floor(position)
    # at least -1 and at most side - 1 by definition; the bounds below also hold for what is not a number
    first = tl.minimum(tl.maximum(whole.to(tl.int32), -1), side - 1)
    second = tl.where(first + 1 >= side, 0, first + 1)
    return tl.where(first < 0, side - 1, first), second, position - whole


@triton.jit
def blend(texture, at00, at01, at10, at11, part_x, part_y):
    """Bilinear value, and its derivatives by part_x and part_y."""
    t00, t01 = tl.load(texture + at00).to(tl.float32), tl.load(texture + at01).to(tl.float32)
    t10, t11 = tl.load(texture + at10).to(tl.float32), tl.load(texture + at11).to(tl.float32)
    upper, lower = t00 + (t01 - t00) * part_x, t10 + (t11 - t10) * part_x
    by_x = (t01 - t00) * (1 - part_y) + (t11 - t10) * part_y
    return upper + (lower - upper) * part_y, by_x, lower - upper
