"""Batches of a capture, read ahead by threads."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

from multiface.capture import Capture
from multiface.core.errors import ArgumentError, CaptureError
from multiface.core.parallel import default_workers, ordered_map
from multiface.data.batch import Batch
from multiface.data.index import Sample, SampleIndex, Skipped
from multiface.data.reader import SampleReader
from multiface.data.sampler import deal_batches, epoch_order, split_batches


class BatchLoader:
    """Iterable over the batches of one epoch.

    The order is a function of ``(seed, epoch)`` and differs between epochs when shuffled; threads change nothing about it.
    Decoding releases the interpreter, so threads share the work without copies between processes. Leaving an iteration
    early ends its threads.

    Args:
        capture: The capture.
        index: Its samples, from :func:`build_index`.
        batch_size: Views in a batch; the last batch of an epoch may be smaller, and so are batches with broken files.
        photo_size: (height, width) to which photos are resized (by area averages); None when photos are not needed: then
            they are never opened.
        need_texture: Whether camera textures are needed.
        shuffle: Random order, a new one in each epoch; else the order of the index.
        seed: Of that order.
        workers: Threads, each reading whole batches; one per core, up to eight, when absent; 0 reads in the calling thread.
        views_per_frame: When shuffling, how many views of a frame come together (they share its average and mesh).
        drop_broken: Leave out samples with missing or broken files and report them in ``skipped``; else raise.
        cache_bytes: Memory for decoded pictures; what fits is decoded once.
        rank: Which of ``world_size`` processes this is; each reads batches of its own.
        world_size: Number of processes.
        even: Give all processes the same number of batches (training in step), leaving out a few at the end of the epoch.

    Attributes:
        skipped: Files found broken so far, each once, and why.
        n_left_out: Samples that the latest iteration left out because of them.

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
        rank: int = 0,
        world_size: int = 1,
        even: bool = False,
    ) -> None:
        _check(batch_size >= 1, "batch size must be positive", batch_size)
        _check(views_per_frame >= 1, "views per frame must be positive", views_per_frame)
        _check(workers is None or workers >= 0, "number of workers must not be negative", workers)
        _check(0 <= rank < world_size, "rank must be below the number of processes", f"{rank} of {world_size}")
        _check(photo_size is None or min(photo_size) >= 1, "photo size must be positive", photo_size)
        self.capture = capture
        self.index = index
        self.batch_size = batch_size
        self.skipped: list[Skipped] = []
        self._reader = SampleReader(
            capture, photo_size=photo_size, need_texture=need_texture, cache_bytes=cache_bytes, drop_broken=drop_broken
        )
        self._shuffle, self._seed, self._views_per_frame = shuffle, seed, views_per_frame
        self._workers = default_workers() if workers is None else workers
        self._rank, self._world_size, self._even = rank, world_size, even
        self._epoch = self._start = self.n_left_out = 0

    def set_epoch(self, epoch: int, start: int = 0) -> None:
        """Choose the epoch of the next iteration, and the batch it begins with (to resume within an epoch)."""
        self._epoch, self._start = epoch, start

    def plan(self) -> list[list[Sample]]:
        """The samples of each batch of the next iteration."""
        samples = self.index.samples
        order = epoch_order(
            samples, shuffle=self._shuffle, seed=self._seed, epoch=self._epoch, views_per_frame=self._views_per_frame
        )
        batches = split_batches(order, self.batch_size)
        mine = deal_batches(batches, self._rank, self._world_size, even=self._even)
        return [[samples[position] for position in batch] for batch in mine[self._start :]]

    def __len__(self) -> int:
        """Number of batches of the next iteration."""
        batches = split_batches(range(len(self.index)), self.batch_size)
        return len(deal_batches(batches, self._rank, self._world_size, even=self._even)[self._start :])

    def __iter__(self) -> Iterator[Batch]:
        plan = self.plan()
        workers = min(self._workers, len(plan))
        self.n_left_out = n_read = 0
        with closing(ordered_map(self._reader.read, plan, workers=workers, ahead=workers + 2)) as results:
            for samples, (batch, skipped) in zip(plan, results):
                self._report(skipped)
                self.n_left_out += len(samples) - (0 if batch is None else len(batch))
                if batch is not None:
                    n_read += len(batch)
                    yield batch
        if plan and not n_read:
            raise CaptureError(
                "not one sample of the epoch could be read",
                where=self.capture.path,
                found="; ".join(f"{what}: {reason}" for what, reason in self.skipped[:3]),
                remedy=f"Look for broken files with: multiface inspect {self.capture.path}",
            )

    def _report(self, skipped: list[Skipped]) -> None:
        self.skipped += [entry for entry in skipped if entry not in self.skipped]


def _check(is_right: bool, what: str, found: object) -> None:
    if not is_right:
        raise ArgumentError(what, found=found)
