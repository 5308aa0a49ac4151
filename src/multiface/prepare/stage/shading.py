"""How much light a point of the head sends to a camera: soft diffuse light below the skin, and highlights on it."""

from __future__ import annotations

import numba
import numpy as np

_EYE, _TOOTH = 1, 2  # as in materials.py; plain numbers inside the compiled kernel
_REFLECTANCE = 0.030  # at normal incidence: skin, tears and enamel are all close to it


@numba.njit(cache=True, nogil=True, error_model="numpy", fastmath=True)
def develop(
    triangle, barycentric, faces, uv_faces, uvs, vertices, normals, access, kind, maps,
    camera, lamp_positions, lamp_colors, lamp_radii, sky, ground, response, background, samples,
):  # fmt: skip
    """The picture of one camera, (H, W, 3) float32 linear 0..1, averaged over ``samples`` x ``samples`` rays per pixel.

    Args:
        triangle, barycentric: (H * samples, W * samples[, 3]) raster of the head.
        faces, uv_faces, uvs: The topology.
        vertices, normals: (V, 3) float32, head space, mm.
        access: (V, L + 1) share of every lamp and of the surroundings that reaches each vertex.
        kind: (F,) material of each triangle.
        maps: (T, T, 8) packed materials, row 0 at v = 0.
        camera: (3,) optical centre in head space; lamp_positions (L, 3) likewise.
        lamp_colors, lamp_radii: (L, 3), (L,).
        sky, ground: (3,) colour of the surroundings above and below (head space y).
        response: (3,) factors from natural linear colour to this camera's values.
        background: (3,) value where there is no head.
    """
    height, width = triangle.shape[0] // samples, triangle.shape[1] // samples
    lamps = lamp_positions.shape[0]
    out = np.empty((height, width, 3), np.float32)
    color, texel, seen = np.empty(3), np.empty(8), np.empty(lamps + 1)
    for i in range(height):
        for j in range(width):
            total0, total1, total2 = 0.0, 0.0, 0.0
            for sub in range(samples * samples):
                row, column = i * samples + sub // samples, j * samples + sub % samples
                face = triangle[row, column]
                if face < 0:
                    total0 += background[0]
                    total1 += background[1]
                    total2 += background[2]
                    continue
                _radiance(
                    face, barycentric[row, column], faces, uv_faces, uvs, vertices, normals, access, kind, maps,
                    camera, lamp_positions, lamp_colors, lamp_radii, sky, ground, texel, seen, color,
                )  # fmt: skip
                total0 += min(color[0] * response[0], 1.0)
                total1 += min(color[1] * response[1], 1.0)
                total2 += min(color[2] * response[2], 1.0)
            scale = 1.0 / (samples * samples)
            out[i, j, 0], out[i, j, 1], out[i, j, 2] = total0 * scale, total1 * scale, total2 * scale
    return out


