"""How kernels that look at pixels add to the gradients of texture and triangles; the same code for all of them.

Nine ``moments`` per triangle and item (12 float32, the last three unused) sum up all that its pixels say about its corners:
of each of h_u, h_v, h_s, where x, y are offsets in the triangle, the sums of h x, h y and h. With g_u, g_v, g_z the gradients
of the loss by uv and depth of a pixel, and du, dv its uv relative to corner 0,

* perspective: h_u = g_u z, h_v = g_v z, h_s = (g_u du + g_v dv) z + g_z z^2;
* affine: h_u = g_u, h_v = g_v, h_s = g_z.
"""

# The language of Triton reads annotations itself, so they are not postponed in this file.
import triton
import triton.language as tl


@triton.jit
def add_texel_gradients(gradient, at00, at01, at10, at11, part_x, part_y, of_colour, mask):
    """Add what a pixel's colour gradient means for the four texels; offsets in texels of C contiguous channels.

    ``of_colour`` is (P, 2 C), the gradient twice: left and right texel are mostly neighbours in memory and go together.
    """
    channels: tl.constexpr = of_colour.shape[1] // 2
    column = tl.arange(0, 2 * channels)[None, :]
    right, mask = column >= channels, mask[:, None] & (column >= 0)
    of_colour = of_colour * tl.where(right, part_x[:, None], (1 - part_x)[:, None])
    upper = tl.where(right, at01[:, None], at00[:, None]) * channels + column % channels
    lower = tl.where(right, at11[:, None], at10[:, None]) * channels + column % channels
    tl.atomic_add(gradient + upper, of_colour * (1 - part_y)[:, None], mask=mask, sem="relaxed")
    tl.atomic_add(gradient + lower, of_colour * part_y[:, None], mask=mask, sem="relaxed")


@triton.jit
def add_moments(moments, face, x, y, scale, du, dv, g_u, g_v, g_z, PERSPECTIVE: tl.constexpr):
    """Add the moments of a tile's pixels (P,) to their triangles ``face``, -1 where none: one addition per triangle."""
    if PERSPECTIVE:
        h_u, h_v = g_u * scale, g_v * scale
        h_s = (g_u * du + g_v * dv + g_z * scale) * scale
    else:
        h_u, h_v, h_s = g_u, g_v, g_z
    # off the mesh all of these may be anything, not finite included
    x, y = tl.where(face >= 0, x, 0.0), tl.where(face >= 0, y, 0.0)
    current = tl.max(face, 0)
    while current >= 0:
        here = face == current
        at = moments + current.to(tl.int64) * 12
        _add_moment(at, tl.where(here, h_u, 0.0), x, y)
        _add_moment(at + 3, tl.where(here, h_v, 0.0), x, y)
        _add_moment(at + 6, tl.where(here, h_s, 0.0), x, y)
        face = tl.where(here, -1, face)
        current = tl.max(face, 0)


@triton.jit
def _add_moment(at, h, x, y):
    tl.atomic_add(at, tl.sum(h * x, 0), sem="relaxed")
    tl.atomic_add(at + 1, tl.sum(h * y, 0), sem="relaxed")
    tl.atomic_add(at + 2, tl.sum(h, 0), sem="relaxed")
