"""Work in threads: results in order, or beside other work."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Any, TypeVar

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


class Background:
    """Work done in threads while the caller goes on with something else.

    As a context it waits at its end for everything that was added; when the block raises, what has not begun is dropped.

    Args:
        workers: Number of threads; one for each core, up to eight, when absent. They start with the first piece of work.
        ahead: Pieces of work that may be unfinished (twice the workers when absent), which bounds the memory.
    """

    def __init__(self, workers: int | None = None, ahead: int | None = None) -> None:
        self._workers = default_workers() if workers is None else workers
        self._ahead = 2 * self._workers if ahead is None else ahead
        self._executor: ThreadPoolExecutor | None = None
        self._pending: deque[Future[Any]] = deque()

    def __enter__(self) -> Background:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if kind is None:
            self.finish()
        else:
            self._end()

    def add(self, function: Callable[..., Result], *arguments: Any, **options: Any) -> Future[Result]:
        """Have ``function`` called in a thread; waits for the oldest piece of work first where too many are unfinished.

        What the arguments refer to must not change before the work is done.

        Raises:
            Exception: what the oldest piece of work raised.
        """
        while len(self._pending) >= self._ahead:
            self._pending.popleft().result()
        if self._executor is None:
            self._executor = ThreadPoolExecutor(self._workers, thread_name_prefix="multiface")
        future = self._executor.submit(function, *arguments, **options)
        self._pending.append(future)
        return future

    def finish(self) -> None:
        """Wait for all work and end the threads; more may be added later.

        Raises:
            Exception: the first that a piece of work raised and that :meth:`add` did not.
        """
        try:
            while self._pending:
                self._pending.popleft().result()
        finally:
            self._end()

    def _end(self) -> None:
        executor, self._executor = self._executor, None
        self._pending.clear()
        if executor is not None:
            executor.shutdown(wait=True, cancel_futures=True)
