"""nvdiffrast as a backend, for people who have installed it themselves; used through its documented functions only.

It is not part of multiface and has a licence of its own (non-commercial). Pictures are the same as those of the other backends
within float32, except that nvdiffrast snaps vertices to a fraction of a pixel, and resolves pixels on an edge and triangles
of equal depth in a way of its own. Operations of torch.compile stop at its functions.

Its space: x, y, z divided by w run from -1 to 1 over the picture and from near to far; row 0 of pictures and textures is at -1
and 0, as ours is at v = 0, so nothing is flipped. Weights of corners are perspective correct by w, and affine where w is 1.
"""

from __future__ import annotations

import nvdiffrast.torch as nvdiffrast  # pyright: ignore[reportMissingImports]
import torch

from multiface.core.errors import ArgumentError
from multiface.render.backends import Backend
from multiface.render.layout import Layout
from multiface.render.results import Raster, Rendering
from multiface.render.rules import FARTHEST_PIXEL, FLATTEST, NEAR

MOST_TRIANGLES = 2**24
"""Triangle numbers come back as float32."""

_contexts: dict[torch.device, nvdiffrast.RasterizeCudaContext] = {}


def rasterize(vertices, projection, faces, size: tuple[int, int], perspective: bool) -> Raster:
    """See :func:`multiface.render.rasterize`."""
    raster, z, corners = _rasterize(vertices, projection, faces, size, perspective)
    depth, _ = nvdiffrast.interpolate(z, raster, corners)
    triangle = raster[..., 3].to(torch.int32) - 1
    first, second = raster[..., 0], raster[..., 1]
    barycentric = torch.stack([first, second, 1 - first - second], -1) * (triangle >= 0)[..., None]
    return Raster(triangle, depth[..., 0], barycentric)


def render(vertices, projection, layout: Layout, texture, size: tuple[int, int], perspective: bool) -> Rendering:
    """See :func:`multiface.render.render_mesh`."""
    raster, z, corners = _rasterize(vertices, projection, layout.faces, size, perspective)
    triangle = raster[..., 3].detach().to(torch.int32) - 1
    shown = (triangle >= 0)[:, None]
    if len(layout.faces) == 0:
        nothing = torch.zeros(len(vertices), texture.shape[1], *size, dtype=vertices.dtype, device=vertices.device)
        return Rendering(nothing, triangle, nothing[:, 0])
    depth, _ = nvdiffrast.interpolate(z, raster, corners)
    uv, _ = nvdiffrast.interpolate(layout.uvs[None], raster, layout.uv_faces)
    texels = texture.permute(0, 2, 3, 1).float().contiguous()
    image = nvdiffrast.texture(texels, uv, filter_mode="linear", boundary_mode="wrap").permute(0, 3, 1, 2)
    image = torch.where(shown, image, torch.zeros((), device=image.device)).to(vertices.dtype)
    return Rendering(image, triangle, depth[..., 0].to(vertices.dtype))


def _rasterize(vertices, projection, faces, size: tuple[int, int], perspective: bool):
    """Its raster (B, H, W, 4), camera z of each corner (B, 3F, 1), and the numbers of the corners (F, 3).

    Each triangle has corners of its own, so that one can be left out for a single item of the batch.
    """
    if len(faces) >= MOST_TRIANGLES:
        raise ArgumentError("too many triangles for nvdiffrast", expected=f"fewer than {MOST_TRIANGLES}", found=len(faces))
    corners = torch.arange(3 * len(faces), dtype=torch.int32, device=faces.device).reshape(-1, 3)
    if len(faces) == 0:
        return vertices.new_zeros(len(vertices), *size, 4, dtype=torch.float32), None, corners
    height, width = size
    finite = vertices.isfinite().all(-1, keepdim=True)
    vertices = torch.where(finite, vertices, 0.0)  # else even a gradient of 0 would make that of the projection NaN
    q = vertices.double() @ projection[:, :, :3].double().mT + projection[:, None, :, 3].double()
    used = faces.long().reshape(-1)
    q = q[:, used]
    drawn = _is_drawn(torch.where(finite[:, used], q.detach(), torch.nan))
    # left out: all corners at one place outside the picture
    q = torch.where(drawn[..., None], q, q.new_tensor([2.0 * width, 0.0, 1.0]))
    z = q[..., 2:]
    near, far = _depth_range(z.detach(), drawn)
    middle = torch.stack([q[..., 0] * (2 / width) - q[..., 2], q[..., 1] * (2 / height) - q[..., 2]], -1)
    if perspective:  # z / w is affine in the reciprocal of depth
        place = torch.cat([middle, ((far + near) * z - 2 * far * near) / (far - near), z], -1)
    else:
        place = torch.cat([middle / z, (2 * z - far - near) / (far - near), torch.ones_like(z)], -1)
    raster, _ = nvdiffrast.rasterize(_context(vertices.device), place.float().contiguous(), corners, size, grad_db=False)
    return raster, z.float().contiguous(), corners


def _is_drawn(q: torch.Tensor) -> torch.Tensor:
    """(B, 3F) whether the triangle of a corner is drawn at all; q (B, 3F, 3) are homogeneous pixels."""
    corners = q.unflatten(1, (-1, 3))
    z = corners[..., 2]
    u, v = corners[..., 0] / z, corners[..., 1] / z
    usable = (u.abs() <= FARTHEST_PIXEL) & (v.abs() <= FARTHEST_PIXEL) & (z > NEAR) & z.isfinite()
    extent = torch.maximum(u.amax(-1) - u.amin(-1), v.amax(-1) - v.amin(-1))
    area = (u[..., 1] - u[..., 0]) * (v[..., 2] - v[..., 0]) - (v[..., 1] - v[..., 0]) * (u[..., 2] - u[..., 0])
    return (usable.all(-1) & (area.abs() > FLATTEST * extent**2)).repeat_interleave(3, 1)


def _depth_range(z: torch.Tensor, drawn: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """(B, 1, 1) depths a little before the first and behind the last corner (B, 3F, 1) that is drawn."""
    z = z[..., 0]
    near = torch.where(drawn, z, torch.inf).amin(1).nan_to_num(posinf=1.0)
    far = torch.where(drawn, z, 0.0).amax(1).clamp(min=near)
    return 0.99 * near[:, None, None], 1.01 * far[:, None, None]


def _context(device: torch.device) -> nvdiffrast.RasterizeCudaContext:
    if device not in _contexts:
        _contexts[device] = nvdiffrast.RasterizeCudaContext(device)
    return _contexts[device]


BACKEND = Backend(name="nvdiffrast", device_types=("cuda",), rasterize=rasterize, render=render)
