"""Kernel that fills the picture once the triangle of each pixel is known."""

# The language of Triton reads annotations itself, so they are not postponed in this file.
import triton
import triton.language as tl

from multiface.render.gpu.surface import blend, locate, pixels_of_tile, texels_around


@triton.jit
def shade_kernel(
    triangle, surface, texture, image, depth,
    n_faces, height, width, texture_height, texture_width,
    texture_item, texture_channel, texture_row, texture_column, image_item,
    CHANNELS: tl.constexpr, PERSPECTIVE: tl.constexpr, WITH_DEPTH: tl.constexpr, WIDE: tl.constexpr,
    TILE_Y: tl.constexpr, TILE_X: tl.constexpr, CACHE: tl.constexpr,
):  # fmt: skip
    """Write ``image`` (B, CHANNELS, H, W), planes contiguous, and ``depth`` (B, H, W); strides of the texture in elements.

    CACHE is how caches treat what is written.
    """
    item, row, column, inside = pixels_of_tile(height, width, TILE_Y, TILE_X)
    pixel = row * width + column
    plane = tl.cast(height, tl.int64) * width
    face = tl.load(triangle + item * plane + pixel, mask=inside, other=-1)
    shown = face >= 0
    image += item * image_item + pixel
    depth += item * plane + pixel
    if tl.max(face, 0) < 0:
        nothing = tl.zeros(face.shape, image.dtype.element_ty)
        for channel in tl.static_range(CHANNELS):
            tl.store(image + channel * plane, nothing, mask=inside, cache_modifier=CACHE)
        if WITH_DEPTH:
            tl.store(depth, nothing, mask=inside, cache_modifier=CACHE)
    else:
        found = locate(surface + item * n_faces * 16, face, row, column, PERSPECTIVE)
        at00, at01, at10, at11, part_x, part_y = texels_around(
            found[6], found[7], texture_height, texture_width, texture_row, texture_column, WIDE
        )
        texels = texture + item * texture_item
        for channel in tl.static_range(CHANNELS):
            colour, _, _ = blend(texels + channel * texture_channel, at00, at01, at10, at11, part_x, part_y)
            colour = tl.where(shown, colour, 0.0).to(image.dtype.element_ty)
            tl.store(image + channel * plane, colour, mask=inside, cache_modifier=CACHE)
        if WITH_DEPTH:
            tl.store(depth, tl.where(shown, found[3], 0.0).to(depth.dtype.element_ty), mask=inside, cache_modifier=CACHE)
