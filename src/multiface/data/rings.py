"""How much memory batches are read into ahead of their use, and whether processes of their own do it."""

from __future__ import annotations

import os
import warnings

from multiface.capture.store import CODECS, Store
from multiface.data.block import BatchShape, place
from multiface.data.buffers import BufferRing
from multiface.data.reader import SampleReader
from multiface.data.reading_pool import ReadingPool
from multiface.data.reading_worker import WorkerSetup

IN_HAND = 2
"""Buffers of a ring beside those being read: one on its way to the device, and one that has just been read."""
_LIGHT = ("raw", "lz4")
"""Codecs that unpack as fast as memory is copied, about."""
_THREADS = 4
"""Of a reading process."""
_BEGUN = 2
"""Batches that each reading process has to read, so that it need not wait for the next one."""
_MOST_MEMORY = 7 << 28
"""Bytes of shared memory, 1.9 GB, unless that is too little for a batch for each process."""


def choose_processes(workers: int, cache_bytes: int, decoded_bytes: int, store: Store | None) -> int:
    """How many reading processes ``workers`` threads are best divided among.

    None where they are few; where decoding or a network takes so long that nobody waits for the interpreter (all but stores of
    LZ4 and raw pictures on a disk: threads were as fast or faster, see docs/benchmarks.md); where this process keeps a quarter
    of the pictures decoded, or more, which each process would have to do for itself; and where processes cannot share memory
    (elsewhere than on Linux).

    Args:
        workers: Threads that read.
        cache_bytes: Memory for decoded pictures.
        decoded_bytes: All pictures of an epoch, decoded.
        store: What they are read from; None for files.
    """
    is_slow = store is None or not store.is_local or any(store.uses(codec) for codec in CODECS if codec not in _LIGHT)
    if is_slow or workers < 2 * _THREADS or cache_bytes >= decoded_bytes // 4 or not hasattr(os, "memfd_create"):
        return 0
    return workers // _THREADS


def make_shared_ring(reader: SampleReader, shape: BatchShape, processes: int, workers: int, pinned: bool) -> BufferRing | None:
    """Memory that reading processes fill, and these; None, with a warning, where they cannot be had.

    Args:
        reader: What it reads, they read.
        shape: Of a batch.
        processes: How many.
        workers: Their threads, all together.
        pinned: Page-locked.
    """
    least = processes + 1 + IN_HAND
    count = min(_BEGUN * processes + IN_HAND, max(_MOST_MEMORY // place(shape)[1], least))
    threads = -(-workers // processes) or 1
    setup = WorkerSetup(reader.capture, reader.photo_size, reader.need_texture, threads, shape, count)
    try:
        return BufferRing(count, shape, pinned, ReadingPool(setup, processes, pinned))
    except OSError as error:
        warnings.warn(f"threads read, not processes, which may be slower: {error}", RuntimeWarning, stacklevel=2)
        return None
