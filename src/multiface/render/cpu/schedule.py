"""Cutting a batch of pictures into tasks that do not depend on one another, nor on the number of threads."""

from __future__ import annotations

from collections.abc import Callable

from multiface.render.cpu.threads import run_parallel, thread_count

BAND_ROWS = 32
"""Rows of a picture that are worked on at once: enough bands for many cores, few enough that starting them costs little."""


def for_bands(kernel_on: Callable[[int, int, int], object], items: int, rows: int) -> None:
    """Call ``kernel_on(item, first_row, last_row)`` in parallel, for every band of rows of every item."""
    bands = -(-rows // BAND_ROWS)

    def task(index: int) -> None:
        item, band = divmod(index, bands)
        kernel_on(item, band * BAND_ROWS, min((band + 1) * BAND_ROWS, rows))

    run_parallel(task, items * bands, thread_count())


def for_items(kernel_on: Callable[[int], object], items: int) -> None:
    """Call ``kernel_on(item)`` in parallel, for every item."""
    run_parallel(kernel_on, items, thread_count())