@numba.njit(cache=True, nogil=True, error_model="numpy", fastmath=True)
def _radiance(
    face, weights, faces, uv_faces, uvs, vertices, normals, access, kind, maps,
    camera, lamp_positions, lamp_colors, lamp_radii, sky, ground, texel, seen, color,
):  # fmt: skip
    """Write the natural linear colour of one ray into ``color``; ``texel`` and ``seen`` are scratch space."""
    a, b, c = faces[face, 0], faces[face, 1], faces[face, 2]
    ta, tb, tc = uv_faces[face, 0], uv_faces[face, 1], uv_faces[face, 2]
    wa, wb, wc = weights[0], weights[1], weights[2]
    _lookup(
        maps, wa * uvs[ta, 0] + wb * uvs[tb, 0] + wc * uvs[tc, 0], wa * uvs[ta, 1] + wb * uvs[tb, 1] + wc * uvs[tc, 1], texel
    )
    lamps = lamp_positions.shape[0]
    for k in range(lamps + 1):
        seen[k] = wa * access[a, k] + wb * access[b, k] + wc * access[c, k]
    px = wa * vertices[a, 0] + wb * vertices[b, 0] + wc * vertices[c, 0]
    py = wa * vertices[a, 1] + wb * vertices[b, 1] + wc * vertices[c, 1]
    pz = wa * vertices[a, 2] + wb * vertices[b, 2] + wc * vertices[c, 2]
    sx, sy, sz = _unit(
        wa * normals[a, 0] + wb * normals[b, 0] + wc * normals[c, 0],
        wa * normals[a, 1] + wb * normals[b, 1] + wc * normals[c, 1],
        wa * normals[a, 2] + wb * normals[b, 2] + wc * normals[c, 2],
    )
    vx, vy, vz = _unit(camera[0] - px, camera[1] - py, camera[2] - pz)
    # Light below the skin blurs the finest relief; the oil on top does not.
    dx, dy, dz = _unit(sx - 0.55 * texel[3], sy - 0.55 * texel[4], sz - 0.55 * texel[5])
    nx, ny, nz = _unit(sx - texel[3], sy - texel[4], sz - texel[5])
    wrap0, wrap1, wrap2 = 0.30, 0.14, 0.10
    if kind[face] == _EYE:
        wrap0, wrap1, wrap2 = 0.15, 0.15, 0.15
    around = seen[lamps]
    blend = 0.5 + 0.5 * dy
    # What is hidden from the surroundings still receives light reflected by the skin itself, reddened.
    for k in range(3):
        bounce = 0.12 * (1.0 - around) * (1.0 if k == 0 else 0.55)
        color[k] = texel[k] * ((sky[k] * blend + ground[k] * (1.0 - blend)) * around + bounce * around)
    facing = max(nx * vx + ny * vy + nz * vz, 1e-3)
    shine0, shine1, shine2 = 0.0, 0.0, 0.0
    for k in range(lamps):
        lx, ly, lz = _unit(lamp_positions[k, 0] - px, lamp_positions[k, 1] - py, lamp_positions[k, 2] - pz)
        cosine = dx * lx + dy * ly + dz * lz
        color[0] += texel[0] * lamp_colors[k, 0] * seen[k] * _wrapped(cosine, wrap0)
        color[1] += texel[1] * lamp_colors[k, 1] * seen[k] * _wrapped(cosine, wrap1)
        color[2] += texel[2] * lamp_colors[k, 2] * seen[k] * _wrapped(cosine, wrap2)
        toward = nx * lx + ny * ly + nz * lz
        if toward > 0.0:
            hx, hy, hz = _unit(lx + vx, ly + vy, lz + vz)
            half, across = nx * hx + ny * hy + nz * hz, max(vx * hx + vy * hy + vz * hz, 0.0)
            fresnel = _REFLECTANCE + (1.0 - _REFLECTANCE) * (1.0 - across) ** 5
            rough = texel[7]
            lobe = _ggx(half, toward, facing, rough * rough + 0.4 * lamp_radii[k])
            if kind[face] != _EYE:  # skin also has a broad sheen from its unevenness
                lobe = 0.62 * lobe + 0.5 * _ggx(half, toward, facing, min(1.9 * rough * rough + 0.12, 1.0))
            strength = 3.1416 * texel[6] * fresnel * lobe * toward * seen[k]
            shine0 += strength * lamp_colors[k, 0]
            shine1 += strength * lamp_colors[k, 1]
            shine2 += strength * lamp_colors[k, 2]
    rim = texel[6] * (_REFLECTANCE + 0.22 * (1.0 - facing) ** 5) * around * (1.0 - 0.6 * texel[7])
    color[0] += shine0 + rim * sky[0]
    color[1] += shine1 + rim * sky[1]
    color[2] += shine2 + rim * sky[2]


@numba.njit(cache=True, nogil=True, error_model="numpy", fastmath=True, inline="always")
def _unit(x, y, z):
    scale = 1.0 / np.sqrt(max(x * x + y * y + z * z, 1e-20))
    return x * scale, y * scale, z * scale


@numba.njit(cache=True, nogil=True, error_model="numpy", fastmath=True, inline="always")
def _wrapped(cosine, wrap):
    """Lambert's cosine reaching ``wrap`` beyond the terminator, with the same total energy."""
    lifted = max((cosine + wrap) / (1.0 + wrap), 0.0)
    return lifted / (1.0 + wrap)


@numba.njit(cache=True, nogil=True, error_model="numpy", fastmath=True, inline="always")
def _ggx(half, toward, facing, alpha):
    """Walter et al., "Microfacet Models for Refraction through Rough Surfaces", EGSR 2007: D G / (4 cos cos)."""
    a2 = alpha * alpha
    bottom = half * half * (a2 - 1.0) + 1.0
    distribution = a2 / (np.pi * bottom * bottom)
    shadow = toward * np.sqrt(a2 + (1.0 - a2) * facing * facing) + facing * np.sqrt(a2 + (1.0 - a2) * toward * toward)
    return distribution * 0.5 / max(shadow, 1e-6)


@numba.njit(cache=True, nogil=True, error_model="numpy", fastmath=True)
def _lookup(maps, u, v, out):
    """Bilinear, clamped at the border; texel (r, c) is centred at ((c + .5) / T, (r + .5) / T)."""
    size = maps.shape[0]
    x = min(max(u * maps.shape[1] - 0.5, 0.0), maps.shape[1] - 1.001)
    y = min(max(v * size - 0.5, 0.0), size - 1.001)
    c, r = int(x), int(y)
    fx, fy = x - c, y - r
    for k in range(8):
        top = maps[r, c, k] * (1.0 - fx) + maps[r, c + 1, k] * fx
        bottom = maps[r + 1, c, k] * (1.0 - fx) + maps[r + 1, c + 1, k] * fx
        out[k] = top * (1.0 - fy) + bottom * fy
