"""Processes that read batches, as the process that wants them sees them.

Threads that read share the interpreter with the thread that trains: each of their calls gives it up and has to get it back,
and so has each call that training makes. Beside a fast GPU that costs more than reading. Processes do not have that.
"""

from __future__ import annotations

from collections.abc import Sequence

from multiface.capture import FrameKey
from multiface.core.errors import MultifaceError
from multiface.data.block import place
from multiface.data.buffers import BatchBuffers
from multiface.data.index import Sample
from multiface.data.reading import Failure, Reading
from multiface.data.reading_threads import ReadingThreads
from multiface.data.reading_worker import WorkerSetup
from multiface.data.shared_blocks import SharedBlocks
from multiface.data.worker_handle import Worker, WorkerDiedError


class ReadingPool:
    """Reading processes and the memory they read into. They end with this object, and with this process however it ends.

    Args:
        setup: What they read; ``threads`` are those of each.
        processes: How many.
        page_lock: Whether a CUDA device will copy from the memory.

    Attributes:
        blocks: The memory, one block for each batch.

    Raises:
        OSError: memory or processes cannot be had.
    """

    def __init__(self, setup: WorkerSetup, processes: int, page_lock: bool) -> None:
        self._memory = SharedBlocks(setup.blocks, place(setup.shape)[1])
        if page_lock:
            self._memory.page_lock()
        self.blocks = self._memory.blocks
        self._workers = [Worker(setup, self._memory.descriptor) for _ in range(processes)]

    def next_worker(self) -> Worker | None:
        """Of those that have started the one with the least to do, each in its turn; None while there is none."""
        there = [worker for worker in self._workers if worker.is_there()]
        return min(there, key=lambda worker: (worker.n_to_do, worker.last_asked), default=None)

    @property
    def has_started(self) -> bool:
        """Whether all have started or died, as far as is known; for another thread than the one that reads."""
        return all(worker.has_started for worker in self._workers)

    def wait(self) -> None:
        """Until all have started or died."""
        for worker in self._workers:
            worker.wait()

    def close(self) -> None:
        """End the processes, at once."""
        for worker in self._workers:
            worker.close()


class PoolReaders:
    """Readers of an epoch: the processes of a pool; threads of this one until those have started, and where they have died.

    Args:
        pool: The processes.
        threads: The threads.
    """

    def __init__(self, pool: ReadingPool, threads: ReadingThreads) -> None:
        self._pool, self._threads = pool, threads

    def begin(self, samples: Sequence[Sample], keys: Sequence[FrameKey], buffers: BatchBuffers) -> Reading:
        """As in :class:`multiface.data.reading.Readers`."""
        while buffers.slot is not None and (worker := self._pool.next_worker()) is not None:
            try:
                return PoolReading(worker, worker.ask(samples, keys, buffers), (samples, keys, buffers), self._threads)
            except WorkerDiedError:
                continue
        return self._threads.begin(samples, keys, buffers)


class PoolReading:
    """A batch that a reading process is reading."""

    def __init__(
        self,
        worker: Worker,
        ticket: int,
        what: tuple[Sequence[Sample], Sequence[FrameKey], BatchBuffers],
        threads: ReadingThreads,
    ) -> None:
        self._worker, self._ticket, self._what, self._threads = worker, ticket, what, threads

    def failures(self) -> list[Failure]:
        """As in :class:`multiface.data.reading.Reading`; if the process dies the batch is read here.

        Raises:
            MultifaceError: reading went wrong in another way than that files are broken.
        """
        try:
            answer = self._worker.answer(self._ticket)
        except WorkerDiedError:
            return self._threads.begin(*self._what).failures()
        if answer.error:
            raise MultifaceError("a process that reads batches failed", found=answer.error)
        return answer.failures

    def abandon(self) -> None:
        """As in :class:`multiface.data.reading.Reading`."""
        try:
            self._worker.answer(self._ticket)
        except WorkerDiedError:
            return
