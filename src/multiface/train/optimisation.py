"""The published optimisers: one Adam for the networks, one for the colour correction, and what happens between updates."""

from __future__ import annotations

from collections.abc import Iterable

import torch

from multiface.models import FaceModel

PUBLISHED_DECAY = 0.95
"""Factor of the main learning rate after each epoch; the colour correction's stays."""
CLIP_NORM = 10.0
"""Global gradient norm of all parameters together, as published."""


class Optimisation:
    """Both optimisers and the learning-rate schedule.

    On CUDA the learning rates are tensors on the device, so that a captured graph follows the schedule.
    """

    def __init__(self, model: FaceModel, learning_rate: float, decay: float = PUBLISHED_DECAY) -> None:
        self._decay = decay
        self.parameters = [p for p in model.parameters() if p.requires_grad]
        colour = [p for p in model.colour_parameters() if p.requires_grad]
        self._divisor: torch.Tensor | None = None
        self._on_cuda = bool(self.parameters) and self.parameters[0].is_cuda
        self.main = self._adam(model.main_parameters(), learning_rate)
        # A single camera has nothing to correct: its row is the anchor, and the others have no entries.
        self.colour = self._adam(colour, learning_rate)

    def _adam(self, parameters: list[torch.nn.Parameter], rate: float) -> torch.optim.Adam:
        # Fused: one pass over memory for each parameter, several times faster on CPUs too; the same rule.
        if not self._on_cuda:
            return torch.optim.Adam(parameters, lr=rate, fused=True)
        return torch.optim.Adam(parameters, lr=torch.tensor(rate, device=parameters[0].device), fused=True, capturable=True)

    @property
    def optimisers(self) -> tuple[torch.optim.Adam, torch.optim.Adam]:
        """The main one and that of the colour correction."""
        return self.main, self.colour

    def clear_gradients(self) -> None:
        """Forget all gradients."""
        for optimiser in self.optimisers:
            optimiser.zero_grad(set_to_none=True)

    def gradients(self) -> list[torch.Tensor]:
        """The gradients that there are."""
        return [p.grad for p in self.parameters if p.grad is not None]

    def clip(self) -> torch.Tensor:
        """Norm of all gradients together before clipping. On CUDA the next :meth:`step` clips along with its update."""
        if not self._on_cuda:
            return clip(self.parameters)
        norm = torch.linalg.vector_norm(torch.stack(torch._foreach_norm(self.gradients())))
        self._divisor = ((norm + 1e-6) / CLIP_NORM).clamp(min=1.0)
        return norm

    def step(self, accepted: torch.Tensor) -> None:
        """Update from the gradients where the scalar bool ``accepted`` is true; otherwise nothing changes, moments included.

        Nobody waits for the device.
        """
        # The fused kernel leaves everything as it is where this says so, and divides: gradient scaling works the same way.
        wishes = {"found_inf": (~accepted).float()}
        if self._divisor is not None:
            wishes["grad_scale"] = self._divisor
        for optimiser in self.optimisers:
            vars(optimiser).update(wishes)
            try:
                optimiser.step()
            finally:
                for name in wishes:
                    delattr(optimiser, name)

    def end_epoch(self) -> None:
        """Apply the schedule."""
        for group in self.main.param_groups:
            group["lr"] *= self._decay  # a tensor is changed in place

    @property
    def learning_rate(self) -> float:
        """Current rate of the main optimiser."""
        return float(self.main.param_groups[0]["lr"])

    def set_rate(self, colour: float, main: float) -> None:
        """Go on with other learning rates."""
        for optimiser, rate in ((self.colour, colour), (self.main, main)):
            for group in optimiser.param_groups:
                group["lr"] = group["lr"].fill_(rate) if isinstance(group["lr"], torch.Tensor) else rate

    def state(self) -> dict:
        """Everything needed to go on exactly."""
        return {"main": _plain(self.main.state_dict()), "colour": _plain(self.colour.state_dict())}

    def load_state(self, state: dict) -> None:
        """Restore what :meth:`state` gave, on whatever device it was made."""
        for optimiser, name in ((self.main, "main"), (self.colour, "colour")):
            rates = [group["lr"] for group in optimiser.param_groups]
            optimiser.load_state_dict(state[name])
            for group, rate in zip(optimiser.param_groups, rates):
                group["capturable"] = self._on_cuda
                if isinstance(rate, torch.Tensor):  # the very tensor, which a captured graph may hold
                    group["lr"] = rate.fill_(float(group["lr"]))


def _plain(state: dict) -> dict:
    """``state`` with learning rates as numbers, so that it can be loaded on any device."""
    groups = [{**group, "lr": float(group["lr"]), "capturable": False} for group in state["param_groups"]]
    return {**state, "param_groups": groups}


def clip(parameters: Iterable[torch.nn.Parameter]) -> torch.Tensor:
    """Clip the global gradient norm to :data:`CLIP_NORM` and return what it was."""
    return torch.nn.utils.clip_grad_norm_(parameters, CLIP_NORM)
