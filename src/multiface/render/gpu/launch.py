"""Memory and launches of the kernels. Nothing here waits for the device, so all of it can be captured in a CUDA graph."""

from __future__ import annotations

import contextlib
from typing import NamedTuple

import torch
import triton

from multiface.render.gpu import backward_kernels, geometry_backward, loss_kernels, raster_kernels, setup_kernels, shade_kernels

TILE = 16
TILES_AT_ONCE = 32
_BLOCKS = 4
# of tiles that a triangle is listed for, before larger tiles are taken: more means fewer visits, and more memory
_MOST_LISTS, _FEWEST_LISTS = 32, 4
_BYTES_OF_LISTS = 512 << 20
# pictures are not read again soon
_CACHE = ".cs"
SURFACE_TYPE = torch.float64
# height and width in pixels and warps of each program; found by measurement on an H100
_SHAPES = {"shade": (4, 32, 1), "backward": (8, 8, 1), "loss": (8, 8, 1)}
# fused multiply-add would keep edges from being exactly 0 at their ends, and round their two sides differently
_EXACT = {"enable_fp_fusion": False}


class Mesh(NamedTuple):
    """What is drawn: vertices (B, V, 3), projection (B, 3, 4), faces, uvs and uv_faces of a layout; contiguous."""

    vertices: torch.Tensor
    projection: torch.Tensor
    faces: torch.Tensor
    uvs: torch.Tensor
    uv_faces: torch.Tensor


class Visible(NamedTuple):
    """What is seen: triangle (B, H, W) int32, screen (B, V, 3) float64 and the ``surface`` records (B, F, 16) float64."""

    triangle: torch.Tensor
    screen: torch.Tensor
    surface: torch.Tensor


class Gradients(NamedTuple):
    """Sums that kernels add to: moments (B, F, 12), texture (B or 1, h, w, padded channels); None where not asked for."""

    moments: torch.Tensor | None
    texture: torch.Tensor | None


def on_device(tensor: torch.Tensor):
    """Context in which kernels are launched on the device and current stream of ``tensor``."""
    return torch.cuda.device(tensor.device) if tensor.is_cuda else contextlib.nullcontext()


def padded_channels(channels: int) -> int:
    """Channels of a gradient texel: a power of two, so that one is added to in as few steps as the device can."""
    return triton.next_power_of_2(channels)


class Scene(NamedTuple):
    """A mesh projected and listed by tiles: leading arguments of the kernels that look at tiles."""

    screen: torch.Tensor
    faces: torch.Tensor
    slopes: torch.Tensor
    larger: torch.Tensor
    links: torch.Tensor
    heads: torch.Tensor
    triangle: torch.Tensor
    doubtful: torch.Tensor
    n_vertices: int
    n_faces: int
    height: int
    width: int
    tiles_x: int
    tiles_y: int
    heads_per_item: int

    @property
    def n_tiles(self) -> int:
        return len(self.doubtful)


class Lists(NamedTuple):
    """Constants of the kernels that depend on the lists: number of levels of tiles, lists of one triangle."""

    LEVELS: int
    LISTS: int


def set_up(mesh: Mesh, size: tuple[int, int], perspective: bool, textured: bool = True) -> tuple[Scene, torch.Tensor, Lists]:
    """Project and list: the scene, the ``surface`` records (B, F, 16), and how the lists are made."""
    batch, n_vertices = mesh.vertices.shape[:2]
    n_faces, (height, width) = len(mesh.faces), size
    device = mesh.vertices.device
    tiles_x, tiles_y = triton.cdiv(width, TILE), triton.cdiv(height, TILE)
    most_lists = lists_per_triangle(batch * n_faces)
    levels, heads_per_item = tile_levels(tiles_x, tiles_y, most_lists)
    lists = Lists(levels, most_lists)

    def memory(*shape: int, dtype: torch.dtype = torch.int32) -> torch.Tensor:
        return torch.empty(*shape, dtype=dtype, device=device)

    scene = Scene(
        memory(batch, n_vertices, 3, dtype=torch.float64), mesh.faces,
        # one record at least: what comes after the last link is loaded too, from the first record
        memory(max(batch * n_faces, 1), 4, dtype=torch.int64), memory(batch * n_faces, 6, dtype=torch.int64),
        memory(max(batch * n_faces, 1) * lists.LISTS, 4, dtype=torch.int64),
        torch.full((batch, heads_per_item), -1, dtype=torch.int32, device=device),
        memory(batch, height, width), memory(batch * tiles_x * tiles_y),
        n_vertices, n_faces, height, width, tiles_x, tiles_y, heads_per_item,
    )  # fmt: skip
    surface = memory(batch, n_faces if textured else 0, 16, dtype=SURFACE_TYPE)
    block = 128
    if n_faces:
        setup_kernels.project_kernel[(batch * triton.cdiv(n_vertices, block),)](
            mesh.vertices, mesh.projection, scene.screen, n_vertices, BLOCK=block, **_EXACT
        )
        few = 32  # triangles of one warp wait for the one in the most tiles
        setup_kernels.setup_kernel[(batch * triton.cdiv(n_faces, few),)](
            scene.screen, mesh.faces, mesh.uvs, mesh.uv_faces, scene.slopes, scene.larger, scene.links, scene.heads, surface,
            *scene[8:], PERSPECTIVE=perspective, TEXTURED=textured, BLOCK=few, num_warps=1, **lists._asdict(), **_EXACT,
        )  # fmt: skip
    return scene, surface, lists


