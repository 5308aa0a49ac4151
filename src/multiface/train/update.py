"""One optimisation step on a batch, in the published order of operations, without waiting for the device."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import torch

from multiface import losses
from multiface.core.errors import DivergenceError, MultifaceError
from multiface.data import Batch
from multiface.train.guard import VALUES, WATCHED, BatchGuard
from multiface.train.optimisation import Optimisation
from multiface.train.precision import compile_for_one_shape, mixed_precision, obstacle_to_compiling
from multiface.train.recording import RecordedWork, first_line
from multiface.train.step import Network, Step

Result = tuple[torch.Tensor, torch.Tensor, torch.Tensor]

_ANOTHER = "another process of the job cannot"
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


class Averaging(Protocol):
    """What makes the gradients of several processes those of the whole batch: see :class:`multiface.train.gradients`."""

    def start(self) -> None:
        """An update begins."""

    def weight(self, values: torch.Tensor) -> torch.Tensor:
        """What this process's losses ``values`` count for, a scalar that the backward pass begins with."""
        ...

    def finish(self) -> None:
        """After the backward pass: make gradients, and ``values`` in place, those of the whole batch."""


def _own_decision(flag: bool) -> bool:
    return flag


class Update:
    """Predict, losses, backward, average, clip, judge, both optimisers: call it with a batch on the device.

    The published order takes the gradient of accepted batches only; here it is taken of every batch and thrown away with the
    batch, which comes to the same.

    Args:
        step: The model and how it is fed.
        optimisation: Both optimisers.
        weights: Loss factors.
        guard: What judges batches.
        bf16: Convolutions run in bfloat16.
        compiled: Networks and losses are compiled and the whole step is recorded as a CUDA graph, where that is possible.
            Where not, each operation is launched by itself; ``notes`` says why, or a warning if it shows later.
        averaging: With several processes: averages gradients and losses over all of them, before clipping, so that all
            processes judge alike.
        anywhere: With several processes: whether a flag is set on some process. All compile, or none.

    Attributes:
        notes: What to tell the user about compiling.
        discarded: Batches discarded until the last reading.
    """

    def __init__(
        self,
        step: Step,
        optimisation: Optimisation,
        weights: losses.LossWeights,
        guard: BatchGuard,
        *,
        bf16: bool = False,
        compiled: bool = False,
        averaging: Averaging | None = None,
        anywhere: Callable[[bool], bool] = _own_decision,
    ) -> None:
        self.step = step
        self.optimisation = optimisation
        self.weights = weights
        self.guard = guard
        self.averaging = averaging
        self._anywhere = anywhere
        self.bf16 = bf16
        self.notes: list[str] = []
        self.discarded = 0
        self._calls = 0
        self._calls_read = 0
        self._network: Network | None = None
        self._has_tried = False
        self._recorded: RecordedWork[Result] | None = None
        if compiled:
            self._compile()

    def __call__(self, batch: Batch) -> dict[str, torch.Tensor]:
        """Learn from ``batch``.

        Returns:
            Device scalars, without gradient: the loss terms, ``total``, ``accepted`` and ``finite`` (bool). They hold until
            the next call.
        """
        noise = self.step.draw_noise(batch.n_views)
        values, accepted, finite = (self._recorded or self._plain)(batch, noise)
        self._calls += 1
        return {**dict(zip(VALUES, values)), "accepted": accepted, "finite": finite}

    def _plain(self, batch: Batch, noise: torch.Tensor) -> Result:
        return self._compute(batch, noise, None)

    def _compute(self, batch: Batch, noise: torch.Tensor, network: Network | None) -> Result:
        """The step itself; everything in it can be recorded."""
        if self.averaging is not None:
            self.averaging.start()
        terms, total = self._losses(batch, noise, network)
        values = torch.stack([term.detach() for term in (*(terms[name] for name in losses.TERMS), total)])
        self.optimisation.clear_gradients()
        if self.averaging is None:
            total.backward()
        else:
            total.backward(self.averaging.weight(values))
            self.averaging.finish()
        accepted, finite = self.guard.judge(values, self.optimisation.clip())
        self.optimisation.step(accepted)
        return values, accepted, finite

    def _losses(
        self, batch: Batch, noise: torch.Tensor, network: Network | None
    ) -> tuple[dict[str, torch.Tensor], torch.Tensor]:
        with mixed_precision(self.bf16, batch.device):
            terms = self.step.training_terms(batch, screen=self.weights.screen > 0, noise=noise, network=network)
        return terms, losses.total_loss(terms, self.weights)

    def _compile(self) -> None:
        obstacle = obstacle_to_compiling(self.step.camera_table.device)
        if self._anywhere(obstacle is not None):
            self.notes.append(f"not compiled: {obstacle or _ANOTHER}; training is slower")
            return
        self.notes.append("networks are compiled during the first update, for a minute or two; --no-compile starts at once")
        # Among the many ways to do a convolution the fastest is found by trying; shapes do not change.
        torch.backends.cudnn.benchmark = True
        self._network = Network(*map(compile_for_one_shape, self.step.network))
        self._recorded = RecordedWork(self._first_compiled, self._plain)

    def _first_compiled(self, batch: Batch, noise: torch.Tensor) -> Result:
        """As :meth:`_compute` with the compiled network; where compiling fails, without it from now on, on all processes."""
        if not self._has_tried:
            self._has_tried = True
            failure = self._failure_to_compile(batch, noise)
            if self._anywhere(failure is not None):
                warnings.warn(f"training is not compiled: {failure or _ANOTHER}", RuntimeWarning, stacklevel=2)
                self._network = None
        return self._compute(batch, noise, self._network)

    def _failure_to_compile(self, batch: Batch, noise: torch.Tensor) -> str | None:
        """Compile, by a pass whose gradients nobody uses: the other processes must not wait in the middle of a sum."""
        try:
            with warnings.catch_warnings():
                # Single precision is meant where it is used.
                warnings.filterwarnings("ignore", message="TensorFloat32 tensor cores")
                self._losses(batch, noise, self._network)[1].backward()
        except (MultifaceError, torch.cuda.OutOfMemoryError):
            raise
        except Exception as error:  # noqa: BLE001 -- compilers fail in many ways, and training runs without them
            return first_line(error)
        return None

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

    def close(self) -> None:
        """Forget recordings: the connections between GPUs that they use cannot be closed before."""
        if self._recorded is not None:
            self._recorded.forget()

    def load_state(self, state: dict) -> None:
        """Restore what :meth:`state` gave."""
        self.guard.load_state(state)
        self.discarded = int(state["discarded"])
        self._calls = self._calls_read = 0
        if self._recorded is not None:
            self._recorded.forget()


def _divergence(row: list[float]) -> DivergenceError:
    values = dict(zip(VALUES, row))
    bad = [f"{name} = {values[name]}" for name in WATCHED if not math.isfinite(values[name])]
    if bad:
        return DivergenceError("the loss is no longer a finite number", found=", ".join(bad))
    return DivergenceError("the gradient is not finite", found=row[len(VALUES)])
