"""A process that reads batches into shared memory, and what is said between it and the one that wants them.

It has an interpreter of its own, so that its threads and those of training do not wait for each other.
"""

from __future__ import annotations

import queue
import signal
import threading
from contextlib import closing
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import NamedTuple

from multiface.capture import Capture, FrameKey
from multiface.core.errors import MultifaceError
from multiface.data.block import BatchShape, place
from multiface.data.buffers import BatchBuffers
from multiface.data.index import Sample
from multiface.data.reader import SampleReader
from multiface.data.reading import Failure, Reading
from multiface.data.reading_threads import ReadingThreads
from multiface.data.shared_blocks import SharedBlocks


@dataclass(frozen=True)
class WorkerSetup:
    """What a reading process is told first.

    Attributes:
        capture, photo_size, need_texture: As for :class:`multiface.data.reader.SampleReader`.
        threads: Its threads.
        shape: Of the batches in memory.
        blocks: How many of them there are.
    """

    capture: Capture
    photo_size: tuple[int, int] | None
    need_texture: bool
    threads: int
    shape: BatchShape
    blocks: int


class Request(NamedTuple):
    """A batch that is wanted.

    Attributes:
        ticket: Number under which the answer comes.
        samples, keys: Its views and frames.
        slot: Block to read it into.
    """

    ticket: int
    samples: list[Sample]
    keys: list[FrameKey]
    slot: int


class Answer(NamedTuple):
    """What became of it.

    Attributes:
        ticket: Of the request; -1 for the first answer, which says that the process has started.
        failures: What could not be read.
        error: What went wrong beside that, for people; empty when nothing did.
    """

    ticket: int
    failures: list[Failure]
    error: str = ""


STARTED = Answer(-1, [])
_FRAME_CACHE = 64 << 20
"""Bytes of meshes and poses that are kept."""
_Begun = tuple[int, Reading]


def main(connection: int, memory: int) -> None:
    """Serve until the other side is gone. Arguments are numbers of open files: a socket, and the shared memory."""
    for ignored in (signal.SIGINT, signal.SIGTERM):  # they are meant for the other side, which may want batches until it ends
        signal.signal(ignored, signal.SIG_IGN)
    with Connection(connection) as other:
        setup: WorkerSetup = other.recv()
        blocks = SharedBlocks(setup.blocks, place(setup.shape)[1], memory).blocks
        buffers = [BatchBuffers(setup.shape, block=block) for block in blocks]
        reader = SampleReader(
            setup.capture, photo_size=setup.photo_size, need_texture=setup.need_texture, frame_cache_bytes=_FRAME_CACHE
        )
        other.send(STARTED)
        begun: queue.SimpleQueue[_Begun | None] = queue.SimpleQueue()
        answering = threading.Thread(target=_answer, args=(other, begun), name="multiface-answers")
        answering.start()
        with closing(ReadingThreads(reader, setup.threads)) as threads:
            try:
                while True:
                    request: Request = other.recv()
                    begun.put((request.ticket, threads.begin(request.samples, request.keys, buffers[request.slot])))
            except (EOFError, OSError):
                begun.put(None)
        answering.join()


def _answer(other: Connection, begun: queue.SimpleQueue) -> None:
    """Say when batches are there, in the order in which they were begun, while the next ones are being read."""
    while (item := begun.get()) is not None:
        ticket, reading = item
        try:
            answer = Answer(ticket, reading.failures())
        except MultifaceError as error:
            answer = Answer(ticket, [], str(error))
        except Exception as error:  # noqa: BLE001 - the other side tells the user
            answer = Answer(ticket, [], f"{type(error).__name__}: {error}")
        try:
            other.send(answer)
        except OSError:
            return  # nobody wants it any longer
