"""What shading needs at each pixel: where on the texture it is, and the texels around that; the same code for all kernels.

``surface`` holds 16 float64 per triangle and item, four unused: 0, 1 the pixel (column, row) that offsets are counted from; 2-4
the plane ``x, y, constant`` of S; 5-7 and 8-10 those of the numerators of uv minus uv of corner 0; 11 uv of corner 0 modulo 1,
two float32 in one. S is reciprocal depth and divides the numerators if perspective; otherwise it is depth and divides nothing.
"""

# The language of Triton reads annotations itself, so they are not postponed in this file.
import triton
import triton.language as tl

# Added to a float32 of magnitude below 2^22, it leaves no fraction: rounding that takes no slow conversion.
_NO_FRACTION = tl.constexpr(12582912.0)


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
    v_c, uv = _load_pair(at + 10)
    uv = uv.to(tl.int64, bitcast=True)
    u0, v0 = uv.to(tl.int32).to(tl.float32, bitcast=True), (uv >> 32).to(tl.int32).to(tl.float32, bitcast=True)
    x, y = column.to(tl.float64) - first_x, row.to(tl.float64) - first_y
    # in float64: on slivers, large terms cancel
    s = (s_x * x + (s_y * y + s_c)).to(tl.float32)
    if PERSPECTIVE:
        scale = 1.0 / s
        depth = scale
    else:
        scale = tl.full(x.shape, 1.0, tl.float32)
        depth = s
    du = (u_x * x + (u_y * y + u_c)).to(tl.float32) * scale
    dv = (v_x * x + (v_y * y + v_c)).to(tl.float32) * scale
    return x.to(tl.float32), y.to(tl.float32), scale, depth, du, dv, u0 + du, v0 + dv


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
    t -= (t + _NO_FRACTION) - _NO_FRACTION  # now within half a texture around 0
    position = t * side - 0.5
    whole = tl.floor(position).to(tl.int32)
    part = position - whole.to(tl.float32)
    # within the texture by definition; the bounds also hold for what is not a number
    first = tl.minimum(tl.maximum(tl.where(whole < 0, whole + side, whole), 0), side - 1)
    return first, tl.where(first + 1 >= side, 0, first + 1), part


@triton.jit
def blend(texture, at00, at01, at10, at11, part_x, part_y):
    """Bilinear value, and its derivatives by part_x and part_y."""
    t00, t01 = tl.load(texture + at00).to(tl.float32), tl.load(texture + at01).to(tl.float32)
    t10, t11 = tl.load(texture + at10).to(tl.float32), tl.load(texture + at11).to(tl.float32)
    upper, lower = tl.fma(t01 - t00, part_x, t00), tl.fma(t11 - t10, part_x, t10)
    by_x = tl.fma((t11 - t10) - (t01 - t00), part_y, t01 - t00)
    return tl.fma(lower - upper, part_y, upper), by_x, lower - upper
