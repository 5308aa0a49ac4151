"""Running kernels on several cores.

Kernels release the interpreter lock, so plain threads do. Unlike Numba's own parallel loops these may be used from several
threads at once whatever threading layer is installed, start afresh after a fork, and compile in a fraction of the time.
"""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import torch

_lock = threading.Lock()
_pools: dict[tuple[int, int], ThreadPoolExecutor] = {}


def thread_count() -> int:
    """How many threads to use: as many as PyTorch does (``torch.set_num_threads``, ``OMP_NUM_THREADS``)."""
    return max(1, torch.get_num_threads())


def run_parallel(task: Callable[[int], object], count: int, threads: int) -> None:
    """Call ``task`` with 0 to ``count`` - 1, each once, in any order on up to ``threads`` threads, this one included."""
    remaining = deque(range(count))

    def work() -> None:
        while True:
            try:
                index = remaining.popleft()  # atomic, unlike advancing a generator
            except IndexError:
                return
            task(index)

    helpers = min(threads, count) - 1
    futures = [_pool(threads).submit(work) for _ in range(helpers)]
    try:
        work()
    finally:
        # also after an error here: the others still write to the same arrays
        errors = [future.exception() for future in futures]
    for error in errors:
        if error is not None:
            raise error


def _pool(threads: int) -> ThreadPoolExecutor:
    key = (os.getpid(), threads)
    with _lock:
        if key not in _pools:
            _pools[key] = ThreadPoolExecutor(threads, thread_name_prefix="multiface-render")
        return _pools[key]
