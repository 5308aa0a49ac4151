"""Memory for decoded pictures, so that small captures are decoded once."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable

import numpy as np


class ArrayCache:
    """Keeps arrays until ``limit`` bytes are reached and then no more; what is kept stays.

    With the random order of training this serves as many requests as any other policy of that size. Used by several threads.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._arrays: dict[Hashable, np.ndarray] = {}
        self._bytes = 0
        self._lock = threading.Lock()

    @property
    def n_bytes(self) -> int:
        """Bytes kept now."""
        return self._bytes

    def keeps(self, key: Hashable, n_bytes: int) -> bool:
        """Whether an array of that size is kept under ``key``, or would be after the next :meth:`fill`."""
        return key in self._arrays or self._bytes + n_bytes <= self._limit

    def fill(self, key: Hashable, out: np.ndarray, make: Callable[[np.ndarray], None]) -> None:
        """Fill ``out`` with the array kept under ``key``, else by ``make(out)``, and keep a copy if there is room."""
        array = self._arrays.get(key)
        if array is not None:
            np.copyto(out, array)
            return
        make(out)
        with self._lock:
            if key in self._arrays or self._bytes + out.nbytes > self._limit:
                return
            self._bytes += out.nbytes
        self._arrays[key] = out.copy()
