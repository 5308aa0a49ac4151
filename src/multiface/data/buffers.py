"""Memory that batches are decoded into: one block for each batch, so that one copy brings all of it to a device."""

from __future__ import annotations

import math
import queue
from dataclasses import dataclass

import numpy as np
import torch

from multiface.capture import FrameKey
from multiface.data.batch import Batch
from multiface.data.png_rows import undo_filters

_ALIGNMENT = 256
PICTURES = ("texture", "photo", "average")
FILTERS = "_filters"
"""What the name of an array of pictures has behind it for the array of their filters."""


@dataclass(frozen=True)
class BatchShape:
    """Sizes of a batch's arrays.

    Attributes:
        views, frames: B and F.
        texture_size: T.
        n_vertices: V.
        photo_size: (H, W); None without photos.
        has_texture: Whether there are camera textures.
        filtered: Whether pictures may be rows of PNG whose filters the device undoes. Then each array of pictures has
            one beside it, of the same name and ``_filters``, with the filter of each row; 0 where there are pixels already.
    """

    views: int
    frames: int
    texture_size: int
    n_vertices: int
    photo_size: tuple[int, int] | None
    has_texture: bool
    filtered: bool = False

    def arrays(self) -> dict[str, tuple[tuple[int, ...], torch.dtype]]:
        """Shape and type of each array of a :class:`Batch`, in the order in which they lie in the block.

        The averages come last: a batch of fewer frames than the block has room for is a shorter copy.
        """
        views, frames, size = self.views, self.frames, self.texture_size
        arrays: dict[str, tuple[tuple[int, ...], torch.dtype]] = {
            "frame_of_view": ((views,), torch.int64),
            "camera_index": ((views,), torch.int64),
            "view": ((views, 3), torch.float32),
            "projection": ((views, 3, 4), torch.float32),
            "head_pose": ((frames, 3, 4), torch.float32),
            "vertices": ((frames, self.n_vertices, 3), torch.float32),
        }
        if self.has_texture:
            arrays["texture"] = ((views, size, size, 3), torch.uint8)
        if self.photo_size is not None:
            arrays["photo"] = ((views, *self.photo_size, 3), torch.uint8)
        arrays["average"] = ((frames, size, size, 3), torch.uint8)
        if self.filtered:
            pictures = {name: shape for name, (shape, _) in arrays.items() if name in PICTURES}
            filters = {name + FILTERS: (shape[:2], torch.uint8) for name, shape in pictures.items()}
            arrays = {**filters, **arrays}
        return arrays


class BatchBuffers:
    """The arrays of a batch of up to ``shape.views`` views and ``shape.frames`` frames, on the CPU.

    Args:
        shape: Sizes.
        pinned: Page-locked, so that copies to a CUDA device need not wait.

    Attributes:
        arrays: Name -> NumPy array to write into.
    """

    def __init__(self, shape: BatchShape, pinned: bool = False) -> None:
        self.shape = shape
        self._offsets, self._size = _place(shape)
        self._block = torch.empty(self._size, dtype=torch.uint8, pin_memory=pinned)
        self.arrays: dict[str, np.ndarray] = {name: x.numpy() for name, x in _carve(self._block, shape).items()}

    def batch(self, keys: tuple[FrameKey, ...], cameras: tuple[str, ...]) -> Batch:
        """What is in the arrays, as a batch that shares their memory; not for filtered pictures."""
        return _batch(self._block, self.shape, keys, cameras)

    def batch_on(self, device: torch.device, keys: tuple[FrameKey, ...], cameras: tuple[str, ...]) -> Batch:
        """The same on a device, by one copy that is not waited for; filters of pictures are undone there."""
        used = self._offsets["average"] + len(keys) * self.shape.texture_size**2 * 3
        block = torch.empty(used, dtype=torch.uint8, device=device)
        block.copy_(self._block[:used], non_blocking=True)
        batch = _batch(block, self.shape, keys, cameras)
        if self.shape.filtered:
            self._undo_filters(batch, _carve(block, self.shape, len(keys)))
        return batch

    def _undo_filters(self, batch: Batch, on_device: dict[str, torch.Tensor]) -> None:
        for name in PICTURES:
            pictures: torch.Tensor | None = getattr(batch, name)
            if pictures is not None and self.arrays[name + FILTERS][: len(pictures)].any():
                undo_filters(pictures, on_device[name + FILTERS][: len(pictures)])


class BufferRing:
    """A fixed number of :class:`BatchBuffers`, taken and given back.

    Args:
        count: How many.
        shape: Of all of them.
        pinned: See there.
    """

    def __init__(self, count: int, shape: BatchShape, pinned: bool) -> None:
        self.shape = shape
        self._free: queue.SimpleQueue[BatchBuffers] = queue.SimpleQueue()
        for _ in range(count):
            self._free.put(BatchBuffers(shape, pinned))

    def take(self) -> BatchBuffers:
        """Buffers that nobody uses; there must be some."""
        return self._free.get_nowait()

    def give(self, buffers: BatchBuffers) -> None:
        """Buffers back, whose content is no longer needed."""
        self._free.put(buffers)


def _batch(block: torch.Tensor, shape: BatchShape, keys: tuple[FrameKey, ...], cameras: tuple[str, ...]) -> Batch:
    tensors: dict[str, torch.Tensor | None] = {"texture": None, "photo": None}
    for name, tensor in _carve(block, shape, len(keys)).items():
        if name.endswith(FILTERS):
            continue
        tensors[name] = tensor[: len(keys) if name in ("average", "vertices", "head_pose") else len(cameras)]
    return Batch(keys=keys, cameras=cameras, **tensors)  # type: ignore[arg-type]


def _place(shape: BatchShape) -> tuple[dict[str, int], int]:
    """First byte of each array in the block, and the block's size."""
    offsets, position = {}, 0
    for name, (dimensions, dtype) in shape.arrays().items():
        offsets[name] = position
        size = math.prod(dimensions) * dtype.itemsize
        position += -(-size // _ALIGNMENT) * _ALIGNMENT
    return offsets, position


def _carve(block: torch.Tensor, shape: BatchShape, frames: int | None = None) -> dict[str, torch.Tensor]:
    """The arrays in ``block``, which may end after the averages of the first ``frames`` frames."""
    offsets, _ = _place(shape)
    arrays = {}
    for name, (size, dtype) in shape.arrays().items():
        if name == "average" and frames is not None:
            size = (frames, *size[1:])
        arrays[name] = block[offsets[name] : offsets[name] + math.prod(size) * dtype.itemsize].view(dtype).view(size)
    return arrays
