"""The backward pass, in two steps: over the rows of the picture for the triangles, then over the texture.

Nothing is added to by two threads, and everything in an order that does not depend on their number: the same input gives
the same bytes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from multiface.render.cpu.forward import find_bounds, find_planes
from multiface.render.cpu.gradient_kernels import differentiate_corners, place_triangles, scatter_texture
from multiface.render.cpu.schedule import BAND_ROWS, for_bands, for_items
from multiface.render.cpu.shade_kernels import differentiate_rows
from multiface.render.cpu.threads import run_parallel, thread_count
from multiface.render.cpu.vertex_kernels import unproject_gradients


@dataclass(frozen=True)
class Scene:
    """What was drawn.

    Attributes:
        vertices: (B, V, 3) float64; projection: (B, 3, 4) float64; screen: (B, V, 3) float64 u, v, z.
        faces: (F, 3) int32; uvs: (U, 2) float32; uv_faces: (F, 3) int32.
        texture: (B or 1, C, h, w) float32.
        triangle: (B, H, W) int32.
        perspective: The interpolation.
    """

    vertices: np.ndarray
    projection: np.ndarray
    screen: np.ndarray
    faces: np.ndarray
    uvs: np.ndarray
    uv_faces: np.ndarray
    texture: np.ndarray
    triangle: np.ndarray
    perspective: bool


@dataclass(frozen=True)
class Gradients:
    """What is wanted, to be filled: (B, V, 3) and (B, 3, 4) float64, or neither; (B or 1, C, h, w) float32, or not."""

    vertices: np.ndarray | None
    projection: np.ndarray | None
    texture: np.ndarray | None

    @staticmethod
    def wanted(scene: Scene, geometry: bool, texture: bool) -> Gradients:
        return Gradients(
            np.empty_like(scene.vertices) if geometry else None,
            np.empty_like(scene.projection) if geometry else None,
            np.zeros_like(scene.texture) if texture else None,
        )


def find_gradients(
    scene: Scene, image_gradient: np.ndarray, depth_gradient: np.ndarray | None, geometry: bool, texture: bool
) -> Gradients:
    """Gradients of a loss from those of image (B, C, H, W) and depth (B, H, W) float32.

    Items are taken a few at a time, one for each thread, to need working memory for those only.
    """
    batch, size = len(scene.triangle), scene.triangle.shape[1:]
    gradients = Gradients.wanted(scene, geometry, texture)
    bounds = find_bounds(scene.screen, scene.faces, size)
    places = np.empty(bounds.shape[:2], np.int32)
    rows = max(place_triangles(bounds, BAND_ROWS, item, places) for item in range(batch))
    slots = min(batch, thread_count())
    texels = np.empty((slots if texture else 0, *size, 2), np.int32)
    parts = np.empty((slots if texture else 0, *size, 2), np.float32)
    if depth_gradient is None:
        depth_gradient = np.empty((0, 0, 0), np.float32)
    planes = find_planes(scene.screen, scene.faces, scene.uvs, scene.uv_faces, scene.perspective)
    for start in range(0, batch, slots):
        items = range(start, min(start + slots, batch))
        moments = np.zeros((slots if geometry else 0, rows, 12))
        for_bands(
            lambda slot, first, last, items=items, moments=moments: differentiate_rows(
                planes, scene.texture, scene.triangle, image_gradient, depth_gradient, places,
                items[slot], slot, first // BAND_ROWS, first, last, moments, texels, parts,
            ),
            len(items), size[0],
        )  # fmt: skip
        if geometry:
            _to_vertices(scene, bounds, places, moments, items, gradients)
        if texture:
            _to_texture(scene.triangle, texels, parts, image_gradient, items, gradients.texture)
    return gradients


def _to_vertices(scene: Scene, bounds, places, moments, items: range, gradients: Gradients) -> None:
    screen_gradient = np.zeros((len(items), *scene.screen.shape[1:]))

    def task(slot: int) -> None:
        differentiate_corners(
            scene.screen, scene.faces, scene.uvs, scene.uv_faces, scene.perspective, bounds, BAND_ROWS, places, moments,
            items[slot], slot, screen_gradient,
        )  # fmt: skip
        unproject_gradients(
            scene.vertices, scene.projection, scene.screen, screen_gradient, items[slot], slot,
            gradients.vertices, gradients.projection,
        )  # fmt: skip

    for_items(task, len(items))


def _to_texture(triangle, texels, parts, image_gradient, items: range, texture_gradient) -> None:
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
