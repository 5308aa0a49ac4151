"""Kernels that fill the picture: once the triangle of each pixel is known, or right after finding it."""

# The language of Triton reads annotations itself, so they are not postponed in this file.
import triton
import triton.language as tl

from multiface.render.gpu.raster_kernels import look_at_tile, store_tile
from multiface.render.gpu.setup_kernels import TILE
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
    shade_pixels(
        triangle, surface, texture, image, depth, n_faces, height, width, texture_height, texture_width,
        texture_item, texture_channel, texture_row, texture_column, image_item, item, row, column, inside,
        CHANNELS, PERSPECTIVE, WITH_DEPTH, WIDE,
    )  # fmt: skip


@triton.jit
def picture_kernel(
    screen, faces, edges, nearness, bounds, heads, following, triangle, doubtful,
    n_vertices, n_faces, height, width, tiles_x, tiles_y, heads_per_item, n_tiles,
    surface, texture, image, depth, texture_height, texture_width,
    texture_item, texture_channel, texture_row, texture_column, image_item,
    CHANNELS: tl.constexpr, PERSPECTIVE: tl.constexpr, WIDE: tl.constexpr,
    LEVELS: tl.constexpr, GROUP: tl.constexpr, EXACT: tl.constexpr, ROWS: tl.constexpr,
):  # fmt: skip
    """Visibility and shading in one: the first keeps the arithmetic busy, the second the memory.

    First for each tile; then, if EXACT, once more for those of GROUP tiles that the first pass called doubtful.
    """
    tiles = tl.program_id(0) * GROUP + tl.arange(0, GROUP)
    if EXACT:
        pending = tl.where(tl.load(doubtful + tiles, mask=tiles < n_tiles, other=0) > 0, tiles, -1)
    else:
        pending = tl.where(tiles < n_tiles, tiles, -1)
    tile = tl.max(pending)
    while tile >= 0:
        winner, doubt = look_at_tile(
            screen, faces, edges, nearness, bounds, heads, following, tile,
            n_vertices, n_faces, tiles_x, tiles_y, heads_per_item, LEVELS, EXACT,
        )  # fmt: skip
        store_tile(triangle, winner, tile, height, width, tiles_x, tiles_y)
        if not EXACT:
            tl.store(doubtful + tile, doubt)
        tl.debug_barrier()  # the pixels are read back in another order
        item = (tile // (tiles_x * tiles_y)).to(tl.int64)
        pixel = tl.arange(0, ROWS * TILE)
        column = tile % (tiles_x * tiles_y) % tiles_x * TILE + pixel % TILE
        for part in range(TILE // ROWS):
            row = tile % (tiles_x * tiles_y) // tiles_x * TILE + part * ROWS + pixel // TILE
            shade_pixels(
                triangle, surface, texture, image, depth, n_faces, height, width, texture_height, texture_width,
                texture_item, texture_channel, texture_row, texture_column, image_item,
                item, row, column, (row < height) & (column < width),
                CHANNELS, PERSPECTIVE, True, WIDE,
            )  # fmt: skip
        pending = tl.where(pending == tile, -1, pending)
        tile = tl.max(pending)


@triton.jit
def shade_pixels(
    triangle, surface, texture, image, depth, n_faces, height, width, texture_height, texture_width,
    texture_item, texture_channel, texture_row, texture_column, image_item, item, row, column, inside,
    CHANNELS: tl.constexpr, PERSPECTIVE: tl.constexpr, WITH_DEPTH: tl.constexpr, WIDE: tl.constexpr,
):  # fmt: skip
    """Colour and depth of the pixels (P,) of an item."""
    pixel = row * width + column
    plane = tl.cast(height, tl.int64) * width
    face = tl.load(triangle + item * plane + pixel, mask=inside, other=-1)
    shown = face >= 0
    image += item * image_item + pixel
    depth += item * plane + pixel
    if tl.max(face, 0) < 0:
        nothing = tl.zeros(face.shape, image.dtype.element_ty)
        for channel in tl.static_range(CHANNELS):
            tl.store(image + channel * plane, nothing, mask=inside)
        if WITH_DEPTH:
            tl.store(depth, nothing, mask=inside)
    else:
        found = locate(surface + item * n_faces * 16, face, row, column, PERSPECTIVE)
        at00, at01, at10, at11, part_x, part_y = texels_around(
            found[6], found[7], texture_height, texture_width, texture_row, texture_column, WIDE
        )
        texels = texture + item * texture_item
        for channel in tl.static_range(CHANNELS):
            colour, _, _ = blend(texels + channel * texture_channel, at00, at01, at10, at11, part_x, part_y)
            tl.store(image + channel * plane, tl.where(shown, colour, 0.0).to(image.dtype.element_ty), mask=inside)
        if WITH_DEPTH:
            tl.store(depth, tl.where(shown, found[3], 0.0).to(depth.dtype.element_ty), mask=inside)
