"""Kernel that undoes the filters of PNG, one program for some rows of a picture.

Each pixel may need the one to its left, the one above and the one above left. A program takes some rows at a time, each one
pixel behind the row above, so that what a row needs from above was made one step before, in the lane beside. Rows whose
filter looks only to the left need nothing from above: programs begin at such rows, and real pictures have many.
"""

# The language of Triton reads annotations itself, so they are not postponed in this file.
import triton
import triton.language as tl

ROWS = 256
"""Rows that a program has in hand at a time, one to a thread."""
SHARE = 128
"""Rows after which another program begins, at the next row that needs nothing from above."""


def launch(pictures, filters, rows=ROWS, share=SHARE):
    """Undo the filters of contiguous tensors of the current device, in place."""
    number, height, width, _ = pictures.shape
    grid = (number * triton.cdiv(height, share),)
    undo_filters_kernel[grid](pictures, filters, height, width, ROWS=rows, SHARE=share, num_warps=max(rows // 32, 1))


@triton.jit(do_not_specialize=["height", "width"])
def undo_filters_kernel(pictures, filters, height, width, ROWS: tl.constexpr, SHARE: tl.constexpr):
    """Turn the rows of ``pictures`` (N, H, W, 3) uint8 into pixels, in place; ``filters`` (N, H) uint8."""
    shares = tl.cdiv(height, SHARE)
    item = (tl.program_id(0) // shares).to(tl.int64)
    first = tl.program_id(0) % shares * SHARE
    pictures += item * height * width * 3
    filters += item * height
    lane = tl.arange(0, ROWS)
    begin = _next_independent(filters, first, height, lane, ROWS)
    end = _next_independent(filters, first + SHARE, height, lane, ROWS)
    for top in range(begin, end, ROWS):
        row = top + lane
        inside = row < end
        kind = tl.load(filters + row, mask=inside, other=0)
        if tl.max(kind.to(tl.int32)) > 0:
            _undo_rows(pictures, top, row, inside, kind, lane, width, ROWS)
        tl.debug_barrier()  # the next rows read the last of these


@triton.jit
def _next_independent(filters, row, height, lane, ROWS: tl.constexpr):
    """The first row from ``row`` on that needs nothing from above, ``height`` if there is none; row 0 never does."""
    found = tl.where(row == 0, 0, height)
    start = tl.where(row == 0, height, row)
    while start < height:
        here = start + lane
        kind = tl.load(filters + here, mask=here < height, other=2).to(tl.int32)
        found = tl.min(tl.where(kind < 2, here, height))
        start = tl.where(found < height, height, start + ROWS)
    return found


@triton.jit
def _undo_rows(pictures, top, row, inside, kind, lane, width, ROWS: tl.constexpr):
    at = pictures + row * width * 3  # a picture has fewer than 2^31 bytes
    above = pictures + (top - 1) * width * 3
    is_left, is_up, is_mean, is_paeth = kind == 1, kind == 2, kind == 3, kind == 4
    before = tl.maximum(lane - 1, 0)
    nothing = tl.zeros((ROWS,), tl.int32)
    # One step's pixels are packed in one number. What the next steps need is loaded before, since it takes long to come.
    left, corner = nothing, nothing
    coming0, coming1 = _load(at, 0 - lane, inside, width), _load(at, 1 - lane, inside, width)
    coming2, coming3 = _load(at, 2 - lane, inside, width), _load(at, 3 - lane, inside, width)
    above0, above1 = _load_above(above, 0, top, width), _load_above(above, 1, top, width)
    above2, above3 = _load_above(above, 2, top, width), _load_above(above, 3, top, width)
    for step in range(width + ROWS - 1):
        column = step - lane
        filtered, first = coming0, above0
        coming0, coming1, coming2, coming3 = coming1, coming2, coming3, _load(at, column + 4, inside, width)
        above0, above1, above2, above3 = above1, above2, above3, _load_above(above, step + 4, top, width)
        up = tl.where(lane == 0, first, tl.gather(left, before, 0))
        red = _undo(filtered, left, up, corner, 0, is_left, is_up, is_mean, is_paeth)
        green = _undo(filtered, left, up, corner, 8, is_left, is_up, is_mean, is_paeth)
        blue = _undo(filtered, left, up, corner, 16, is_left, is_up, is_mean, is_paeth)
        here = inside & (column >= 0) & (column < width)
        pixel = at + column * 3
        tl.store(pixel, red.to(tl.uint8), mask=here)
        tl.store(pixel + 1, green.to(tl.uint8), mask=here)
        tl.store(pixel + 2, blue.to(tl.uint8), mask=here)
        # before its first pixel a row has seen nothing, and passes nothing on
        left = tl.where(column >= 0, red | (green << 8) | (blue << 16), 0)
        corner = up


@triton.jit
def _load(at, column, inside, width):
    here = inside & (column >= 0) & (column < width)
    at += column * 3
    red = tl.load(at, mask=here, other=0).to(tl.int32)
    green = tl.load(at + 1, mask=here, other=0).to(tl.int32)
    blue = tl.load(at + 2, mask=here, other=0).to(tl.int32)
    return red | (green << 8) | (blue << 16)


@triton.jit
def _load_above(above, column, top, width):
    here = (top > 0) & (column < width)
    at = above + column * 3
    red = tl.load(at, mask=here, other=0).to(tl.int32)
    green = tl.load(at + 1, mask=here, other=0).to(tl.int32)
    blue = tl.load(at + 2, mask=here, other=0).to(tl.int32)
    return red | (green << 8) | (blue << 16)


@triton.jit
def _undo(filtered, left, up, corner, shift: tl.constexpr, is_left, is_up, is_mean, is_paeth):
    """One channel of a pixel, 0..255."""
    a, b, c = (left >> shift) & 255, (up >> shift) & 255, (corner >> shift) & 255
    smaller, larger = tl.minimum(a, b), tl.maximum(a, b)
    # The predictor of Paeth: of left, up and corner the one nearest to left + up - corner.
    turn = 3 * c - a - b
    paeth = tl.where(turn <= smaller, larger, tl.where(turn >= larger, smaller, c))
    guess = tl.where(is_left, a, tl.where(is_up, b, tl.where(is_mean, (a + b) >> 1, tl.where(is_paeth, paeth, 0))))
    return (((filtered >> shift) & 255) + guess) & 255
