"""The published order of operations of an update, plainly: what :class:`multiface.train.update.Update` is compared with."""

from __future__ import annotations

import math

import torch

from multiface import losses
from multiface.core.errors import DivergenceError
from multiface.train.guard import FIRST_LOSS, PATIENCE
from multiface.train.optimisation import CLIP_NORM


class PublishedGuard:
    """Compares with the last accepted batch; refuses values that are no numbers."""

    def __init__(self, threshold: float, patience: int = PATIENCE) -> None:
        self.threshold, self.patience = threshold, patience
        self.discarded = self.in_a_row = 0
        self.previous = {"total": FIRST_LOSS, "verts": FIRST_LOSS, "kl": FIRST_LOSS}

    def accepts(self, values: dict[str, float]) -> bool:
        if not all(math.isfinite(values[name]) for name in self.previous):
            raise DivergenceError("the loss is no longer a finite number")
        jumped = any(values[name] > self.threshold * last for name, last in self.previous.items() if last > 0)
        if jumped and self.in_a_row < self.patience:
            self.in_a_row += 1
            self.discarded += 1
            return False
        self.in_a_row = 0
        self.previous = {name: values[name] for name in self.previous}
        return True


class PublishedUpdate:
    """Losses, guard, backward, clip, Adam and Adam, each value read before the next operation."""

    def __init__(self, step, rate: float, weights: losses.LossWeights, threshold: float) -> None:
        self.step, self.weights, self.guard = step, weights, PublishedGuard(threshold)
        self.parameters = [p for p in step.model.parameters() if p.requires_grad]
        self.main = torch.optim.Adam(step.model.main_parameters(), lr=rate, fused=True)
        self.colour = torch.optim.Adam(step.model.colour_parameters(), lr=rate, fused=True)

    def __call__(self, batch) -> tuple[dict[str, float], bool]:
        terms = self.step.training_terms(batch, screen=self.weights.screen > 0)
        total = losses.total_loss(terms, self.weights)
        values = {name: float(term.detach()) for name, term in {**terms, "total": total}.items()}
        if not self.guard.accepts(values):
            return values, False
        self.main.zero_grad()
        self.colour.zero_grad()
        total.backward()
        norm = float(torch.nn.utils.clip_grad_norm_(self.parameters, CLIP_NORM))
        if not math.isfinite(norm):
            raise DivergenceError("the gradient is not finite")
        self.main.step()
        self.colour.step()
        return values, True
