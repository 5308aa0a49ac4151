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
    """Add what a pixel's colour gradient (P, C) means for the four texels; offsets in texels of C contiguous channels."""
    channels: tl.constexpr = of_colour.shape[1]
    channel = tl.arange(0, channels)[None, :]
    mask = mask[:, None] & (channel < channels)
    upper, lower = of_colour * (1 - part_y)[:, None], of_colour * part_y[:, None]
    near, far = (1 - part_x)[:, None], part_x[:, None]
    tl.atomic_add(gradient + (at00 * channels)[:, None] + channel, upper * near, mask=mask, sem="relaxed")
    tl.atomic_add(gradient + (at01 * channels)[:, None] + channel, upper * far, mask=mask, sem="relaxed")
    tl.atomic_add(gradient + (at10 * channels)[:, None] + channel, lower * near, mask=mask, sem="relaxed")
    tl.atomic_add(gradient + (at11 * channels)[:, None] + channel, lower * far, mask=mask, sem="relaxed")


@triton.jit
def add_moments(moments, face, x, y, scale, du, dv, g_u, g_v, g_z, PERSPECTIVE: tl.constexpr):
    """Add the moments of a tile's pixels (P,) to their triangles ``face``, -1 where none: one addition per triangle."""
    if PERSPECTIVE:
        h_u, h_v = g_u * scale, g_v * scale
        h_s = (g_u * du + g_v * dv + g_z * scale) * scale
    else:
        h_u, h_v, h_s = g_u, g_v, g_z
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
