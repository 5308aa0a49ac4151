"""Batches whose tensors lie in one block of memory: how they lie, and when each is made."""

from __future__ import annotations

import functools
import math
from collections.abc import Iterable
from dataclasses import dataclass

import torch

from multiface.capture import FrameKey
from multiface.data.batch import Batch

ALIGNMENT = 256
"""Bytes; every array begins at a multiple."""
PICTURES = ("texture", "photo", "average")
OF_FRAMES = frozenset({"average", "vertices", "head_pose"})
"""Arrays with a row for each frame; the others have one for each view."""
FILTERS = "_filters"
"""What the name of an array of pictures has behind it for the array of their filters."""
JPEG = "_jpeg"
"""The same for the array that says which are JPEG."""


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
        jpeg: Whether pictures may be JPEG that the device decodes. Then each array of pictures has one beside it, of the same
            name and ``_jpeg``, with a row for each picture as in :class:`multiface.capture.unfinished.Unfinished`.
    """

    views: int
    frames: int
    texture_size: int
    n_vertices: int
    photo_size: tuple[int, int] | None
    has_texture: bool
    filtered: bool = False
    jpeg: bool = False

    @functools.cache  # noqa: B019 - few shapes, small
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
        pictures = {name: shape for name, (shape, _) in arrays.items() if name in PICTURES}
        if self.filtered:
            arrays = {**{name + FILTERS: (shape[:2], torch.uint8) for name, shape in pictures.items()}, **arrays}
        if self.jpeg:
            arrays = {**{name + JPEG: ((shape[0], 2), torch.int64) for name, shape in pictures.items()}, **arrays}
        return arrays


class BlockBatch(Batch):
    """A batch in one block of memory. Its tensors are made when they are first asked for.

    What copies batches as a whole need not ask: while many threads read, each call of PyTorch may wait for the interpreter.

    Attributes:
        block: All bytes, uint8, as ``shape`` says; it may end after the averages of the batch's frames. None for a batch made
            of this one by replacing tensors, which then lie anywhere.
        shape: What the block has room for.
        views, frames: B and F of this batch.
    """

    block: torch.Tensor | None = None
    shape: BatchShape
    views: int
    frames: int

    @classmethod
    def of(cls, block: torch.Tensor, shape: BatchShape, keys: tuple[FrameKey, ...], cameras: tuple[str, ...]) -> BlockBatch:
        """The batch of these frames and cameras in ``block``."""
        batch = object.__new__(cls)
        vars(batch).update(block=block, shape=shape, keys=keys, cameras=cameras, views=len(cameras), frames=len(keys))
        return batch

    def copied(self) -> BlockBatch:
        """The same in another block, without names: others will come to lie there."""
        batch = object.__new__(type(self))
        block = None if self.block is None else self.block.clone()
        vars(batch).update(block=block, shape=self.shape, keys=(), cameras=(), views=self.views, frames=self.frames)
        return batch

    def __getattr__(self, name: str) -> torch.Tensor | None:
        """A tensor that was not asked for before."""
        if name not in _TENSORS or self.block is None:
            raise AttributeError(f"a batch has no '{name}'")
        made = carve(self.block, self.shape, [name], self.frames, self.views) if name in self.shape.arrays() else {name: None}
        vars(self).update(made)
        return made[name]

    @property
    def device(self) -> torch.device:
        """Where the tensors are."""
        return super().device if self.block is None else self.block.device

    @property
    def n_views(self) -> int:
        """B."""
        return super().n_views if self.block is None else self.views


_TENSORS = frozenset(Batch.__annotations__) - {"keys", "cameras"}


@functools.cache
def place(shape: BatchShape) -> tuple[dict[str, int], int]:
    """First byte of each array in a block, and the block's size."""
    offsets, position = {}, 0
    for name, (dimensions, dtype) in shape.arrays().items():
        offsets[name] = position
        size = math.prod(dimensions) * dtype.itemsize
        position += -(-size // ALIGNMENT) * ALIGNMENT
    return offsets, position


def carve(
    block: torch.Tensor, shape: BatchShape, names: Iterable[str], frames: int | None = None, views: int | None = None
) -> dict[str, torch.Tensor]:
    """Arrays in ``block``, of as many frames and views; it may end after the averages of these frames.

    One call of PyTorch for each: while many threads read, each call may wait for the interpreter.
    """
    offsets, _ = place(shape)
    typed: dict[torch.dtype, torch.Tensor] = {}
    arrays = {}
    for name in names:
        size, dtype = shape.arrays()[name]
        if dtype not in typed:
            typed[dtype] = block.view(dtype)
        count = frames if name.removesuffix(FILTERS).removesuffix(JPEG) in OF_FRAMES else views
        size = size if count is None else (count, *size[1:])
        strides = tuple(math.prod(size[axis + 1 :]) for axis in range(len(size)))
        arrays[name] = typed[dtype].as_strided(size, strides, offsets[name] // dtype.itemsize)
    return arrays
