"""Who watches a training."""

from __future__ import annotations

from typing import Protocol

from multiface.data import Batch
from multiface.train.state import Position
from multiface.train.step import Prediction


class Observer(Protocol):
    """Who watches a training: the command line's progress display, and whoever writes pictures."""

    def updated(self, position: Position, values: dict[str, float], images_per_second: float) -> None:
        """After every update; the throughput is that of the last ones."""

    def logged(self, iteration: int, values: dict[str, float]) -> None:
        """Every ``log_every`` updates."""

    def validated(self, iteration: int, values: dict[str, float], best: bool) -> None:
        """After every validation."""

    def pictures(self, tag: str, prediction: Prediction, batch: Batch) -> None:
        """Every ``log_every`` updates (``train_<k>``), with what the model says about the current batch."""


class NoObserver:
    """Watches nothing: for all processes of a job but the first."""

    def updated(self, position: Position, values: dict[str, float], images_per_second: float) -> None:
        """Nothing."""

    def logged(self, iteration: int, values: dict[str, float]) -> None:
        """Nothing."""

    def validated(self, iteration: int, values: dict[str, float], best: bool) -> None:
        """Nothing."""

    def pictures(self, tag: str, prediction: Prediction, batch: Batch) -> None:
        """Nothing."""
