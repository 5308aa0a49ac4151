"""Reading whole batches: several ahead, what is broken replaced, handed out in order."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable
from dataclasses import dataclass
from typing import NamedTuple

from multiface.capture import FrameKey
from multiface.core.errors import CaptureError
from multiface.data.buffers import BatchBuffers, BufferRing
from multiface.data.index import Sample, Skipped
from multiface.data.reader import SampleReader
from multiface.data.reading import Failure, Readers, Reading


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
Broken = Callable[[FrameKey | Sample, Skipped], None]


@dataclass
class _Pending:
    """A batch that is being read; ``reading`` is None where there is nothing to read."""

    number: int
    samples: list[Sample]
    keys: list[FrameKey]
    n_left_out: int
    buffers: BatchBuffers | None
    reading: Reading | None = None


class BatchReader:
    """Reads batches, several at a time.

    Args:
        reader: Knows the capture and the sizes of batches.
        readers: Who read them.
        ahead: Batches that are read at a time.
    """

    def __init__(self, reader: SampleReader, readers: Readers, ahead: int) -> None:
        self._reader = reader
        self._readers = readers
        self._ahead = ahead

    def read(
        self, numbers: Iterable[int], choose: Choose, broken: Broken, ring: BufferRing | None
    ) -> Generator[ReadBatch, None, None]:
        """The batches of these numbers in order.

        Args:
            numbers: Which batches.
            choose: Says what is in each; asked again when something of it turned out to be broken.
            broken: Told of everything that cannot be read, in the order of the batches.
            ring: Memory to read into, at least ``ahead + 1`` buffers, which the caller gives back; fresh memory without.
        """
        pending: deque[_Pending] = deque()
        try:
            for number in numbers:
                pending.append(self._begin(number, choose, ring))
                if len(pending) >= self._ahead:
                    yield self._finish(pending, choose, broken)
            while pending:
                yield self._finish(pending, choose, broken)
        finally:
            for batch in pending:
                if batch.reading is not None:
                    batch.reading.abandon()
                if ring is not None and batch.buffers is not None:
                    ring.give(batch.buffers)

    def _begin(self, number: int, choose: Choose, ring: BufferRing | None) -> _Pending:
        samples, n_left_out = choose(number)
        keys = list(dict.fromkeys(sample.key for sample in samples))
        if ring is not None:
            buffers = ring.take()
        else:
            buffers = BatchBuffers(self._reader.shape(len(samples), len(keys))) if samples else None
        batch = _Pending(number, samples, keys, n_left_out, buffers)
        self._submit(batch)
        return batch

    def _submit(self, batch: _Pending) -> None:
        batch.reading = None
        if batch.buffers is not None and batch.samples:
            batch.reading = self._readers.begin(batch.samples, batch.keys, batch.buffers)

    def _finish(self, pending: deque[_Pending], choose: Choose, broken: Broken) -> ReadBatch:
        """The oldest, which stays among ``pending`` until it is whole."""
        batch = pending[0]
        failed: list[Failure] = []
        for _ in range(_MOST_ROUNDS):
            failed = [] if batch.reading is None else batch.reading.failures()
            if not failed:
                break
            for what, skipped in failed:
                broken(what, skipped)
            self._replace(batch, choose)
        else:
            raise CaptureError(
                "too many files in a row cannot be read",
                where=self._reader.capture.path,
                found="; ".join(f"{what}: {reason}" for _, (what, reason) in failed[:3]),
                remedy="Look whether the disk is still there; `multiface inspect` lists what is broken",
            )
        pending.popleft()
        return ReadBatch(batch.samples, batch.keys, batch.buffers, batch.n_left_out, batch.number)

    def _replace(self, batch: _Pending, choose: Choose) -> None:
        """Read it again without what is now known to be broken."""
        batch.samples, batch.n_left_out = choose(batch.number)
        batch.keys = list(dict.fromkeys(sample.key for sample in batch.samples))
        room = 0 if batch.buffers is None else batch.buffers.shape.frames
        if len(batch.keys) > room:  # others may come from more frames; buffers of a ring have room
            batch.buffers = BatchBuffers(self._reader.shape(len(batch.samples), len(batch.keys)))
        self._submit(batch)
