"""Kernels over vertices: into the picture, and gradients back out of it."""

from __future__ import annotations

from multiface.render.cpu.jit import kernel


@kernel
def project_vertices(vertices, projection, item, screen):
    """Write ``screen`` (B, V, 3) float64 u, v, z; operations and their order as in ``multiface.render.screen.project``.

    Args:
        vertices: (B, V, 3) float64; projection: (B, 3, 4) float64.
    """
    m = projection[item]
    for vertex in range(vertices.shape[1]):
        x, y, z = vertices[item, vertex, 0], vertices[item, vertex, 1], vertices[item, vertex, 2]
        depth = x * m[2, 0] + y * m[2, 1] + z * m[2, 2] + m[2, 3]
        screen[item, vertex, 0] = (x * m[0, 0] + y * m[0, 1] + z * m[0, 2] + m[0, 3]) / depth
        screen[item, vertex, 1] = (x * m[1, 0] + y * m[1, 1] + z * m[1, 2] + m[1, 3]) / depth
        screen[item, vertex, 2] = depth


@kernel
def unproject_gradients(vertices, projection, screen, screen_gradient, item, slot, vertex_gradient, projection_gradient):
    """Turn gradients (slots, V, 3) with respect to u, v, z into those of vertices (B, V, 3) and projection (B, 3, 4), float64.

    Vertices that received none are passed over: they may be behind the camera or not finite.
    """
    m, g = projection[item], projection_gradient[item]
    g[:] = 0.0
    for vertex in range(vertices.shape[1]):
        gu, gv, gz = screen_gradient[slot, vertex, 0], screen_gradient[slot, vertex, 1], screen_gradient[slot, vertex, 2]
        out = vertex_gradient[item, vertex]
        out[:] = 0.0
        if gu == 0.0 and gv == 0.0 and gz == 0.0:
            continue
        # of the homogeneous pixel q: u = q0 / q2, v = q1 / q2, z = q2
        g0, g1 = gu / screen[item, vertex, 2], gv / screen[item, vertex, 2]
        g2 = gz - g0 * screen[item, vertex, 0] - g1 * screen[item, vertex, 1]
        for k in range(3):
            x = vertices[item, vertex, k]
            out[k] = g0 * m[0, k] + g1 * m[1, k] + g2 * m[2, k]
            g[0, k] += g0 * x
            g[1, k] += g1 * x
            g[2, k] += g2 * x
        g[0, 3] += g0
        g[1, 3] += g1
        g[2, 3] += g2
