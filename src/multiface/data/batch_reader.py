"""Reading whole batches: pictures by several threads, several batches ahead, handed out in order."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import NamedTuple

from multiface.capture import FrameKey
from multiface.core.errors import CaptureError
from multiface.data.buffers import BatchBuffers, BufferRing
from multiface.data.index import Sample, Skipped
from multiface.data.reader import SampleReader


class ReadBatch(NamedTuple):
    """A batch in memory.

    Attributes:
        samples: Its views.
        keys: Its frames, in the order of the arrays.
        buffers: Its arrays; None for a batch without views.
        n_left_out: Views that were meant to be in it and could not be read.
        number: Which batch it is.
    """

    samples: list[Sample]
    keys: list[FrameKey]
    buffers: BatchBuffers | None
    n_left_out: int
    number: int


_MOST_ROUNDS = 16
"""Times that broken views of one batch are replaced: with so many broken ones in a row, the disk is gone."""

Choose = Callable[[int], tuple[list[Sample], int]]
"""Samples of the batch of that number, with those known to be broken replaced or left out, and how many were."""


@dataclass
class _Pending:
    """A batch that is being read."""

    number: int
    samples: list[Sample]
    keys: list[FrameKey]
    n_left_out: int
    buffers: BatchBuffers | None
    reads: list[tuple[FrameKey | Sample, Future[Skipped | None]]] = field(default_factory=list)


class BatchReader:
    """Reads batches with threads: one task for what a frame's views share, one for each view.

    Args:
        reader: Reads single views.
        workers: Threads; 0 reads everything in the calling thread.
        batch_size: Views of a whole batch, which decides how many batches are read ahead.
    """

    def __init__(self, reader: SampleReader, workers: int, batch_size: int) -> None:
        self._reader = reader
        self._workers = workers
        # Enough for every thread to have two views to read while the oldest batch is being finished.
        self.ahead = max(2, -(-2 * workers // batch_size) + 1) if workers else 1

    def read(
        self,
        numbers: Iterable[int],
        choose: Choose,
        broken: Callable[[FrameKey | Sample, Skipped], None],
        ring: BufferRing | None,
    ) -> Generator[ReadBatch, None, None]:
        """The batches of these numbers in order.

        Args:
            numbers: Which batches.
            choose: Says what is in each; asked again when something of it turned out to be broken.
            broken: Told of everything that cannot be read, in the order of the batches.
            ring: Memory to read into, at least ``ahead + 1`` buffers, which the caller gives back; fresh memory without.
        """
        executor: Executor = ThreadPoolExecutor(self._workers, "multiface-read") if self._workers else _Here()
        pending: list[_Pending] = []
        try:
            for number in numbers:
                pending.append(self._begin(number, choose, executor, ring))
                if len(pending) >= self.ahead:
                    yield self._finish(pending.pop(0), choose, broken, executor)
            while pending:
                yield self._finish(pending.pop(0), choose, broken, executor)
        finally:
            executor.shutdown(wait=True, cancel_futures=True)
            for batch in pending:
                if ring is not None and batch.buffers is not None:
                    ring.give(batch.buffers)

    def _begin(self, number: int, choose: Choose, executor: Executor, ring: BufferRing | None) -> _Pending:
        samples, n_left_out = choose(number)
        keys = list(dict.fromkeys(sample.key for sample in samples))
        if ring is not None:
            buffers = ring.take()
        else:
            buffers = BatchBuffers(self._reader.shape(len(samples), len(keys))) if samples else None
        batch = _Pending(number, samples, keys, n_left_out, buffers)
        self._submit(batch, executor)
        return batch

    def _submit(self, batch: _Pending, executor: Executor) -> None:
        buffers = batch.buffers
        if buffers is None:
            return
        frames = [(key, executor.submit(self._reader.read_frame, key, buffers, f)) for f, key in enumerate(batch.keys)]
        views = [(s, executor.submit(self._reader.read_view, s, buffers, v)) for v, s in enumerate(batch.samples)]
        batch.reads = [*frames, *views]

    def _frames_of(self, batch: _Pending) -> int:
        return 0 if batch.buffers is None else batch.buffers.shape.frames

    def _finish(
        self, batch: _Pending, choose: Choose, broken: Callable[[FrameKey | Sample, Skipped], None], executor: Executor
    ) -> ReadBatch:
        failed: list[tuple[FrameKey | Sample, Skipped]] = []
        for _ in range(_MOST_ROUNDS):
            failed = [(what, skipped) for what, future in batch.reads if (skipped := future.result()) is not None]
            if not failed:
                break
            for what, skipped in failed:
                broken(what, skipped)
            batch.samples, batch.n_left_out = choose(batch.number)
            batch.keys = list(dict.fromkeys(sample.key for sample in batch.samples))
            batch.reads = []
            if len(batch.keys) > self._frames_of(batch):  # others may come from more frames; buffers of a ring have room
                batch.buffers = BatchBuffers(self._reader.shape(len(batch.samples), len(batch.keys)))
            self._submit(batch, executor)
        else:
            raise CaptureError(
                "too many files in a row cannot be read",
                where=self._reader.capture.path,
                found="; ".join(f"{what}: {reason}" for _, (what, reason) in failed[:3]),
                remedy="Look whether the disk is still there; `multiface inspect` lists what is broken",
            )
        if batch.buffers is not None and batch.samples:
            self._reader.place_views(batch.samples, batch.keys, batch.buffers)
        return ReadBatch(batch.samples, batch.keys, batch.buffers, batch.n_left_out, batch.number)


class _Here(Executor):
    """Does everything at once in the calling thread."""

    def submit(self, fn, /, *args, **kwargs) -> Future:
        future: Future = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except Exception as error:  # noqa: BLE001 - whoever asks for the result gets it
            future.set_exception(error)
        return future
