"""The backward pass, in two steps: over triangles for their corners, then over pixels for the texture.

Nothing is added to by two threads, and everything in an order that does not depend on their number: the same input gives
the same bytes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from multiface.render.cpu.forward import TRIANGLES_AT_LEAST, find_bounds
from multiface.render.cpu.schedule import for_parts
from multiface.render.cpu.shade_kernels import differentiate_triangles, gather_vertices, scatter_texture
from multiface.render.cpu.threads import run_parallel, thread_count


@dataclass(frozen=True)
class Scene:
    """What the forward pass drew.

    Attributes:
        screen: (B, V, 3) float64 u, v, z.
        faces: (F, 3) int32; uvs: (U, 2) float32; uv_faces: (F, 3) int32.
        texture: (B or 1, C, h, w) float32.
        triangle: (B, H, W) int32; depth: (B, H, W) float32.
        perspective: The interpolation.
    """

    screen: np.ndarray
    faces: np.ndarray
    uvs: np.ndarray
    uv_faces: np.ndarray
    texture: np.ndarray
    triangle: np.ndarray
    depth: np.ndarray
    perspective: bool


def find_gradients(
    scene: Scene, image_gradient: np.ndarray, depth_gradient: np.ndarray | None, for_screen: bool, for_texture: bool
) -> tuple[np.ndarray | None, np.ndarray | None]:
    """Gradients with respect to ``screen`` (B, V, 3) float64 and ``texture`` (B or 1, C, h, w) float32, those asked for.

    Items are taken a few at a time, one for each thread, to need working memory for those only.
    """
    batch, size = len(scene.triangle), scene.triangle.shape[1:]
    bounds = find_bounds(scene.screen, scene.faces, size)
    screen_gradient = np.zeros_like(scene.screen) if for_screen else None
    texture_gradient = np.zeros_like(scene.texture) if for_texture else None
    if depth_gradient is None:
        depth_gradient = np.empty((0, 0, 0), np.float32)
    slots = min(batch, thread_count())
    corners = np.empty((slots if for_screen else 0, len(scene.faces), 3, 3))
    texels = np.empty((slots if for_texture else 0, *size, 2), np.int16)
    parts = np.empty((slots if for_texture else 0, *size, 2), np.float32)
    for start in range(0, batch, slots):
        items = range(start, min(start + slots, batch))
        for_parts(
            lambda slot, first, last, start=start: differentiate_triangles(
                scene.screen, scene.faces, scene.uvs, scene.uv_faces, scene.texture, scene.perspective, scene.triangle,
                bounds, scene.depth, image_gradient, depth_gradient, start + slot, slot, first, last, corners, texels, parts,
            ),
            len(items), len(scene.faces), TRIANGLES_AT_LEAST,
        )  # fmt: skip
        if screen_gradient is not None:
            for slot, item in enumerate(items):
                gather_vertices(scene.faces, corners, item, slot, screen_gradient)
        if texture_gradient is not None:
            _scatter(scene.triangle, texels, parts, image_gradient, items, texture_gradient)
    return screen_gradient, texture_gradient


def _scatter(triangle, texels, parts, image_gradient, items: range, texture_gradient) -> None:
    """Spread the gradient of the picture over the texture; items that share one texture follow one another."""
    threads = thread_count()
    shared = len(texture_gradient) == 1
    groups = 1 if shared else len(items)
    stripes = -(-threads // groups)

    def task(index: int) -> None:
        group, stripe = divmod(index, stripes)
        for slot in range(len(items)) if shared else (group,):
            scatter_texture(triangle, texels, parts, image_gradient, items[slot], slot, stripe, stripes, texture_gradient)

    run_parallel(task, groups * stripes, threads)
