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
        self._device = device
        self._start: int | None = None

    def begin(self, start: int) -> None:
        """An update begins in which this process's views stand at ``start`` in the batch."""
        self._start = start

    def end(self) -> None:
        """The update is over."""
        self._start = None

    def __call__(self, views: int, nlatent: int) -> torch.Tensor:
        """(views, nlatent) normal noise of this process's views."""
        if self._start is None:
            return torch.randn(views, nlatent, device=self._device)
        whole = torch.randn(max(self._batch_size, views), nlatent, device=self._device)
        # Views that stand in for a share without any may come after the end; they do not count.
        start = min(self._start, len(whole) - views)
        return whole[start : start + views]
