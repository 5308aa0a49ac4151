"""Memory for decoded pictures, so that small captures are decoded once."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable

import numpy as np


class ArrayCache:
    """Keeps arrays until ``limit`` bytes are reached and then no more; what is kept stays.

    With the random order of training this serves as many requests as any other policy of that size. Arrays are handed out
    read-only, to several threads.
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

    def get(self, key: Hashable, make: Callable[[], np.ndarray]) -> np.ndarray:
        """The array kept under ``key``, else that of ``make``, kept if there is room."""
        array = self._arrays.get(key)
        if array is not None:
            return array
        array = make()
        array.setflags(write=False)
        with self._lock:
            if key not in self._arrays and self._bytes + array.nbytes <= self._limit:
                self._arrays[key] = array
                self._bytes += array.nbytes
        return array
