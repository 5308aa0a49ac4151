"""The order of samples in an epoch, and how it is dealt to several processes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from multiface.data.index import Sample


def epoch_order(
    samples: Sequence[Sample], *, shuffle: bool, seed: int = 0, epoch: int = 0, views_per_frame: int = 1
) -> list[int]:
    """Positions of all samples, each once, in the order in which an epoch visits them.

    Shuffled orders are functions of ``(seed, epoch)`` alone and differ from epoch to epoch. With ``views_per_frame`` above
    1, the views of a frame are dealt into random groups of that many (the last of a frame may be smaller) and the groups
    are shuffled, so that neighbours share a frame.
    """
    if not shuffle:
        return list(range(len(samples)))
    random = np.random.default_rng([seed, epoch])
    if views_per_frame <= 1:
        return random.permutation(len(samples)).tolist()
    frames: dict[object, list[int]] = {}
    for position, sample in enumerate(samples):
        frames.setdefault(sample.key, []).append(position)
    groups: list[list[int]] = []
    for positions in frames.values():
        mixed = random.permutation(positions).tolist()
        groups += [mixed[start : start + views_per_frame] for start in range(0, len(mixed), views_per_frame)]
    return [position for group in random.permutation(len(groups)) for position in groups[group]]


def split_batches(order: Sequence[int], batch_size: int) -> list[list[int]]:
    """Consecutive batches; the last may be smaller."""
    return [list(order[start : start + batch_size]) for start in range(0, len(order), batch_size)]


def deal_batches(batches: Sequence[list[int]], rank: int, world_size: int) -> list[list[int]]:
    """The batches of one of several processes: every ``world_size``-th, beginning with ``rank``; no sample is repeated."""
    return list(batches[rank::world_size])


class Part(NamedTuple):
    """One process's part of a batch that several processes share.

    Attributes:
        positions: The samples; empty where the batch has fewer frames than there are processes.
        start: Place of the first of them in the batch.
        total: Samples of the whole batch.
    """

    positions: list[int]
    start: int
    total: int


def share_batch(
    batch: Sequence[int], samples: Sequence[Sample], rank: int, world_size: int, *, views_per_frame: int = 1
) -> Part:
    """The part of ``batch`` that belongs to process ``rank``: neighbours, as nearly equal as can be; no sample is repeated.

    With ``views_per_frame`` above 1 the cuts move, by fewer samples than that, so that neighbours of one frame stay together.
    """
    cuts = [len(batch) * part // world_size for part in (rank, rank + 1)]
    if views_per_frame > 1:
        starts = [i for i in range(len(batch)) if i == 0 or samples[batch[i]].key != samples[batch[i - 1]].key]
        cuts = [_nearest(cut, [*starts, len(batch)], views_per_frame) for cut in cuts]
    return Part(list(batch[cuts[0] : cuts[1]]), cuts[0], len(batch))


def _nearest(cut: int, starts: Sequence[int], views_per_frame: int) -> int:
    """The start nearest to ``cut``; ``cut`` itself amid so many views of a frame that they are several groups."""
    nearest = min(starts, key=lambda start: abs(start - cut))
    return nearest if abs(nearest - cut) < views_per_frame else cut
