"""The published optimisers: one Adam for the networks, one for the colour correction, and what happens between updates."""

from __future__ import annotations

import math
from collections.abc import Iterable

import torch

from multiface.core.errors import DivergenceError
from multiface.models import FaceModel

PUBLISHED_DECAY = 0.95
"""Factor of the main learning rate after each epoch; the colour correction's stays."""
CLIP_NORM = 10.0
"""Global gradient norm of all parameters together, as published."""
FIRST_LOSS = 1e8
"""Stands for the loss before the first accepted batch, as published."""


class Optimisation:
    """Both optimisers and the learning-rate schedule."""

    def __init__(self, model: FaceModel, learning_rate: float, decay: float = PUBLISHED_DECAY) -> None:
        self._decay = decay
        self._parameters = [p for p in model.parameters() if p.requires_grad]
        colour = [p for p in model.colour_parameters() if p.requires_grad]
        # Fused: one pass over memory for each parameter, several times faster on CPUs too; the same rule.
        self.main = torch.optim.Adam(model.main_parameters(), lr=learning_rate, fused=True)
        # A single camera has nothing to correct: its row is the anchor, and the others have no entries.
        self.colour = torch.optim.Adam(colour, lr=learning_rate, fused=True)

    def update(self, total: torch.Tensor) -> float:
        """Backward, clip, step; returns the gradient norm before clipping.

        Raises:
            DivergenceError: the gradient is not finite; nothing was updated.
        """
        self.main.zero_grad(set_to_none=True)
        self.colour.zero_grad(set_to_none=True)
        total.backward()
        norm = float(clip(self._parameters))
        if not math.isfinite(norm):
            raise DivergenceError("the gradient is not finite", found=norm)
        self.main.step()
        self.colour.step()
        return norm

    def end_epoch(self) -> None:
        """Apply the schedule."""
        for group in self.main.param_groups:
            group["lr"] *= self._decay

    @property
    def learning_rate(self) -> float:
        """Current rate of the main optimiser."""
        return float(self.main.param_groups[0]["lr"])

    def state(self) -> dict:
        """Everything needed to go on exactly."""
        return {"main": self.main.state_dict(), "colour": self.colour.state_dict()}

    def load_state(self, state: dict) -> None:
        """Restore what :meth:`state` gave."""
        self.main.load_state_dict(state["main"])
        self.colour.load_state_dict(state["colour"])


def clip(parameters: Iterable[torch.nn.Parameter]) -> torch.Tensor:
    """Clip the global gradient norm to :data:`CLIP_NORM` and return what it was."""
    return torch.nn.utils.clip_grad_norm_(parameters, CLIP_NORM)


class BatchGuard:
    """The published discarding of batches, bounded.

    A batch is discarded when its total, vertex loss or KL exceeds ``threshold`` times that of the last accepted batch. The
    published system never recovers from a lasting change of level; after ``patience`` discarded batches in a row this one
    accepts the new level.

    Args:
        threshold: Factor above which a batch is discarded.
        patience: Discarded batches in a row before the level is accepted.
    """

    def __init__(self, threshold: float, patience: int = 20) -> None:
        self.threshold = threshold
        self.patience = patience
        self.discarded = 0
        self._in_a_row = 0
        self._previous = {"total": FIRST_LOSS, "verts": FIRST_LOSS, "kl": FIRST_LOSS}

    def accepts(self, values: dict[str, float]) -> bool:
        """Whether the batch with these loss values (``total``, ``verts``, ``kl``) is to be learnt from.

        Raises:
            DivergenceError: a value is NaN or infinite.
        """
        bad = [name for name, value in values.items() if not math.isfinite(value)]
        if bad:
            found = ", ".join(f"{name} = {values[name]}" for name in bad)
            raise DivergenceError("the loss is no longer a finite number", found=found)
        # A previous value of exactly 0 says nothing about the level; the published rule would discard everything after it.
        jumped = any(values[name] > self.threshold * last for name, last in self._previous.items() if last > 0)
        if jumped and self._in_a_row < self.patience:
            self._in_a_row += 1
            self.discarded += 1
            return False
        self._in_a_row = 0
        self._previous = {name: values[name] for name in self._previous}
        return True

    def state(self) -> dict:
        """Everything needed to go on exactly."""
        return {"previous": dict(self._previous), "in_a_row": self._in_a_row, "discarded": self.discarded}

    def load_state(self, state: dict) -> None:
        """Restore what :meth:`state` gave."""
        self._previous = dict(state["previous"])
        self._in_a_row = int(state["in_a_row"])
        self.discarded = int(state["discarded"])
