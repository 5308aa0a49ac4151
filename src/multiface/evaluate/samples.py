"""One row of numbers for each sample, filled on the device without waiting for it, fetched once at the end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from multiface.data import Sample


@dataclass(frozen=True, eq=False)
class SampleTable:
    """Values of samples.

    Attributes:
        samples: N samples in the order in which they were measured.
        columns: K names.
        values: (N, K) float64; NaN where there was nothing to measure.
    """

    samples: tuple[Sample, ...]
    columns: tuple[str, ...]
    values: np.ndarray

    def column(self, name: str) -> np.ndarray:
        """(N,) values of one metric; NaN when it was not measured at all."""
        if name not in self.columns:
            return np.full(len(self.samples), np.nan)
        return self.values[:, self.columns.index(name)]


class SampleRows:
    """Collects the values of batch after batch.

    The rows are kept on the device: nothing waits for it, and memory is a few numbers per sample.

    Args:
        capacity: Largest number of samples.
        device: Where the values are.
    """

    def __init__(self, capacity: int, device: torch.device) -> None:
        self._capacity, self._device = capacity, device
        self._columns: tuple[str, ...] = ()
        self._rows: torch.Tensor | None = None
        self._samples: list[Sample] = []
        self._seen: set[Sample] = set()

    def add(self, values: Mapping[str, torch.Tensor], samples: Sequence[Sample]) -> None:
        """Add a batch: (B,) values by name, the same names in every batch, and the B samples.

        A sample that was added before counts once: a shuffling loader puts others in the place of broken ones.
        """
        if self._rows is None:
            self._columns = tuple(values)
            self._rows = torch.full((self._capacity, len(values)), torch.nan, device=self._device)
        found = torch.stack([values[name].float() for name in self._columns], dim=1)
        fresh = [number for number, sample in enumerate(samples) if self._is_new(sample)]
        if len(fresh) < len(samples):
            found = found[torch.tensor(fresh, dtype=torch.long, device=self._device)]
        start = len(self._samples)
        self._samples.extend(samples[number] for number in fresh)
        self._rows[start : len(self._samples)] = found

    def _is_new(self, sample: Sample) -> bool:
        before = len(self._seen)
        self._seen.add(sample)
        return len(self._seen) > before

    def table(self) -> SampleTable:
        """Everything added so far."""
        rows = torch.zeros(0, 0) if self._rows is None else self._rows[: len(self._samples)].cpu()
        return SampleTable(tuple(self._samples), self._columns, rows.numpy().astype(np.float64))
