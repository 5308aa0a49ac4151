"""Cutting a batch of pictures into tasks."""

from __future__ import annotations

from collections.abc import Callable

from multiface.render.cpu.threads import run_parallel, thread_count

# More tasks than threads even out that some parts of a picture are empty; each has a fixed cost, so not too many.
_TASKS_PER_THREAD = 4


def for_parts(kernel_on: Callable[[int, int, int], object], items: int, length: int, smallest: int) -> None:
    """Call ``kernel_on(item, first, last)`` in parallel, for every item and parts of ``range(length)`` covering it.

    Args:
        kernel_on: What to call; parts must not depend on one another.
        items: Number of items.
        length: Rows or triangles of an item.
        smallest: Parts are not made shorter than this.
    """
    threads = thread_count()
    wanted = 1 if threads == 1 else -(-_TASKS_PER_THREAD * threads // items)
    parts = max(1, min(wanted, length // smallest))

    def task(index: int) -> None:
        item, part = divmod(index, parts)
        kernel_on(item, length * part // parts, length * (part + 1) // parts)

    run_parallel(task, items * parts, threads)
