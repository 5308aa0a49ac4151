"""One optimisation step on a batch, in the published order of operations, without waiting for the device."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import torch

from multiface import losses
from multiface.core.errors import DivergenceError
from multiface.data import Batch
from multiface.train.guard import VALUES, WATCHED, BatchGuard
from multiface.train.optimisation import Optimisation, clip
from multiface.train.step import Step

READ_EVERY = 20
"""Updates after which the values should be read on a device that is not the CPU."""


@dataclass(frozen=True)
class Outcome:
    """What became of one batch.

    Attributes:
        values: The loss terms and ``total``.
        accepted: Whether the batch was learnt from; otherwise it changed nothing at all.
    """

    values: dict[str, float]
    accepted: bool


@dataclass(frozen=True)
class Reading:
    """What became of the batches since the last reading.

    Attributes:
        outcomes: Oldest first; those before the one that was not finite, if one was not.
        divergence: What was no longer finite in the batch after those; neither it nor any later one changed anything. None
            when all is well.
    """

    outcomes: list[Outcome]
    divergence: DivergenceError | None


class Update:
    """Predict, losses, backward, average, clip, judge, both optimisers: call it with a batch on the device.

    The published order takes the gradient of accepted batches only; here it is taken of every batch and thrown away with the
    batch, which comes to the same.

    Args:
        step: The model and how it is fed.
        optimisation: Both optimisers.
        weights: Loss factors.
        guard: What judges batches.
        average_gradients: With several processes: averages the tensors it is given in place over all of them. Called between
            backward and clipping, with all gradients and the (5,) float32 loss values, so that all processes judge alike.
    """

    def __init__(
        self,
        step: Step,
        optimisation: Optimisation,
        weights: losses.LossWeights,
        guard: BatchGuard,
        *,
        average_gradients: Callable[[Iterable[torch.Tensor]], None] | None = None,
    ) -> None:
        self.step = step
        self.optimisation = optimisation
        self.weights = weights
        self.guard = guard
        self.average_gradients = average_gradients
        self.discarded = 0
        self._calls = 0
        self._calls_read = 0

    def __call__(self, batch: Batch) -> dict[str, torch.Tensor]:
        """Learn from ``batch``.

        Returns:
            Device scalars, without gradient: the loss terms, ``total``, ``accepted`` and ``finite`` (bool). They hold until
            the next call.
        """
        values, norm = self._gradients(batch)
        accepted, finite = self.guard.judge(values, norm)
        self.optimisation.step(accepted)
        self._calls += 1
        return {**dict(zip(VALUES, values)), "accepted": accepted, "finite": finite}

    def _gradients(self, batch: Batch) -> tuple[torch.Tensor, torch.Tensor]:
        """Clipped gradients in the parameters; loss values (5,) and the norm before clipping."""
        terms = self.step.training_terms(batch, screen=self.weights.screen > 0)
        total = losses.total_loss(terms, self.weights)
        self.optimisation.clear_gradients()
        total.backward()
        values = torch.stack([term.detach() for term in (*(terms[name] for name in losses.TERMS), total)])
        if self.average_gradients is not None:
            self.average_gradients([*self.optimisation.gradients(), values])
        return values, clip(self.optimisation.parameters)

    @property
    def pending(self) -> int:
        """Calls since the last :meth:`read`."""
        return self._calls - self._calls_read

    def read(self) -> Reading:
        """Wait for the device: what became of the batches since the last reading (the last 64 at most)."""
        rows, calls, self.discarded, diverged_at = self.guard.read()
        rows = rows[len(rows) - min(self.pending, len(rows)) :]
        self._calls_read = self._calls
        outcomes = [Outcome(dict(zip(VALUES, row)), bool(row[-1])) for row in rows]
        if diverged_at < 0:
            return Reading(outcomes, None)
        position = max(diverged_at - (calls - len(rows)), 0)
        return Reading(outcomes[:position], _divergence(rows[position]))

    def state(self) -> dict:
        """State of the guard, for going on exactly; that of the optimisers is their own."""
        return self.guard.state()

    def load_state(self, state: dict) -> None:
        """Restore what :meth:`state` gave."""
        self.guard.load_state(state)
        self.discarded = int(state["discarded"])
        self._calls = self._calls_read = 0


def _divergence(row: list[float]) -> DivergenceError:
    values = dict(zip(VALUES, row))
    bad = [f"{name} = {values[name]}" for name in WATCHED if not math.isfinite(values[name])]
    if bad:
        return DivergenceError("the loss is no longer a finite number", found=", ".join(bad))
    return DivergenceError("the gradient is not finite", found=row[len(VALUES)])