def find_visible(mesh: Mesh, size: tuple[int, int], perspective: bool, textured: bool = True) -> Visible:
    """Project, list and rasterise."""
    scene, surface, lists = set_up(mesh, size, perspective, textured)
    raster_kernels.visibility_kernel[(scene.n_tiles,)](*scene, num_warps=1, **lists._asdict())
    raster_kernels.exact_visibility_kernel[(_BLOCKS * triton.cdiv(scene.n_tiles, TILES_AT_ONCE),)](
        *scene, scene.n_tiles, GROUP=TILES_AT_ONCE, num_warps=1, **lists._asdict(), **_EXACT
    )
    return Visible(scene.triangle, scene.screen, surface)


def lists_per_triangle(triangles: int) -> int:
    """How many tiles each of so many triangles may be listed for: a power of two, fewer where that takes much memory."""
    lists = _MOST_LISTS
    while lists > _FEWEST_LISTS and triangles * lists * 32 > _BYTES_OF_LISTS:
        lists //= 2
    return lists


def tile_levels(tiles_x: int, tiles_y: int, lists: int) -> tuple[int, int]:
    """How many levels of tiles, each 4 x 4 as large as the one before, until ``lists`` cover the picture, and all tiles."""
    levels, tiles = 1, tiles_x * tiles_y
    while tiles_x * tiles_y > lists:
        tiles_x, tiles_y = triton.cdiv(tiles_x, 4), triton.cdiv(tiles_y, 4)
        levels, tiles = levels + 1, tiles + tiles_x * tiles_y
    return levels, tiles


def find_barycentrics(mesh: Mesh, seen: Visible, perspective: bool) -> tuple[torch.Tensor, torch.Tensor]:
    """(B, H, W, 3) weights of the corners and (B, H, W) depth, float32."""
    batch, height, width = seen.triangle.shape
    barycentric = torch.empty(batch, height, width, 3, dtype=torch.float32, device=seen.triangle.device)
    depth = torch.empty(batch, height, width, dtype=torch.float32, device=seen.triangle.device)
    total, block = seen.triangle.numel(), 128
    raster_kernels.barycentric_kernel[(triton.cdiv(total, block),)](
        seen.screen, mesh.faces, seen.triangle, barycentric, depth, mesh.vertices.shape[1], height * width, width, total,
        PERSPECTIVE=perspective, BLOCK=block,
    )  # fmt: skip
    return barycentric, depth


def shade(mesh: Mesh, seen: Visible, texture: torch.Tensor, perspective: bool) -> tuple[torch.Tensor, torch.Tensor]:
    """(B, C, H, W) picture and (B, H, W) depth in the dtype of the vertices."""
    batch, height, width = seen.triangle.shape
    channels = texture.shape[1]
    image = torch.empty(batch, channels, height, width, dtype=mesh.vertices.dtype, device=texture.device)
    depth = torch.empty(batch, height, width, dtype=mesh.vertices.dtype, device=texture.device)
    tile_y, tile_x, warps = _SHAPES["shade"]
    grid = (batch * triton.cdiv(height, tile_y) * triton.cdiv(width, tile_x),)
    for first in range(0, channels, CHANNELS_AT_ONCE):
        part = texture[:, first : first + CHANNELS_AT_ONCE]
        shade_kernels.shade_kernel[grid](
            seen.triangle, seen.surface, part, image[:, first:], depth,
            len(mesh.faces), height, width, *texture.shape[2:], *item_strides(part), image.stride(0),
            CHANNELS=part.shape[1], PERSPECTIVE=perspective, WITH_DEPTH=first == 0, WIDE=is_wide(texture),
            TILE_Y=tile_y, TILE_X=tile_x, CACHE=_CACHE, num_warps=warps,
        )  # fmt: skip
    return image, depth


CHANNELS_AT_ONCE = 8


def item_strides(texture: torch.Tensor) -> tuple[int, ...]:
    """Strides of a texture, 0 from item to item when one is shared by all."""
    return (0 if len(texture) == 1 else texture.stride(0), *texture.stride()[1:])


def is_wide(texture: torch.Tensor) -> bool:
    """Whether offsets within one item of ``texture`` need 64 bits."""
    reach = sum((side - 1) * stride for side, stride in zip(texture.shape[1:], texture.stride()[1:]))
    return reach >= 2**31 or texture.shape[2] * texture.shape[3] * padded_channels(texture.shape[1]) >= 2**31


def empty_gradients(mesh: Mesh, texture: torch.Tensor, for_geometry: bool, for_texture: bool) -> Gradients:
    """Zeros for the gradients asked for."""
    batch, device = len(mesh.vertices), texture.device
    items, channels, height, width = texture.shape
    return Gradients(
        torch.zeros(batch, len(mesh.faces), 12, device=device) if for_geometry else None,
        torch.zeros(items, height, width, padded_channels(channels), device=device) if for_texture else None,
    )


