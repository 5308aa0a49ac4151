"""The way through the training data, epoch after epoch."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import closing

from multiface.core.errors import CaptureError
from multiface.data import BatchLoader, DevicePrefetcher, Share
from multiface.train import due
from multiface.train.config import TrainConfig
from multiface.train.distributed import Group
from multiface.train.optimisation import Optimisation
from multiface.train.state import Position


def remaining_shares(
    config: TrainConfig, position: Position, batches: DevicePrefetcher, optimisation: Optimisation, group: Group
) -> Generator[Share, None, None]:
    """This process's shares of all batches from where ``position`` says, which goes along; the learning rate falls with epochs.

    Raises:
        CaptureError: not one sample of an epoch could be read.
    """
    while position.epoch < config.epochs and not due.to_end(config, position.iteration):
        yield from _epoch(position, batches, group)
        optimisation.end_epoch()
        position.epoch += 1
        position.batches = 0


def _epoch(position: Position, batches: DevicePrefetcher, group: Group) -> Generator[Share, None, None]:
    batches.loader.set_epoch(position.epoch, start=position.batches)
    counts: list[int] = []
    with closing(batches.shares()) as shares:
        group.watch.progress(f"waiting for its data before update {position.iteration}")
        for share in shares:
            counts.append(0 if share.batch is None else len(share.batch))
            # Counted before it is used: an interrupt leaves this generator suspended at the yield.
            position.batches += 1
            yield share
            group.watch.progress(f"waiting for its data after {position.iteration} updates")
    # A process alone is told by its loader, one of several cannot know what the others read.
    if group.world_size > 1 and counts and not group.any(sum(counts) > 0):
        group.together(lambda: _refuse_broken(batches.loader))


def _refuse_broken(loader: BatchLoader) -> None:
    path = loader.capture.path
    remedy = f"Look for broken files with: multiface inspect {path}"
    raise CaptureError("not one sample of the epoch could be read", where=path, remedy=remedy)
