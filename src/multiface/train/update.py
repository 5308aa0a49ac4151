"""One optimisation step on a batch, in the published order of operations, without waiting for the device."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import torch

from multiface import losses
from multiface.core.errors import DivergenceError, MultifaceError
from multiface.data import Batch
from multiface.train.guard import VALUES, WATCHED, BatchGuard
from multiface.train.optimisation import Optimisation
from multiface.train.precision import compile_for_one_shape, mixed_precision, obstacle_to_compiling
from multiface.train.recording import RecordedWork, first_line
from multiface.train.step import NetworkTerms, Step

Result = tuple[torch.Tensor, torch.Tensor, torch.Tensor]

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
        bf16: Convolutions run in bfloat16.
        compiled: Networks and losses are compiled and the whole step is recorded as a CUDA graph, where that is possible.
            Where not, each operation is launched by itself; ``notes`` says why, or a warning if it shows later.
        average_gradients: With several processes: averages the tensors it is given in place over all of them. Called between
            backward and clipping, with all gradients and the (5,) float32 loss values, so that all processes judge alike.

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
        average_gradients: Callable[[Iterable[torch.Tensor]], None] | None = None,
    ) -> None:
        self.step = step
        self.optimisation = optimisation
        self.weights = weights
        self.guard = guard
        self.average_gradients = average_gradients
        self.bf16 = bf16
        self.notes: list[str] = []
        self.discarded = 0
        self._calls = 0
        self._calls_read = 0
        self._network: NetworkTerms | None = None
        self._has_compiled = False
        self._recorded: RecordedWork[Result] | None = None
        if compiled:
            self._compile()

    def __call__(self, batch: Batch) -> dict[str, torch.Tensor]:
        """Learn from ``batch``.

        Returns:
            Device scalars, without gradient: the loss terms, ``total``, ``accepted`` and ``finite`` (bool). They hold until
            the next call.
        """
        noise = self.step.draw_noise(len(batch.view))
        values, accepted, finite = (self._recorded or self._plain)(batch, noise)
        self._calls += 1
        return {**dict(zip(VALUES, values)), "accepted": accepted, "finite": finite}

    def _plain(self, batch: Batch, noise: torch.Tensor) -> Result:
        return self._compute(batch, noise, None)

    def _compute(self, batch: Batch, noise: torch.Tensor, network: NetworkTerms | None) -> Result:
        """The step itself; everything in it can be recorded."""
        with mixed_precision(self.bf16, batch.view.device):
            terms = self.step.training_terms(batch, screen=self.weights.screen > 0, noise=noise, network=network)
        total = losses.total_loss(terms, self.weights)
        self.optimisation.clear_gradients()
        total.backward()
        values = torch.stack([term.detach() for term in (*(terms[name] for name in losses.TERMS), total)])
        if self.average_gradients is not None:
            self.average_gradients([*self.optimisation.gradients(), values])
        accepted, finite = self.guard.judge(values, self.optimisation.clip())
        self.optimisation.step(accepted)
        return values, accepted, finite

    def _compile(self) -> None:
        device = self.step.camera_table.device
        obstacle = obstacle_to_compiling(device)
        if obstacle is not None:
            self.notes.append(f"not compiled: {obstacle}; training is slower")
            return
        self.notes.append("networks are compiled during the first update, for a minute or two; --no-compile starts at once")
        # Among the many ways to do a convolution the fastest is found by trying; shapes do not change.
        torch.backends.cudnn.benchmark = True
        self._network = compile_for_one_shape(self.step.network_terms)
        self._recorded = RecordedWork(self._first_compiled, self._plain)

    def _first_compiled(self, batch: Batch, noise: torch.Tensor) -> Result:
        """As :meth:`_compute` with the compiled network; where compiling fails, without it from now on."""
        if self._network is None or self._has_compiled:
            return self._compute(batch, noise, self._network)
        try:
            with warnings.catch_warnings():
                # Single precision is meant where it is used.
                warnings.filterwarnings("ignore", message="TensorFloat32 tensor cores")
                result = self._compute(batch, noise, self._network)
            self._has_compiled = True
            return result
        except (MultifaceError, torch.cuda.OutOfMemoryError):
            raise
        except Exception as error:  # noqa: BLE001 -- compilers fail in many ways, and training runs without them
            warnings.warn(f"training is not compiled: {first_line(error)}", RuntimeWarning, stacklevel=2)
            self._network = None
            return self._plain(batch, noise)

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
