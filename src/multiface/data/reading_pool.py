"""Processes that read batches, as the process that wants them sees them.

Threads that read share the interpreter with the thread that trains: each of their calls gives it up and has to get it back,
and so has each call that training makes. Beside a fast GPU that costs more than reading. Processes do not have that.
"""

from __future__ import annotations

import itertools
import json
import os
import socket
import subprocess
import sys
import warnings
import weakref
from collections.abc import Sequence
from multiprocessing.connection import Connection

from multiface.capture import FrameKey
from multiface.core.errors import MultifaceError
from multiface.data.block import place
from multiface.data.buffers import BatchBuffers
from multiface.data.index import Sample
from multiface.data.reading import Failure, Reading
from multiface.data.reading_threads import ReadingThreads
from multiface.data.reading_worker import STARTED, Answer, Request, WorkerSetup
from multiface.data.shared_blocks import SharedBlocks

# Isolated, with the folders of packages that this process has: neither variables nor the current folder decide what is run.
_START = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[1]); "
    "from multiface.data.reading_worker import main; main(int(sys.argv[2]), int(sys.argv[3]))"
)
_LAST_WORDS = 5.0
"""Seconds that a process whose connection has ended is given to end as well."""


class WorkerDiedError(Exception):
    """A reading process has ended, which only an accident can have done."""


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


class Worker:
    """One reading process. Its answers may come in another order than they are asked for.

    Attributes:
        n_to_do: Batches that it has been asked for and has not read, as far as is known.
        last_asked: Number of the latest one, of those that all were asked for.
        has_started: Whether it has said so, or has died.
    """

    _numbers = itertools.count()

    def __init__(self, setup: WorkerSetup, memory: int) -> None:
        ours, theirs = socket.socketpair()
        with theirs:
            words = ["-I", "-c", _START, json.dumps([str(folder) for folder in sys.path]), str(theirs.fileno()), str(memory)]
            # One thread for each of its own is enough, and GPUs are none of its business.
            few = dict.fromkeys(("OMP_NUM_THREADS", "NUMBA_NUM_THREADS", "MKL_NUM_THREADS"), "1") | {"CUDA_VISIBLE_DEVICES": ""}
            self._process = subprocess.Popen(
                [sys.executable, *words], env={**os.environ, **few}, pass_fds=(theirs.fileno(), memory),
                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            )  # fmt: skip
        self._connection = Connection(ours.detach())
        weakref.finalize(self, _end, self._process, self._connection)
        self._answers: dict[int, Answer] = {}
        self._is_alive, self.has_started = True, False
        self.n_to_do, self.last_asked = 0, -1
        try:
            self._connection.send(setup)
        except OSError:
            self._bury()

    def is_there(self) -> bool:
        """Whether it has started and lives, by what it has said up to now."""
        try:
            while self._is_alive and self._connection.poll():
                self._receive()
        except WorkerDiedError:
            return False
        return self._is_alive and self.has_started

    def wait(self) -> None:
        """Until it has started, or died."""
        try:
            while self._is_alive and not self.has_started:
                self._receive()
        except WorkerDiedError:
            return

    def ask(self, samples: Sequence[Sample], keys: Sequence[FrameKey], buffers: BatchBuffers) -> int:
        """Have a batch read into shared ``buffers``; the ticket for its answer.

        Raises:
            WorkerDiedError: it is dead.
        """
        if buffers.slot is None:
            raise MultifaceError("a process cannot read into memory that it does not see")
        ticket = next(self._numbers)
        try:
            self._connection.send(Request(ticket, list(samples), list(keys), buffers.slot))
        except OSError as error:
            self._bury()
            raise WorkerDiedError from error
        self.n_to_do, self.last_asked = self.n_to_do + 1, ticket
        return ticket

    def answer(self, ticket: int) -> Answer:
        """The answer for a ticket, which is asked for once.

        Raises:
            WorkerDiedError: it is dead.
        """
        while ticket not in self._answers:
            self._receive()
        return self._answers.pop(ticket)

    def _receive(self) -> None:
        if not self._is_alive:
            raise WorkerDiedError
        try:
            answer: Answer = self._connection.recv()
        except (EOFError, OSError) as error:
            self._bury()
            raise WorkerDiedError from error
        if answer == STARTED:
            self.has_started = True
        else:
            self.n_to_do -= 1
            self._answers[answer.ticket] = answer

    def _bury(self) -> None:
        self._is_alive, self.has_started = False, True
        try:
            status = self._process.wait(_LAST_WORDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            status = self._process.wait()
        how = f"signal {-status}" if status < 0 else f"status {status}"
        warnings.warn(
            f"a process that reads batches has died ({how}); what it had to read is read by others, which may be slower. "
            "If this happens again look at the system's log: it may be short of memory (fewer readers: --n_worker)",
            RuntimeWarning,
            stacklevel=2,
        )

    def close(self) -> None:
        """End it."""
        self._is_alive = False
        _end(self._process, self._connection)


def _end(process: subprocess.Popen, connection: Connection) -> None:
    connection.close()
    if process.poll() is None:
        process.kill()  # it only reads
        process.wait()
