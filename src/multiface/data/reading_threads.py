"""Threads of this process that read batches: one task for what a frame's views share, one for each view."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor, wait

from multiface.capture import FrameKey
from multiface.data.buffers import BatchBuffers
from multiface.data.index import Sample, Skipped
from multiface.data.reader import SampleReader
from multiface.data.reading import Failure


class ReadingThreads:
    """Readers, see :class:`multiface.data.reading.Readers`; to be closed.

    Args:
        reader: Reads single views.
        workers: Threads, which start when they are first needed; 0 reads everything in the calling thread.
    """

    def __init__(self, reader: SampleReader, workers: int) -> None:
        self._reader = reader
        self._executor: Executor = ThreadPoolExecutor(workers, "multiface-read") if workers else _Here()

    def begin(self, samples: Sequence[Sample], keys: Sequence[FrameKey], buffers: BatchBuffers) -> ThreadReading:
        """As in :class:`multiface.data.reading.Readers`."""
        submit, reader = self._executor.submit, self._reader
        frames = [(key, submit(reader.read_frame, key, buffers, place)) for place, key in enumerate(keys)]
        views = [(sample, submit(reader.read_view, sample, buffers, place)) for place, sample in enumerate(samples)]
        return ThreadReading(reader, samples, keys, buffers, [*frames, *views])

    def close(self) -> None:
        """Drop what has not begun and wait for the threads."""
        self._executor.shutdown(wait=True, cancel_futures=True)


class ThreadReading:
    """A batch that threads are reading."""

    def __init__(
        self,
        reader: SampleReader,
        samples: Sequence[Sample],
        keys: Sequence[FrameKey],
        buffers: BatchBuffers,
        reads: list[tuple[FrameKey | Sample, Future[Skipped | None]]],
    ) -> None:
        self._reader, self._samples, self._keys, self._buffers = reader, samples, keys, buffers
        self._reads = reads

    def failures(self) -> list[Failure]:
        """As in :class:`multiface.data.reading.Reading`."""
        failed = [(what, skipped) for what, future in self._reads if (skipped := future.result()) is not None]
        if not failed and self._samples:
            self._reader.place_views(self._samples, self._keys, self._buffers)
        return failed

    def abandon(self) -> None:
        """As in :class:`multiface.data.reading.Reading`."""
        wait([future for _, future in self._reads if not future.cancel()])


class _Here(Executor):
    """Does everything at once in the calling thread."""

    def submit(self, fn, /, *args, **kwargs) -> Future:
        future: Future = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except Exception as error:  # noqa: BLE001 - whoever asks for the result gets it
            future.set_exception(error)
        return future
