"""Which triangle each pixel shows: every triangle near a tile of the picture against every pixel of the tile."""

from __future__ import annotations

import torch

from multiface.render.rules import FARTHEST_PIXEL, FLATTEST, NEAR

TILE = 32
TRIANGLES_AT_ONCE = 512


def visible_triangles(screen: torch.Tensor, faces: torch.Tensor, size: tuple[int, int], perspective: bool) -> torch.Tensor:
    """(B, H, W) int32 index of the nearest triangle at each pixel, -1 where none.

    Args:
        screen: (B, V, 3) float64 u, v (pixels) and camera z (mm).
        faces: (F, 3) int32.
        size: (height, width).
        perspective: Depth follows the plane of the triangle if true, else is affine in the picture.
    """
    height, width = size
    triangle = torch.full((len(screen), height, width), -1, dtype=torch.int32, device=screen.device)
    for item in range(len(screen)):
        corners = screen[item][faces.long()]
        drawn = is_drawn(corners).nonzero().squeeze(1)
        corners = corners[drawn]
        low, high = corners[..., :2].amin(1), corners[..., :2].amax(1)
        for top in range(0, height, TILE):
            rows = slice(top, min(top + TILE, height))
            near_rows = (high[:, 1] >= rows.start) & (low[:, 1] <= rows.stop)
            for left in range(0, width, TILE):
                columns = slice(left, min(left + TILE, width))
                near = near_rows & (high[:, 0] >= columns.start) & (low[:, 0] <= columns.stop)
                chosen = near.nonzero().squeeze(1)
                if len(chosen):
                    triangle[item, rows, columns] = _nearest(corners[chosen], drawn[chosen], rows, columns, perspective)
    return triangle


def is_drawn(corners: torch.Tensor) -> torch.Tensor:
    """(F,) whether triangles with these corners (F, 3, 3) are drawn at all; see the rules of this room."""
    u, v, z = corners.unbind(-1)
    usable = (u.abs() <= FARTHEST_PIXEL) & (v.abs() <= FARTHEST_PIXEL) & (z > NEAR) & z.isfinite()
    extent = (corners[..., :2].amax(1) - corners[..., :2].amin(1)).amax(-1)
    area = (u[:, 1] - u[:, 0]) * (v[:, 2] - v[:, 0]) - (v[:, 1] - v[:, 0]) * (u[:, 2] - u[:, 0])
    return usable.all(-1) & (area.abs() > FLATTEST * extent**2)


def _nearest(corners, indices, rows: slice, columns: slice, perspective: bool) -> torch.Tensor:
    y, x = torch.meshgrid(
        torch.arange(rows.start, rows.stop, device=corners.device, dtype=torch.float64) + 0.5,
        torch.arange(columns.start, columns.stop, device=corners.device, dtype=torch.float64) + 0.5,
        indexing="ij",
    )
    depth = torch.full(x.shape, torch.inf, dtype=torch.float32, device=corners.device)
    winner = torch.full(x.shape, -1, dtype=torch.int32, device=corners.device)
    for some, some_indices in zip(corners.split(TRIANGLES_AT_ONCE), indices.split(TRIANGLES_AT_ONCE)):
        candidates = _depth_where_covered(some, x, y, perspective)
        nearest = candidates.amin(0)
        # indices ascend, so the first of equal candidates and the earlier chunk are the lower triangle index
        first = torch.where(candidates == nearest, some_indices.int()[:, None, None], torch.iinfo(torch.int32).max).amin(0)
        closer = nearest < depth
        depth = torch.where(closer, nearest, depth)
        winner = torch.where(closer, first, winner)
    return winner


def _depth_where_covered(corners, x, y, perspective: bool) -> torch.Tensor:
    """(n, rows, columns) float32 depth of n triangles at pixels (rows, columns), infinite where they do not cover them."""
    a, b, c = corners.unbind(1)
    turn = torch.sign((b[:, 0] - a[:, 0]) * (c[:, 1] - a[:, 1]) - (b[:, 1] - a[:, 1]) * (c[:, 0] - a[:, 0]))
    covered, weighted, weights = torch.ones((), dtype=torch.bool, device=x.device), 0.0, 0.0
    for start, end, opposite in ((b, c, a), (c, a, b), (a, b, c)):
        value, inclusive = _edge(start, end, turn, x, y)
        covered = covered & ((value > 0) | ((value == 0) & inclusive))
        z = opposite[:, 2, None, None]
        weight = value / z if perspective else value
        weighted = weighted + weight * z
        weights = weights + weight
    return torch.where(covered, (weighted / weights).float(), torch.inf)


def _edge(start, end, turn, x, y) -> tuple[torch.Tensor, torch.Tensor]:
    """(n, rows, columns) twice the area between an edge and a pixel, positive inside, and (n, 1, 1) whether 0 is inside.

    The two triangles of an edge run along it in opposite directions. Evaluated always upwards (or to the right if level),
    both get the same number, so that exactly one has the pixel. Of a triangle that turns clockwise on the screen, the edges
    that run upwards are left edges and the level ones that run to the right are top edges: the top-left rule.
    """
    start_u, start_v, end_u, end_v = (t[:, None, None] for t in (start[:, 0], start[:, 1], end[:, 0], end[:, 1]))
    down = (start_v < end_v) | ((start_v == end_v) & (start_u > end_u))
    from_u, to_u = torch.where(down, end_u, start_u), torch.where(down, start_u, end_u)
    from_v, to_v = torch.where(down, end_v, start_v), torch.where(down, start_v, end_v)
    value = (to_u - from_u) * (y - from_v) - (to_v - from_v) * (x - from_u)
    turn = turn[:, None, None]
    return torch.where(down, -turn, turn) * value, down == (turn < 0)