def picture_backward(mesh, seen: Visible, texture, image_gradient, depth_gradient, gradients: Gradients, perspective: bool):
    """Add what the gradients of image and depth (None: 0) mean to ``gradients`` of up to 8 channels."""
    batch, height, width = seen.triangle.shape
    unused = seen.surface
    tile_y, tile_x, warps = _SHAPES["backward"]
    depth_strides = (0, 0, 0) if depth_gradient is None else depth_gradient.stride()
    backward_kernels.picture_backward_kernel[(batch * triton.cdiv(height, tile_y) * triton.cdiv(width, tile_x),)](
        seen.triangle, seen.surface, texture, image_gradient, unused if depth_gradient is None else depth_gradient,
        unused if gradients.moments is None else gradients.moments,
        unused if gradients.texture is None else gradients.texture,
        len(mesh.faces), height, width, *texture.shape[2:], *item_strides(texture), *image_gradient.stride(), *depth_strides,
        0 if gradients.texture is None or len(gradients.texture) == 1 else gradients.texture.stride(0),
        CHANNELS=texture.shape[1], PADDED=padded_channels(texture.shape[1]), PERSPECTIVE=perspective,
        WITH_DEPTH=depth_gradient is not None, FOR_GEOMETRY=gradients.moments is not None,
        FOR_TEXTURE=gradients.texture is not None, WIDE=is_wide(texture), TILE_Y=tile_y, TILE_X=tile_x, num_warps=warps,
    )  # fmt: skip


def geometry_backward_of(mesh: Mesh, seen: Visible, moments: torch.Tensor, perspective: bool):
    """Gradients of vertices (their dtype) and projection (float64) from the moments of the triangles."""
    batch, n_vertices = mesh.vertices.shape[:2]
    n_faces, block = len(mesh.faces), 128
    homogeneous = torch.zeros_like(seen.screen)
    of_vertices = torch.empty_like(mesh.vertices)
    of_projection = torch.zeros(batch, 3, 4, dtype=torch.float64, device=moments.device)
    if n_faces:
        geometry_backward.triangle_backward_kernel[(batch * triton.cdiv(n_faces, block),)](
            seen.screen, mesh.faces, seen.surface, moments, homogeneous, n_vertices, n_faces,
            PERSPECTIVE=perspective, BLOCK=block,
        )  # fmt: skip
    if n_vertices:
        geometry_backward.vertex_backward_kernel[(batch * triton.cdiv(n_vertices, block),)](
            mesh.vertices, mesh.projection, homogeneous, of_vertices, of_projection, n_vertices, BLOCK=block
        )
    return of_vertices, of_projection


def unpack_texture_gradient(packed: torch.Tensor, texture: torch.Tensor, factor: torch.Tensor) -> torch.Tensor:
    """``packed`` (B or 1, h, w, padded) times the scalar ``factor``, in shape, dtype and memory format of ``texture``."""
    result = torch.empty_like(texture)
    items, channels, height, width = texture.shape
    block = 1024
    backward_kernels.unpack_kernel[(items * triton.cdiv(height * width, block),)](
        packed, factor, result, height * width, width, packed.stride(0), *result.stride(),
        CHANNELS=channels, PADDED=packed.shape[3], BLOCK=block,
    )  # fmt: skip
    return result


def screen_loss_sums(mesh, seen: Visible, texture, weight, photo, gradients: Gradients, factor, perspective, attached):
    """Scalar float64 sum of the weighted squared differences; ``factor`` times their gradients are added to ``gradients``."""
    batch, height, width = seen.triangle.shape
    unused = seen.surface
    tile_y, tile_x, warps = _SHAPES["loss"]
    programs = batch * triton.cdiv(height, tile_y) * triton.cdiv(width, tile_x)
    partial = torch.empty(programs, dtype=torch.float32, device=photo.device)
    image = texture if weight is None else weight
    weight_strides = (0 if len(image) == 1 else image.stride(0), *image.stride()[1:]) if weight is not None else (0, 0, 0)
    loss_kernels.screen_loss_kernel[(programs,)](
        seen.triangle, seen.surface, texture, image, photo, partial,
        unused if gradients.moments is None else gradients.moments,
        unused if gradients.texture is None else gradients.texture, factor,
        len(mesh.faces), height, width, *texture.shape[2:], *image.shape[-2:], *item_strides(texture), *weight_strides,
        0 if gradients.texture is None or len(gradients.texture) == 1 else gradients.texture.stride(0),
        PADDED=4, PERSPECTIVE=perspective, WEIGHTED=weight is not None, ATTACHED=attached and weight is not None,
        FOR_GEOMETRY=gradients.moments is not None, FOR_TEXTURE=gradients.texture is not None, WIDE=is_wide(texture),
        TILE_Y=tile_y, TILE_X=tile_x, num_warps=warps,
    )  # fmt: skip
    return partial.sum(dtype=torch.float64)
