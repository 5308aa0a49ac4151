"""Kernels that fill the picture: once the triangle of each pixel is known, or right after finding it."""

# The language of Triton reads annotations itself, so they are not postponed in this file.
import triton
import triton.language as tl

from multiface.render.gpu.raster_kernels import choose_block, look_at_block_exactly, look_at_tile, pixels_of_block
from multiface.render.gpu.setup_kernels import ROWS, TILE
from multiface.render.gpu.surface import blend, locate, pixels_of_tile, texels_around


@triton.jit
def shade_kernel(
    triangle, surface, texture, image, depth,
    n_faces, height, width, texture_height, texture_width,
    texture_item, texture_channel, texture_row, texture_column, image_item,
    CHANNELS: tl.constexpr, PERSPECTIVE: tl.constexpr, WITH_DEPTH: tl.constexpr, WIDE: tl.constexpr,
    TILE_Y: tl.constexpr, TILE_X: tl.constexpr,
):  # fmt: skip
    """Write ``image`` (B, CHANNELS, H, W), planes contiguous, and ``depth`` (B, H, W); strides of the texture in elements."""
    item, row, column, inside = pixels_of_tile(height, width, TILE_Y, TILE_X)
    face = tl.load(triangle + item * height * width + row * width + column, mask=inside, other=-1)
    shade_pixels(
        face, surface, texture, image, depth, n_faces, height, width, texture_height, texture_width,
        texture_item, texture_channel, texture_row, texture_column, image_item, item, row, column, inside,
        CHANNELS, PERSPECTIVE, WITH_DEPTH, WIDE, "",
    )  # fmt: skip


@triton.jit
def picture_kernel(
    screen, faces, slopes, larger, links, heads, triangle, doubtful,
    n_vertices, n_faces, height, width, tiles_x, tiles_y, heads_per_item,
    surface, texture, image, depth, texture_height, texture_width,
    texture_item, texture_channel, texture_row, texture_column, image_item,
    CHANNELS: tl.constexpr, PERSPECTIVE: tl.constexpr, WIDE: tl.constexpr,
    LEVELS: tl.constexpr, LISTS: tl.constexpr, AHEAD: tl.constexpr, CACHE: tl.constexpr,
):  # fmt: skip
    """Visibility and shading of a tile in one: the first keeps the arithmetic busy, the second the memory."""
    tile = tl.program_id(0)
    first, second, third, fourth, doubt = look_at_tile(
        slopes, larger, links, heads, tile, n_faces, tiles_x, tiles_y, heads_per_item, LEVELS, LISTS, AHEAD
    )
    tl.store(doubtful + tile, doubt)
    for block in range(TILE // ROWS):
        face = choose_block(block, first, second, third, fourth)
        item, row, column, inside = pixels_of_block(tile, block, height, width, tiles_x, tiles_y)
        tl.store(triangle + item * height * width + row * width + column, face, mask=inside, cache_modifier=CACHE)
        shade_pixels(
            face, surface, texture, image, depth, n_faces, height, width, texture_height, texture_width,
            texture_item, texture_channel, texture_row, texture_column, image_item, item, row, column, inside,
            CHANNELS, PERSPECTIVE, True, WIDE, CACHE,
        )  # fmt: skip


@triton.jit
def exact_picture_kernel(
    screen, faces, slopes, larger, links, heads, triangle, doubtful,
    n_vertices, n_faces, height, width, tiles_x, tiles_y, heads_per_item, n_tiles,
    surface, texture, image, depth, texture_height, texture_width,
    texture_item, texture_channel, texture_row, texture_column, image_item,
    CHANNELS: tl.constexpr, PERSPECTIVE: tl.constexpr, WIDE: tl.constexpr,
    LEVELS: tl.constexpr, LISTS: tl.constexpr, GROUP: tl.constexpr,
):  # fmt: skip
    """Once more, in float64, for those of GROUP tiles that are doubtful."""
    tiles = tl.program_id(0) * GROUP + tl.arange(0, GROUP)
    pending = tl.where(tl.load(doubtful + tiles, mask=tiles < n_tiles, other=0) > 0, tiles, -1)
    tile = tl.max(pending)
    while tile >= 0:
        for block in range(TILE // ROWS):
            face = look_at_block_exactly(
                screen, faces, slopes, larger, links, heads, tile, block,
                n_vertices, n_faces, tiles_x, tiles_y, heads_per_item, LEVELS, LISTS,
            )  # fmt: skip
            item, row, column, inside = pixels_of_block(tile, block, height, width, tiles_x, tiles_y)
            tl.store(triangle + item * height * width + row * width + column, face, mask=inside)
            shade_pixels(
                face, surface, texture, image, depth, n_faces, height, width, texture_height, texture_width,
                texture_item, texture_channel, texture_row, texture_column, image_item, item, row, column, inside,
                CHANNELS, PERSPECTIVE, True, WIDE, "",
            )  # fmt: skip
        pending = tl.where(pending == tile, -1, pending)
        tile = tl.max(pending)


@triton.jit
def shade_pixels(
    face, surface, texture, image, depth, n_faces, height, width, texture_height, texture_width,
    texture_item, texture_channel, texture_row, texture_column, image_item, item, row, column, inside,
    CHANNELS: tl.constexpr, PERSPECTIVE: tl.constexpr, WITH_DEPTH: tl.constexpr, WIDE: tl.constexpr, CACHE: tl.constexpr,
):  # fmt: skip
    """Write colour and depth of the pixels (P,) of an item from their triangles."""
    pixel = row * width + column
    plane = tl.cast(height, tl.int64) * width
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
