"""Updates that all processes make together, each from its share of a batch."""

from __future__ import annotations

from dataclasses import dataclass

from multiface.data import Batch, BatchLoader, Sample, Share
from multiface.train.gradients import GradientAverager
from multiface.train.noise import SharedNoise
from multiface.train.update import Reading, Update


@dataclass(frozen=True)
class UnreadBatch:
    """Which views a batch had: what is kept of it until its losses are read.

    ``images`` is what it counts as in the throughput; text names the views.
    """

    samples: tuple[Sample, ...]
    images: int

    def __str__(self) -> str:
        views = [f"{sample.key} camera {sample.camera}" for sample in self.samples]
        return ", ".join(views[:4]) + (f" and {len(views) - 4} more" if len(views) > 4 else "")


class ShareUpdate:
    """Learns from this process's share of each batch. A process alone has whole batches, and none to average with.

    Args:
        update: What an update does.
        noise: Latent noise of the whole batch.
        averager: Averages the gradients of several processes; None in a job of one.
        loader: Training batches, for something to compute with where a share is empty.
    """

    def __init__(self, update: Update, noise: SharedNoise, averager: GradientAverager | None, loader: BatchLoader) -> None:
        self._update = update
        self._noise = noise
        self._averager = averager
        self._loader = loader
        self._stand_in: Batch | None = None
        self._unread: list[UnreadBatch] = []

    @property
    def n_unread(self) -> int:
        """Updates since the last :meth:`read`."""
        return len(self._unread)

    def batch(self, share: Share) -> Batch | None:
        """What to compute with: the share's views; any others where it has none, since all processes must take part.

        None in a job of one: there is nothing to do.
        """
        if share.batch is not None or self._averager is None:
            return share.batch
        if self._stand_in is None:
            self._stand_in = self._loader.any_batch()
        return self._stand_in

    def __call__(self, share: Share, batch: Batch) -> None:
        """One update with ``batch``, that of the share on the device; it counts as the views that the share has."""
        self._noise.begin(share.start)
        if self._averager is not None:
            self._averager.begin(0 if share.batch is None else len(share.batch))
        try:
            self._update(batch)
        finally:
            self._noise.end()
        images = len(batch) if self._averager is None else share.total
        self._unread.append(UnreadBatch(share.samples, images))

    def read(self) -> tuple[Reading, list[UnreadBatch]]:
        """Wait for the device: what became of the updates since the last reading, and of which batches they were."""
        reading = self._update.read()
        batches, self._unread = self._unread, []
        return reading, batches
