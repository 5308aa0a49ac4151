"""Latent noise that does not depend on how a batch is divided among processes."""

from __future__ import annotations

import torch


class SharedNoise:
    """Draws the noise of the whole batch on every process, from generators in the same state, and gives each its rows.

    A view's noise is thus decided by seed, update and place in the batch, whatever the number of processes, and all
    processes' generators stay alike: one random state stands for all. Between updates it draws as anybody would.

    Args:
        batch_size: Views of a whole batch; that many rows are drawn even where a batch has fewer.
        device: Where the noise is wanted.
    """

    def __init__(self, batch_size: int, device: torch.device) -> None:
        self._batch_size = batch_size
        self._start = torch.zeros((), dtype=torch.int64, device=device)  # a tensor, so that a captured graph follows it
        self._active = False

    def begin(self, start: int) -> None:
        """An update begins in which this process's views stand at ``start`` in the batch."""
        self._start.fill_(start)
        self._active = True

    def end(self) -> None:
        """The update is over."""
        self._active = False

    def __call__(self, views: int, nlatent: int) -> torch.Tensor:
        """(views, nlatent) normal noise of this process's views."""
        device = self._start.device
        if not self._active:
            return torch.randn(views, nlatent, device=device)
        whole = torch.randn(max(self._batch_size, views), nlatent, device=device)
        rows = self._start + torch.arange(views, device=device)
        return whole[rows.clamp(max=len(whole) - 1)]
