"""The published discarding of batches, bounded, and the watch for values that are no numbers: decided on the device."""

from __future__ import annotations

import torch

from multiface.losses import TERMS

VALUES = (*TERMS, "total")
"""Names of the values of an update, in the order in which the guard keeps them."""
WATCHED = ("total", "verts", "kl")
"""A jump of one of these discards a batch, as published."""
FIRST_LOSS = 1e8
"""Stands for the loss before the first accepted batch, as published."""
PATIENCE = 20
HISTORY = 64
"""Updates whose values are kept for reading."""

_IN_A_ROW, _DISCARDED, _CALLS, _DIVERGED_AT = range(4)
_POSITIONS = [VALUES.index(name) for name in WATCHED]


class BatchGuard:
    """Judges batches by their losses without anyone waiting for the device.

    A batch is discarded when its total, vertex loss or KL exceeds ``threshold`` times that of the last accepted one. The
    published system never recovers from a lasting change of level; after ``patience`` discarded batches in a row this one
    accepts the new level. From the first value that is not finite on (a watched loss, or the norm of the gradient of a batch
    that is not discarded) nothing is accepted any more, until somebody reads it.

    Args:
        threshold: Factor above which a batch is discarded.
        device: Where the values live.
        patience: Discarded batches in a row before the level is accepted.
    """

    def __init__(self, threshold: float, device: torch.device | str = "cpu", patience: int = PATIENCE) -> None:
        self.threshold = threshold
        self.patience = patience
        self._previous = torch.full((len(WATCHED),), FIRST_LOSS, dtype=torch.float64, device=device)
        self._counts = torch.tensor([0, 0, 0, -1], dtype=torch.int64, device=device)
        # One row for each update: its values, the norm of its gradient, and whether it was accepted.
        self._history = torch.zeros(HISTORY, len(VALUES) + 2, dtype=torch.float64, device=device)
        self._watched = torch.tensor(_POSITIONS, device=device)

    def judge(self, values: torch.Tensor, norm: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Decide on the batch with these values and remember it.

        Args:
            values: (5,) losses in the order of :data:`VALUES`.
            norm: Scalar, norm of the whole gradient before clipping.

        Returns:
            accepted and finite: scalar bool tensors; whether the batch is to be learnt from, and whether all was finite up
            to now.
        """
        watched, norm = values.double()[self._watched], norm.double()
        counts = self._counts
        # A previous value of exactly 0 says nothing about the level; the published rule would discard everything after it.
        jumped = ((watched > self.threshold * self._previous) & (self._previous > 0)).any()
        numbers = watched.isfinite().all()
        discarded = numbers & jumped & (counts[_IN_A_ROW] < self.patience)
        finite = (numbers & (discarded | norm.isfinite())) & (counts[_DIVERGED_AT] < 0)
        accepted, discarded = finite & ~discarded, finite & discarded
        row = torch.cat((values.double(), norm[None], accepted.double()[None]))
        self._history.index_copy_(0, (counts[_CALLS] % HISTORY)[None], row[None])
        self._previous.copy_(torch.where(accepted, watched, self._previous))
        in_a_row = torch.where(discarded, counts[_IN_A_ROW] + 1, torch.where(accepted, 0, counts[_IN_A_ROW]))
        diverged_at = torch.where(finite | (counts[_DIVERGED_AT] >= 0), counts[_DIVERGED_AT], counts[_CALLS])
        counts.copy_(torch.stack((in_a_row, counts[_DISCARDED] + discarded, counts[_CALLS] + 1, diverged_at)))
        return accepted, finite

    def read(self) -> tuple[list[list[float]], int, int, int]:
        """Wait for the device: rows of the last updates (values, norm, accepted), batches judged and discarded so far, and
        the number of the batch that was not finite (-1: none). The rows are at most :data:`HISTORY`, oldest first."""
        both = torch.cat((self._history.flatten(), self._counts.double())).cpu()
        counts = [int(count) for count in both[self._history.numel() :].tolist()]
        history = both[: self._history.numel()].view_as(self._history).tolist()
        calls = counts[_CALLS]
        rows = [history[call % HISTORY] for call in range(max(calls - HISTORY, 0), calls)]
        return rows, calls, counts[_DISCARDED], counts[_DIVERGED_AT]

    def state(self) -> dict:
        """Everything needed to go on exactly, as plain values."""
        counts = self._counts.tolist()
        previous = dict(zip(WATCHED, self._previous.tolist()))
        return {"previous": previous, "in_a_row": counts[_IN_A_ROW], "discarded": counts[_DISCARDED]}

    def load_state(self, state: dict) -> None:
        """Restore what :meth:`state` gave."""
        self._previous.copy_(torch.tensor([float(state["previous"][name]) for name in WATCHED], dtype=torch.float64))
        self._counts.copy_(torch.tensor([int(state["in_a_row"]), int(state["discarded"]), 0, -1]))
