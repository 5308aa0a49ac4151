"""Entry checks: everything that would otherwise fail inside a kernel is refused here, without waiting for a device."""

from __future__ import annotations

import numpy as np
import torch
from torch.utils.weak import WeakTensorKeyDictionary

from multiface.core.errors import ArgumentError
from multiface.render.rules import INTERPOLATIONS

LARGEST_SIDE = 32768
_PRECISE = (torch.float32, torch.float64)
_COLOUR = (torch.float32, torch.float64, torch.float16, torch.bfloat16)

_index_ranges = WeakTensorKeyDictionary()


def check_scene(vertices, projection, size, interpolation) -> tuple[torch.Tensor, torch.Tensor, tuple[int, int], bool]:
    """Vertices and projection of one batch size, the picture's (height, width), and whether it is perspective correct.

    Raises:
        ArgumentError: a shape, type, device, size or mode that cannot be used.
    """
    check_tensor(vertices, "vertices", "(B, V, 3)", _PRECISE)
    check_tensor(projection, "projection", "(B, 3, 4)", _PRECISE)
    if projection.device != vertices.device:
        raise ArgumentError("projection and vertices must be on one device", expected=vertices.device, found=projection.device)
    batch = common_batch(vertices=vertices, projection=projection)
    size = check_size(size)
    if interpolation not in INTERPOLATIONS:
        names = " or ".join(repr(name) for name in INTERPOLATIONS)
        raise ArgumentError("unknown interpolation", expected=names, found=repr(interpolation))
    return vertices.expand(batch, -1, -1), projection.expand(batch, -1, -1), size, interpolation == "perspective"


def check_texture(texture, device: torch.device) -> None:
    """Refuse textures that are not (B, C, h, w) of a floating type on ``device``."""
    check_tensor(texture, "texture", "(B, C, h, w)", _COLOUR)
    if texture.device != device:
        raise ArgumentError("texture and vertices must be on one device", expected=device, found=texture.device)
    if min(texture.shape) < 1 or max(texture.shape[2:]) > LARGEST_SIDE:
        raise ArgumentError(
            "texture size cannot be used", expected=f"1 to {LARGEST_SIDE} texels a side", found=tuple(texture.shape)
        )


def check_tensor(tensor, name: str, shape: str, dtypes: tuple[torch.dtype, ...] = _PRECISE) -> None:
    """Refuse what is not a tensor of one of ``dtypes`` with the dimensions written in ``shape``, such as ``"(B, V, 3)"``."""
    if not isinstance(tensor, torch.Tensor):
        raise ArgumentError(f"{name} must be a tensor", found=type(tensor).__name__)
    sides = shape.strip("()").split(", ")
    fits = tensor.ndim == len(sides) and all(not s.isdigit() or int(s) == n for s, n in zip(sides, tensor.shape))
    if not fits:
        raise ArgumentError(f"{name} has the wrong shape", expected=shape, found=tuple(tensor.shape))
    if tensor.dtype not in dtypes:
        raise ArgumentError(f"{name} has the wrong type", expected=" or ".join(map(str, dtypes)), found=tensor.dtype)


def common_batch(**tensors: torch.Tensor) -> int:
    """The batch size of tensors that each have it, or 1.

    Raises:
        ArgumentError: the batch sizes do not go together, or there is nothing to render.
    """
    sizes = {name: len(tensor) for name, tensor in tensors.items()}
    batch = max(sizes.values())
    if any(size not in (1, batch) for size in sizes.values()):
        raise ArgumentError(f"batch sizes of {' and '.join(sizes)} must be equal, or 1", found=list(sizes.values()))
    return batch


def check_size(size) -> tuple[int, int]:
    """(height, width) as positive ints."""
    try:
        height, width = (int(side) for side in size)
    except (TypeError, ValueError) as error:
        raise ArgumentError("picture size is not a pair", expected="(height, width)", found=repr(size)) from error
    if not (1 <= height <= LARGEST_SIDE and 1 <= width <= LARGEST_SIDE):
        raise ArgumentError("picture size cannot be used", expected=f"1 to {LARGEST_SIDE} a side", found=(height, width))
    return height, width


def check_faces(faces, n_vertices: int, device: torch.device) -> torch.Tensor:
    """(F, 3) contiguous int32 tensor on ``device`` of ``faces`` (array or tensor), all indices within ``n_vertices``.

    The indices of a tensor are looked at once, unless it is changed: on a GPU that look waits for the device.
    """
    tensor = torch.from_numpy(faces.copy()) if isinstance(faces, np.ndarray) else faces
    check_tensor(tensor, "faces", "(F, 3)", (torch.int32, torch.int64))
    low, high = _index_range(tensor)
    if low < 0:
        raise ArgumentError("faces hold a negative vertex index", found=low)
    check_vertex_count(high + 1, n_vertices)
    return tensor.to(device=device, dtype=torch.int32).contiguous()


def _index_range(faces: torch.Tensor) -> tuple[int, int]:
    if faces.numel() == 0:
        return 0, -1
    version = None if faces.is_inference() else faces._version
    known = _index_ranges.get(faces)
    if known is None or version is None or known[0] != version:
        known = (version, int(faces.min()), int(faces.max()))
        _index_ranges[faces] = known
    return known[1], known[2]


def check_vertex_count(needed: int, n_vertices: int) -> None:
    """Refuse a mesh with fewer vertices than its faces refer to."""
    if needed > n_vertices:
        raise ArgumentError(
            "faces refer to vertices that the mesh does not have", expected=f"{needed} vertices or more", found=n_vertices
        )
