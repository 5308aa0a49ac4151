"""Silhouette gradients as :mod:`multiface.render.silhouettes` defines them, all pairs of pixels at once."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from multiface.render.reference.shading import corner_weights
from multiface.render.rules import FARTHEST_PIXEL, FLATTEST, LONGEST_WALK, NEAR, PARALLEL, SAME_PLACE
from multiface.render.screen import project


@dataclass(frozen=True)
class Pairs:
    """N pairs of neighbouring pixels that show different triangles and different colours.

    Attributes:
        item: (N,) index into the batch.
        first, second: (N,) triangles, -1 for the background.
        start, end: (N, 2) centres of the first pixel and the second, which is to the right or below.
        pull: (N,) derivative of the loss by the way of an edge from first to second.
        axis: 0 if they are side by side, 1 if one is above the other.
    """

    item: torch.Tensor
    first: torch.Tensor
    second: torch.Tensor
    start: torch.Tensor
    end: torch.Tensor
    pull: torch.Tensor
    axis: int


def silhouette_gradients(
    vertices, projection, faces, twins, triangle, image, image_gradient, perspective: bool
) -> tuple[torch.Tensor, torch.Tensor]:
    """Gradients of vertices (B, V, 3) and projection (B, 3, 4) from those of the picture (B, C, H, W), by way of its edges."""
    with torch.enable_grad():
        inputs = vertices.detach().requires_grad_(), projection.detach().requires_grad_()
        moved = torch.zeros((), dtype=torch.float64, device=vertices.device)
        for axis in (0, 1):
            pairs = find_pairs(triangle, image, image_gradient, axis)
            moved = moved + _motion_of_edges(*inputs, faces.long(), twins.long(), pairs, perspective)
        if not moved.requires_grad:
            return torch.zeros_like(vertices), torch.zeros_like(projection)
        of_vertices, of_projection = torch.autograd.grad(moved, inputs)
    return of_vertices, of_projection


def find_pairs(triangle, image, image_gradient, axis: int) -> Pairs:
    """The pairs along an axis of the picture: 0 side by side, 1 one above the other."""
    along = 2 - axis  # the dimension of (B, H, W)
    n = triangle.shape[along] - 1
    first, second = triangle.narrow(along, 0, n), triangle.narrow(along, 1, n)
    colours, pulls = image.double(), image_gradient.double()
    jump = colours.narrow(along + 1, 0, n) - colours.narrow(along + 1, 1, n)
    pull = ((pulls.narrow(along + 1, 0, n) + pulls.narrow(along + 1, 1, n)) * jump).sum(1) * 0.5
    item, row, column = ((first != second) & (pull != 0)).nonzero(as_tuple=True)
    start = torch.stack([column, row], -1).double() + 0.5
    step = torch.tensor([1.0 - axis, float(axis)], dtype=torch.float64, device=triangle.device)
    here = (item, row, column)
    return Pairs(item, first[here].long(), second[here].long(), start, start + step, pull[here], axis)


def _motion_of_edges(vertices, projection, faces, twins, pairs: Pairs, perspective: bool) -> torch.Tensor:
    """A scalar whose gradient is the one wanted, whatever its value."""
    with torch.no_grad():
        screen = project(vertices, projection)
        last_a, left_a = walk(screen, faces, twins, pairs.item, pairs.first, pairs.start, pairs.end)
        last_b, left_b = walk(screen, faces, twins, pairs.item, pairs.second, pairs.end, pairs.start)
        connected = ((last_a >= 0) & (last_a == pairs.second)) | ((last_b >= 0) & (last_b == pairs.first))
        ends_a, ends_b = (left_a >= 0) & ~connected, (left_b >= 0) & ~connected
        place_a, depth_a = _crossing(_ends_of(screen, faces, left_a, pairs.item), pairs, perspective)
        place_b, depth_b = _crossing(_ends_of(screen, faces, left_b, pairs.item), pairs, perspective)
        seam = ((place_a - place_b).abs() <= SAME_PLACE) & ((depth_a - depth_b).abs() <= SAME_PLACE * depth_a)
        seam = seam & ends_a & ends_b
        by_a = ends_a & ~seam & ~(ends_b & (depth_b < depth_a))
        by_b = ends_b & ~seam & ~by_a
        half_edge = torch.where(by_a, left_a, left_b)[by_a | by_b]
        through = (last_a >= 0) & (last_b >= 0) & ~connected
    return _motion_of_mesh_edges(vertices, projection, faces, half_edge, _some(pairs, by_a | by_b)) + (
        _motion_of_intersections(vertices, projection, faces, _some(pairs, through), perspective)
    )


def _some(pairs: Pairs, mask: torch.Tensor) -> Pairs:
    item, first, second = pairs.item[mask], pairs.first[mask], pairs.second[mask]
    return Pairs(item, first, second, pairs.start[mask], pairs.end[mask], pairs.pull[mask], pairs.axis)


def walk(screen, faces, twins, item, face, start, end) -> tuple[torch.Tensor, torch.Tensor]:
    """Follow the surface from triangles ``face`` (N,) at ``start`` (N, 2) straight to ``end``.

    Returns:
        The triangle at ``end``, -1 if the surface ends before; the half-edge where it ends, -1 if it does not. Both are -1
        where there is no triangle, or too many on the way.
    """
    face = face.clone()
    entered = torch.full_like(face, -1)  # the corner where the edge begins that the triangle was entered by
    last, left = torch.full_like(face, -1), torch.full_like(face, -1)
    walking = (face >= 0).nonzero().squeeze(1)
    for _ in range(LONGEST_WALK):
        corners = screen[item[walking, None], faces[face[walking]]]
        corner, leaves = _way_out(corners, entered[walking], start[walking], end[walking])
        half_edge = 3 * face[walking] + corner
        twin = twins[half_edge]
        goes_on = leaves & (twin >= 0)
        neighbour, opposite = twin.clamp(min=0) // 3, (twin.clamp(min=0) + 2) % 3
        beyond = screen[item[walking], faces[neighbour, opposite]]
        goes_on = goes_on & _unfolds(corners, corner, beyond)
        last[walking[~leaves]] = face[walking[~leaves]]
        ended = leaves & ~goes_on
        left[walking[ended]] = half_edge[ended]
        face[walking], entered[walking] = neighbour, twin % 3
        walking = walking[goes_on]
    return last, left


def _way_out(corners, entered, start, end) -> tuple[torch.Tensor, torch.Tensor]:
    """The edge (its first corner) by which the way leaves triangles (N, 3, 3), and whether it leaves at all."""
    following = corners.roll(-1, 1)
    area = _area(corners[:, 0], corners[:, 1], corners[:, 2])
    turn = torch.where(area > 0, 1.0, -1.0)[:, None]
    before, after = (turn * _area(corners, following, point[:, None]) for point in (start, end))
    leaves = (after <= 0) & (after < before) & (torch.arange(3, device=corners.device) != entered[:, None])
    inside = before.clamp(min=0)
    time = torch.where(leaves, inside / (inside - after), torch.inf)
    return time.argmin(1), leaves.any(1)


def _area(a, b, p) -> torch.Tensor:
    """Twice the area of the triangles a, b, p."""
    return (b[..., 0] - a[..., 0]) * (p[..., 1] - a[..., 1]) - (b[..., 1] - a[..., 1]) * (p[..., 0] - a[..., 0])


def _unfolds(corners, corner, beyond) -> torch.Tensor:
    """Whether the triangle over the edge that begins at ``corner`` is drawn and on the other side of that edge."""
    n = torch.arange(len(corners), device=corners.device)
    a, b, c = (corners[n, (corner + k) % 3] for k in range(3))
    usable = (beyond[:, :2].abs() <= FARTHEST_PIXEL).all(1) & (beyond[:, 2] > NEAR) & beyond[:, 2].isfinite()
    points = torch.stack([a, b, beyond], 1)[..., :2]
    extent = (points.amax(1) - points.amin(1)).amax(-1)
    area = _area(a, b, beyond)
    return usable & (area.abs() > FLATTEST * extent**2) & ((area > 0) != (_area(a, b, c) > 0))


def _ends_of(points, faces, half_edge, item) -> torch.Tensor:
    """(N, 2, 3) both ends of half-edges; anything where they are -1."""
    face, corner = half_edge.clamp(min=0) // 3, half_edge.clamp(min=0) % 3
    return points[item[:, None], torch.stack([faces[face, corner], faces[face, (corner + 1) % 3]], 1)]


def _parts(ends, pairs: Pairs) -> torch.Tensor:
    """(N, 2) parts of both ends of edges (N, 2, 3) in the point on the line through the pixels."""
    across = 1 - pairs.axis
    part = (pairs.start[:, across] - ends[:, 0, across]) / (ends[:, 1, across] - ends[:, 0, across])
    part = part.clamp(0, 1)
    return torch.stack([1 - part, part], 1)


def _crossing(ends, pairs: Pairs, perspective: bool) -> tuple[torch.Tensor, torch.Tensor]:
    """Where edges cross the line through the pixels, and how deep they are there."""
    parts = _parts(ends, pairs)
    place = (parts * ends[..., pairs.axis]).sum(1)
    if perspective:
        return place, 1 / (parts / ends[..., 2]).sum(1)
    return place, (parts * ends[..., 2]).sum(1)


def _motion_of_mesh_edges(vertices, projection, faces, half_edge, pairs: Pairs) -> torch.Tensor:
    """Sum of pull * n[axis] * (n . point)."""
    ends = project(_ends_of(vertices, faces, half_edge, pairs.item), projection[pairs.item])
    fixed = ends.detach()
    way = fixed[:, 1, :2] - fixed[:, 0, :2]
    normal = torch.stack([way[:, 1], -way[:, 0]], 1)
    point = (_parts(fixed, pairs)[..., None] * ends[..., :2]).sum(1)
    return (pairs.pull * normal[:, pairs.axis] / normal.square().sum(1) * (normal * point).sum(1)).sum()


def _motion_of_intersections(vertices, projection, faces, pairs: Pairs, perspective: bool) -> torch.Tensor:
    """Sum of -pull * slope[axis] / |slope|^2 * difference of depth planes, at fixed points of the picture."""

    def plane(face, at) -> torch.Tensor:
        corners = project(vertices[pairs.item[:, None], faces[face]], projection[pairs.item])
        values = 1 / corners[..., 2] if perspective else corners[..., 2]
        return (corner_weights(corners, at, False) * values).sum(1)

    def difference(at) -> torch.Tensor:
        return plane(pairs.first, at) - plane(pairs.second, at)

    with torch.no_grad():
        before, after = difference(pairs.start), difference(pairs.end)
        right, down = (pairs.start + pairs.start.new_tensor(step) for step in ([1.0, 0.0], [0.0, 1.0]))
        slope = torch.stack([difference(right) - before, difference(down) - before], 1)
        steep = slope.square().sum(1) > (PARALLEL * plane(pairs.first, pairs.start)) ** 2
        crossing = steep & (before * after < 0)
        place = pairs.start + (pairs.end - pairs.start) * (before / (before - after))[:, None]
    factor = -pairs.pull * slope[:, pairs.axis] / slope.square().sum(1)
    # where there is no intersection, places and factors may be anything
    place, factor = torch.where(crossing[:, None], place, pairs.start), torch.where(crossing, factor, 0.0)
    return (factor * difference(place)).sum()
