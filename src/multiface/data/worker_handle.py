"""One reading process, as the process that wants batches from it sees it."""

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
from multiface.data.buffers import BatchBuffers
from multiface.data.index import Sample
from multiface.data.reading_worker import STARTED, Answer, Request, WorkerSetup

# Isolated, with the folders of packages that this process has: neither variables nor the current folder decide what is run.
_START = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[1]); "
    "from multiface.data.reading_worker import main; main(int(sys.argv[2]), int(sys.argv[3]))"
)
_LAST_WORDS = 5.0
"""Seconds that a process whose connection has ended is given to end as well."""


class WorkerDiedError(Exception):
    """A reading process has ended, which only an accident can have done."""


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
