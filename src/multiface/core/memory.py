"""Memory that is kept, and garbage that is not looked for."""

from __future__ import annotations

import ctypes
import gc
import platform
from collections.abc import Iterator
from contextlib import contextmanager

# Parameters of mallopt(3), from <malloc.h>.
_M_TRIM_THRESHOLD = -1
_M_MMAP_THRESHOLD = -3
_LARGEST = 2**31 - 1


def reuse_freed_memory() -> bool:
    """Keep the memory of freed tensors for the next ones instead of returning it to the system at once.

    Without this, glibc asks the kernel for every array above 32 MB anew, and the kernel clears each page of it: a third
    of the time of a training step on a CPU. Holds for the whole process; to be called before training on a CPU.

    Returns:
        Whether it took effect: with glibc (Linux) yes, elsewhere nothing is changed.
    """
    if platform.libc_ver()[0] != "glibc":
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        return False
    return bool(mallopt(_M_MMAP_THRESHOLD, 2**30)) and bool(mallopt(_M_TRIM_THRESHOLD, _LARGEST))


@contextmanager
def without_collection() -> Iterator[None]:
    """Make many small objects that stay, without looking for circles among them again and again.

    Going through a hundred thousand new tuples, or millions, each time some more were made takes longer than making them. Of
    importing PyTorch and what needs it, it is a sixth.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()
