"""What a batch has instead of samples that cannot be read."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from multiface.capture import FrameKey
from multiface.data.index import Sample

_DRAWS = 128


class Substitutes:
    """Samples known to be broken, and others in their place.

    Args:
        samples: All samples there are.
        seed: Of the choice.
        replace: Whether others take their place; else batches become smaller.
    """

    def __init__(self, samples: Sequence[Sample], seed: int, replace: bool) -> None:
        self._samples = samples
        self._seed = seed
        self._replace = replace
        self._broken: set[FrameKey | Sample] = set()

    def note(self, broken: FrameKey | Sample) -> None:
        """Remember a view, or a frame and with it all its views."""
        self._broken.add(broken)

    def choose(self, planned: Sequence[Sample], epoch: int, batch: int, start: int) -> tuple[list[Sample], int]:
        """The samples of a batch, and how many of the planned ones are not among them.

        Which others come in depends on the arguments, the seed and what is broken on the disk; not on what was read before.

        Args:
            planned: Samples the batch was meant to have.
            epoch: The epoch.
            batch: Number of the batch in it.
            start: Place of the first of ``planned`` in the batch.
        """
        if not self._broken or not any(map(self._is_broken, planned)):
            return list(planned), 0
        taken, chosen, left_out = set(planned), [], 0
        for place, sample in enumerate(planned, start):
            other: Sample | None = sample
            if self._is_broken(sample):
                left_out += 1
                other = self._another([self._seed, epoch, batch, place], taken) if self._replace else None
            if other is not None:
                taken.add(other)
                chosen.append(other)
        return chosen, left_out

    def _is_broken(self, sample: Sample) -> bool:
        return sample in self._broken or sample.key in self._broken

    def _another(self, seed: list[int], taken: set[Sample]) -> Sample | None:
        """A random sample, preferably one that the batch has not; None when all are broken."""
        second_best = None
        for position in np.random.default_rng(seed).integers(0, len(self._samples), _DRAWS):
            sample = self._samples[position]
            if not self._is_broken(sample):
                if sample not in taken:
                    return sample
                second_best = second_best or sample
        return second_best or next((sample for sample in self._samples if not self._is_broken(sample)), None)
