"""Kernel that takes the gradient of a picture back to texels and triangles; from there on :mod:`.geometry_backward`."""

# The language of Triton reads annotations itself, so they are not postponed in this file.
import triton
import triton.language as tl

from multiface.render.gpu.gradients import add_moments, add_texel_gradients
from multiface.render.gpu.surface import blend, locate, pixels_of_tile, texels_around


@triton.jit
def picture_backward_kernel(
    triangle, surface, texture, image_gradient, depth_gradient, moments, texture_gradient,
    n_faces, height, width, texture_height, texture_width,
    texture_item, texture_channel, texture_row, texture_column,
    image_item, image_channel, image_row, image_column, depth_item, depth_row, depth_column,
    gradient_item,
    CHANNELS: tl.constexpr, PADDED: tl.constexpr, PERSPECTIVE: tl.constexpr, WITH_DEPTH: tl.constexpr,
    FOR_GEOMETRY: tl.constexpr, FOR_TEXTURE: tl.constexpr, WIDE: tl.constexpr,
    TILE_Y: tl.constexpr, TILE_X: tl.constexpr,
):  # fmt: skip
    """Add to ``moments`` (B, F, 12) and ``texture_gradient`` (B or 1, h, w, PADDED), float32; any strides of the others."""
    item, row, column, inside = pixels_of_tile(height, width, TILE_Y, TILE_X)
    face = tl.load(triangle + item * height * width + row * width + column, mask=inside, other=-1)
    shown = face >= 0
    if tl.max(face, 0) >= 0:
        x, y, scale, _, du, dv, u, v = locate(surface + item * n_faces * 16, face, row, column, PERSPECTIVE)
        at00, at01, at10, at11, part_x, part_y = texels_around(
            u, v, texture_height, texture_width, texture_row, texture_column, WIDE
        )
        texels = texture + item * texture_item
        of_pixel = image_gradient + item * image_item + row.to(tl.int64) * image_row + column * image_column
        of_colour = tl.zeros((TILE_Y * TILE_X, 2 * PADDED), tl.float32)
        g_u, g_v = tl.zeros((TILE_Y * TILE_X,), tl.float32), tl.zeros((TILE_Y * TILE_X,), tl.float32)
        for channel in tl.static_range(CHANNELS):
            g = tl.load(of_pixel + channel * image_channel, mask=shown, other=0.0).to(tl.float32)
            if FOR_GEOMETRY:
                _, by_x, by_y = blend(texels + channel * texture_channel, at00, at01, at10, at11, part_x, part_y)
                g_u += g * by_x
                g_v += g * by_y
            of_colour = tl.where(tl.arange(0, 2 * PADDED)[None, :] % PADDED == channel, g[:, None], of_colour)
        if FOR_GEOMETRY:
            g_z = tl.zeros((TILE_Y * TILE_X,), tl.float32)
            if WITH_DEPTH:
                at = depth_gradient + item * depth_item + row.to(tl.int64) * depth_row + column * depth_column
                g_z = tl.load(at, mask=shown, other=0.0).to(tl.float32)
            add_moments(moments + item * n_faces * 12, face, x, y, scale, du, dv,
                        g_u * texture_width, g_v * texture_height, g_z, PERSPECTIVE)  # fmt: skip
        if FOR_TEXTURE:
            at00, at01, at10, at11, part_x, part_y = texels_around(u, v, texture_height, texture_width, texture_width, 1, WIDE)
            add_texel_gradients(
                texture_gradient + item * gradient_item, at00, at01, at10, at11, part_x, part_y, of_colour, shown
            )


@triton.jit
def unpack_kernel(
    packed, factor, unpacked, n_texels, texture_width,
    packed_item, item_stride, channel_stride, row_stride, column_stride,
    CHANNELS: tl.constexpr, PADDED: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """Write ``packed`` (B, h, w, PADDED) times the scalar ``factor`` to ``unpacked`` (B, CHANNELS, h, w) of any strides."""
    blocks = tl.cdiv(n_texels, BLOCK)
    item = (tl.program_id(0) // blocks).to(tl.int64)
    texel = tl.program_id(0) % blocks * BLOCK + tl.arange(0, BLOCK)
    inside = texel < n_texels
    scale = tl.load(factor).to(tl.float32)
    source = packed + item * packed_item + texel.to(tl.int64) * PADDED
    target = unpacked + item * item_stride
    target += (texel // texture_width).to(tl.int64) * row_stride + (texel % texture_width).to(tl.int64) * column_stride
    for channel in tl.static_range(CHANNELS):
        value = tl.load(source + channel, mask=inside) * scale
        tl.store(target + channel * channel_stride, value.to(unpacked.dtype.element_ty), mask=inside)
