"""Work in threads, results in order."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


def default_workers(at_most: int = 8) -> int:
    """As many threads as this process may use cores, up to ``at_most``."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(cores, at_most)


def ordered_map(
    function: Callable[[Item], Result], items: Iterable[Item], *, workers: int, ahead: int | None = None
) -> Generator[Result, None, None]:
    """Apply ``function`` to ``items`` in threads and give the results in the order of the items.

    At most ``ahead`` results wait to be taken (twice the workers when absent), which bounds the memory. An exception comes
    out where its result would have been. However the iteration ends, what has not begun is dropped and all threads have
    ended when it is over. Without workers everything happens in the calling thread, one item at a time.
    """
    if workers < 1:
        yield from map(function, items)
        return
    ahead = 2 * workers if ahead is None else max(ahead, 1)
    executor = ThreadPoolExecutor(workers, thread_name_prefix="multiface")
    pending: deque[Future[Result]] = deque()
    try:
        for item in items:
            pending.append(executor.submit(function, item))
            if len(pending) >= ahead:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
    finally:
        executor.shutdown(wait=True, cancel_futures=True)
