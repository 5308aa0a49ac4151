"""Kernel of the screen loss: from the triangle of each pixel straight to the loss and its gradients, without a picture."""

# The language of Triton reads annotations itself, so they are not postponed in this file.
import triton
import triton.language as tl

from multiface.render.gpu.gradients import add_moments, add_texel_gradients
from multiface.render.gpu.surface import blend, locate, pixels_of_tile, texels_around


@triton.jit
def screen_loss_kernel(
    triangle, surface, texture, weight, photo, partial_losses, moments, texture_gradient, factor,
    n_faces, height, width, texture_height, texture_width, weight_height, weight_width,
    texture_item, texture_channel, texture_row, texture_column, weight_channel, weight_row, weight_column,
    gradient_item,
    PADDED: tl.constexpr, PERSPECTIVE: tl.constexpr, WEIGHTED: tl.constexpr, ATTACHED: tl.constexpr,
    FOR_GEOMETRY: tl.constexpr, FOR_TEXTURE: tl.constexpr, WIDE: tl.constexpr,
    TILE_Y: tl.constexpr, TILE_X: tl.constexpr,
):  # fmt: skip
    """Write each program's sum of weighted squared differences (photo in 0..1), add ``factor`` times their gradients.

    ``photo`` (B, H, W, 3) uint8 contiguous; ``weight`` (1 or 3, h', w') by its strides. Gradients as in
    :func:`multiface.render.gpu.backward_kernels.picture_backward_kernel`.
    """
    item, row, column, inside = pixels_of_tile(height, width, TILE_Y, TILE_X)
    pixel = row * width + column
    first_pixel = item * height * width
    face = tl.load(triangle + first_pixel + pixel, mask=inside, other=-1)
    shown = face >= 0
    if tl.max(face, 0) < 0:
        tl.store(partial_losses + tl.program_id(0), 0.0)
    else:
        x, y, scale, _, du, dv, u, v = locate(surface + item * n_faces * 16, face, row, column, PERSPECTIVE)
        t00, t01, t10, t11, part_x, part_y = texels_around(
            u, v, texture_height, texture_width, texture_row, texture_column, WIDE
        )
        if WEIGHTED:
            w00, w01, w10, w11, weight_x, weight_y = texels_around(
                u, v, weight_height, weight_width, weight_row, weight_column, WIDE
            )
        texels = texture + item * texture_item
        loss = tl.zeros((TILE_Y * TILE_X,), tl.float32)
        of_colour = tl.zeros((TILE_Y * TILE_X, 2 * PADDED), tl.float32)
        g_u, g_v = tl.zeros((TILE_Y * TILE_X,), tl.float32), tl.zeros((TILE_Y * TILE_X,), tl.float32)
        for channel in tl.static_range(3):
            colour, by_x, by_y = blend(texels + channel * texture_channel, t00, t01, t10, t11, part_x, part_y)
            seen = tl.load(photo + first_pixel * 3 + pixel * 3 + channel, mask=shown, other=0).to(tl.float32) * (1 / 255)
            difference = tl.where(shown, colour - seen, 0.0)
            share = tl.full(loss.shape, 1.0, tl.float32)
            if WEIGHTED:
                share, share_by_x, share_by_y = blend(weight + channel * weight_channel, w00, w01, w10, w11, weight_x, weight_y)
                if ATTACHED:
                    g_u += difference * difference * share_by_x * weight_width
                    g_v += difference * difference * share_by_y * weight_height
            share = tl.where(shown, share, 0.0)  # off the mesh it may be anything, not finite included
            loss += difference * difference * share
            g = 2 * difference * share
            g_u += g * by_x * texture_width
            g_v += g * by_y * texture_height
            of_colour = tl.where(tl.arange(0, 2 * PADDED)[None, :] % PADDED == channel, g[:, None], of_colour)
        tl.store(partial_losses + tl.program_id(0), tl.sum(loss, 0))
        if FOR_GEOMETRY:
            g_z = tl.zeros((TILE_Y * TILE_X,), tl.float32)
            add_moments(moments + item * n_faces * 12, face, x, y, scale, du, dv, g_u * factor, g_v * factor, g_z, PERSPECTIVE)
        if FOR_TEXTURE:
            t00, t01, t10, t11, part_x, part_y = texels_around(u, v, texture_height, texture_width, texture_width, 1, WIDE)
            add_texel_gradients(
                texture_gradient + item * gradient_item, t00, t01, t10, t11, part_x, part_y, of_colour * factor, shown
            )
