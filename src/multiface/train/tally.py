"""What a run has come to so far: its last training losses, its validations, and its throughput."""

from __future__ import annotations

from collections import deque
from typing import Any

WINDOW = 20
"""Updates that the reported training losses are averaged over, as published."""
RECENT = 10
"""Readings of the device that the present throughput is taken over. They begin after the first update, which compiles."""


class Tally:
    """Adds up what updates and validations give.

    Attributes:
        validation: The last validation's means, empty before the first.
        best: Smallest validation value of each term.
        images: Images learnt from since this process began.
        seconds: Time that this took: reading and computing, without validation and saving.
    """

    def __init__(self) -> None:
        self.validation: dict[str, float] = {}
        self.best: dict[str, float] = {}
        self.images = 0
        self.seconds = 0.0
        self._window: deque[dict[str, float]] = deque(maxlen=WINDOW)
        self._marks: deque[tuple[float, int]] = deque(maxlen=RECENT + 1)

    def updated(self, values: dict[str, float], images: int) -> None:
        """An update from so many images was made, with these losses."""
        self._window.append(values)
        self.images += images
        if self._marks and self._marks[-1][0] == self.seconds:  # several updates are read at once
            self._marks.pop()
        self._marks.append((self.seconds, self.images))

    def validated(self, values: dict[str, float], judged_by: str) -> bool:
        """A validation gave ``values``; returns whether the term ``judged_by`` was never smaller."""
        is_best = bool(values) and values[judged_by] < self.best.get(judged_by, float("inf"))
        self.best = {name: min(value, self.best.get(name, float("inf"))) for name, value in values.items()}
        self.validation = values
        return is_best

    def train_means(self) -> dict[str, float]:
        """Mean losses of the last :data:`WINDOW` updates; empty before the first."""
        names = self._window[0] if self._window else ()
        return {name: sum(values[name] for values in self._window) / len(self._window) for name in names}

    @property
    def images_per_second(self) -> float:
        """Throughput since this process began."""
        return self.images / self.seconds if self.seconds else 0.0

    @property
    def recent_images_per_second(self) -> float:
        """Throughput now, that is over the last few readings; of the first update while there is no other."""
        if len(self._marks) < 2:
            return self.images_per_second
        (began, before), (ended, after) = self._marks[0], self._marks[-1]
        return (after - before) / (ended - began)

    def state(self) -> dict[str, Any]:
        """What a resumed run goes on from; throughput is each process's own."""
        return {"best": self.best, "validation": self.validation, "window": list(self._window)}

    def load_state(self, state: dict[str, Any]) -> None:
        """Restore what :meth:`state` gave."""
        self.best = dict(state["best"])
        self.validation = dict(state["validation"])
        self._window = deque(state["window"], maxlen=WINDOW)
