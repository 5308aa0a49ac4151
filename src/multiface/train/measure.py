"""Mean losses over a set of samples, every sample counting once."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice

import torch

from multiface import losses
from multiface.data import Batch
from multiface.train.step import Step


class SampleMean:
    """Means of named values, weighted by the number of samples that each stands for."""

    def __init__(self) -> None:
        self._sums: dict[str, float] = {}
        self.samples = 0

    def add(self, values: dict[str, float], samples: int) -> None:
        """Add mean values over ``samples`` samples."""
        for name, value in values.items():
            self._sums[name] = self._sums.get(name, 0.0) + value * samples
        self.samples += samples

    def means(self) -> dict[str, float]:
        """The means; empty when nothing was added."""
        return {name: total / self.samples for name, total in self._sums.items()} if self.samples else {}


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
        mean.add(floats(step.terms(prediction)), len(batch))
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
