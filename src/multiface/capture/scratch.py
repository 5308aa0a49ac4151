"""Memory that a thread uses again and again while it decodes.

Fresh memory of a megabyte costs a third of the decompression of what goes into it: the system clears every page of it, and
taking it back interrupts all other threads of the process.
"""

from __future__ import annotations

import threading

import numpy as np

_KEPT = 64 << 20
"""More than the pictures and meshes of a capture take; what is larger is not held on to."""
_memory = threading.local()


def scratch(name: str, size: int) -> np.ndarray:
    """(size,) uint8 of this thread, with whatever it held: valid until the thread asks for the same name again."""
    if size > _KEPT:
        return np.empty(size, np.uint8)
    have: np.ndarray | None = getattr(_memory, name, None)
    if have is None or len(have) < size:
        have = np.empty(size + size // 8, np.uint8)
        setattr(_memory, name, have)
    return have[:size]
