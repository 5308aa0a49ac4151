"""Mean losses over a set of samples, every sample counting once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import islice

import torch

from multiface import losses
from multiface.data import Batch
from multiface.train.step import Step


class SampleMean:
    """Means of named values over samples, every sample counting once however the samples were split into batches."""

    def __init__(self) -> None:
        self._sums: dict[str, float] = {}
        self._counts: dict[str, int] = {}
        self.samples = 0

    def add(self, values: Mapping[str, torch.Tensor], samples: int) -> None:
        """Add the values of a batch of ``samples`` samples.

        Args:
            values: A scalar stands for the mean over the batch; a tensor (samples,) holds one value for each, of which
                NaN (nothing to measure in that sample) is left out.
            samples: How many samples the batch has.
        """
        for name, value in values.items():
            each = (
                value.detach().to("cpu", torch.float64).expand(samples) if value.dim() == 0 else value.detach().cpu().double()
            )
            there = each[~each.isnan()] if value.dim() else each
            self._sums[name] = self._sums.get(name, 0.0) + float(there.sum())
            self._counts[name] = self._counts.get(name, 0) + len(there)
        self.samples += samples

    @classmethod
    def together(cls, parts: Iterable[SampleMean]) -> SampleMean:
        """The means over the samples of all ``parts``: those of several processes."""
        whole = cls()
        for part in parts:
            for name, value in part._sums.items():
                whole._sums[name] = whole._sums.get(name, 0.0) + value
                whole._counts[name] = whole._counts.get(name, 0) + part._counts[name]
            whole.samples += part.samples
        return whole

    def means(self) -> dict[str, float]:
        """The mean of each name; NaN for one that never had a value, empty when nothing was added."""
        return {name: self._sums[name] / count if count else float("nan") for name, count in self._counts.items()}


def floats(terms: dict[str, torch.Tensor]) -> dict[str, float]:
    """Loss terms as plain numbers."""
    return {name: float(value.detach()) for name, value in terms.items()}


@torch.no_grad()
def mean_terms(step: Step, batches: Iterable[Batch], device: torch.device, *, render: bool, limit: int | None) -> SampleMean:
    """Mean loss terms with the latent mean and nothing fitted, over at most ``limit`` batches."""
    step.model.eval()
    mean = SampleMean()
    for batch in islice(batches, limit):
        prediction = step.predict(batch.to(device), sample=False, render=render)
        mean.add(step.terms(prediction), len(batch))
    return mean


def fit(
    step: Step,
    batches: Iterable[Batch],
    device: torch.device,
    optimisers: Iterable[torch.optim.Optimizer],
    weights: losses.LossWeights,
    limit: int | None,
) -> None:
    """One pass that fits whatever ``optimisers`` hold to the batches, with latent noise, as the published system does."""
    optimisers = list(optimisers)
    for batch in islice(batches, limit):
        prediction = step.predict(batch.to(device), sample=True, render=weights.screen > 0)
        apply_update(losses.total_loss(step.terms(prediction), weights), optimisers)


def apply_update(total: torch.Tensor, optimisers: Iterable[torch.optim.Optimizer]) -> None:
    """Zero, backward, step for each optimiser."""
    optimisers = list(optimisers)
    for optimiser in optimisers:
        optimiser.zero_grad(set_to_none=True)
    total.backward()
    for optimiser in optimisers:
        optimiser.step()
