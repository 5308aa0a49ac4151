"""Memory that batches are decoded into: one block for each batch, so that one copy brings all of it to a device."""

from __future__ import annotations

import queue
from typing import TYPE_CHECKING

import numpy as np
import torch

from multiface.capture import FrameKey
from multiface.capture.unfinished import Unfinished
from multiface.core.errors import FormatError
from multiface.data import device_jpeg
from multiface.data.batch import Batch
from multiface.data.block import ALIGNMENT, FILTERS, JPEG, PICTURES, BatchShape, BlockBatch, carve, place
from multiface.data.png_rows import undo_filters

if TYPE_CHECKING:
    from multiface.data.reading_pool import ReadingPool


class BatchBuffers:
    """The arrays of a batch of up to ``shape.views`` views and ``shape.frames`` frames, on the CPU.

    Args:
        shape: Sizes.
        pinned: Page-locked, so that copies to a CUDA device need not wait.
        block: Memory to use, uint8; fresh memory when absent.
        slot: Which block of a memory that other processes see it is; None when they do not.

    Attributes:
        arrays: Name -> NumPy array to write into.
        slot: See above.
    """

    def __init__(
        self,
        shape: BatchShape,
        pinned: bool = False,
        block: torch.Tensor | None = None,
        slot: int | None = None,
    ) -> None:
        self.shape, self.slot = shape, slot
        self._offsets, size = place(shape)
        self._block = torch.empty(size, dtype=torch.uint8, pin_memory=pinned) if block is None else block[:size]
        self.arrays: dict[str, np.ndarray] = {name: x.numpy() for name, x in carve(self._block, shape, shape.arrays()).items()}

    def unfinished(self, name: str, place: int) -> Unfinished | None:
        """What may be left undone of the picture at ``place``; None where nothing may."""
        filters, jpeg = self.arrays.get(name + FILTERS), self.arrays.get(name + JPEG)
        if filters is None and jpeg is None:
            return None
        return Unfinished(None if filters is None else filters[place], None if jpeg is None else jpeg[place])

    def batch(self, keys: tuple[FrameKey, ...], cameras: tuple[str, ...]) -> Batch:
        """What is in the arrays, as a batch that shares their memory; not for unfinished pictures."""
        return BlockBatch.of(self._block, self.shape, keys, cameras)

    def batch_on(self, device: torch.device, keys: tuple[FrameKey, ...], cameras: tuple[str, ...]) -> Batch:
        """The same on a device, by one copy that is not waited for; pictures are finished there.

        JPEG is waited for.

        Raises:
            FormatError: a JPEG cannot be decoded.
        """
        left = self._left_as_jpeg(len(keys), len(cameras))
        if left and device.type == "cuda":
            torch.cuda.current_stream(device).synchronize()  # see device_jpeg.decode
        used = self._offsets["average"] + len(keys) * self.shape.texture_size**2 * 3
        used = -(-used // ALIGNMENT) * ALIGNMENT
        block = torch.empty(used, dtype=torch.uint8, device=device)
        block.copy_(self._block[:used], non_blocking=True)
        batch = BlockBatch.of(block, self.shape, keys, cameras)
        if left:
            self._decode_jpeg(batch, left)
        if self.shape.filtered:
            self._undo_filters(batch, block)
        return batch

    def _left_as_jpeg(self, frames: int, views: int) -> list[tuple[str, int]]:
        """Array and place of each picture that is a JPEG."""
        counts = {name: frames if name == "average" else views for name in PICTURES if name + JPEG in self.arrays}
        used = {name: self.arrays[name + JPEG][:count, 0] for name, count in counts.items()}
        return [(name, int(place)) for name, sizes in used.items() for place in np.flatnonzero(sizes)]

    def _decode_jpeg(self, batch: Batch, left: list[tuple[str, int]]) -> None:
        encoded = [self.arrays[name][at].reshape(-1)[: self.arrays[name + JPEG][at, 0]] for name, at in left]
        try:
            planes = device_jpeg.decode(encoded, batch.device)
        except torch.OutOfMemoryError:
            raise
        except RuntimeError as error:
            raise FormatError(
                f"JPEG with the right checksum cannot be decoded on the GPU: {str(error).splitlines()[0]}",
                where="; ".join(_what(batch, name, at) for name, at in left),
                remedy="Look which it is with `multiface inspect`, and pack it again",
            ) from error
        for name in dict.fromkeys(name for name, _ in left):
            mine = {at: plane for (other, at), plane in zip(left, planes, strict=True) if other == name}
            for has_bits in (False, True):
                rows = [at for at in mine if bool(self.arrays[name + JPEG][at, 1]) == has_bits]
                device_jpeg.place(getattr(batch, name), rows, [mine[at] for at in rows], has_bits)

    def _undo_filters(self, batch: Batch, block: torch.Tensor) -> None:
        for name in PICTURES:
            count = len(batch.keys) if name == "average" else len(batch)
            if name in self.arrays and self.arrays[name + FILTERS][:count].any():
                filters = carve(block, self.shape, [name + FILTERS], len(batch.keys), len(batch))
                undo_filters(getattr(batch, name), filters[name + FILTERS])


class BufferRing:
    """A fixed number of :class:`BatchBuffers`, taken and given back.

    Args:
        count: How many.
        shape: Of all of them.
        pinned: See there.
        pool: Processes that read into them, with the memory for ``count`` of them; fresh memory when absent.

    Attributes:
        pool: See above.
    """

    def __init__(self, count: int, shape: BatchShape, pinned: bool, pool: ReadingPool | None = None) -> None:
        self.shape, self.pool = shape, pool
        self._count = count
        self._free: queue.SimpleQueue[BatchBuffers] = queue.SimpleQueue()
        for number in range(count):
            if pool is None:
                self._free.put(BatchBuffers(shape, pinned))
            else:
                self._free.put(BatchBuffers(shape, block=pool.blocks[number], slot=number))

    def __len__(self) -> int:
        """Buffers of the ring, also those that are in use."""
        return self._count

    def close(self) -> None:
        """End the processes of the pool; nobody may use the buffers any longer."""
        if self.pool is not None:
            self.pool.close()

    def take(self) -> BatchBuffers:
        """Buffers that nobody uses; there must be some."""
        return self._free.get_nowait()

    def give(self, buffers: BatchBuffers) -> None:
        """Buffers back, whose content is no longer needed."""
        self._free.put(buffers)


def _what(batch: Batch, name: str, at: int) -> str:
    """A picture of a batch, for people."""
    return f"average of {batch.keys[at]}" if name == "average" else f"{name} {at + 1} of {len(batch)} ({batch.cameras[at]})"
