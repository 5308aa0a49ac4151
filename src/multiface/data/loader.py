"""Batches of a capture, read ahead by threads."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import closing
from typing import NamedTuple

from multiface.capture import Capture, FrameKey
from multiface.core.errors import ArgumentError, CaptureError, FormatError
from multiface.core.parallel import default_workers
from multiface.data.batch import Batch
from multiface.data.batch_reader import BatchReader, ReadBatch
from multiface.data.buffers import BatchBuffers, BufferRing
from multiface.data.index import Sample, SampleIndex, Skipped
from multiface.data.reader import SampleReader
from multiface.data.reading_pool import PoolReaders
from multiface.data.reading_threads import ReadingThreads
from multiface.data.rings import IN_HAND, choose_processes, make_shared_ring
from multiface.data.sampler import Part, deal_batches, epoch_order, share_batch, split_batches
from multiface.data.substitutes import Substitutes


class Share(NamedTuple):
    """What one process has of a batch that several processes share.

    Attributes:
        batch: Its views; None when it has none: more processes than frames in the batch, or only broken files.
        planned: Views it was meant to have.
        start: Place of the first of them in the whole batch.
        total: Views the whole batch was meant to have.
        samples: The batch's views by name, in the memory of the host wherever the batch is.
    """

    batch: Batch | None
    planned: int
    start: int
    total: int
    samples: tuple[Sample, ...] = ()


class BatchLoader:
    """Iterable over the batches of one epoch.

    The order is a function of ``(seed, epoch)`` and differs between epochs when shuffled; threads change nothing about it.
    Decoding releases the interpreter, so threads share the work without copies between processes; they share the views of
    a batch, so few batches have to be in memory at a time. Leaving an iteration early ends its threads.

    A sample with a missing or broken file is named in ``skipped``. When shuffling, another one takes its place, chosen by
    ``(seed, epoch, batch, place)`` alone: batches stay whole, and a resumed run sees the same. Otherwise (testing, where
    no sample may count twice) the batch is smaller.

    Args:
        capture: The capture.
        index: Its samples, from :func:`build_index`.
        batch_size: Views in a batch; the last batch of an epoch may be smaller.
        photo_size: (height, width) to which photos are resized (by area averages); None when photos are not needed: then
            they are never opened.
        need_texture: Whether camera textures are needed.
        shuffle: Random order, a new one in each epoch; else the order of the index.
        seed: Of that order.
        workers: Threads that read views; one per core, up to sixteen, when absent; 0 reads in the calling thread.
        views_per_frame: When shuffling, how many views of a frame come together (they share its average and mesh).
        drop_broken: Do without samples whose files are missing or broken, and report them in ``skipped``; else raise.
        cache_bytes: Memory for decoded pictures; what fits is decoded once.
        processes: Reading processes among which the ``workers`` are divided where batches are read into a :meth:`ring`; 0:
            threads of this process read. When absent they are used for a GPU where that pays, see
            :func:`multiface.data.rings.choose_processes`.
        rank: Which of ``world_size`` processes this is.
        world_size: Number of processes.
        shared: How processes divide an epoch. False: each reads whole batches of its own, every ``world_size``-th (testing).
            True: all take part in every batch (training in step), which is the one that a single process would have; see
            :meth:`shares`.

    Attributes:
        skipped: Files found broken so far, each once, and why.
        n_left_out: Samples that the latest iteration replaced or left out because of them.

    Raises:
        ArgumentError: a size or count that cannot be.
    """

    def __init__(
        self,
        capture: Capture,
        index: SampleIndex,
        batch_size: int,
        *,
        photo_size: tuple[int, int] | None = None,
        need_texture: bool = True,
        shuffle: bool = False,
        seed: int = 0,
        workers: int | None = None,
        views_per_frame: int = 1,
        drop_broken: bool = True,
        cache_bytes: int = 512 << 20,
        processes: int | None = 0,
        rank: int = 0,
        world_size: int = 1,
        shared: bool = False,
    ) -> None:
        _check(batch_size >= 1, "batch size must be positive", batch_size)
        _check(views_per_frame >= 1, "views per frame must be positive", views_per_frame)
        _check(workers is None or workers >= 0, "number of workers must not be negative", workers)
        _check(processes is None or processes >= 0, "number of reading processes must not be negative", processes)
        _check(0 <= rank < world_size, "rank must be below the number of processes", f"{rank} of {world_size}")
        _check(photo_size is None or min(photo_size) >= 1, "photo size must be positive", photo_size)
        self.capture = capture
        self.index = index
        self.batch_size = batch_size
        self.skipped: list[Skipped] = []
        self._reader = SampleReader(capture, photo_size=photo_size, need_texture=need_texture, cache_bytes=cache_bytes)
        self._drop_broken = drop_broken
        self._substitutes = Substitutes(index.samples, seed, replace=shuffle)
        self._shuffle, self._seed, self._views_per_frame = shuffle, seed, views_per_frame
        self._workers = default_workers(16) if workers is None else workers
        self._processes, self._cache_bytes = processes, cache_bytes
        self._rank, self._world_size, self._shared = rank, world_size, shared
        self._epoch = self._start = self.n_left_out = 0

    def set_epoch(self, epoch: int, start: int = 0) -> None:
        """Choose the epoch of the next iteration, and the batch it begins with (to resume within an epoch)."""
        self._epoch, self._start = epoch, start

    def parts(self) -> list[Part]:
        """This process's part of each batch of the next iteration, as positions in the index."""
        samples = self.index.samples
        order = epoch_order(
            samples, shuffle=self._shuffle, seed=self._seed, epoch=self._epoch, views_per_frame=self._views_per_frame
        )
        if not self._shared:
            mine = deal_batches(split_batches(order, self.batch_size), self._rank, self._world_size)
            return [Part(batch, 0, len(batch)) for batch in mine[self._start :]]
        batches = split_batches(order, self.batch_size)[self._start :]
        views = self._views_per_frame if self._shuffle else 1
        return [share_batch(batch, samples, self._rank, self._world_size, views_per_frame=views) for batch in batches]

    def plan(self) -> list[list[Sample]]:
        """The samples of each batch of the next iteration."""
        samples = self.index.samples
        return [[samples[position] for position in part.positions] for part in self.parts()]

    def __len__(self) -> int:
        """Number of batches of the next iteration."""
        batches = split_batches(range(len(self.index)), self.batch_size)
        return len((batches if self._shared else deal_batches(batches, self._rank, self._world_size))[self._start :])

    def __iter__(self) -> Iterator[Batch]:
        with closing(self.shares()) as shares:
            yield from (share.batch for share in shares if share.batch is not None)

    def shares(self) -> Generator[Share, None, None]:
        """The batches one by one, also those of which nothing is left: exactly ``len(self)`` on every process.

        Raises:
            CaptureError: not one sample of the epoch could be read, or too many in a row cannot be.
            FormatError: a file is broken, and broken files are not to be done without.
        """
        with closing(self.read(None)) as batches:
            for share, read in batches:
                batch = None if read.buffers is None or not read.samples else read.buffers.batch(*_names(read))
                yield share._replace(batch=batch)

    def read(self, ring: BufferRing | None) -> Generator[tuple[Share, ReadBatch], None, None]:
        """The same as arrays in memory of ``ring``, whose buffers the caller gives back; ``Share.batch`` is None."""
        parts = self.parts()
        epoch, first, samples = self._epoch, self._start, self.index.samples

        def choose(number: int) -> tuple[list[Sample], int]:
            planned = [samples[position] for position in parts[number].positions]
            return self._substitutes.choose(planned, epoch, first + number, parts[number].start)

        workers = min(self._workers, max((len(part.positions) for part in parts), default=0) * len(parts))
        self.n_left_out = n_read = 0
        pool = None if ring is None else ring.pool
        with closing(ReadingThreads(self._reader, workers)) as threads:
            readers = threads if pool is None else PoolReaders(pool, threads)
            reader = BatchReader(self._reader, readers, self._ahead(workers) if ring is None else len(ring) - IN_HAND)
            with closing(reader.read(range(len(parts)), choose, self._found_broken, ring)) as batches:
                for part, read in zip(parts, batches):
                    self.n_left_out += read.n_left_out
                    n_read += len(read.samples)
                    yield Share(None, len(part.positions), part.start, part.total, tuple(read.samples)), read
        if any(part.positions for part in parts) and not n_read and self._world_size == 1:
            raise self._nothing()  # one of several processes cannot know what the others read

    def _found_broken(self, what: FrameKey | Sample, skipped: Skipped) -> None:
        if not self._drop_broken:
            raise FormatError(skipped.reason, where=skipped.what, remedy="Mend the file, or let training do without it")
        self._substitutes.note(what)
        self._report(skipped)

    def ring(self, pinned: bool, filtered: bool = False, jpeg: bool = False) -> BufferRing:
        """Memory for :meth:`read`: as many buffers as it fills ahead, and two for who takes them.

        Args:
            pinned: Page-locked, for a CUDA device.
            filtered, jpeg: Rows of PNG, JPEG may be left to the device, see :class:`multiface.data.block.BatchShape`.
        """
        views = self._most_views()
        shape = self._reader.shape(views, min(views, self._n_frames()), filtered, jpeg)
        processes = self.reading_processes() if pinned else self._processes or 0
        if processes:
            ring = make_shared_ring(self._reader, shape, processes, self._workers, pinned)
            if ring is not None:
                return ring
        return BufferRing(self._ahead(self._workers) + IN_HAND, shape, pinned)

    def reading_processes(self) -> int:
        """How many processes read for a GPU."""
        if self._processes is not None:
            return self._processes
        decoded = self._reader.decoded_bytes(self._n_frames(), len(self.index))
        return choose_processes(self._workers, self._cache_bytes, decoded, self.capture.store)

    def _ahead(self, workers: int) -> int:
        """Batches to read at a time: every thread has two views to read while the oldest batch is being finished."""
        return max(2, -(-2 * workers // self._most_views()) + 1) if workers else 1

    def _most_views(self) -> int:
        """Views that a batch has for this process at most."""
        if not self._shared or self._world_size == 1:
            return self.batch_size
        moved = 2 * (self._views_per_frame - 1)  # both cuts may move so that frames stay whole
        return min(self.batch_size, -(-self.batch_size // self._world_size) + moved)

    def _n_frames(self) -> int:
        return len({sample.key for sample in self.index.samples})

    def any_batch(self) -> Batch:
        """A batch of one view, the first that can be read.

        Raises:
            CaptureError: there is none.
        """
        for sample in self.index.samples:
            buffers = BatchBuffers(self._reader.shape(1, 1))
            failed = self._reader.read_frame(sample.key, buffers, 0) or self._reader.read_view(sample, buffers, 0)
            if failed is None:
                self._reader.place_views([sample], [sample.key], buffers)
                return buffers.batch((sample.key,), (sample.camera,))
            self._report(failed)
        raise CaptureError("not one sample can be read", where=self.capture.path)

    def _nothing(self) -> CaptureError:
        return CaptureError(
            "not one sample of the epoch could be read",
            where=self.capture.path,
            found="; ".join(f"{what}: {reason}" for what, reason in self.skipped[:3]),
            remedy=f"Look for broken files with: multiface inspect {self.capture.path}",
        )

    def _report(self, entry: Skipped) -> None:
        if entry not in self.skipped:
            self.skipped.append(entry)


def _names(read: ReadBatch) -> tuple[tuple[FrameKey, ...], tuple[str, ...]]:
    return tuple(read.keys), tuple(sample.camera for sample in read.samples)


def _check(is_right: bool, what: str, found: object) -> None:
    if not is_right:
        raise ArgumentError(what, found=found)
