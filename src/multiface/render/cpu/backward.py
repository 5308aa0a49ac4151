"""The backward pass, in two steps: over the rows of the picture for the triangles, then over the texture.

Nothing is added to by two threads, and everything in an order that does not depend on their number: the same input gives
the same bytes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from multiface.render.cpu.forward import find_planes
from multiface.render.cpu.gradient_kernels import (
    differentiate_corners,
    find_runs,
    mark_triangles,
    place_triangles,
    scatter_texture,
)
from multiface.render.cpu.schedule import BAND_ROWS, for_bands, for_items
from multiface.render.cpu.shade_kernels import differentiate_rows
from multiface.render.cpu.threads import run_parallel, thread_count
from multiface.render.cpu.vertex_kernels import unproject_gradients

BANDS_AT_ONCE = 4
"""Bands for each thread between two visits to the texture."""

BLOCKS_PER_OWNER = 8
"""Parts of a texture that each thread has when several share one."""


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

    Items are taken a few at a time, one for each thread, and their pictures a few bands at a time, to need working memory
    for those only.
    """
    batch, threads = len(scene.triangle), thread_count()
    gradients = Gradients.wanted(scene, geometry, texture)
    if depth_gradient is None:
        depth_gradient = np.empty((0, 0, 0), np.float32)
    planes = find_planes(scene.screen, scene.faces, scene.uvs, scene.uv_faces, scene.perspective)
    for start in range(0, batch, threads):
        items = range(start, min(start + threads, batch))
        bands, places, rows = _places(scene.triangle, items, len(scene.faces))
        moments = np.zeros((len(items) if geometry else 0, rows, 12))
        _over_pixels(scene, planes, places, image_gradient, depth_gradient, items, moments, gradients.texture)
        if geometry:
            _to_vertices(scene, bands, places, moments, items, gradients)
    return gradients


def _places(triangle: np.ndarray, items: range, n_faces: int) -> tuple[np.ndarray, np.ndarray, int]:
    """Bands that show each triangle, where its moments are kept, and how many rows of moments the fullest item needs."""
    height, slots = triangle.shape[1], len(items)
    seen = np.empty((slots, -(-height // BAND_ROWS), 1 + n_faces), np.uint8)
    for_bands(
        lambda slot, first, last: mark_triangles(triangle, items[slot], slot, first // BAND_ROWS, first, last, seen),
        slots, height,
    )  # fmt: skip
    places, bands = np.empty((slots, n_faces), np.int32), np.empty((slots, n_faces, 2), np.int32)
    counts = np.empty(slots, np.int64)
    for_items(lambda slot: place_triangles(seen, slot, bands, places, counts), slots)
    return bands, places, int(counts.max())


def _over_pixels(scene: Scene, planes, places, image_gradient, depth_gradient, items: range, moments, texture_gradient) -> None:
    """Fill the moments and the gradient of the texture, each where wanted."""
    height, width = scene.triangle.shape[1:]
    chunk_rows = BAND_ROWS * BANDS_AT_ONCE * -(-thread_count() // len(items))
    shape = (len(items), min(chunk_rows, height), 2, width)
    looks, parts = np.empty(shape, np.int32), np.empty(shape, np.float32)
    for top in range(0, height, chunk_rows):
        bottom = min(top + chunk_rows, height)
        for_bands(
            lambda slot, first, last, top=top: differentiate_rows(
                planes, scene.texture, scene.triangle, image_gradient, depth_gradient, places,
                items[slot], slot, (top + first) // BAND_ROWS, top, top + first, top + last, moments, looks, parts,
            ),
            len(items), bottom - top,
        )  # fmt: skip
        if texture_gradient is not None:
            _to_texture(scene.triangle, looks, parts, image_gradient, items, top, bottom, texture_gradient)


def _to_vertices(scene: Scene, bands, places, moments, items: range, gradients: Gradients) -> None:
    screen_gradient = np.zeros((len(items), *scene.screen.shape[1:]))

    def task(slot: int) -> None:
        differentiate_corners(
            scene.screen, scene.faces, scene.uvs, scene.uv_faces, scene.perspective, bands, places, moments,
            items[slot], slot, screen_gradient,
        )  # fmt: skip
        unproject_gradients(
            scene.vertices, scene.projection, scene.screen, screen_gradient, items[slot], slot,
            gradients.vertices, gradients.projection,
        )  # fmt: skip

    for_items(task, len(items))


def _to_texture(triangle, looks, parts, image_gradient, items: range, top: int, bottom: int, texture_gradient) -> None:
    """Spread the gradient of some rows of the picture over the texture; items that share one texture follow one another.

    Threads divide the blocks of a texture among them. Each texel receives in picture order, whoever owns it.
    """
    shared = len(texture_gradient) == 1
    groups = 1 if shared else len(items)
    owners = -(-thread_count() // groups)
    height, width = texture_gradient.shape[2:]
    # blocks in turn share out the parts of a texture that are seen more evenly
    shift = max(height * width // (BLOCKS_PER_OWNER * owners), 1).bit_length() - 1
    owner_of_block = (np.arange((height * width >> shift) + 1) % owners).astype(np.int32)
    runs = np.empty((len(items), bottom - top, triangle.shape[2], 4), np.int32)
    counts = np.empty((len(items), bottom - top), np.int32)
    for_bands(
        lambda slot, first, last: find_runs(
            triangle, looks, items[slot], slot, top, top + first, top + last, owner_of_block, shift, height, width, runs, counts
        ),
        len(items), bottom - top,
    )  # fmt: skip

    def task(index: int) -> None:
        group, owner = divmod(index, owners)
        for slot in range(len(items)) if shared else (group,):
            scatter_texture(looks, parts, runs, counts, image_gradient, items[slot], slot, top, bottom, owner, texture_gradient)

    run_parallel(task, groups * owners, thread_count())
