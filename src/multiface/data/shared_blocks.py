"""Memory that this process and its reading processes see: blocks for batches, page-locked for a GPU."""

from __future__ import annotations

import mmap
import os
import weakref

import torch


class SharedBlocks:
    """So many blocks of memory without a name, which live as long as somebody uses them. They are no files in /dev/shm.

    Args:
        count, size: How many blocks, and bytes of each.
        descriptor: Of the memory that another process made; new memory when absent.

    Attributes:
        descriptor: Number of the open file that stands for the memory.
        blocks: (size,) uint8 tensors.

    Raises:
        OSError: there is no such memory here, or not as much.
    """

    def __init__(self, count: int, size: int, descriptor: int | None = None) -> None:
        stride = -(-size // mmap.PAGESIZE) * mmap.PAGESIZE
        if descriptor is None:
            if not hasattr(os, "memfd_create"):
                raise OSError("this system has no memory that processes share without a name")
            descriptor = os.memfd_create("multiface-batches")
            os.ftruncate(descriptor, count * stride)
        self.descriptor = descriptor
        weakref.finalize(self, os.close, descriptor)
        mapped = mmap.mmap(descriptor, count * stride)
        self._all = torch.frombuffer(mapped, dtype=torch.uint8)
        # Each a storage of its own: tensors are cut out of them by their place in the storage.
        self.blocks = [torch.frombuffer(mapped, dtype=torch.uint8, count=size, offset=n * stride) for n in range(count)]

    def page_lock(self) -> None:
        """Let a CUDA device copy from it without a detour.

        Raises:
            OSError: that cannot be had.
        """
        torch.cuda.init()
        cuda = torch.cuda.cudart()
        if cuda is None:
            raise OSError("this PyTorch has no CUDA to lock pages for")
        address = self._all.data_ptr()
        status = int(cuda.cudaHostRegister(address, self._all.nbytes, 0))
        if status != 0:
            raise OSError(f"page-locking {self._all.nbytes:,} bytes failed: CUDA error {status}")
        # When the program ends there may be no CUDA any longer, and no need.
        weakref.finalize(self, cuda.cudaHostUnregister, address).atexit = False
